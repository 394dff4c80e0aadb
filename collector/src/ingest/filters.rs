//! Notes whose filters call: without a filter nothing may be lazy.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use lazymesh_core::{Subject, Workload};
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use crate::history::What;
use crate::runtime::readiness::Readiness;
use crate::state::{Event, SharedView};

/// How often to look who has not called.
const LOOK: Duration = Duration::from_secs(5);
/// After so many looks, 50 s, a workload's filters are silent: they call every 20 s. Looks are counted, and not time, so
/// that a collector that was stopped for a while holds that against nobody.
const MOST_LOOKS: u8 = 10;
/// Most workloads that are named at once.
const MOST_NAMED: usize = 10;

/// Whose filters call.
pub(crate) struct Filters {
    view: Arc<SharedView>,
    readiness: Arc<Readiness>,
    /// The workloads whose filters should call, and how often was looked since one of them has.
    unheard: Mutex<HashMap<Workload, u8>>,
}

impl Filters {
    pub(crate) fn new(view: Arc<SharedView>, readiness: Arc<Readiness>) -> Self {
        Self {
            view,
            readiness,
            unheard: Mutex::default(),
        }
    }

    /// A filter has called from this namespace.
    pub(crate) fn called_from(&self, namespace: &str) {
        if self.view.look().policy.filters.admit(namespace) {
            return;
        }
        // Only what exists, so that the set is bounded.
        let is_new = self.view.change(|view| {
            view.inventory.has_namespace(namespace) && view.policy.filters.see(namespace)
        });
        if is_new {
            tracing::info!(namespace, "a filter has called; the namespace may be lazy");
            self.view.announce_namespaces(&[namespace.to_owned()]);
        }
    }

    /// A filter of this workload says that it is there.
    pub(crate) fn called(&self, workload: &Workload) {
        self.called_from(&workload.namespace);
        if let Some(looks) = self.unheard.lock().get_mut(workload) {
            *looks = 0;
        }
    }

    /// Looks for ever who has not called.
    pub(crate) async fn run(&self) {
        let mut interval = tokio::time::interval(LOOK);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.look();
        }
    }

    fn look(&self) {
        let silent = self.count_looks();
        if *self.view.look().policy.filters.silent() == silent {
            return;
        }
        self.readiness.filters(match silent.len() {
            0 => Ok(()),
            count => Err(format!(
                "the filters of {count} workloads are silent, so that these have their full scope: {}",
                names(&silent)
            )),
        });
        let (changed, affected) = self.view.change(|view| {
            let changed = view.policy.filters.set_silent(silent.clone());
            let affected = changed
                .iter()
                .flat_map(|workload| view.subjects_of(workload));
            let affected: BTreeSet<Subject> = affected.collect();
            (changed, affected)
        });
        self.view.announce(Event::Affected(affected));
        let (new, over) =
            (changed.into_iter()).partition(|workload: &Workload| silent.contains(workload));
        self.tell(new, over);
    }

    fn tell(&self, new: BTreeSet<Workload>, over: BTreeSet<Workload>) {
        if !new.is_empty() {
            tracing::warn!(
                workloads = names(&new),
                count = new.len(),
                "filters are silent; their workloads get their full scope"
            );
        }
        if !over.is_empty() {
            tracing::info!(
                workloads = names(&over),
                count = over.len(),
                "filters call again; their workloads may be lazy"
            );
        }
        let new = new.into_iter().map(|source| What::FiltersSilent { source });
        let over = over.into_iter().map(|source| What::FiltersBack { source });
        for what in new.chain(over) {
            self.view.history().record(what);
        }
    }

    /// Counts one more look for everybody who should call; gives those who have not for too long.
    fn count_looks(&self) -> BTreeSet<Workload> {
        let expected = self.view.lazy_workloads();
        let mut unheard = self.unheard.lock();
        *unheard = (expected.into_iter())
            .map(|workload| {
                let before = unheard.get(&workload);
                let looks = before.map_or(0, |looks| looks.saturating_add(1));
                (workload, looks)
            })
            .collect();
        let silent = unheard.iter().filter(|(_, looks)| **looks >= MOST_LOOKS);
        silent.map(|(workload, _)| workload.clone()).collect()
    }
}

fn names(workloads: &BTreeSet<Workload>) -> String {
    let first = workloads.iter().take(MOST_NAMED).map(ToString::to_string);
    let rest = (workloads.len() > MOST_NAMED).then(|| "…".to_owned());
    first.chain(rest).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use lazymesh_core::{Filters as Seen, Graph, Inventory, Limits, Mesh, Object, Plan, Policy};
    use serde_json::{Value, json};

    use super::*;
    use crate::state::View;

    fn pod(workload: &str, container: &str, role: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("{workload}-1"), "namespace": "shop",
                "labels": { "service.istio.io/canonical-name": workload },
            },
            "spec": { "containers": [{ "name": container, "args": ["proxy", role] }] },
            "status": { "phase": "Running" },
        })
    }

    /// Workloads `web` and `cart` with sidecars, `job` without one and a gateway, in an enforced namespace.
    fn filters() -> Filters {
        let mut inventory = Inventory::new(Mesh::default());
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": "shop", "labels": { "lazymesh.io/mode": "enforce" } },
        });
        let pods = [
            pod("web", "istio-proxy", "sidecar"),
            pod("cart", "istio-proxy", "sidecar"),
            pod("gateway", "istio-proxy", "router"),
            pod("job", "app", "job"),
        ];
        for value in [namespace].into_iter().chain(pods) {
            inventory.apply(Object::from_value(value).unwrap().unwrap());
        }
        let view = View {
            inventory,
            graph: Graph::new(Limits::default()),
            policy: Policy {
                filters: Seen::required(),
                ..Policy::default()
            },
        };
        let (view, readiness) = (SharedView::new(view), Readiness::new());
        Filters::new(Arc::new(view), Arc::new(readiness))
    }

    fn workload(name: &str) -> Workload {
        Workload::new("shop", name).unwrap()
    }

    fn hosts(filters: &Filters, name: &str) -> Vec<String> {
        match filters.view.look().plan(&Subject::Workload(workload(name))) {
            Plan::Publish(sidecar) => sidecar.hosts.iter().map(ToString::to_string).collect(),
            Plan::None(reason) => vec![reason.word().to_owned()],
        }
    }

    #[test]
    fn a_workload_whose_filters_go_silent_gets_its_full_scope_until_they_call_again() {
        let filters = filters();
        let told = || {
            let mut checks = filters.readiness.checks().into_iter();
            checks.find(|check| check.name == "filters").unwrap().detail
        };
        filters.look();
        assert_eq!(hosts(&filters, "web"), ["no-filter-seen"]);
        filters.called(&workload("web"));
        let mut events = filters.view.follow();
        // The collector hears of all three from now on.
        for look in 0..=MOST_LOOKS {
            assert_eq!(
                hosts(&filters, "web"),
                [] as [String; 0],
                "after {look} looks"
            );
            filters.called(&workload("cart"));
            filters.look();
        }
        assert_eq!(hosts(&filters, "web"), ["*/*"]);
        assert_eq!(hosts(&filters, "cart"), [] as [String; 0]);
        // Nothing could call from there.
        for name in ["job", "gateway"] {
            assert_eq!(hosts(&filters, name), [] as [String; 0], "{name}");
        }
        assert!(told().is_some_and(|told| told.ends_with("full scope: shop/web")));
        let Ok(Event::Affected(affected)) = events.try_recv() else {
            panic!("nobody was told");
        };
        assert!(affected.contains(&Subject::Workload(workload("web"))));
        filters.called(&workload("web"));
        filters.look();
        assert_eq!(hosts(&filters, "web"), [] as [String; 0]);
        assert_eq!(told(), None);
        let happened = filters.view.history().after(0, 9).events;
        let happened: Vec<_> = happened.iter().map(|(_, event)| &event.what).collect();
        let [
            What::FiltersSilent { source: gone },
            What::FiltersBack { source: back },
        ] = *happened
        else {
            panic!("{} events", happened.len());
        };
        assert_eq!([gone, back], [&workload("web"); 2]);
    }
}
