//! Holds the one view that every decision and every Sidecar is a function of, and tells its followers what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use lazymesh_core::{
    Affected, EgressHost, Graph, Inventory, Mode, Outcome, Plan, Policy, Question, Reason, Room,
    Subject, Workload, decide, observe, obstacle, plan,
};
use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::broadcast;

/// Most events that wait for a follower. One that falls further behind looks at everything again.
const EVENTS: usize = 4096;

/// What exists, what was learned, and the policy.
pub(crate) struct View {
    pub(crate) inventory: Inventory,
    pub(crate) graph: Graph,
    pub(crate) policy: Policy,
}

impl View {
    pub(crate) fn decide(&self, question: &Question) -> Outcome {
        decide(&self.inventory, &self.graph, &self.policy, question)
    }

    pub(crate) fn observe(&self, source: &Workload, host: &EgressHost) -> Outcome {
        observe(&self.inventory, &self.graph, &self.policy, source, host)
    }

    /// The Sidecar that a subject should have.
    pub(crate) fn plan(&self, subject: &Subject) -> Plan {
        plan(&self.inventory, &self.graph, &self.policy, subject)
    }

    /// How many namespaces would be lazy if a filter had called from there.
    pub(crate) fn namespaces_waiting(&self) -> usize {
        let waits = |namespace: &&str| {
            let subject = Subject::Namespace((*namespace).to_owned());
            let reason = obstacle(&self.inventory, &self.graph, &self.policy, &subject);
            reason == Some(Reason::NoFilterSeen)
        };
        self.inventory.namespaces().filter(waits).count()
    }

    /// The workloads that are lazy and have a sidecar that runs: their filters call, if there are any.
    pub(crate) fn lazy_workloads(&self) -> Vec<Workload> {
        if !self.policy.filters.are_required() {
            return Vec::new();
        }
        let namespaces = self.inventory.namespaces();
        let workloads = namespaces.flat_map(|namespace| self.inventory.workloads_in(namespace));
        let is_lazy = |workload: &Workload| {
            let subject = Subject::Workload(workload.clone());
            self.inventory.runs_envoy(workload)
                && self.policy.mode(&self.inventory, workload) == Mode::Enforce
                && obstacle(&self.inventory, &self.graph, &self.policy, &subject).is_none()
        };
        workloads.filter(is_lazy).collect()
    }

    /// Every workload that has pods, or that something was learned about, sorted.
    pub(crate) fn workloads(&self) -> BTreeSet<Workload> {
        let namespaces = self.inventory.namespaces();
        let running = namespaces.flat_map(|namespace| self.inventory.workloads_in(namespace));
        running.chain(self.graph.workloads().cloned()).collect()
    }

    /// As [`View::workloads`], from a namespace on, one namespace at a time.
    pub(crate) fn workloads_from(&self, first: Option<&str>) -> impl Iterator<Item = Workload> {
        let learned = self.graph.namespaces();
        let namespaces: BTreeSet<&str> = self.inventory.namespaces().chain(learned).collect();
        let rest = namespaces
            .into_iter()
            .filter(move |it| first.is_none_or(|first| *it >= first));
        rest.flat_map(|namespace| self.workloads_in(namespace))
    }

    /// The workloads of a namespace that have pods, or that something was learned about, sorted.
    pub(crate) fn workloads_in(&self, namespace: &str) -> BTreeSet<Workload> {
        let running = self.inventory.workloads_in(namespace).into_iter();
        running
            .chain(self.graph.workloads_in(namespace).cloned())
            .collect()
    }

    /// Everything that may have a Sidecar.
    pub(crate) fn subjects(&self) -> BTreeSet<Subject> {
        let namespaces = self.inventory.namespaces();
        let namespaces = namespaces.map(|namespace| Subject::Namespace(namespace.to_owned()));
        let workloads = self.workloads().into_iter().map(Subject::Workload);
        namespaces.chain(workloads).collect()
    }

    /// Everything in a namespace that may have a Sidecar.
    pub(crate) fn subjects_in(&self, namespace: &str) -> BTreeSet<Subject> {
        let is_known = self.inventory.namespaces().any(|it| it == namespace);
        let own = is_known.then(|| Subject::Namespace(namespace.to_owned()));
        let workloads = self.workloads_in(namespace).into_iter();
        let workloads = workloads.map(Subject::Workload);
        own.into_iter().chain(workloads).collect()
    }

    /// Whose Sidecars change with what a workload depends on.
    pub(crate) fn subjects_of(&self, workload: &Workload) -> impl Iterator<Item = Subject> {
        let ruled_by_default = self.inventory.is_ruled_by_default(workload);
        let default = ruled_by_default.then(|| Subject::Namespace(workload.namespace.clone()));
        iter::once(Subject::Workload(workload.clone())).chain(default)
    }

    /// Which namespaces have room to learn about workloads more.
    pub(crate) fn rooms(&self) -> BTreeMap<String, Room> {
        let namespaces = self.inventory.namespaces();
        let room = |namespace: &str| (namespace.to_owned(), self.graph.room_in(namespace));
        namespaces.map(room).collect()
    }

    /// Whose Sidecars have to be planned again since their namespace has room now, or has none any more.
    pub(crate) fn subjects_whose_room_differs(
        &self,
        before: &BTreeMap<String, Room>,
    ) -> Option<Event> {
        let differs =
            |(namespace, before): &(&String, &Room)| self.graph.room_in(namespace) != **before;
        let namespaces = before.iter().filter(differs);
        let subjects: BTreeSet<_> = namespaces
            .flat_map(|(namespace, _)| self.subjects_in(namespace))
            .collect();
        (!subjects.is_empty()).then_some(Event::Affected(subjects))
    }

    /// Whose Sidecars have to be planned again.
    pub(crate) fn affected(&self, affected: Affected) -> BTreeSet<Subject> {
        let mut subjects = affected.subjects;
        if affected.everything {
            subjects.extend(self.subjects());
        }
        subjects
    }

    /// Whether a subject has pods.
    pub(crate) fn is_running(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Namespace(namespace) => self.inventory.has_workloads_in(namespace),
            Subject::Workload(workload) => self.inventory.is_running(workload),
        }
    }
}

/// What changed in the view.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A workload depends on something more.
    Learned {
        /// Who.
        source: Workload,
        /// Whether a request is held until its Sidecar has it.
        held: bool,
    },
    /// These may need another Sidecar, or none.
    Affected(BTreeSet<Subject>),
    /// Anything may be different, what is in place included.
    Everything,
}

/// The view, shared.
pub(crate) struct SharedView {
    view: RwLock<View>,
    events: broadcast::Sender<Event>,
}

impl SharedView {
    pub(crate) fn new(view: View) -> Self {
        Self {
            view: RwLock::new(view),
            events: broadcast::Sender::new(EVENTS),
        }
    }

    /// Looks at the view. The guard must not be held across an await, and the compiler sees to it.
    pub(crate) fn look(&self) -> RwLockReadGuard<'_, View> {
        self.view.read()
    }

    /// Changes the view, in memory only. Who follows it hears of that by [`SharedView::announce`].
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        change(&mut self.view.write())
    }

    /// Tells the followers of a change that was made.
    pub(crate) fn announce(&self, event: Event) {
        // Before anything is published nobody follows; who begins to looks at everything first.
        let _ = self.events.send(event);
    }

    pub(crate) fn follow(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}
