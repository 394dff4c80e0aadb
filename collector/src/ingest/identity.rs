//! Whether an ingest caller may speak for the workload that it reports about.
//!
//! What stands in a body proves nothing. Behind the collector's own sidecar the caller's identity is in
//! `x-forwarded-client-cert`; on loopback, where the embedded mode listens, everybody is trusted.

use http::{HeaderMap, HeaderValue};
use lazymesh_core::Workload;
use lazymesh_protocol::Source;
use thiserror::Error;

use crate::ingest::xfcc::{self, Spiffe};
use crate::state::Collector;

const XFCC: &str = "x-forwarded-client-cert";

/// The last `x-forwarded-client-cert` of a request. A list may be one header or several.
pub(crate) struct Evidence(Option<HeaderValue>);

impl Evidence {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self(headers.get_all(XFCC).iter().next_back().cloned())
    }
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
    #[error("the caller's certificate is of another namespace than source.namespace")]
    OtherNamespace,
    #[error("no pod of source.workload runs with the service account of the caller's certificate")]
    OtherServiceAccount,
    #[error("source.service_account is not the one of the caller's certificate")]
    Contradiction,
}

impl IngestIdentity {
    pub(crate) fn check(
        &self,
        evidence: &Evidence,
        source: &Source,
        collector: &Collector,
    ) -> Result<(), Refusal> {
        let Self::Xfcc { collector: by } = self else {
            return Ok(());
        };
        let uri = verified_uri(evidence, by)?;
        let caller = Spiffe::parse(&uri).ok_or(Refusal::Anonymous)?;
        if caller.namespace != source.namespace {
            return Err(Refusal::OtherNamespace);
        }
        let claimed = source.service_account.as_deref();
        if claimed.is_some_and(|claimed| claimed != caller.service_account) {
            return Err(Refusal::Contradiction);
        }
        let workload = Workload::new(source.namespace.as_str(), source.workload.as_str())
            .map_err(|_| Refusal::OtherServiceAccount)?;
        let accounts = collector.look().inventory.service_accounts(&workload);
        if accounts.contains(caller.service_account) {
            Ok(())
        } else {
            Err(Refusal::OtherServiceAccount)
        }
    }
}

/// URI of the last element, when the collector's own sidecar added it.
fn verified_uri(evidence: &Evidence, by: &str) -> Result<String, Refusal> {
    let last = evidence.0.as_ref().map(HeaderValue::to_str);
    let Some(Ok(value)) = last else {
        return Err(Refusal::Unproven);
    };
    let element = xfcc::last_element(value).ok_or(Refusal::Unproven)?;
    if element.by.as_deref() != Some(by) {
        return Err(Refusal::Unproven);
    }
    element.uri.ok_or(Refusal::Anonymous)
}
