//! Dependencies come and go under load, in a short form of the benchmark of that name.

use anyhow::{Result, ensure};
use lazymesh_e2e::{
    bench::churn::{Settings, churn},
    lab,
};

const SETTINGS: Settings = Settings {
    cycles: 3,
    rate: 50,
};

#[test]
fn what_is_forgotten_and_learned_again_costs_nobody_anything() -> Result<()> {
    lab::scenario("churn", async |lab, namespace| {
        let lazymesh = lab::lazymesh().await?;
        let churned = churn(lab, &lazymesh, namespace, SETTINGS).await?;
        let lost = [churned.streams, churned.sessions, churned.refused];
        ensure!(
            churned.requests.failed == 0 && lost == [0; 3],
            "{churned:?}"
        );
        ensure!(churned.requests.sent > 50, "{churned:?}");
        Ok(())
    })
}
