//! Checks what a sidecar asks, once, so that nothing behind it has to.

use std::net::SocketAddr;

use lazymesh_protocol::{Protocol, ResolveRequest, Source};
use thiserror::Error;

use crate::names::dns;
use crate::names::{Authority, AuthorityError};
use crate::names::{ClusterId, NameError, Workload};

/// Longest excerpt of bad input in an error, in characters, before escaping.
const EXCERPT_CHARS: usize = 64;

/// One unresolved host, and who met it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The calling workload.
    pub source: Workload,
    /// The cluster of its proxy.
    pub cluster: ClusterId,
    /// Its service account, where the sidecar knows it.
    pub service_account: Option<String>,
    /// `:authority`, Host or SNI.
    pub authority: Option<Authority>,
    /// What the application dialled.
    pub destination: Option<SocketAddr>,
    /// What the sidecar takes the traffic for.
    pub protocol: Protocol,
}

/// Which field of a question is wrong, and how. Messages carry at most an escaped excerpt of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuestionError {
    /// `source.namespace`.
    #[error("expected a DNS label in source.namespace, got {excerpt}")]
    Namespace {
        /// The input, escaped and cut.
        excerpt: String,
    },
    /// `source.workload`.
    #[error("expected the value of a Kubernetes label in source.workload, got {excerpt}")]
    Workload {
        /// The input, escaped and cut.
        excerpt: String,
    },
    /// `source.cluster`.
    #[error(
        "expected at most 253 printable ASCII characters without spaces in source.cluster, got {excerpt}"
    )]
    Cluster {
        /// The input, escaped and cut.
        excerpt: String,
    },
    /// `source.service_account`.
    #[error("expected a DNS subdomain in source.service_account, got {excerpt}")]
    ServiceAccount {
        /// The input, escaped and cut.
        excerpt: String,
    },
    /// `authority`.
    #[error("authority {excerpt} is not a host with an optional port: {reason}")]
    Authority {
        /// The input, escaped and cut.
        excerpt: String,
        /// What is wrong with it.
        reason: AuthorityError,
    },
    /// `destination`.
    #[error("expected IP:port, or [IPv6]:port, in destination, got {excerpt}")]
    Destination {
        /// The input, escaped and cut.
        excerpt: String,
    },
    /// Neither `authority` nor `destination`.
    #[error("authority and destination are both absent; expected at least one")]
    Nothing,
}

impl QuestionError {
    /// The field that is wrong, as a path into the request.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Namespace { .. } => "source.namespace",
            Self::Workload { .. } => "source.workload",
            Self::Cluster { .. } => "source.cluster",
            Self::ServiceAccount { .. } => "source.service_account",
            Self::Authority { .. } | Self::Nothing => "authority",
            Self::Destination { .. } => "destination",
        }
    }
}

impl Question {
    /// A question from its parts as they stand in a report.
    ///
    /// # Errors
    /// The first field that is wrong, in the order of the fields.
    pub fn new(
        source: &Source,
        authority: Option<&str>,
        destination: Option<&str>,
        protocol: Protocol,
    ) -> Result<Self, QuestionError> {
        let question = Self {
            source: parse_source(source)?,
            cluster: parse_cluster(source.cluster.as_deref())?,
            service_account: parse_service_account(source.service_account.as_deref())?,
            authority: authority.map(parse_authority).transpose()?,
            destination: destination.map(parse_destination).transpose()?,
            protocol,
        };
        if question.authority.is_none() && question.destination.is_none() {
            return Err(QuestionError::Nothing);
        }
        Ok(question)
    }
}

impl TryFrom<&ResolveRequest> for Question {
    type Error = QuestionError;

    fn try_from(request: &ResolveRequest) -> Result<Self, QuestionError> {
        Self::new(
            &request.source,
            request.authority.as_deref(),
            request.destination.as_deref(),
            request.protocol,
        )
    }
}

fn parse_source(source: &Source) -> Result<Workload, QuestionError> {
    Workload::new(source.namespace.as_str(), source.workload.as_str()).map_err(
        |error| match error {
            NameError::Namespace => QuestionError::Namespace {
                excerpt: excerpt(&source.namespace),
            },
            _ => QuestionError::Workload {
                excerpt: excerpt(&source.workload),
            },
        },
    )
}

fn parse_cluster(id: Option<&str>) -> Result<ClusterId, QuestionError> {
    let Some(id) = id else {
        return Ok(ClusterId::default());
    };
    id.parse().map_err(|_| QuestionError::Cluster {
        excerpt: excerpt(id),
    })
}

fn parse_service_account(name: Option<&str>) -> Result<Option<String>, QuestionError> {
    match name {
        Some(name) if !dns::is_object_name(name) => Err(QuestionError::ServiceAccount {
            excerpt: excerpt(name),
        }),
        name => Ok(name.map(str::to_owned)),
    }
}

fn parse_authority(text: &str) -> Result<Authority, QuestionError> {
    text.parse().map_err(|reason| QuestionError::Authority {
        excerpt: excerpt(text),
        reason,
    })
}

fn parse_destination(text: &str) -> Result<SocketAddr, QuestionError> {
    text.parse().map_err(|_| QuestionError::Destination {
        excerpt: excerpt(text),
    })
}

/// Bad input made fit for a log line and a problem document: cut, quoted, nothing but printable ASCII.
fn excerpt(text: &str) -> String {
    let cut: String = text
        .chars()
        .take(EXCERPT_CHARS)
        .flat_map(char::escape_default)
        .collect();
    let more = if text.chars().nth(EXCERPT_CHARS).is_some() {
        "…"
    } else {
        ""
    };
    format!("\"{cut}\"{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source {
            namespace: "shop".into(),
            workload: "cart".into(),
            cluster: None,
            service_account: None,
        }
    }

    #[test]
    fn names_the_field_and_never_echoes_raw_input() {
        let check = |change: fn(&mut ResolveRequest), field: &str, message: &str| {
            let mut request = ResolveRequest {
                source: source(),
                authority: Some("reviews".into()),
                destination: Some("10.0.0.1:80".into()),
                protocol: Protocol::Http,
            };
            change(&mut request);
            let error = Question::try_from(&request).map_err(|e| (e.field(), e.to_string()));
            assert_eq!(error, Err((field, message.to_owned())));
        };
        check(
            |r| r.source.namespace = "Shop".into(),
            "source.namespace",
            "expected a DNS label in source.namespace, got \"Shop\"",
        );
        check(
            |r| r.source.workload = "a/../b".into(),
            "source.workload",
            "expected the value of a Kubernetes label in source.workload, got \"a/../b\"",
        );
        check(
            |r| r.source.cluster = Some("a b".into()),
            "source.cluster",
            "expected at most 253 printable ASCII characters without spaces in source.cluster, got \"a b\"",
        );
        check(
            |r| r.source.service_account = Some(String::new()),
            "source.service_account",
            "expected a DNS subdomain in source.service_account, got \"\"",
        );
        check(
            |r| r.authority = Some("a\r\nb\u{1f980}".into()),
            "authority",
            "authority \"a\\r\\nb\\u{1f980}\" is not a host with an optional port: \
             a byte that is neither letter, digit, `-`, `_` nor `.`",
        );
        check(
            |r| r.destination = Some("reviews:80".into()),
            "destination",
            "expected IP:port, or [IPv6]:port, in destination, got \"reviews:80\"",
        );
        check(
            |r| (r.authority, r.destination) = (None, None),
            "authority",
            "authority and destination are both absent; expected at least one",
        );
    }

    #[test]
    fn cuts_long_input() {
        let error = Question::new(&source(), Some(&"a".repeat(300)), None, Protocol::Http);
        let message = error.map(|_| ()).map_err(|e| e.to_string());
        let expect = format!(
            "authority \"{}\"… is not a host with an optional port: longer than 260 bytes, or a name longer than 253",
            "a".repeat(64)
        );
        assert_eq!(message, Err(expect));
    }
}
