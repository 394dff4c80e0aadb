//! The errors of this crate, one sentence each. None carries a secret, a query string, or more than an excerpt
//! of what a registry sent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::credentials::CredentialsError;
use crate::signature::SignatureError;
use crate::{Digest, LocationError};

/// Why an operation on an artifact failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A reference cannot be read.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// Neither there nor hidden from us, as far as the registry says.
    #[error("{what} not found")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// The registry wants other credentials, or any.
    #[error("{registry} refuses the credentials given ({detail})")]
    Unauthorized {
        /// Host of the registry.
        registry: String,
        /// What was tried.
        detail: String,
    },
    /// The registry is limiting us, or busy, longer than we wait.
    #[error("{registry} asks to slow down{}", retry_text(*retry_after))]
    TooManyRequests {
        /// Host of the registry.
        registry: String,
        /// What it said in `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// Any other status that is not a success.
    #[error("{url} answered {status}: {message}")]
    Status {
        /// Address without query string.
        url: String,
        /// HTTP status code.
        status: u16,
        /// Excerpt of the answer.
        message: String,
    },
    /// Too many redirects, a circle of them, one from https to http, or one that takes a token request elsewhere.
    #[error("redirects from {url} were not followed: {reason}")]
    Redirect {
        /// Address without query string.
        url: String,
        /// What is wrong with them.
        reason: String,
    },
    /// No connection, or one that broke before an answer.
    #[error("cannot reach {url}: {reason}")]
    Connection {
        /// Address without query string.
        url: String,
        /// The chain of causes.
        reason: String,
    },
    /// Longer than the limit.
    #[error("{what} took longer than {after:?}")]
    TimedOut {
        /// What was going on.
        what: String,
        /// The limit.
        after: Duration,
    },
    /// More bytes than the limit, or than announced.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What was read.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// More items than the limit.
    #[error("{what}: {count} of them, at most {limit} are accepted")]
    TooMany {
        /// What was counted.
        what: String,
        /// How many there are.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// Fewer bytes than announced, after all attempts.
    #[error("{what} ended after {received} of {expected} bytes")]
    Truncated {
        /// What was read.
        what: String,
        /// Bytes that arrived.
        received: u64,
        /// Bytes that were announced.
        expected: u64,
    },
    /// Content is not what its name says.
    #[error("{what} has digest {actual}, not {expected}")]
    DigestMismatch {
        /// What was read.
        what: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// A document that cannot be understood.
    #[error("{what} cannot be understood: {reason}")]
    Malformed {
        /// Which document.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes are not a WebAssembly module.
    #[error("not a WebAssembly module: {0}")]
    NotWasm(String),
    /// An artifact without a layer that could hold a Wasm module.
    #[error("no Wasm module among the layers ({0})")]
    NoModule(String),
    /// A document of no known kind, or not as its kind demands.
    #[error("{0}")]
    Document(String),
    /// A document that says nothing about the module or image it is attached to.
    #[error("not about {subject}: {reason}")]
    NotAbout {
        /// Digest of the module, or of the image's manifest.
        subject: Digest,
        /// What it is about instead.
        reason: String,
    },
    /// No attached document counts, though one should.
    #[error("{digest} has no {what} that counts{}", rejected_text(rejected.as_deref()))]
    NoDocument {
        /// What was asked for.
        what: &'static str,
        /// The manifest.
        digest: Digest,
        /// The first attached document that does not count, and why.
        rejected: Option<Box<(Digest, Error)>>,
    },
    /// The address is unsuitable for the operation, such as a push to a digest.
    #[error("{0}")]
    Unsuitable(String),
    /// A file or directory.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Credentials could not be had.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A key or signature is not usable.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Malformed {
            what: what.into(),
            reason: excerpt(&reason.to_string()),
        }
    }

    /// Whether the same request may well succeed when it is sent again.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Truncated { .. } => true,
            Self::Status { status, .. } => matches!(status, 500 | 502 | 503 | 504),
            _ => false,
        }
    }
}

fn retry_text(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |after| format!(" for {} s", after.as_secs()))
}

fn rejected_text(rejected: Option<&(Digest, Error)>) -> String {
    rejected.map_or_else(String::new, |(document, error)| {
        format!(": {document}: {error}")
    })
}

/// At most 160 characters of `text`, control characters escaped, for a message that a terminal shows.
pub(crate) fn excerpt(text: &str) -> String {
    const MOST: usize = 160;
    let mut short: String = text
        .trim()
        .chars()
        .take(MOST)
        .flat_map(char_or_escape)
        .collect();
    if text.trim().chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

fn char_or_escape(char: char) -> Vec<char> {
    if char.is_control() {
        char.escape_default().collect()
    } else {
        vec![char]
    }
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn excerpts_are_short_and_harmless() {
        assert_eq!(excerpt(" plain \n"), "plain");
        assert_eq!(excerpt("\u{1b}[31mred"), "\\u{1b}[31mred");
        assert_eq!(excerpt(&"x".repeat(1000)).chars().count(), 161);
    }
}
