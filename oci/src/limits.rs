//! How much of a registry's answers is believed: every read has a bound in bytes and in time.

use std::future::Future;
use std::time::Duration;

use crate::Error;

/// Bounds on what a registry may make us read, keep and wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest manifest or index, in bytes. Registries themselves stop at 4 MiB.
    pub manifest_bytes: u64,
    /// Largest Wasm module, and largest blob of any kind, in bytes.
    pub module_bytes: u64,
    /// Most layers in one manifest.
    pub layers: usize,
    /// Most referrers of one artifact.
    pub referrers: usize,
    /// Largest answer of a token server, in bytes.
    pub token_bytes: u64,
    /// Most redirects followed for one request.
    pub redirects: usize,
    /// How often one request, or one blob that was cut off, is tried before the error is given.
    pub attempts: u32,
    /// Longest wait for a connection, an answer, or the next bytes of one.
    pub idle: Duration,
    /// Longest time for one whole operation such as a pull.
    pub total: Duration,
    /// Longest `Retry-After` that is waited for; a registry that asks for more gets an error at once.
    pub retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 << 20,
            module_bytes: 64 << 20,
            layers: 64,
            referrers: 256,
            token_bytes: 64 << 10,
            redirects: 5,
            attempts: 4,
            idle: Duration::from_secs(20),
            total: Duration::from_secs(300),
            retry_after: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Pause before attempt number `attempt` + 1 of something that failed without saying when to come back.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let doubled = Duration::from_millis(100).saturating_mul(1 << attempt.min(10));
        doubled.min(self.retry_after)
    }

    /// Runs a whole operation under [`Limits::total`].
    pub(crate) async fn within<T>(
        &self,
        what: &'static str,
        operation: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.total, operation).await {
            Ok(result) => result,
            Err(_) => Err(Error::TimedOut {
                what: what.to_owned(),
                after: self.total,
            }),
        }
    }
}
