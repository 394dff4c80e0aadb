//! The filter as it is compiled: no trap whatever the host answers, and memory that is bounded.

use std::path::Path;

use anyhow::{Context, Result};
use lazymesh_module::{Compiled, flood, fuzz};

fn module() -> Result<Compiled> {
    let path = std::env::var_os("LAZYMESH_FILTER")
        .context("LAZYMESH_FILTER is not set: run `cargo xtask test`")?;
    Compiled::read(Path::new(&path))
}

#[test]
fn nothing_that_a_host_answers_is_a_trap() -> Result<()> {
    fuzz(&module()?, 50_000, 1)?;
    Ok(())
}

#[test]
fn distinct_hosts_take_bounded_memory() -> Result<()> {
    let flooded = flood(&module()?, 5_000)?;
    assert!(flooded.memory <= 8 << 20, "{flooded:?}");
    assert_eq!(flooded.memory, flooded.early, "it still grows");
    Ok(())
}
