use std::time::Duration;

use kube::core::response::Status;
use thiserror::Error;

/// Longest that one request to the API server may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the Kubernetes API did not do what was asked.
#[derive(Debug, Error)]
pub enum KubernetesError {
    /// There is no way to the API server: no kubeconfig, or none that can be used.
    #[error("cannot reach Kubernetes: {0}")]
    Connect(String),
    /// An object is in the way that lazymesh does not own. It was left as it is.
    #[error("{place} is not labelled as managed by lazymesh; left alone")]
    NotOurs {
        /// Kind, namespace and name.
        place: String,
    },
    /// Another collector works here.
    #[error(
        "{place}: expected no other collector, got {holder}, which keeps it; stop that one, or give this one a \
         --namespace of its own"
    )]
    Held {
        /// Kind, namespace and name of the Lease.
        place: String,
        /// Who holds it.
        holder: String,
    },
    /// Kubernetes or Istio would not take the attachment.
    #[error("attachment: {0}")]
    Attachment(#[from] lazymesh_envoyfilters::AttachmentError),
    /// The version of Istio is not known, or not one that the attachment is known to fit.
    #[error("{place}: {reason}; say which version this is with --istio")]
    IstioVersion {
        /// Where it was looked for.
        place: String,
        /// Why it is not clear.
        reason: String,
    },
    /// The API server said no, or nothing.
    #[error("{place}: {reason}")]
    Refused {
        /// What the request was about.
        place: String,
        /// What the API server said.
        reason: String,
        /// The HTTP status; none without an answer.
        code: Option<u16>,
    },
}

impl KubernetesError {
    pub(crate) fn refused(place: &str, error: &kube::Error) -> Self {
        let code = match error {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        };
        Self::Refused {
            place: place.to_owned(),
            reason: explain(error),
            code,
        }
    }

    fn silent(place: &str) -> Self {
        Self::Refused {
            place: place.to_owned(),
            reason: format!("no answer in {} s", PATIENCE.as_secs()),
            code: None,
        }
    }

    /// Whether somebody else changed the object in the meantime.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: Some(409),
                ..
            }
        )
    }

    /// Whether there is no such object, or no such kind.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: Some(404),
                ..
            }
        )
    }
}

/// An answer of the API server, or why there was none in time.
pub(crate) async fn ask<T>(
    place: &str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, KubernetesError> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(KubernetesError::refused(place, &error)),
        Err(_) => Err(KubernetesError::silent(place)),
    }
}

/// What went wrong, in one line: kube's own text repeats the whole answer.
pub(crate) fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => explain_status(status),
        error => chain(error),
    }
}

pub(crate) fn explain_status(status: &Status) -> String {
    if status.message.is_empty() {
        format!("status {} {}", status.code, status.reason)
    } else {
        status.message.clone()
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
