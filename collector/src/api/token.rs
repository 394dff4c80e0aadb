//! The bearer token of the admin port.

use std::path::Path;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use crate::api::problem::{Kind, Problem};

/// A shared secret. It has no `Debug`, so that it cannot get into a log.
pub struct Token(Vec<u8>);

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds too little to be a secret.
    #[error(
        "the token file {path} must hold a token of at least {MIN_BYTES} characters, without spaces"
    )]
    Weak {
        /// The file.
        path: String,
    },
}

const MIN_BYTES: usize = 16;

impl Token {
    /// Reads the token from a file; white space around it does not count.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no token worth the name.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let shown = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| TokenError::Io {
            path: shown.clone(),
            source,
        })?;
        let token = bytes.trim_ascii();
        if token.len() < MIN_BYTES || !token.iter().all(u8::is_ascii_graphic) {
            return Err(TokenError::Weak { path: shown });
        }
        Ok(Self(token.to_vec()))
    }

    fn admits(&self, request: &Request) -> bool {
        let header = request.headers().get(AUTHORIZATION);
        let presented = header.and_then(|header| bearer(header.as_bytes()));
        // Constant in time for tokens of the same length; the length is no secret.
        presented.is_some_and(|token| token.ct_eq(&self.0).into())
    }
}

fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(b"Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

/// Lets through only requests with the token.
pub(crate) async fn require(
    State(token): State<Arc<Token>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if token.admits(&request) {
        return Ok(next.run(request).await);
    }
    Err(Problem::new(
        Kind::Unauthorized,
        "send the header `authorization: Bearer <token>` with the token of the collector's --admin-token-file",
    ))
}
