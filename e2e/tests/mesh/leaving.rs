//! Leaving: lazymesh is taken out while applications work, which costs none of their requests.

use anyhow::{Result, ensure};
use lazymesh_e2e::lab;

use crate::{lazy::Lazy, leftovers::leftovers};

#[test]
fn helm_uninstall_leaves_nothing() -> Result<()> {
    lab::disturbance("leaving-helm", async |lab, namespace| {
        let lazy = Lazy::start(lab, namespace).await?;
        lazy.ask("/first").await?;
        ensure!(!leftovers(lab).await?.is_empty(), "nothing to take out");
        lab::own_lazymesh().await?.uninstall(lab).await?;
        let left = leftovers(lab).await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}
