//! Runs libFuzzer on the harness that `LAZYMESH_FUZZ` names. `cargo xtask fuzz parsers` builds and starts it.

#![no_main]

use std::sync::LazyLock;

use lazymesh_fuzz::{Harness, harness};
use libfuzzer_sys::fuzz_target;

static HARNESS: LazyLock<Harness> = LazyLock::new(|| {
    let name = std::env::var("LAZYMESH_FUZZ").unwrap_or_default();
    harness(&name).unwrap_or_else(|| panic!("LAZYMESH_FUZZ: there is no harness {name:?}"))
});

fuzz_target!(|bytes: &[u8]| HARNESS(bytes));
