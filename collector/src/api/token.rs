//! The bearer token of the admin port.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;
use subtle::ConstantTimeEq;

use crate::api::problem::{Kind, Problem};
use crate::runtime::metrics::Metrics;

/// A shared secret, as its file has it now. It has no `Debug`, so that it cannot get into a log.
pub struct Token {
    path: PathBuf,
    secret: Mutex<Secret>,
}

struct Secret {
    bytes: Vec<u8>,
    read: Instant,
}

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Everybody on the machine can read it.
    #[error(
        "the token file {path}: expected a file that others cannot read, got mode {mode:o}; chmod o-rwx, or defaultMode 0440 in Kubernetes"
    )]
    Open {
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
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
const MAX_BYTES: u64 = 64 << 10;
/// Permissions of those who neither own a file nor share its group.
const OTHERS: u32 = 0o007;
/// How long a file that was read counts.
const FRESH: Duration = Duration::from_secs(1);

impl Token {
    /// Reads the token from a file; white space around it does not count. Another token that is written there counts within a
    /// second.
    ///
    /// # Errors
    /// When the file cannot be read, can be read by everybody, or holds no token worth the name.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let secret = Secret {
            bytes: read(path)?,
            read: Instant::now(),
        };
        Ok(Self {
            path: path.to_owned(),
            secret: Mutex::new(secret),
        })
    }

    fn admits(&self, request: &Request) -> bool {
        let header = request.headers().get(AUTHORIZATION);
        let presented = header.and_then(|header| bearer(header.as_bytes()));
        let mut secret = self.secret.lock();
        if secret.read.elapsed() >= FRESH {
            secret.read = Instant::now();
            match read(&self.path) {
                Ok(bytes) => secret.bytes = bytes,
                Err(error) => tracing::warn!(%error, "the token that was read before goes on"),
            }
        }
        // Constant in time for tokens of the same length; the length is no secret.
        presented.is_some_and(|token| token.ct_eq(&secret.bytes).into())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TokenError> {
    let shown = || path.display().to_string();
    let failed = |source| TokenError::Io {
        path: shown(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        let path = shown();
        return Err(TokenError::Open { path, mode });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let token = bytes.trim_ascii();
    if token.len() < MIN_BYTES || !token.iter().all(u8::is_ascii_graphic) {
        return Err(TokenError::Weak { path: shown() });
    }
    Ok(token.to_vec())
}

fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(b"Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

/// What guards the admin port.
pub(crate) struct Guard {
    pub(crate) token: Token,
    pub(crate) metrics: Arc<Metrics>,
}

/// Lets through only requests with the token.
pub(crate) async fn require(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if guard.token.admits(&request) {
        return Ok(next.run(request).await);
    }
    guard.metrics.admin_unauthorized.inc();
    Err(Problem::new(
        Kind::Unauthorized,
        "send the header `authorization: Bearer <token>` with the token of the collector's --admin-token-file",
    ))
}
