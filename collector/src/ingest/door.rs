//! Lets sidecars in: who calls is known, and has a slot, before anything else of what it sends is read.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use lazymesh_protocol::Source;
use thiserror::Error;

use crate::ingest::admission::{Admission, Admitted, Crowded};
use crate::ingest::identity::{IngestIdentity, Refusal};
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::{NotReady, Readiness};
use crate::state::SharedView;

/// Lets sidecars in at one port.
pub(crate) struct Door {
    view: Arc<SharedView>,
    identity: IngestIdentity,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    admission: Arc<Admission>,
}

/// Why a caller is not let in.
#[derive(Debug, Error)]
pub(crate) enum Closed {
    #[error(transparent)]
    NotReady(#[from] NotReady),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Crowded(#[from] Crowded),
}

impl Door {
    pub(crate) fn new(
        view: Arc<SharedView>,
        identity: IngestIdentity,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
    ) -> Self {
        Self {
            view,
            identity,
            metrics,
            readiness,
            admission: Arc::default(),
        }
    }

    /// Takes a request with these headers in.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<Admitted, Closed> {
        // An inventory that is not complete knows no pod of the caller's, which is no reason to refuse it.
        self.readiness.require()?;
        let caller = {
            let view = self.view.look();
            self.identity.caller(headers, view.inventory.mesh())
        };
        let caller = caller.map_err(|refusal| self.refuse(refusal))?;
        Ok(self.admission.admit(caller, Instant::now())?)
    }

    /// Whether a caller speaks for the workload that it names.
    pub(crate) fn check(&self, admitted: &Admitted, source: &Source) -> Result<(), Closed> {
        let spoken = {
            let view = self.view.look();
            admitted.caller.speaks_for(source, &view.inventory)
        };
        spoken.map_err(|refusal| match self.readiness.is_whole() {
            true => self.refuse(refusal),
            // The caller may be among what cannot be used.
            false => NotReady::not_whole().into(),
        })
    }

    fn refuse(&self, refusal: Refusal) -> Closed {
        self.metrics.identity_refused.inc();
        refusal.into()
    }
}
