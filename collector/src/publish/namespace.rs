//! Reconciles the Sidecars of one namespace, one after the other.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lazymesh_core::{
    DEFAULT_SIDECAR, EgressScope, Plan, Reason, SidecarSpec, Subject, Transit, roll_out,
};

use crate::history::What;
use crate::publish::scopes::PublishedScopes;
use crate::publish::sink::{PublishOutcome, Published, Sink, SinkError};
use crate::publish::workqueue::Key;
use crate::runtime::metrics::Metrics;
use crate::spans::Spans;
use crate::state::SharedView;

/// How long the Sidecar stays of a workload whose pods are gone and that has learned nothing. Jobs come back, and
/// istiod should not have to hear of every run.
const LINGER: Duration = Duration::from_mins(10);

/// What all namespaces are reconciled with.
pub(crate) struct Tools {
    pub(crate) view: Arc<SharedView>,
    pub(crate) sink: Arc<dyn Sink>,
    /// How long istiod and sidecars may take to follow a change.
    pub(crate) settle: Duration,
    pub(crate) published: Arc<PublishedScopes>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) spans: Spans,
}

impl Tools {
    fn plan(&self, subject: &Subject) -> Plan {
        self.view.look().plan(subject)
    }

    fn is_running(&self, subject: &Subject) -> bool {
        self.view.look().is_running(subject)
    }

    fn record(&self, what: What) {
        self.view.history().record(what);
    }
}

/// How far a key has come.
pub(crate) enum Progress {
    /// It is reconciled.
    Done {
        /// Whether a Sidecar changed, so that the next change has to wait.
        changed: bool,
    },
    /// There is more to do, which is not to keep urgent keys of the namespace waiting.
    Again,
    /// These are in place.
    Found(Vec<Published>),
}

/// What is known of a namespace.
#[derive(Default)]
pub(crate) struct NamespaceReconciler {
    /// The Sidecars that were put in place, to find them again when their subject wants none.
    placed: HashMap<Subject, Published>,
    /// What is on its way, by the name of the Sidecar.
    transits: HashMap<String, Transit>,
    /// The workloads that had pods when they were last looked at. The pods of others are too new for requests.
    running: HashSet<Subject>,
    /// The workloads whose Sidecar lingers, and until when.
    lingering: HashMap<Subject, Instant>,
    /// The workloads that come before the namespace's own Sidecar, which would scope them until theirs is there.
    before_default: Option<VecDeque<Subject>>,
    /// The Sidecars that were listed, of which nothing may want some.
    listed: Vec<Published>,
    /// What is to be reconciled again, and when.
    requeued: Vec<(Subject, Instant)>,
}

impl NamespaceReconciler {
    /// An earlier collector has put this default in place.
    pub(crate) fn found_default(&mut self, place: Published) {
        let subject = Subject::Namespace(place.namespace.clone());
        self.placed.insert(subject, place);
    }

    /// A workload has pods from the beginning.
    pub(crate) fn found_running(&mut self, workload: Subject) {
        self.running.insert(workload);
    }

    /// These Sidecars of ours are in the namespace.
    pub(crate) fn listed(&mut self, places: Vec<Published>) {
        self.listed = places;
    }

    /// Takes what is to be reconciled again.
    pub(crate) fn requeued(&mut self) -> Vec<(Subject, Instant)> {
        std::mem::take(&mut self.requeued)
    }

    /// Whether there is nothing to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.placed.is_empty()
            && self.running.is_empty()
            && self.lingering.is_empty()
            && self.before_default.is_none()
            && self.listed.is_empty()
    }

    pub(crate) async fn reconcile(
        &mut self,
        tools: &Tools,
        key: &Key,
    ) -> Result<Progress, SinkError> {
        match key {
            Key::List => Ok(Progress::Found(tools.sink.list().await?)),
            Key::Orphans(namespace) => self.withdraw_orphans(tools, namespace).await,
            Key::Sidecar(subject) => {
                let progress = self.reconcile_sidecar(tools, subject).await?;
                if !tools.is_running(subject) {
                    self.running.remove(subject);
                } else if matches!(subject, Subject::Workload(_)) {
                    self.running.insert(subject.clone());
                }
                Ok(progress)
            }
        }
    }

    /// Makes one Sidecar what its plan says.
    async fn reconcile_sidecar(
        &mut self,
        tools: &Tools,
        subject: &Subject,
    ) -> Result<Progress, SinkError> {
        let plan = tools.plan(subject);
        if let Plan::None(reason) = &plan {
            tracing::debug!(%subject, reason = reason.word(), "no Sidecar");
        }
        let changed = match (subject, &plan) {
            (Subject::Namespace(namespace), Plan::Publish(sidecar)) => {
                if !self.placed.contains_key(subject)
                    && !self.publish_before_default(tools, namespace).await?
                {
                    return Ok(Progress::Again);
                }
                self.publish(tools, subject, sidecar).await?
            }
            (Subject::Workload(_), Plan::Publish(sidecar)) => {
                self.publish(tools, subject, sidecar).await?
            }
            (Subject::Workload(_), _) => self.release(tools, subject, &plan).await?,
            (Subject::Namespace(_), _) => {
                self.before_default = None;
                let now = Instant::now();
                let lingering = self.lingering.keys().cloned();
                self.requeued.extend(lingering.map(|it| (it, now)));
                self.withdraw(tools, subject).await?
            }
        };
        Ok(Progress::Done { changed })
    }

    /// Publishes the next of the workloads that come before the namespace's own; whether all of them are published.
    async fn publish_before_default(
        &mut self,
        tools: &Tools,
        namespace: &str,
    ) -> Result<bool, SinkError> {
        let workloads = || {
            let view = &tools.view;
            let workloads = view.workloads_in(namespace);
            let running = workloads.filter(|it| view.look().inventory.is_running(it));
            running.map(Subject::Workload).collect()
        };
        let mut waiting: VecDeque<Subject> = self.before_default.take().unwrap_or_else(workloads);
        while let Some(subject) = waiting.pop_front() {
            let Plan::Publish(sidecar) = tools.plan(&subject) else {
                continue;
            };
            let published = self.publish(tools, &subject, &sidecar).await;
            if published.is_err() {
                waiting.push_front(subject);
            }
            self.before_default = Some(waiting);
            return published.map(|_| false);
        }
        Ok(true)
    }

    /// Takes a workload's Sidecar out, be it left to a user's or not lazy any more. What rules its pods then may be the
    /// namespace's own, which is first made what it should be, all its steps included.
    async fn release(
        &mut self,
        tools: &Tools,
        subject: &Subject,
        plan: &Plan,
    ) -> Result<bool, SinkError> {
        let is_theirs = matches!(plan, Plan::None(Reason::UserManaged(_)));
        let namespace = subject.namespace();
        let default = Subject::Namespace(namespace.to_owned());
        match tools.plan(&default) {
            Plan::None(_) => {
                self.withdraw(tools, &default).await?;
            }
            Plan::Publish(_) if !self.placed.contains_key(subject) => {}
            Plan::Publish(sidecar) if is_theirs && self.placed.contains_key(&default) => {
                self.publish(tools, &default, &sidecar).await?;
                if let Some(due) = self.due(DEFAULT_SIDECAR) {
                    self.requeued.push((subject.clone(), due));
                    return Ok(false);
                }
            }
            Plan::Publish(_) if !is_theirs && self.lingers(tools, subject) => return Ok(false),
            Plan::Publish(_) => {}
        }
        self.withdraw(tools, subject).await
    }

    /// Whether the Sidecar of a workload stays for a while, though it selects nothing now.
    fn lingers(&mut self, tools: &Tools, subject: &Subject) -> bool {
        if tools.is_running(subject) {
            return false;
        }
        let now = Instant::now();
        let until = self.lingering.entry(subject.clone());
        let until = *until.or_insert(now + LINGER);
        if now < until {
            self.requeued.push((subject.clone(), until));
        }
        now < until
    }

    /// Applies a Sidecar; whether that counts as a change.
    async fn publish(
        &mut self,
        tools: &Tools,
        subject: &Subject,
        sidecar: &SidecarSpec,
    ) -> Result<bool, SinkError> {
        self.lingering.remove(subject);
        // One that fails may have been made all the same.
        self.placed.insert(subject.clone(), Published::of(sidecar));
        let in_use = match subject {
            Subject::Workload(_) => self.running.contains(subject),
            Subject::Namespace(_) => true,
        } && tools.is_running(subject);
        let scope = if in_use {
            self.next_scope(tools, sidecar).await?
        } else {
            self.transits.remove(&sidecar.name);
            EgressScope::whole(sidecar)
        };
        let outcome = tools.sink.apply(sidecar, &scope).await?;
        tools.published.insert(Published::of(sidecar), scope);
        if let Some(due) = self.due(&sidecar.name) {
            self.requeued.push((subject.clone(), due));
        }
        match outcome {
            PublishOutcome::Unchanged => tools.metrics.unchanged.inc(),
            PublishOutcome::Created | PublishOutcome::Updated => tools.metrics.published.inc(),
        };
        if outcome != PublishOutcome::Unchanged {
            let (place, hosts) = (Published::of(sidecar), sidecar.hosts.len());
            let Published { namespace, name } = &place;
            tracing::info!(namespace, name, hosts, ?outcome, "Sidecar published");
            tools.record(What::Published { place, hosts });
        }
        // A new Sidecar, which tells what is always visible, must not make the workload's first host wait.
        Ok(outcome == PublishOutcome::Updated)
    }

    /// The next step of a Sidecar from the scope that those have for whom it is: its own if it is there, else the
    /// namespace's, if any.
    async fn next_scope(
        &mut self,
        tools: &Tools,
        sidecar: &SidecarSpec,
    ) -> Result<EgressScope, SinkError> {
        let default = Published {
            namespace: sidecar.namespace.clone(),
            name: DEFAULT_SIDECAR.to_owned(),
        };
        let mut live = tools.sink.live(&Published::of(sidecar)).await?;
        if live.is_none() {
            live = tools.sink.live(&default).await?;
        }
        let live = live.unwrap_or_else(|| EgressScope::without(sidecar));
        let transit = self.transits.remove(&sidecar.name).unwrap_or_default();
        let rollout = roll_out(sidecar, &live, transit, tools.settle, Instant::now());
        if rollout.transit.due().is_some() {
            self.transits.insert(sidecar.name.clone(), rollout.transit);
        }
        Ok(rollout.scope)
    }

    /// When the next step of a Sidecar is due.
    fn due(&self, sidecar: &str) -> Option<Instant> {
        self.transits.get(sidecar)?.due()
    }

    /// Takes a subject's Sidecar out. That is no change to be paced by: should the Sidecar be desired again, as when
    /// a user's goes that had ruled instead, its workload is under the namespace's default until it is back.
    async fn withdraw(&mut self, tools: &Tools, subject: &Subject) -> Result<bool, SinkError> {
        self.lingering.remove(subject);
        if let Some(place) = self.placed.get(subject).cloned() {
            match take_out(tools, &place).await {
                // Somebody took our label off: it is theirs now.
                Ok(()) | Err(SinkError::NotOurs { .. }) => {}
                Err(error) => return Err(error),
            }
            self.placed.remove(subject);
            self.transits.remove(&place.name);
        }
        Ok(false)
    }

    /// Withdraws what an earlier run left in place and nothing wants any more. What this run has put in place goes when its
    /// own time has come.
    async fn withdraw_orphans(
        &mut self,
        tools: &Tools,
        namespace: &str,
    ) -> Result<Progress, SinkError> {
        let desired = self.desired(tools, namespace);
        self.listed.retain(|place| !desired.contains(place));
        // A namespace's own would scope the workloads whose Sidecar is gone, so it goes first.
        self.listed
            .sort_by_key(|place| place.name == DEFAULT_SIDECAR);
        while let Some(place) = self.listed.last() {
            take_out(tools, place).await?;
            self.listed.pop();
        }
        Ok(Progress::Done { changed: false })
    }

    /// What is to stay in place.
    fn desired(&self, tools: &Tools, namespace: &str) -> BTreeSet<Published> {
        let subjects = tools.view.subjects_in(namespace);
        let placed = subjects.iter().chain(self.lingering.keys());
        let placed = placed.filter(|subject| matches!(subject, Subject::Workload(_)));
        let placed = placed.filter_map(|subject| self.placed.get(subject).cloned());
        let planned = subjects
            .iter()
            .filter_map(|subject| match tools.plan(subject) {
                Plan::Publish(sidecar) => Some(Published::of(&sidecar)),
                Plan::None(_) => None,
            });
        planned.chain(placed).collect()
    }
}

async fn take_out(tools: &Tools, place: &Published) -> Result<(), SinkError> {
    let Published { namespace, name } = place;
    tools.published.remove(place);
    if tools.sink.withdraw(namespace, name).await? {
        tools.metrics.withdrawn.inc();
        tracing::info!(namespace, name, "Sidecar withdrawn");
        let place = place.clone();
        tools.record(What::Withdrawn { place });
    }
    Ok(())
}
