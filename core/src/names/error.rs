//! Says what was expected of a name.

use thiserror::Error;

/// What was expected of a text that is not a [`Workload`](super::Workload), an [`EgressHost`](super::EgressHost)
/// or a [`ClusterId`](super::ClusterId).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// The namespace is not a DNS label.
    #[error("the namespace is not a DNS label: at most 63 of a-z, 0-9 and inner `-`")]
    Namespace,
    /// The workload's name is not a value of a Kubernetes label.
    #[error(
        "the workload is not a label value: at most 63 of A-Z, a-z, 0-9 and inner `-`, `_`, `.`"
    )]
    Workload,
    /// The host is not a DNS name that Istio takes.
    #[error("the host is not a DNS name, or one after `*.`")]
    Host,
    /// The ID of a cluster has other characters, or too many.
    #[error("the cluster is not an ID: at most 253 printable ASCII characters without spaces")]
    Cluster,
    /// There is no `/` between namespace and name.
    #[error("not of the form <namespace>/<name>")]
    Form,
}
