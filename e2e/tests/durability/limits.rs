//! What may be learned in all fits the memory that there is for it: here a tenth, of both. `cargo xtask bench limits` tries the
//! whole in a control group with the memory of the chart.

use anyhow::{Result, ensure};
use lazymesh_e2e::bench::limits::{Settings, run};

/// A tenth of what the chart's memory leaves when nothing is learned yet, and that.
const MOST_MIB: f64 = 130.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_at_its_limits_fits_under_attack_and_after_a_restart() -> Result<()> {
    let settings = Settings {
        dependencies: 10_000,
        external_hosts: 10_000,
        memory: 0,
    };
    for row in run(&settings).await? {
        println!("{row}");
        ensure!(
            row.value < MOST_MIB,
            "expected at most {MOST_MIB} MiB, got {row}"
        );
    }
    Ok(())
}
