//! Tells Kubernetes whose filters are silent, and which canaries fail, as Events of their Sidecars: people look there first.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder};
use lazymesh_core::{Workload, sidecar_name};

use crate::history::{History, What};
use crate::kubernetes::error::ask;
use crate::kubernetes::kinds::SIDECAR;

/// Who tells.
const REPORTER: &str = "lazymesh-collector";
/// Most that is taken out of the history at once.
const PAGE: usize = 64;

/// Tells what happens until the history is closed.
pub(crate) async fn run(client: Client, history: Arc<History>) {
    let recorder = Recorder::new(client, REPORTER.into());
    let mut newest = history.follow();
    let mut place = history.start();
    loop {
        let is_newer = |newest: &Option<u64>| newest.is_none_or(|newest| newest > place);
        let newer = newest.wait_for(is_newer).await;
        if !newer.is_ok_and(|newer| newer.is_some()) {
            return;
        }
        let page = history.after(place, PAGE);
        place += page.missed + page.events.len() as u64;
        for (_, happening) in page.events {
            tell(&recorder, &happening.what).await;
        }
    }
}

async fn tell(recorder: &Recorder, what: &What) {
    let Some((workload, event)) = event(what) else {
        return;
    };
    let sidecar = ObjectReference {
        api_version: Some(SIDECAR.api_version()),
        kind: Some(SIDECAR.kind.to_owned()),
        namespace: Some(workload.namespace.clone()),
        name: Some(sidecar_name(&workload.name)),
        ..ObjectReference::default()
    };
    // Kubernetes may take no Events; what they say is in the log, metrics and /readyz as well.
    if let Err(error) = ask("an Event", recorder.publish(&event, &sidecar)).await {
        tracing::warn!(%workload, %error, "cannot tell Kubernetes what happened to a workload");
    }
}

fn event(what: &What) -> Option<(&Workload, Event)> {
    let (source, type_, reason, action, note) = match what {
        What::FiltersSilent { source } => (
            source,
            EventType::Warning,
            "FiltersSilent",
            "GiveFullScope",
            "no filter of this workload calls the collector any more, so it has its full scope; the logs of its sidecars say why".to_owned(),
        ),
        What::FiltersBack { source } => (
            source,
            EventType::Normal,
            "FiltersBack",
            "GiveLearnedScope",
            "a filter of this workload calls the collector again, so it has the scope that it has learned".to_owned(),
        ),
        What::Reverted { revert } => (
            &revert.workload,
            EventType::Warning,
            "CanaryReverted",
            "GiveFullScope",
            format!("the canary failed ({revert}), so all of the namespace has its full scope"),
        ),
        What::Resumed { revert } => (
            &revert.workload,
            EventType::Normal,
            "CanaryResumed",
            "GiveLearnedScope",
            "the canary that had failed is tried again".to_owned(),
        ),
        _ => return None,
    };
    let event = Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note),
        action: action.to_owned(),
        secondary: None,
    };
    Some((source, event))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::events::v1::Event as Told;
    use kube::Api;
    use kube::api::ListParams;
    use lazymesh_core::{Revert, Symptom};

    use super::*;
    use crate::kubernetes::fixtures::FakeApi;

    #[tokio::test(start_paused = true)]
    async fn what_happens_to_a_workload_is_told_of_its_sidecar() {
        let (_api, client) = FakeApi::start();
        let history = Arc::new(History::default());
        let source = Workload::new("shop", "web").unwrap();
        let revert = Revert {
            workload: source.clone(),
            symptom: Symptom::HoldTimeouts(6),
            percent: 10,
            at_ms: 1,
        };
        for what in [
            What::Forgotten {
                source: source.clone(),
            },
            What::FiltersSilent {
                source: source.clone(),
            },
            What::FiltersBack {
                source: source.clone(),
            },
            What::Reverted {
                revert: revert.clone(),
            },
            What::Resumed { revert },
        ] {
            history.record(what);
        }
        tokio::spawn(run(client.clone(), history));
        let events: Api<Told> = Api::namespaced(client, "shop");
        let told = loop {
            let told = events.list(&ListParams::default()).await.unwrap().items;
            if told.len() == 4 {
                break told;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        let reasons = told.iter().map(|event| event.reason.as_deref());
        let mut reasons: Vec<_> = reasons.flatten().collect();
        reasons.sort_unstable();
        assert_eq!(
            reasons,
            [
                "CanaryResumed",
                "CanaryReverted",
                "FiltersBack",
                "FiltersSilent"
            ]
        );
        for event in told {
            let about = event.regarding.unwrap();
            assert_eq!(about.kind.as_deref(), Some("Sidecar"));
            assert_eq!(about.name, Some(sidecar_name("web")));
        }
    }
}
