//! What a registry answers, read within bounds and told without secrets.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, Url};

use crate::Error;
use crate::error::excerpt;

/// As much of an error's body as is worth reading.
const ERROR_BYTES: u64 = 8 << 10;

/// What a registry that is busy asks for.
pub(super) fn retry_after(answer: &Response) -> Option<Duration> {
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    pause_of(text.trim(), SystemTime::now())
}

/// A number of seconds, or a date. One that has passed asks for no pause.
fn pause_of(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// What the body of an error says: the messages of a registry's error document, else its beginning.
pub(super) async fn message(answer: Response) -> String {
    let Ok(bytes) = read_bounded(answer, ERROR_BYTES, "error").await else {
        return "(unreadable or overlong explanation)".to_owned();
    };
    let envelope = serde_json::from_slice::<oci_client::errors::OciEnvelope>(&bytes);
    let text = match envelope {
        Ok(envelope) => envelope
            .errors
            .iter()
            .map(|e| e.message.as_str())
            .collect::<Vec<_>>()
            .join("; "),
        Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
    };
    excerpt(&text)
}

/// The body of an answer, if it keeps to `limit` bytes.
pub(super) async fn read_bounded(
    mut answer: Response,
    limit: u64,
    what: &str,
) -> Result<Bytes, Error> {
    let too_large = || Error::TooLarge {
        what: what.to_owned(),
        limit,
    };
    if answer.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let url = shown(answer.url());
    let mut bytes = BytesMut::new();
    while let Some(piece) = answer
        .chunk()
        .await
        .map_err(|e| failure(&url, Duration::ZERO, e))?
    {
        if (bytes.len() + piece.len()) as u64 > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

/// An address fit for messages: no user, no password, no query (which may be a signature).
pub(super) fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// What a failed exchange means.
pub(super) fn failure(url: &str, idle: Duration, error: reqwest::Error) -> Error {
    let url = error.url().map_or_else(|| url.to_owned(), shown);
    if error.is_timeout() {
        return Error::TimedOut {
            what: format!("waiting for {url}"),
            after: idle,
        };
    }
    let is_redirect = error.is_redirect();
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    // What rustls says when it is answered in clear.
    if reason.contains("InvalidContentType") {
        reason = "it does not speak https".to_owned();
    }
    let reason = excerpt(&reason);
    if is_redirect {
        Error::Redirect { url, reason }
    } else {
        Error::Connection { url, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<u64>) {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(pause_of(text, now), expect.map(Duration::from_secs));
    }

    #[test]
    fn pauses_that_are_asked_for() {
        check("120", Some(120));
        check("Sun, 06 Nov 1994 08:51:37 GMT", Some(120));
        check("Sunday, 06-Nov-94 08:51:37 GMT", Some(120));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("-1", None);
        check("soon", None);
    }
}
