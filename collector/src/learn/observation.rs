//! Names what teaches: whatever a collector learns comes as an [`Observation`].

use lazymesh_core::Question;

/// A workload was seen to call something.
pub(crate) struct Observation {
    /// Who called what.
    pub(crate) what: Question,
    /// How often.
    pub(crate) count: u64,
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Who saw it.
    pub(crate) origin: Origin,
}

/// Who saw a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A filter that asks what to do with the request, which waits for the answer.
    Request,
    /// A filter that knew the answer and counts.
    Report,
}
