//! Leaving: lazymesh is taken out while applications work, which costs none of their requests.

use anyhow::{Result, ensure};
use lazymesh_e2e::lab::{self, Lab};

use crate::{
    busy::{Busy, Load},
    lazy::enforce,
    leftovers::{from_chart, leftovers},
};

#[test]
fn helm_uninstall_costs_no_request_and_leaves_nothing() -> Result<()> {
    lab::disturbance("leaving-helm", async |lab, namespace| {
        let (busy, load) = start(lab, namespace).await?;
        lab::own_lazymesh().await?.uninstall(lab).await?;
        busy.until_all_full().await?;
        let left = leftovers(lab).await?;
        ensure!(left.is_empty(), "{left:?}");
        busy.a_while().await?;
        load.must_be_whole().await
    })
}

#[test]
fn lazymesh_uninstall_costs_no_request_and_leaves_what_the_chart_made() -> Result<()> {
    lab::disturbance("leaving-cli", async |lab, namespace| {
        let (busy, load) = start(lab, namespace).await?;
        let remains = lab::own_lazymesh().await?.uninstall_by_hand(lab).await?;
        busy.until_all_full().await?;
        let mut left = leftovers(lab).await?;
        let chart = from_chart(lab).await?;
        left.retain(|object| !chart.contains(object));
        ensure!(left.is_empty(), "{left:?}: {}", remains.said);
        busy.a_while().await?;
        load.must_be_whole().await?;

        remains.uninstall(lab).await?;
        let left = leftovers(lab).await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}

/// A lazy namespace whose clients do not rest.
async fn start<'a>(lab: &'a Lab, namespace: &'a str) -> Result<(Busy<'a>, Load)> {
    enforce(lab, namespace).await?;
    let busy = Busy::start(lab, namespace).await?;
    let load = busy.load()?;
    busy.until_all_lazy().await?;
    busy.a_while().await?;
    ensure!(!leftovers(lab).await?.is_empty(), "nothing to take out");
    Ok((busy, load))
}
