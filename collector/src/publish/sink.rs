//! Says what a place is that Sidecars go to. What is published, and in which steps, is decided in `lazymesh_core`; a sink
//! only applies it.
//!
//! Every sink keeps one promise: it touches nothing that does not carry
//! `app.kubernetes.io/managed-by: lazymesh`, and a Sidecar that is already as it should be is left alone.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lazymesh_core::{EgressScope, SidecarSpec, Workload, sidecar_name};

/// What publishing a Sidecar came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishOutcome {
    /// It was not there before.
    Created,
    /// It was there and looked different.
    Updated,
    /// It was there exactly so; nothing was written.
    Unchanged,
}

/// A Sidecar of ours that is in place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Published {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

/// Why a Sidecar could not be published or withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Something is in the Sidecar's place that lazymesh does not own. It was left as it is.
    #[error("{place} is not labelled as managed by lazymesh; left alone")]
    NotOurs {
        /// The file or object.
        place: String,
    },
    /// The namespace or the name cannot be published under.
    #[error("expected a name of a Kubernetes object, got {name:?}")]
    Name {
        /// The namespace or name.
        name: String,
    },
    /// The Sidecar cannot be written down.
    #[error("cannot render {place}: {reason}")]
    Render {
        /// The file or object.
        place: String,
        /// Why.
        reason: String,
    },
    /// The Kubernetes API refused, or did not answer.
    #[error("{0}")]
    Kubernetes(String),
    /// Another collector publishes there.
    #[error(
        "expected to be the only one that publishes to {dir}, got another collector; stop it, or publish elsewhere"
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// A file or directory could not be used.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SinkError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

impl Published {
    /// Where a Sidecar goes.
    pub(crate) fn of(sidecar: &SidecarSpec) -> Self {
        Self {
            namespace: sidecar.namespace.clone(),
            name: sidecar.name.clone(),
        }
    }

    /// Where the Sidecar of a workload goes, if it has one.
    pub(crate) fn of_workload(workload: &Workload) -> Self {
        Self {
            namespace: workload.namespace.clone(),
            name: sidecar_name(&workload.name),
        }
    }
}

/// A place that Sidecars are published to.
#[async_trait]
pub(crate) trait Sink: Send + Sync {
    /// Makes the Sidecar in place look like this, with this scope.
    ///
    /// # Errors
    /// [`SinkError`]; what was in place before is then still there, whole.
    async fn apply(
        &self,
        sidecar: &SidecarSpec,
        scope: &EgressScope,
    ) -> Result<PublishOutcome, SinkError>;

    /// What the Sidecar of ours in a place brings into scope; none where there is none.
    ///
    /// # Errors
    /// [`SinkError`] when the place cannot be read.
    async fn live(&self, place: &Published) -> Result<Option<EgressScope>, SinkError>;

    /// Takes a Sidecar out. False when there was none.
    ///
    /// # Errors
    /// [`SinkError::NotOurs`] when what is there is not ours, and others.
    async fn withdraw(&self, namespace: &str, name: &str) -> Result<bool, SinkError>;

    /// Those of these places that are empty, where nobody else tells.
    async fn vanished(&self, _places: Vec<Published>) -> Vec<Published> {
        Vec::new()
    }

    /// Everything of ours that is in place, sorted, whoever put it there and when: what a collector that was
    /// restarted has to withdraw when nobody needs it any more.
    ///
    /// # Errors
    /// [`SinkError`] when the place cannot be read.
    async fn list(&self) -> Result<Vec<Published>, SinkError>;
}
