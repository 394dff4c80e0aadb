//! Checks whether an ingest caller may speak for the workload that it reports about.
//!
//! What stands in a body proves nothing. Behind the collector's own sidecar the caller's identity is in
//! `x-forwarded-client-cert`; on loopback, where the embedded mode listens, everybody is trusted.

use http::{HeaderMap, HeaderValue};
use lazymesh_core::{Inventory, Mesh, Spiffe, Workload, XfccElement};
use lazymesh_protocol::Source;
use thiserror::Error;

const XFCC: &str = "x-forwarded-client-cert";

/// Who calls, as far as that is known before a body is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// Whoever reaches the port.
    Anybody,
    /// Whose certificate the collector's sidecar has verified.
    Proven {
        namespace: String,
        service_account: String,
    },
}

/// Where the identity of an ingest caller comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestIdentity {
    /// Nowhere: whoever reaches the port may report for any workload.
    None,
    /// From `x-forwarded-client-cert`, as the collector's sidecar sets it.
    Xfcc {
        /// The collector's own SPIFFE id, which the last element's `By` must be.
        collector: String,
    },
}

/// Why a caller may not speak for a workload. Says nothing about what would be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    #[error(
        "the last element of x-forwarded-client-cert is not one that the collector's sidecar added"
    )]
    Unproven,
    #[error("the caller's certificate has no SPIFFE identity of a service account")]
    Anonymous,
    #[error(
        "the caller's certificate is of a trust domain that is not the mesh's own, nor an alias of it"
    )]
    OtherTrustDomain,
    #[error("the caller's certificate is of another namespace than source.namespace")]
    OtherNamespace,
    #[error("no pod of source.workload runs with the service account of the caller's certificate")]
    OtherServiceAccount,
    #[error("source.service_account is not the one of the caller's certificate")]
    Contradiction,
}

impl IngestIdentity {
    /// Who sent a request with these headers.
    pub(crate) fn caller(&self, headers: &HeaderMap, mesh: &Mesh) -> Result<Caller, Refusal> {
        let Self::Xfcc { collector: by } = self else {
            return Ok(Caller::Anybody);
        };
        let uri = verified_uri(headers, by)?;
        let spiffe = Spiffe::parse(&uri).ok_or(Refusal::Anonymous)?;
        if !mesh.trusts(spiffe.trust_domain) {
            return Err(Refusal::OtherTrustDomain);
        }
        Ok(Caller::Proven {
            namespace: spiffe.namespace.to_owned(),
            service_account: spiffe.service_account.to_owned(),
        })
    }
}

impl Caller {
    /// Whether the caller may speak for a workload.
    pub(crate) fn speaks_for(&self, source: &Source, inventory: &Inventory) -> Result<(), Refusal> {
        let Self::Proven {
            namespace,
            service_account,
        } = self
        else {
            return Ok(());
        };
        if *namespace != source.namespace {
            return Err(Refusal::OtherNamespace);
        }
        let claimed = source.service_account.as_ref();
        if claimed.is_some_and(|claimed| claimed != service_account) {
            return Err(Refusal::Contradiction);
        }
        let workload = Workload::new(source.namespace.as_str(), source.workload.as_str())
            .map_err(|_| Refusal::OtherServiceAccount)?;
        let accounts = inventory.service_accounts(&workload);
        if accounts.contains(service_account.as_str()) {
            Ok(())
        } else {
            Err(Refusal::OtherServiceAccount)
        }
    }
}

/// URI of the last element, when the collector's own sidecar added it. A list may be one header or several.
fn verified_uri(headers: &HeaderMap, by: &str) -> Result<String, Refusal> {
    let last = headers.get_all(XFCC).iter().next_back();
    let Some(Ok(value)) = last.map(HeaderValue::to_str) else {
        return Err(Refusal::Unproven);
    };
    let element = XfccElement::last(value).ok_or(Refusal::Unproven)?;
    if element.by.as_deref() != Some(by) {
        return Err(Refusal::Unproven);
    }
    element.uri.ok_or(Refusal::Anonymous)
}
