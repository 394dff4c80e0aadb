use anyhow::Result;

use crate::collector::Setup;
use crate::facts::Facts;
use crate::{between, chance, load};

/// Under load; a few more hit collectors that are starting.
const KILLS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() -> Result<()> {
    let mut chance = chance();
    let setup = Setup::new()?;
    let data = setup.path("data");
    let mut acknowledged = Facts::default();
    for round in 0..KILLS {
        if round % 5 == 0 {
            let starting = setup.spawn(&data, |_| {})?;
            tokio::time::sleep(between(&mut chance, 1, 150)).await;
            starting.kill()?;
        }
        let mut collector = setup.spawn(&data, |_| {})?;
        let addresses = collector.ready().await?;
        let found = collector.facts(addresses).await?;
        acknowledged.check_found_in(&found, &format!("after {round} kills"));

        let load = tokio::spawn(load::until_gone(addresses.ingest, round));
        tokio::time::sleep(between(&mut chance, 10, 200)).await;
        collector.kill()?;
        acknowledged.extend(load.await??);
    }
    let mut collector = setup.spawn(&data, |_| {})?;
    let addresses = collector.ready().await?;
    let found = collector.facts(addresses).await?;
    acknowledged.check_found_in(&found, &format!("after {KILLS} kills"));
    println!("{KILLS} kills, {} acknowledged, 0 lost", acknowledged.len());
    assert!(
        acknowledged.len() > 20 * KILLS,
        "too little load to tell anything: {}",
        acknowledged.len()
    );
    Ok(())
}
