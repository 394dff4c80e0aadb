//! What the collector acknowledged is there after kill -9, and after a power cut.
//!
//! Both tests ask a real collector about hosts that it has not seen, from many clients at once, end it at a random
//! moment, start it again on what is left, and compare what was acknowledged with what it shows. Requests without an
//! answer may be there or not.
//!
//! A power cut is played by a layer under the collector in which only `fsync` and `fdatasync` count (`e2e/powercut`). The
//! control test shows that the layer bites: sled alone, relying on its own `flush`, loses data under it.

mod binaries;
mod collector;
mod control;
mod disk;
mod facts;
mod kill;
mod load;
mod power_cut;

use std::time::Duration;

/// Decides when collectors end and what survives. `DURABILITY_SEED` repeats a run as far as timing allows.
fn chance() -> fastrand::Rng {
    let seed = std::env::var("DURABILITY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("DURABILITY_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

fn between(chance: &mut fastrand::Rng, from_ms: u64, to_ms: u64) -> Duration {
    Duration::from_micros(chance.u64(from_ms * 1_000..to_ms * 1_000))
}
