//! Answers a sidecar that met a host it does not know.

use std::sync::Arc;
use std::time::Instant;

use lazymesh_core::{Learned, Outcome, Question, QuestionError};
use lazymesh_protocol::{Decision, PassthroughReason, ResolveRequest, ResolveResponse};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::learn::{Learner, Observation, Origin, is_external};
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::{NotReady, Readiness};
use crate::store::StoreError;

/// A host that was learned is on its way into the sidecar's scope: the answer is needed only until then.
const LEARNED_TTL_MS: u32 = 5_000;
/// A host outside the mesh changes only when somebody adds a ServiceEntry or a Service for it.
const EXTERNAL_TTL_MS: u32 = 60_000;
/// A workload at its limit asks again soon, in case there is room again.
const LIMIT_TTL_MS: u32 = 10_000;

/// Most requests that wait for the disk at once; further ones are told to come back. What is known waits for no disk.
const WAITING: usize = 1_024;

/// Why there is no decision.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// The store is not loaded, or the inventory has not synced, or lacks the host and is not whole: any decision would be a guess.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// The request is not valid.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// The disk is slow, or there is much to write.
    #[error("{WAITING} new hosts are being written down, which is as many as may be at once")]
    Crowded,
    /// What was learned could not be made durable, so it must not be acknowledged.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Answers filters.
pub(crate) struct Resolver {
    learner: Learner,
    waiting: Semaphore,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
}

impl Resolver {
    pub(crate) fn new(learner: Learner, readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Self {
        Self {
            learner,
            waiting: Semaphore::new(WAITING),
            readiness,
            metrics,
        }
    }

    /// Decides about one unresolved host. What is new is durable when this returns.
    ///
    /// # Errors
    /// Nothing was learned then, as far as the caller may know.
    pub(crate) async fn resolve(
        &self,
        request: &ResolveRequest,
        now_ms: u64,
    ) -> Result<ResolveResponse, ResolveError> {
        let start = Instant::now();
        let result = self.try_resolve(request, now_ms).await;
        self.metrics
            .resolve_seconds
            .observe(start.elapsed().as_secs_f64());
        match &result {
            Ok(response) => self.metrics.answered(&response.decision),
            Err(_) => self.metrics.refused(),
        }
        result
    }

    async fn try_resolve(
        &self,
        request: &ResolveRequest,
        now_ms: u64,
    ) -> Result<ResolveResponse, ResolveError> {
        self.readiness.require()?;
        let question = Question::try_from(request)?;
        let observation = Observation::asked(question, 1, now_ms, Origin::Request);
        let outcome = match self.learner.recall(&observation) {
            Some(outcome) => outcome,
            None => {
                let waiting = self.waiting.try_acquire();
                let _waiting = waiting.map_err(|_| ResolveError::Crowded)?;
                let mut learned = self.learner.learn(&[&observation]).await?;
                learned.pop().ok_or(StoreError::Closed)?
            }
        };
        if is_external(&outcome) && !self.readiness.is_whole() {
            return Err(NotReady::not_whole().into());
        }
        Ok(answer(outcome))
    }
}

fn answer(outcome: Outcome) -> ResolveResponse {
    let ttl_ms = match (&outcome.decision, &outcome.learned) {
        (
            Decision::Passthrough {
                reason: PassthroughReason::Limit,
            },
            _,
        ) => LIMIT_TTL_MS,
        (_, Learned::Host(_)) => LEARNED_TTL_MS,
        (_, Learned::External(_) | Learned::Nothing) => EXTERNAL_TTL_MS,
    };
    ResolveResponse {
        decision: outcome.decision,
        host: match outcome.learned {
            Learned::Host(host) => Some(host.to_string()),
            Learned::External(_) | Learned::Nothing => None,
        },
        ttl_ms,
    }
}
