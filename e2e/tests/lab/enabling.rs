//! Enabling: scopes shrink while applications work, which costs none of their requests.

use anyhow::{Result, ensure};
use lazymesh_e2e::lab;

use crate::{
    busy::{Busy, set_mode},
    lazy::{enforce, hosts},
};

#[test]
fn a_busy_namespace_is_enabled_and_disabled() -> Result<()> {
    lab::scenario("enabling", async |lab, namespace| {
        lab::lazymesh().await?;
        let busy = Busy::start(lab, namespace).await?;
        let load = busy.load()?;
        busy.a_while().await?;
        set_mode(lab, (namespace, None), Some("enforce")).await?;
        busy.until_all_lazy().await?;
        busy.a_while().await?;
        load.must_be_whole().await?;

        for mode in [Some("off"), Some("enforce"), None] {
            let load = busy.load()?;
            busy.a_while().await?;
            set_mode(lab, (namespace, None), mode).await?;
            if mode == Some("enforce") {
                busy.until_all_lazy().await?;
            } else {
                busy.until_all_full().await?;
            }
            busy.a_while().await?;
            load.must_be_whole().await?;
        }
        Ok(())
    })
}

#[test]
fn a_pod_s_label_counts_before_its_namespace_s() -> Result<()> {
    lab::scenario("enabling-pod", async |lab, namespace| {
        lab::lazymesh().await?;
        let busy = Busy::start(lab, namespace).await?;
        let load = busy.load()?;
        let [one, two] = &busy.clients;
        set_mode(lab, (namespace, Some("one")), Some("enforce")).await?;
        busy.until_lazy(one).await?;
        busy.until_full(two, true).await?;

        set_mode(lab, (namespace, Some("two")), Some("off")).await?;
        set_mode(lab, (namespace, None), Some("enforce")).await?;
        ensure!(hosts(lab, namespace, "lazymesh-two").await? == ["*/*"]);
        busy.a_while().await?;
        busy.until_lazy(one).await?;
        busy.until_full(two, true).await?;

        set_mode(lab, (namespace, Some("two")), None).await?;
        busy.until_lazy(two).await?;
        set_mode(lab, (namespace, Some("one")), Some("off")).await?;
        busy.until_full(one, true).await?;
        busy.a_while().await?;
        load.must_be_whole().await
    })
}

#[test]
fn a_host_is_learned_while_requests_for_it_go_on() -> Result<()> {
    lab::scenario("enabling-late", async |lab, namespace| {
        enforce(lab, namespace).await?;
        let busy = Busy::start_lazily(lab, namespace).await?;
        let load = busy.load()?;
        busy.until_all_lazy().await?;
        busy.a_while().await?;
        load.must_be_whole().await
    })
}
