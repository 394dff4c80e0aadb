//! How often something is tried again, and after how long.

use std::time::Duration;

use crate::{Error, Limits};

/// Counts the attempts at one thing.
pub(super) struct Patience<'a> {
    limits: &'a Limits,
    attempt: u32,
}

impl<'a> Patience<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self { limits, attempt: 0 }
    }

    /// Waits until it is time for the next attempt, or gives the error back if there is none to be made.
    pub(super) async fn after(&mut self, error: Error) -> Result<(), Error> {
        self.attempt += 1;
        let Some(pause) = self.pause(&error) else {
            return Err(error);
        };
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn pause(&self, error: &Error) -> Option<Duration> {
        if self.attempt >= self.limits.attempts {
            return None;
        }
        match error {
            Error::TooManyRequests {
                retry_after: Some(asked),
                ..
            } => (*asked <= self.limits.retry_after).then_some(*asked),
            Error::TooManyRequests {
                retry_after: None, ..
            } => Some(self.limits.pause(self.attempt)),
            error => error
                .is_transient()
                .then(|| self.limits.pause(self.attempt)),
        }
    }
}
