use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::backend::Echo;

/// The answer to a request, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Whole body.
    pub body: Bytes,
    /// From the first byte sent to the last one read, with a new connection where one was needed.
    pub elapsed: Duration,
}

impl Answer {
    /// What the backend saw.
    ///
    /// # Errors
    /// When no backend answered with 200.
    pub fn echo(&self) -> Result<Echo> {
        self.json()
    }

    /// The body of a 200.
    ///
    /// # Errors
    /// When the status is another, or the body is no such JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        ensure!(
            self.status == StatusCode::OK,
            "{}: {}",
            self.status,
            self.text()
        );
        serde_json::from_slice(&self.body).with_context(|| self.text())
    }

    /// The body, for messages.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
