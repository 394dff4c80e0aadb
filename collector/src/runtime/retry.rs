//! Says how often to try again what has failed.

use std::time::Duration;

use backon::ExponentialBuilder;

/// The shortest wait.
pub(crate) const FIRST: Duration = Duration::from_millis(500);
/// The longest wait.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// Later and later, for ever.
pub(crate) fn retries() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .without_max_times()
        .with_jitter()
}
