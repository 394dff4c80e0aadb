//! The collector's image: what the chart installs runs from it, with nothing of the machine around it.

use anyhow::{Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lazymesh, LazymeshOptions},
    parts,
};

use crate::{
    lazy::{Lazy, until_known, until_learned},
    leftovers::leftovers,
};

#[test]
fn the_collector_and_its_uninstall_run_from_the_image() -> Result<()> {
    lab::disturbance("image", async |lab, namespace| {
        lab::own_lazymesh().await?.uninstall(lab).await?;
        let options = LazymeshOptions {
            image: Some(parts::image()?),
            ..LazymeshOptions::default()
        };
        lab::share_lazymesh(Lazymesh::install(lab, &options).await?).await;
        let lazy = Lazy::start(lab, namespace).await?;
        assert_eq!(lazy.ask("/first").await?, "lazymesh-direct");
        until_learned(lab, namespace, "lazymesh-client", "server").await?;
        until_known(&lazy.client, &lazy.cluster()).await?;
        lab::own_lazymesh().await?.uninstall(lab).await?;
        let left = leftovers(lab).await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}
