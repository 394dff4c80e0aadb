//! Holds the one view that every decision and every Sidecar is a function of, and tells its followers what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use lazymesh_core::{
    EgressHost, Graph, Inventory, Learned, Mode, Outcome, Plan, Policy, Question, Reason, Room,
    Subject, Workload, decide, observe, obstacle, plan,
};
use opentelemetry::Context;
use parking_lot::{FairMutex, FairMutexGuard, RwLock, RwLockReadGuard};
use tokio::sync::broadcast;

use crate::history::History;
use crate::uses::{Use, Uses};

/// Most events that wait for a follower. One that falls further behind looks at everything again.
const EVENTS: usize = 4096;

/// Most items that are read of the view in one look.
pub(crate) const PIECE: usize = 128;

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

    /// Whether a namespace would be lazy if a filter had called from there.
    pub(crate) fn waits(&self, namespace: &str) -> bool {
        let subject = Subject::Namespace(namespace.to_owned());
        let reason = obstacle(&self.inventory, &self.graph, &self.policy, &subject);
        reason == Some(Reason::NoFilterSeen)
    }

    /// Whether a workload is lazy and has a sidecar that runs: its filters call, if there are any.
    fn is_lazy(&self, workload: &Workload) -> bool {
        let subject = Subject::Workload(workload.clone());
        self.inventory.runs_sidecar(workload)
            && self.policy.mode(&self.inventory, workload) == Mode::Enforce
            && obstacle(&self.inventory, &self.graph, &self.policy, &subject).is_none()
    }

    /// The first so many workloads, behind one of them, that have pods or that something was learned about, sorted.
    pub(crate) fn workloads_after(&self, after: Option<&Workload>, count: usize) -> Vec<Workload> {
        let running = self.inventory.workloads_after(after, count);
        let learned = self.graph.workloads_after(after).take(count);
        let all: BTreeSet<&Workload> = running.chain(learned).collect();
        all.into_iter().take(count).cloned().collect()
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

    /// The namespaces that have room now, or have none any more.
    pub(crate) fn namespaces_whose_room_differs(
        &self,
        before: BTreeMap<String, Room>,
    ) -> Vec<String> {
        let differs =
            |(namespace, before): &(String, Room)| self.graph.room_in(namespace) != *before;
        let namespaces = before.into_iter().filter(differs);
        namespaces.map(|(namespace, _)| namespace).collect()
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
        /// Of the request that taught it.
        span: Context,
    },
    /// These may need another Sidecar, or none.
    Affected(BTreeSet<Subject>),
    /// Anything may be different, what is in place included.
    Everything,
}

/// The view, shared.
///
/// Nobody who asks about a host may wait for somebody who reads all of the mesh. So nothing that grows with the mesh is read in
/// one look: it is read in pieces, and others have their turn between them. To use what is known waits for no piece.
pub(crate) struct SharedView {
    view: RwLock<View>,
    uses: Uses,
    reading: FairMutex<()>,
    events: broadcast::Sender<Event>,
    history: Arc<History>,
}

impl SharedView {
    pub(crate) fn new(view: View) -> Self {
        Self {
            view: RwLock::new(view),
            uses: Uses::default(),
            reading: FairMutex::default(),
            events: broadcast::Sender::new(EVENTS),
            history: Arc::default(),
        }
    }

    /// Looks at the view. The guard must not be held across an await, and the compiler sees to it.
    pub(crate) fn look(&self) -> RwLockReadGuard<'_, View> {
        self.view.read()
    }

    /// The turn of one piece of what is read for people and programs: many who read take no more of the machine from those who
    /// ask about a host than one does. To be waited for where waiting holds up no request.
    pub(crate) fn turn(&self) -> FairMutexGuard<'_, ()> {
        let turn = self.reading.lock();
        self.count_uses();
        turn
    }

    /// Counts a use; `false` when what was used is not known.
    pub(crate) fn count(&self, used: Use<'_>) -> bool {
        if *used.learned == Learned::Nothing {
            return true;
        }
        if let Some(mut view) = self.view.try_write() {
            self.uses.count(&mut view.graph);
            return used.count(&mut view.graph);
        }
        if !used.is_known(&self.look().graph) {
            return false;
        }
        if !self.uses.keep(used) {
            self.count_uses();
        }
        true
    }

    /// Counts the uses that nobody had time for.
    pub(crate) fn count_uses(&self) {
        if !self.uses.is_empty() {
            self.change(|_| ());
        }
    }

    /// What is sorted, as `piece` gives the next of it behind the last that was seen.
    pub(crate) fn in_pieces<T: Clone>(
        &self,
        mut after: Option<T>,
        piece: impl Fn(&View, Option<&T>) -> Vec<T>,
    ) -> impl Iterator<Item = T> {
        let pieces = iter::from_fn(move || {
            let items = piece(&self.look(), after.as_ref());
            after = Some(items.last()?.clone());
            Some(items)
        });
        pieces.flatten()
    }

    /// The workloads, behind one of them, that have pods or that something was learned about, sorted.
    pub(crate) fn workloads_after(
        &self,
        after: Option<Workload>,
    ) -> impl Iterator<Item = Workload> {
        self.in_pieces(after, |view, after| view.workloads_after(after, PIECE))
    }

    /// The workloads that something was learned about, sorted.
    pub(crate) fn learned(&self) -> impl Iterator<Item = Workload> {
        self.in_pieces(None, |view, after| {
            let rest = view.graph.workloads_after(after);
            rest.take(PIECE).cloned().collect()
        })
    }

    /// As [`SharedView::workloads_after`], those of a namespace.
    pub(crate) fn workloads_in(&self, namespace: &str) -> impl Iterator<Item = Workload> {
        let rest = self.workloads_after(Some(Workload::before_all_of(namespace)));
        rest.take_while(move |workload| workload.namespace == namespace)
    }

    /// The workloads that are lazy and have a sidecar that runs.
    pub(crate) fn lazy_workloads(&self) -> Vec<Workload> {
        if !self.look().policy.filters.are_required() {
            return Vec::new();
        }
        let all = self.workloads_after(None);
        all.filter(|it| self.look().is_lazy(it)).collect()
    }

    /// The namespaces there are.
    pub(crate) fn namespaces(&self) -> Vec<String> {
        let namespaces = &self.look().inventory;
        namespaces.namespaces().map(str::to_owned).collect()
    }

    /// Everything that may have a Sidecar.
    pub(crate) fn subjects(&self) -> BTreeSet<Subject> {
        let namespaces = self.namespaces().into_iter().map(Subject::Namespace);
        let workloads = self.workloads_after(None).map(Subject::Workload);
        namespaces.chain(workloads).collect()
    }

    /// Everything in a namespace that may have a Sidecar.
    pub(crate) fn subjects_in(&self, namespace: &str) -> BTreeSet<Subject> {
        let is_known = self.look().inventory.has_namespace(namespace);
        let own = is_known.then(|| Subject::Namespace(namespace.to_owned()));
        let workloads = self.workloads_in(namespace).map(Subject::Workload);
        own.into_iter().chain(workloads).collect()
    }

    /// Tells the followers that everything in some namespaces has to be planned again.
    pub(crate) fn announce_namespaces(&self, namespaces: &[String]) {
        let namespaces = namespaces.iter();
        let subjects: BTreeSet<_> = namespaces.flat_map(|it| self.subjects_in(it)).collect();
        if !subjects.is_empty() {
            self.announce(Event::Affected(subjects));
        }
    }

    /// Changes the view, in memory only. Who follows it hears of that by [`SharedView::announce`].
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        let mut view = self.view.write();
        self.uses.count(&mut view.graph);
        change(&mut view)
    }

    /// Tells the followers of a change that was made.
    pub(crate) fn announce(&self, event: Event) {
        // Before anything is published nobody follows; who begins to looks at everything first.
        let _ = self.events.send(event);
    }

    /// What became of it, and of its Sidecars, for people.
    pub(crate) fn history(&self) -> &Arc<History> {
        &self.history
    }

    pub(crate) fn follow(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}
