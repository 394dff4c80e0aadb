//! Waiting on conditions, with a deadline: the only way a scenario passes time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How long anything may take that is expected to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(5);

/// Waits until `probe` succeeds, and returns its value.
///
/// # Errors
/// The probe's last error, after [`PATIENCE`].
pub async fn until<T>(what: &str, probe: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    until_within(what, PATIENCE, probe).await
}

/// As [`until`], with another patience.
///
/// # Errors
/// The probe's last error, after `patience`.
pub async fn until_within<T>(
    what: &str,
    patience: Duration,
    mut probe: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("waited {patience:?} for {what}"));
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}
