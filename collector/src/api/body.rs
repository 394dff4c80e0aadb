//! Reads a JSON body from somebody who may be hostile: bounded in size and time, and with an answer that
//! says where it went wrong without repeating any of it.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use lazymesh_core::{Misfit, Unreadable, fit_json};
use serde::de::DeserializeOwned;

use crate::api::problem::{Kind, Problem};

/// A body that trickles in for longer is given up. Filters wait 500 ms for an answer, so nobody would read it.
const READ_TIMEOUT: Duration = Duration::from_millis(400);

/// A JSON body of at most `LIMIT` bytes.
pub(crate) struct Body<T, const LIMIT: usize>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync, const LIMIT: usize> FromRequest<S> for Body<T, LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                Kind::UnsupportedMediaType,
                "send the header `content-type: application/json`",
            ));
        }
        let body = Limited::new(request.into_body(), LIMIT).collect();
        let bytes = match tokio::time::timeout(READ_TIMEOUT, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large(LIMIT)),
            Ok(Err(_)) => {
                return Err(Problem::new(
                    Kind::MalformedRequest,
                    "the body ended before it was complete",
                ));
            }
            Err(_) => {
                return Err(Problem::new(
                    Kind::Timeout,
                    format!(
                        "the body must arrive within {} ms",
                        READ_TIMEOUT.as_millis()
                    ),
                ));
            }
        };
        parse(&bytes).map(Self)
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Kind::TooLarge,
        format!("the body may have at most {limit} bytes"),
    )
}

/// `application/json` or a type with the suffix `+json`, whatever its parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default()
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase();
    essence == b"application/json"
        || (essence.starts_with(b"application/") && essence.ends_with(b"+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    fit_json(bytes).map_err(|unreadable| match unreadable {
        Unreadable::Syntax(detail) => Problem::new(Kind::MalformedJson, detail),
        Unreadable::Misfit(Misfit { field, detail }) if field.is_empty() => {
            Problem::new(Kind::Invalid, detail)
        }
        Unreadable::Misfit(Misfit { field, detail }) => Problem::field(field, detail),
    })
}

#[cfg(test)]
mod tests {
    use lazymesh_protocol::{Reports, ResolveRequest};

    use super::*;

    #[track_caller]
    fn check<T: DeserializeOwned + std::fmt::Debug>(
        body: &str,
        status: u16,
        field: Option<&str>,
        detail: &str,
    ) {
        let problem = parse::<T>(body.as_bytes()).expect_err("must be refused");
        assert_eq!(problem.status, status, "{problem:?}");
        assert_eq!(problem.field.as_deref(), field, "{problem:?}");
        assert_eq!(problem.detail, detail);
    }

    #[test]
    fn says_where_the_json_breaks() {
        check::<ResolveRequest>(
            "",
            400,
            None,
            "the document ends too early at line 1, column 0",
        );
        check::<ResolveRequest>("{\n  nope", 400, None, "a syntax error at line 2, column 3");
        check::<ResolveRequest>("{} {}", 400, None, "a syntax error at line 1, column 4");
    }

    #[test]
    fn names_the_field() {
        check::<ResolveRequest>(
            r#"{"source":{"namespace":5,"workload":"w"},"protocol":"http"}"#,
            422,
            Some("source.namespace"),
            "expected a text, got 5",
        );
        check::<Reports>(
            r#"{"source":{"namespace":"n","workload":"w"},"reports":[{"protocol":"http","count":-1}]}"#,
            422,
            Some("reports[0].count"),
            "expected a whole number, 0 or more, got -1",
        );
        check::<ResolveRequest>(
            r#"{"source":{"namespace":"n"},"protocol":"http"}"#,
            422,
            Some("source.workload"),
            "expected a value, got none",
        );
        check::<ResolveRequest>("7", 422, None, "expected an object, got 7");
        check::<ResolveRequest>(
            r#"{"source":{"namespace":"n","workload":"w"},"protocol":"http","protocol":"tcp"}"#,
            422,
            None,
            "expected each field once, got one of them twice",
        );
    }

    #[test]
    fn never_repeats_what_was_sent() {
        check::<ResolveRequest>(
            "{\"source\":{\"namespace\":\"n\",\"workload\":\"w\"},\"protocol\":\"\\u001b[31m, expected\"}",
            422,
            Some("protocol"),
            "expected one of `http`, `tcp`, `tls`, got another text",
        );
    }

    #[test]
    fn knows_json_by_its_media_type() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/plain", false),
            ("text/x+json", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            assert_eq!(is_json(&headers), json, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
