//! Takes counts of hosts that a sidecar's decision cache already knew.

use std::sync::Arc;

use lazymesh_core::{Question, QuestionError};
use lazymesh_protocol::{
    Decision, MAX_REPORTS, PassthroughReason, Protocol, RejectedReport, Report, Reports,
    ReportsResponse, Source,
};
use thiserror::Error;

use crate::learn::{Learner, Observation, Origin, is_external};
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::{NotReady, Readiness};
use crate::store::StoreError;

const LIMIT: Decision = Decision::Passthrough {
    reason: PassthroughReason::Limit,
};

/// Why a whole batch was refused. A bad item refuses only itself.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The store is not loaded, or the inventory has not synced.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// The source, which all items share, is not valid.
    #[error(transparent)]
    Source(QuestionError),
    /// There are too many items.
    #[error("{0} items; at most {MAX_REPORTS} are taken at once")]
    TooMany(usize),
    /// What was learned could not be made durable.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes reports.
pub(crate) struct Reporter {
    learner: Learner,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
}

impl Reporter {
    pub(crate) fn new(learner: Learner, readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Self {
        Self {
            learner,
            readiness,
            metrics,
        }
    }

    /// Records a batch. What is new in it is durable when this returns.
    ///
    /// # Errors
    /// Nothing new was recorded then, as far as the caller may know.
    pub(crate) async fn report(
        &self,
        reports: &Reports,
        now_ms: u64,
    ) -> Result<ReportsResponse, ReportError> {
        self.readiness.require()?;
        if reports.reports.len() > MAX_REPORTS {
            return Err(ReportError::TooMany(reports.reports.len()));
        }
        check_source(&reports.source)?;
        let (mut observations, mut indices, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
        for (index, report) in reports.reports.iter().enumerate() {
            match observation(&reports.source, report, now_ms) {
                Ok(observation) => {
                    observations.push(observation);
                    indices.push(index);
                }
                Err(detail) => rejected.push(RejectedReport { index, detail }),
            }
        }
        let outcomes = self.learner.observe_all(&observations).await?;
        let is_whole = self.readiness.is_whole();
        let outcomes = indices.into_iter().zip(outcomes);
        let refused = outcomes.filter_map(|(index, outcome)| {
            let detail = match outcome.decision == LIMIT {
                true => "the workload has as many dependencies or external hosts as it may have"
                    .to_owned(),
                false if is_external(&outcome) && !is_whole => NotReady::not_whole().to_string(),
                false => return None,
            };
            Some(RejectedReport { index, detail })
        });
        rejected.extend(refused);
        rejected.sort_by_key(|rejected| rejected.index);
        let accepted = reports.reports.len() - rejected.len();
        self.metrics.reports_accepted.inc_by(accepted as u64);
        self.metrics.reports_rejected.inc_by(rejected.len() as u64);
        Ok(ReportsResponse { accepted, rejected })
    }
}

/// What one item says. The error says why it is refused.
fn observation(source: &Source, report: &Report, now_ms: u64) -> Result<Observation, String> {
    if report.count == 0 {
        return Err("count is 0; expected at least 1".to_owned());
    }
    let (authority, destination) = (report.authority.as_deref(), report.destination.as_deref());
    let question = Question::new(source, authority, destination, report.protocol);
    let question = question.map_err(|error| error.to_string())?;
    Ok(Observation::asked(
        question,
        report.count,
        now_ms,
        Origin::Report,
    ))
}

/// The source is checked before the items, which all have it: otherwise each would be rejected for it.
fn check_source(source: &Source) -> Result<(), ReportError> {
    match Question::new(source, None, None, Protocol::Http) {
        Ok(_) | Err(QuestionError::Nothing) => Ok(()),
        Err(error) => Err(ReportError::Source(error)),
    }
}
