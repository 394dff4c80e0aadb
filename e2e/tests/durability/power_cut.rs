use anyhow::Result;

use crate::collector::Setup;
use crate::disk::Disk;
use crate::facts::Facts;
use crate::{between, chance, load};

const CUTS: usize = 48;
/// Of what was not synced, how much is on the disk all the same.
const SURVIVAL: [f64; 4] = [0.0, 0.1, 0.5, 0.9];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_power_cut() -> Result<()> {
    let mut chance = chance();
    let setup = Setup::new()?;
    let mut disk = Disk::create(setup.path("power"))?;
    let mut acknowledged = Facts::default();
    for round in 0..CUTS {
        let mut layer = Ok(());
        let mut collector = setup.spawn(&disk.path(), |command| layer = disk.put_under(command))?;
        layer?;
        // One in four is cut while it starts, the very first one among them.
        if round % 4 == 0 {
            tokio::time::sleep(between(&mut chance, 1, 150)).await;
            collector.kill()?;
        } else {
            let addresses = collector.ready().await?;
            let found = collector.facts(addresses).await?;
            acknowledged.check_found_in(&found, &format!("after {round} power cuts"));

            let load = tokio::spawn(load::until_gone(addresses.ingest, round));
            tokio::time::sleep(between(&mut chance, 10, 250)).await;
            collector.kill()?;
            acknowledged.extend(load.await??);
        }
        disk.cut(SURVIVAL[chance.usize(..SURVIVAL.len())], chance.u64(..))?;
    }
    let mut collector = setup.spawn(&disk.path(), |_| {})?;
    let addresses = collector.ready().await?;
    let found = collector.facts(addresses).await?;
    acknowledged.check_found_in(&found, &format!("after {CUTS} power cuts"));
    println!(
        "{CUTS} power cuts, {} acknowledged, 0 lost",
        acknowledged.len()
    );
    assert!(
        acknowledged.len() > 20 * CUTS,
        "too little load to tell anything: {}",
        acknowledged.len()
    );
    Ok(())
}
