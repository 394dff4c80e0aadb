//! Makes observations of series: who called, whom, and whether that is to be believed.

use lazymesh_core::{Learned, Question, Workload};
use lazymesh_protocol::Source;

use super::answer::Sample;
use super::progress::Window;
use super::query::{Counter, Labels};
use crate::learn::{Observation, Origin, What};
use crate::state::View;

/// What Istio writes where it does not know.
const UNKNOWN: &str = "unknown";

/// Why a series teaches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untold {
    /// It does not name its caller, or names one that cannot be.
    Caller,
    /// A pod of another namespace told it.
    Stranger,
    /// It does not name what was called, or names what is gone.
    Callee,
    /// Its value is none that a counter has.
    Value,
}

/// What a series teaches; nothing where it only says that what is known was called before the window.
pub(crate) fn observation(
    view: &View,
    labels: &Labels,
    counter: Counter,
    window: &Window,
    sample: &Sample,
) -> Result<Option<Observation>, Untold> {
    let calls = sample.calls().ok_or(Untold::Value)?;
    let source = caller(labels, sample)?;
    let what = callee(view, &source, counter, sample.label(&labels.destination))?;
    if calls == 0 && is_known(view, &source, &what) {
        return Ok(None);
    }
    Ok(Some(Observation {
        source,
        what,
        count: calls,
        // When in the window is not known. To take it for late forgets nothing. Windows meet, times do not.
        at_ms: match calls {
            0 => window.from_ms,
            _ => window.to_ms.saturating_sub(1),
        },
        origin: Origin::Prometheus,
    }))
}

/// The workload as Istio's canonical service names it, else as what made its pods is called.
pub(crate) fn caller(labels: &Labels, sample: &Sample) -> Result<Workload, Untold> {
    let told = |label: &str| Some(sample.label(label)).filter(|it| !matches!(*it, "" | UNKNOWN));
    let namespace = told(&labels.namespace).ok_or(Untold::Caller)?;
    let name = told(&labels.canonical).or_else(|| told(&labels.workload));
    let name = name.ok_or(Untold::Caller)?;
    // A pod can write what it likes into its own metrics, but not of which namespace it is.
    let scraped = sample.label(&labels.scraped);
    if !scraped.is_empty() && scraped != namespace {
        return Err(Untold::Stranger);
    }
    Workload::new(namespace, name).map_err(|_| Untold::Caller)
}

/// The host that was reached, else whatever its name means.
fn callee(
    view: &View,
    source: &Workload,
    counter: Counter,
    destination: &str,
) -> Result<What, Untold> {
    if let Some(host) = view
        .inventory
        .egress_host_seen(destination, &source.namespace)
    {
        return Ok(What::Host(host));
    }
    let domain = &view.inventory.mesh().cluster_domain;
    let is_gone = destination.ends_with(&format!(".svc.{domain}"));
    if matches!(destination, "" | UNKNOWN) || is_gone {
        return Err(Untold::Callee);
    }
    let source = Source {
        namespace: source.namespace.clone(),
        workload: source.name.clone(),
        cluster: None,
        service_account: None,
    };
    let question = Question::new(&source, Some(destination), None, counter.protocol());
    let question = question.map_err(|_| Untold::Callee)?;
    Ok(What::Question(Box::new(question)))
}

fn is_known(view: &View, source: &Workload, what: &What) -> bool {
    let learned = match what {
        What::Host(host) => Learned::Host(host.clone()),
        What::Question(question) => view.decide(question).learned,
    };
    match learned {
        Learned::Host(host) => view.graph.knows(source, &host),
        Learned::External(host) => view.graph.knows_external(source, &host),
        Learned::Nothing => true,
    }
}
