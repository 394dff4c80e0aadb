//! Every error answer is an RFC 9457 problem document.
//!
//! A problem says what was wrong and what would be right. It never repeats what the caller sent, so that
//! neither a client's screen nor a log is a way to reach somebody's terminal.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// Media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The kinds of problem; a `type` URI each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    MalformedJson,
    MalformedRequest,
    Unauthorized,
    Identity,
    Misdirected,
    NotFound,
    MethodNotAllowed,
    Timeout,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    Internal,
    Store,
    NotReady,
    Overloaded,
}

impl Kind {
    /// Status, last part of the `type` URI, title.
    const fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::MalformedJson => (
                StatusCode::BAD_REQUEST,
                "tag:lazymesh.io,2026:malformed-json",
                "The body is not JSON",
            ),
            Self::MalformedRequest => (
                StatusCode::BAD_REQUEST,
                "tag:lazymesh.io,2026:malformed-request",
                "The request cannot be read",
            ),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "tag:lazymesh.io,2026:unauthorized",
                "A bearer token is needed",
            ),
            Self::Identity => (
                StatusCode::FORBIDDEN,
                "tag:lazymesh.io,2026:identity",
                "The caller may not speak for that workload",
            ),
            Self::Misdirected => (
                StatusCode::MISDIRECTED_REQUEST,
                "tag:lazymesh.io,2026:misdirected",
                "The request is for another host",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "tag:lazymesh.io,2026:not-found",
                "There is no such thing",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "tag:lazymesh.io,2026:method-not-allowed",
                "That path has no such method",
            ),
            Self::Timeout => (
                StatusCode::REQUEST_TIMEOUT,
                "tag:lazymesh.io,2026:timeout",
                "The body took too long to arrive",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "tag:lazymesh.io,2026:too-large",
                "The body is too large",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "tag:lazymesh.io,2026:unsupported-media-type",
                "The body must be application/json",
            ),
            Self::Invalid => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "tag:lazymesh.io,2026:invalid",
                "A value is not valid",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "tag:lazymesh.io,2026:internal",
                "The collector failed",
            ),
            Self::Store => (
                StatusCode::SERVICE_UNAVAILABLE,
                "tag:lazymesh.io,2026:store",
                "The store failed",
            ),
            Self::NotReady => (
                StatusCode::SERVICE_UNAVAILABLE,
                "tag:lazymesh.io,2026:not-ready",
                "The collector is not ready",
            ),
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "tag:lazymesh.io,2026:overloaded",
                "The collector has too much to do",
            ),
        }
    }
}

/// An error answer, as RFC 9457 defines it, with `field` and `checks` as extensions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem it is: a URI that names it and cannot be fetched.
    #[serde(rename = "type")]
    #[schema(example = "tag:lazymesh.io,2026:invalid")]
    pub kind: &'static str,
    /// The kind in words.
    pub title: &'static str,
    /// The HTTP status once more.
    pub status: u16,
    /// What was wrong this time, and what would be right.
    pub detail: String,
    /// The field, query parameter or path segment that was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "destination")]
    pub field: Option<String>,
    /// On a collector that is not ready: what it has and what it waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<crate::runtime::readiness::Check>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (status, uri, title) = kind.facts();
        Self {
            kind: uri,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            checks: Vec::new(),
        }
    }

    /// A listener has as much to do as it takes on.
    pub(crate) fn overloaded() -> Self {
        Self::new(
            Kind::Overloaded,
            "more requests are being worked on than this listener takes at once",
        )
    }

    /// A value of one field that is not valid.
    pub(crate) fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(Kind::Invalid, detail);
        problem.field = Some(field.into());
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        tracing::debug!(%status, kind = %self.kind, detail = %self.detail, "problem");
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}
