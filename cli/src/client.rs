//! Asks a collector over its admin port.

use std::collections::BTreeMap;
use std::io::{Write, stderr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use lazymesh_collector::flag::url;
use lazymesh_oci::without_login;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::file;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stream lasts at most; who follows it begins another then.
const STREAM_TIMEOUT: Duration = Duration::from_hours(24);
/// Items in one page of a list.
const PAGE: &str = "1000";

/// Which collector to ask.
#[derive(clap::Args)]
#[command(next_help_heading = "Collector")]
pub(crate) struct ClientArgs {
    /// URL of the collector's admin port
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8481",
        value_parser = url,
        env = "LAZYMESH_URL",
        hide_env_values = true
    )]
    url: Url,
    /// File with the token of the admin port, where it asks for one
    #[arg(long, value_name = "FILE", env = "LAZYMESH_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

/// A collector's admin port.
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    /// The URL for messages, without a password.
    shown: String,
    token: Option<String>,
}

/// What a problem document says that is of use to a person.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// What a collector says of itself.
#[derive(Deserialize, Serialize)]
pub(crate) struct Ready {
    /// What is missing, where it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    pub(crate) checks: Vec<Check>,
}

/// One thing that a collector needs.
#[derive(Deserialize, Serialize)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) ok: bool,
    pub(crate) required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    next: Option<String>,
}

impl ClientArgs {
    /// A client. It says on standard error when what is in the mesh is not all known.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        let client = self.open()?;
        // One that does not answer is told of by whoever asks it for more.
        let ready = client.readyz().await;
        if let Some(missing) = ready.ok().and_then(|it| it.detail) {
            // Whoever reads it may be gone.
            let _ = writeln!(stderr(), "warning: the collector is not ready: {missing}");
        }
        Ok(client)
    }

    /// A client that nothing was asked yet.
    pub(crate) fn open(&self) -> anyhow::Result<Client> {
        if self.url.scheme() != "http" {
            bail!(
                "--url {} is not http://: this build speaks no TLS; use kubectl port-forward or an ssh tunnel",
                without_login(self.url.as_str())
            );
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .no_proxy()
            .build()
            .context("cannot set up the HTTP client")?;
        Ok(Client {
            http,
            url: self.url.clone(),
            shown: without_login(self.url.as_str()),
            token: self.token()?,
        })
    }

    fn token(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.token_file else {
            return Ok(None);
        };
        let token = file::read_text("--token-file", path)?;
        Ok(Some(token.trim().to_owned()))
    }
}

impl Client {
    /// What the collector says of itself, ready or not.
    pub(crate) async fn readyz(&self) -> anyhow::Result<Ready> {
        let request = self.request(Method::GET, &["readyz"], &[])?;
        let response = request.timeout(CONNECT_TIMEOUT).send().await;
        let response = response.map_err(|error| self.unreachable(&error))?;
        match response.status() {
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => {}
            status => return Err(self.refused(status, response).await),
        }
        let ready: Result<Ready, _> = response.json().await;
        let mut ready = ready.with_context(|| format!("{} is not a collector", self.shown))?;
        ready.detail = ready.detail.map(|it| it.replace(char::is_control, " "));
        Ok(ready)
    }

    /// The collector's version.
    pub(crate) async fn version(&self) -> anyhow::Result<String> {
        let document = self.json(&["openapi.json"]).await?;
        let version = document["info"]["version"].as_str();
        version
            .map(str::to_owned)
            .with_context(|| format!("{} does not say its version", self.shown))
    }

    /// The collector's gauges and counters without labels.
    pub(crate) async fn metrics(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        let text = self.text(&["metrics"], &[]).await?;
        let metric = |line: &str| {
            let (name, value) = line.strip_prefix("lazymesh_")?.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Ok(text.lines().filter_map(metric).collect())
    }

    /// A JSON document.
    pub(crate) async fn json(&self, path: &[&str]) -> anyhow::Result<Value> {
        let response = self.get(path, &[]).await?;
        let document = response.json().await;
        document.map_err(|_| {
            anyhow!(
                "{} did not answer with JSON; is it a collector's admin port?",
                self.shown
            )
        })
    }

    /// A document of any other kind.
    pub(crate) async fn text(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let response = self.get(path, query).await?;
        let text = response.text().await;
        text.map_err(|_| anyhow!("{} stopped answering; ask again", self.shown))
    }

    /// A stream of events, from behind one of them.
    pub(crate) async fn stream(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        last_event_id: Option<&str>,
    ) -> anyhow::Result<Response> {
        let request = self.request(Method::GET, path, query)?;
        let request = request.timeout(STREAM_TIMEOUT);
        self.send(match last_event_id {
            Some(id) => request.header("last-event-id", id),
            None => request,
        })
        .await
    }

    /// All items of a list, page by page.
    pub(crate) async fn list(
        &self,
        path: &[&str],
        filter: &[(&str, &str)],
    ) -> anyhow::Result<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = [&[("limit", PAGE)], filter].concat();
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let response = self.get(path, &query).await?;
            let page = response.json().await;
            let Page { items: more, next } = page.map_err(|_| {
                anyhow!(
                    "{} did not answer with a page of a list; is it a collector's admin port?",
                    self.shown
                )
            })?;
            items.extend(more);
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
    }

    /// Takes something away.
    pub(crate) async fn delete(&self, path: &[&str]) -> anyhow::Result<()> {
        let request = self.request(Method::DELETE, path, &[])?;
        self.send(request).await.map(drop)
    }

    async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Response> {
        self.send(self.request(Method::GET, path, query)?).await
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = request.send().await;
        let response = response.map_err(|error| self.unreachable(&error))?;
        match response.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(response),
            status => Err(self.refused(status, response).await),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<RequestBuilder> {
        let mut url = self.url.clone();
        let mut segments = url.path_segments_mut();
        match &mut segments {
            Ok(segments) => segments.pop_if_empty().extend(path),
            Err(()) => bail!("--url: expected http(s)://host[:port], got {}", self.shown),
        };
        drop(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let url = &self.shown;
        if error.is_timeout() {
            return anyhow!("no answer from {url} in time: is that the collector's admin port?");
        }
        if error.is_connect() {
            return anyhow!(
                "no collector at {url}: is it running (lazymesh collector)? If it is elsewhere, say so by --url or LAZYMESH_URL"
            );
        }
        anyhow!("{url} does not answer like a collector: is that its admin port?")
    }

    async fn refused(&self, status: StatusCode, response: Response) -> anyhow::Error {
        let problem: Result<Problem, _> = response.json().await;
        match (status, problem) {
            (StatusCode::UNAUTHORIZED, _) => anyhow!(
                "the collector at {} asks for a token: give its file by --token-file or LAZYMESH_TOKEN_FILE",
                self.shown
            ),
            (_, Ok(problem)) => anyhow!("{}", problem.detail),
            (_, Err(_)) => anyhow!(
                "{} answered {status}: is that the collector's admin port?",
                self.shown
            ),
        }
    }
}
