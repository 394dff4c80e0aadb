//! Asks Prometheus over its HTTP API, and takes no more of an answer than there is room for.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::task::spawn_blocking;

use super::answer::{Answer, Items, MAX_ITEMS, Sample, Status, Vector, excerpt};
use super::config::{PrometheusConfig, PrometheusError};
use super::progress::Window;
use crate::runtime::flag::is_place;
use crate::store::StoreError;

const CONNECT: Duration = Duration::from_secs(5);
/// Longest answer: some 30,000 series.
const MAX_ANSWER_BYTES: usize = 8 << 20;
const MAX_TOKEN_BYTES: u64 = 64 << 10;
/// What Thanos takes for: an error, not an answer without the part that is down.
const WHOLE: (&str, &str) = ("partial_response", "false");

/// Why something was not read.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// It cannot be asked, or does not answer as Prometheus does.
    #[error("expected an answer of Prometheus, got {0}")]
    Down(String),
    /// It refuses what is asked, whatever is asked for.
    #[error("expected Prometheus to take the question, got {0}")]
    Refused(String),
    /// The answer would be too long, or takes too long: less may be asked for at once.
    #[error("expected an answer within bounds, got {0}")]
    TooMuch(String),
    /// It says itself that something is missing.
    #[error("expected all that Prometheus has, got a warning: {0}")]
    Partial(String),
    /// The token cannot be read.
    #[error("--prometheus-token-file {path}: expected a token, got {reason}")]
    Token { path: PathBuf, reason: String },
    /// What was read cannot be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One Prometheus.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    token_file: Option<PathBuf>,
    patience: Duration,
}

impl Client {
    /// Its client; none where no Prometheus is named. Nothing is asked yet.
    pub(crate) fn new(config: &PrometheusConfig) -> Result<Option<Self>, PrometheusError> {
        let Some(url) = config.prometheus_url.clone() else {
            return Ok(None);
        };
        if !is_place(&url) {
            return Err(PrometheusError::Url);
        }
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(config.prometheus_timeout)
            .redirect(Policy::none())
            .no_proxy();
        http = match (url.scheme(), &config.prometheus_ca_file) {
            ("https", None) => return Err(PrometheusError::NoAuthorities),
            ("http", None) => http,
            ("http" | "https", Some(path)) => authorities(path)?
                .into_iter()
                .fold(http, reqwest::ClientBuilder::add_root_certificate),
            _ => return Err(PrometheusError::Url),
        };
        Ok(Some(Self {
            http: http.build()?,
            url,
            token_file: config.prometheus_token_file.clone(),
            patience: config.prometheus_timeout,
        }))
    }

    /// What a query comes to as of a time.
    pub(crate) async fn query(&self, query: &str, at_ms: u64) -> Result<Vec<Sample>, Failure> {
        let time = seconds(at_ms);
        // A little less than we have, so that it can say that it took too long.
        let patience = format!("{}ms", self.patience.as_millis() * 5 / 6);
        let form = [
            ("query", query),
            ("time", &time),
            ("timeout", &patience),
            WHOLE,
        ];
        let url = self.path(&["api", "v1", "query"]);
        let vector: Vector = self.ask(self.http.post(url).form(&form)).await?;
        whole(vector.result)
    }

    /// The values that a label has in series of a window.
    pub(crate) async fn values(
        &self,
        label: &str,
        series: &str,
        window: &Window,
    ) -> Result<Vec<String>, Failure> {
        let (start, end) = (seconds(window.from_ms), seconds(window.to_ms));
        let query = [("match[]", series), ("start", &start), ("end", &end), WHOLE];
        let url = self.path(&["api", "v1", "label", label, "values"]);
        whole(self.ask(self.http.get(url).query(&query)).await?)
    }

    fn path(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn ask<T>(&self, request: RequestBuilder) -> Result<T, Failure>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let request = match self.token()? {
            Some(token) => request.header(AUTHORIZATION, token),
            None => request,
        };
        let response = request
            .send()
            .await
            .map_err(|error| self.unanswered(&error))?;
        let status = response.status();
        let body = self.body(response).await?;
        // It may be long, and others wait for this thread.
        let reading = spawn_blocking(move || read(status, &body)).await;
        reading.unwrap_or_else(|_| Err(Failure::Down("what cannot be read".to_owned())))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        let failed = |error| self.unanswered(&error);
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let reason = format!("more than {MAX_ANSWER_BYTES} bytes");
                return Err(Failure::TooMuch(reason));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// What is said of a request that came to nothing, without its URL.
    fn unanswered(&self, error: &reqwest::Error) -> Failure {
        if error.is_connect() {
            return Failure::Down("no connection".to_owned());
        }
        if error.is_timeout() {
            return Failure::TooMuch(format!("none in {} s", self.patience.as_secs()));
        }
        Failure::Down("a connection that ended".to_owned())
    }

    fn token(&self) -> Result<Option<HeaderValue>, Failure> {
        let Some(path) = &self.token_file else {
            return Ok(None);
        };
        let failed = |reason: String| Failure::Token {
            path: path.clone(),
            reason,
        };
        let token = read_token(path).map_err(|error| failed(error.to_string()))?;
        let header = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
        let mut header = header.map_err(|_| failed("what no header may hold".to_owned()))?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, PrometheusError> {
    let failed = |reason: String| PrometheusError::Authorities {
        path: path.to_owned(),
        reason,
    };
    let pem = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))?;
    match found.is_empty() {
        true => Err(failed("none".to_owned())),
        false => Ok(found),
    }
}

fn read_token(path: &Path) -> io::Result<String> {
    use io::Read;
    let mut token = String::new();
    fs::File::open(path)?
        .take(MAX_TOKEN_BYTES)
        .read_to_string(&mut token)?;
    Ok(token)
}

fn whole<T>(items: Items<T>) -> Result<Vec<T>, Failure> {
    match items.are_more {
        true => Err(Failure::TooMuch(format!("more than {MAX_ITEMS} items"))),
        false => Ok(items.kept),
    }
}

/// As Prometheus reads times.
fn seconds(at_ms: u64) -> String {
    format!("{}.{:03}", at_ms / 1_000, at_ms % 1_000)
}

fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, Failure> {
    let Ok(answer) = Answer::<T>::read(body) else {
        return Err(match status {
            StatusCode::OK => Failure::Down("what is no answer of its API".to_owned()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Refused(format!(
                "{status}: does it ask for a token (--prometheus-token-file)?"
            )),
            status => Failure::Down(format!("{status}: is that its URL?")),
        });
    };
    if answer.status == Status::Error {
        let reason = format!(
            "{}: {}",
            excerpt(&answer.error_type),
            excerpt(&answer.error)
        );
        return Err(match answer.error_type.as_str() {
            "timeout" | "canceled" | "execution" => Failure::TooMuch(reason),
            "bad_data" => Failure::Refused(reason),
            _ => Failure::Down(reason),
        });
    }
    if let Some(warning) = answer.warnings.first() {
        return Err(Failure::Partial(excerpt(warning)));
    }
    answer
        .data
        .ok_or_else(|| Failure::Down("an answer without data".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let check = |status: u16, body: &str, expect: Result<usize, &str>| {
            let status = StatusCode::from_u16(status).expect("a status");
            let found = read::<Vector>(status, body.as_bytes());
            let found = found.map(|it| it.result.kept.len());
            let found = found.map_err(|error| error.to_string());
            match (&found, expect) {
                (Ok(found), Ok(expect)) => assert_eq!(*found, expect, "{body}"),
                (Err(found), Err(expect)) => assert!(found.contains(expect), "{body}: {found}"),
                _ => panic!("{body}: {found:?}"),
            }
        };
        let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        check(200, empty, Ok(0));
        let one = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#;
        check(200, one, Ok(1));
        let warned = r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["store a\nis down"]}"#;
        check(200, warned, Err("got a warning: store a is down"));
        check(200, r#"{"status":"success"}"#, Err("without data"));
        check(200, "<html>", Err("no answer of its API"));
        check(
            200,
            r#"{"status":"success","data":{"result":[{"metric":{},"value":["a"]}]}}"#,
            Err("no answer of its API"),
        );
        check(302, "", Err("302 Found: is that its URL?"));
        check(401, "", Err("--prometheus-token-file"));
        let error =
            |kind: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"why"}}"#);
        check(
            422,
            &error("execution"),
            Err("answer within bounds, got execution: why"),
        );
        check(503, &error("timeout"), Err("answer within bounds"));
        check(
            400,
            &error("bad_data"),
            Err("take the question, got bad_data: why"),
        );
        check(
            500,
            &error("internal"),
            Err("answer of Prometheus, got internal: why"),
        );
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(seconds(1_500_000_000_042), "1500000000.042");
    }
}
