//! Names what teaches: whatever a collector learns comes as an [`Observation`].

use lazymesh_core::{EgressHost, Question, Witness, Workload};

/// A workload was seen to call something.
pub(crate) struct Observation {
    /// Who called.
    pub(crate) source: Workload,
    /// What.
    pub(crate) what: What,
    /// How often.
    pub(crate) count: u64,
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Who saw it.
    pub(crate) origin: Origin,
}

/// What was called.
pub(crate) enum What {
    /// Whatever is meant by this.
    Question(Box<Question>),
    /// This very host of the mesh, which the call has reached.
    Host(EgressHost),
}

/// Who saw a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A filter that asks what to do with the request, which waits for the answer.
    Request,
    /// A filter that knew the answer and counts.
    Report,
    /// A sidecar's access log.
    AccessLog,
    /// Prometheus.
    Prometheus,
}

impl Origin {
    pub(crate) fn witness(self) -> Witness {
        match self {
            Self::Request | Self::Report => Witness::Filter,
            Self::AccessLog => Witness::AccessLog,
            Self::Prometheus => Witness::Prometheus,
        }
    }
}

impl Observation {
    /// What a sidecar asks, or would have asked.
    pub(crate) fn asked(question: Question, count: u64, at_ms: u64, origin: Origin) -> Self {
        Self {
            source: question.source.clone(),
            what: What::Question(Box::new(question)),
            count,
            at_ms,
            origin,
        }
    }
}
