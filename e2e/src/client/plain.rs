use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::de::DeserializeOwned;

/// An HTTP endpoint that is asked without any sidecar: Envoy's admin port, the collector's REST interface.
#[derive(Clone, Debug)]
pub struct Plain {
    address: SocketAddr,
    http: legacy::Client<HttpConnector, Full<Bytes>>,
}

impl Plain {
    /// The endpoint at this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { address, http }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Body of `GET path`.
    ///
    /// # Errors
    /// When the answer is not a success.
    pub async fn text(&self, path: &str) -> Result<String> {
        let url = format!("http://{}{path}", self.address);
        let response = self
            .http
            .get(url.parse()?)
            .await
            .with_context(|| url.clone())?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        ensure!(status.is_success(), "{url}: {status}: {text}");
        Ok(text)
    }

    /// JSON of `GET path`.
    ///
    /// # Errors
    /// When the answer is not a success, or of another form.
    pub async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let text = self.text(path).await?;
        serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))
    }
}
