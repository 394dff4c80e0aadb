//! Takes counts of hosts that a sidecar's decision cache already knew.

use std::sync::Arc;

use lazymesh_core::{Learned, Question, QuestionError};
use lazymesh_protocol::{
    Decision, MAX_REPORTS, PassthroughReason, Protocol, RejectedReport, Report, Reports,
    ReportsResponse, Source,
};
use thiserror::Error;

use crate::learn::Lesson;
use crate::runtime::readiness::NotReady;
use crate::state::Collector;
use crate::store::StoreError;

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

impl Collector {
    /// Records a batch. What is new in it is durable when this returns.
    ///
    /// # Errors
    /// Nothing new was recorded then, as far as the caller may know.
    pub async fn report(
        self: &Arc<Self>,
        reports: &Reports,
        now_ms: u64,
    ) -> Result<ReportsResponse, ReportError> {
        self.readiness.require()?;
        if reports.reports.len() > MAX_REPORTS {
            return Err(ReportError::TooMany(reports.reports.len()));
        }
        check_source(&reports.source)?;
        let permits = self.permit(reports.reports.len()).await?;
        let (mut lessons, mut rejected) = (Vec::new(), Vec::new());
        for (index, report) in reports.reports.iter().enumerate() {
            if let Err(detail) = self.take(&reports.source, report, now_ms, &mut lessons) {
                rejected.push(RejectedReport { index, detail });
            }
        }
        self.learn(lessons, now_ms, permits).await?;
        let accepted = reports.reports.len() - rejected.len();
        self.metrics.reports_accepted.inc_by(accepted as u64);
        self.metrics.reports_rejected.inc_by(rejected.len() as u64);
        Ok(ReportsResponse { accepted, rejected })
    }

    /// Counts one item, or adds what is new in it to the lessons. The error says why it is refused.
    fn take(
        &self,
        source: &Source,
        report: &Report,
        now_ms: u64,
        lessons: &mut Vec<Lesson>,
    ) -> Result<(), String> {
        if report.count == 0 {
            return Err("count is 0; expected at least 1".to_owned());
        }
        let (authority, destination) = (report.authority.as_deref(), report.destination.as_deref());
        let question = Question::new(source, authority, destination, report.protocol)
            .map_err(|error| error.to_string())?;
        let outcome = self.decide(&question);
        if matches!(
            outcome.decision,
            Decision::Passthrough {
                reason: PassthroughReason::Limit
            }
        ) {
            return Err(
                "the workload has as many dependencies or external hosts as it may have".to_owned(),
            );
        }
        if matches!(outcome.learned, Learned::Nothing)
            || self.touch(&question.source, &outcome.learned, now_ms, report.count)
        {
            return Ok(());
        }
        match lessons
            .iter_mut()
            .find(|lesson| lesson.learned == outcome.learned)
        {
            Some(lesson) => lesson.count = lesson.count.saturating_add(report.count),
            None => lessons.push(Lesson {
                source: question.source,
                learned: outcome.learned,
                count: report.count,
            }),
        }
        Ok(())
    }
}

/// The source is checked before the items, which all have it: otherwise each would be rejected for it.
fn check_source(source: &Source) -> Result<(), ReportError> {
    match Question::new(source, None, None, Protocol::Http) {
        Ok(_) | Err(QuestionError::Nothing) => Ok(()),
        Err(error) => Err(ReportError::Source(error)),
    }
}
