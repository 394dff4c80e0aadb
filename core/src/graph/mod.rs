//! Remembers who needs what: dependencies that were learned or pinned, and hosts outside the mesh that were seen.

mod limits;
mod record;
mod render;
mod room;
mod sightings;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::names::{EgressHost, Workload};

use self::limits::Share;
pub use self::limits::{Limits, Room};
pub use self::record::{Dependency, ExternalHost, Learned, Origin};
pub use self::render::Picture;
pub use self::sightings::{Seen, Sightings, Witness};

#[derive(Debug, Default)]
struct Node {
    dependencies: BTreeMap<EgressHost, Dependency>,
    externals: BTreeMap<String, ExternalHost>,
}

/// All dependencies, by workload and by host.
#[derive(Debug, Default)]
pub struct Graph {
    limits: Limits,
    nodes: BTreeMap<Workload, Node>,
    dependents: BTreeMap<EgressHost, BTreeSet<Workload>>,
    /// What each namespace has of it.
    namespaces: BTreeMap<String, Share>,
    dependency_count: usize,
    external_count: usize,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Adds a dependency, or merges it into the one that is there: earliest first use, latest last use, larger
    /// count, and pinned if either is.
    ///
    /// Takes it whatever the limits say: what was once acknowledged is never dropped. Ask [`Graph::admits`] first.
    pub fn insert(&mut self, dependency: Dependency) {
        let dependents = self.dependents.entry(dependency.host.clone()).or_default();
        dependents.insert(dependency.source.clone());
        let namespace = dependency.source.namespace.clone();
        let node = self.node(&dependency.source);
        let before = node.dependencies.len();
        node.dependencies
            .entry(dependency.host.clone())
            .and_modify(|known| {
                known.first_seen_ms = known.first_seen_ms.min(dependency.first_seen_ms);
                known.last_seen_ms = known.last_seen_ms.max(dependency.last_seen_ms);
                known.count = known.count.max(dependency.count);
                known.origin = known.origin.max(dependency.origin);
                known.sightings.merge(dependency.sightings);
            })
            .or_insert(dependency);
        let new = node.dependencies.len() - before;
        self.dependency_count += new;
        self.namespaces.entry(namespace).or_default().dependencies += new;
    }

    /// What is known of a workload, which is there from now on.
    fn node(&mut self, workload: &Workload) -> &mut Node {
        if !self.nodes.contains_key(workload) {
            let share = self.namespaces.entry(workload.namespace.clone());
            share.or_default().workloads += 1;
        }
        self.nodes.entry(workload.clone()).or_default()
    }

    /// As [`Graph::insert`], for a host outside the mesh.
    pub fn insert_external(&mut self, external: ExternalHost) {
        let namespace = external.source.namespace.clone();
        let node = self.node(&external.source);
        let before = node.externals.len();
        node.externals
            .entry(external.host.clone())
            .and_modify(|known| {
                known.first_seen_ms = known.first_seen_ms.min(external.first_seen_ms);
                known.last_seen_ms = known.last_seen_ms.max(external.last_seen_ms);
                known.count = known.count.max(external.count);
            })
            .or_insert(external);
        let new = node.externals.len() - before;
        self.external_count += new;
        self.namespaces.entry(namespace).or_default().externals += new;
    }

    /// Forgets all of a workload; `false` if nothing was known of it.
    pub fn remove(&mut self, workload: &Workload) -> bool {
        let Some(node) = self.nodes.remove(workload) else {
            return false;
        };
        self.dependency_count -= node.dependencies.len();
        self.external_count -= node.externals.len();
        for host in node.dependencies.keys() {
            self.remove_dependent(workload, host);
        }
        if let Some(share) = self.namespaces.get_mut(&workload.namespace) {
            share.workloads -= 1;
            share.dependencies -= node.dependencies.len();
            share.externals -= node.externals.len();
            if share.workloads == 0 {
                self.namespaces.remove(&workload.namespace);
            }
        }
        true
    }

    /// A workload's need for a host, if it is known.
    #[must_use]
    pub fn dependency(&self, workload: &Workload, host: &EgressHost) -> Option<&Dependency> {
        self.nodes.get(workload)?.dependencies.get(host)
    }

    /// Whether the dependency is there.
    #[must_use]
    pub fn knows(&self, workload: &Workload, host: &EgressHost) -> bool {
        self.dependency(workload, host).is_some()
    }

    /// Whether the external host is there.
    #[must_use]
    pub fn knows_external(&self, workload: &Workload, host: &str) -> bool {
        self.nodes
            .get(workload)
            .is_some_and(|node| node.externals.contains_key(host))
    }

    /// Counts further uses of a known dependency; `false` if it is not known. Their time is the last, even where the clock
    /// has been put back since; but Prometheus tells the past, too, and may tell it twice.
    pub fn touch(
        &mut self,
        workload: &Workload,
        host: &EgressHost,
        witness: Witness,
        now_ms: u64,
        count: u64,
    ) -> bool {
        let node = self.nodes.get_mut(workload);
        let Some(known) = node.and_then(|node| node.dependencies.get_mut(host)) else {
            return false;
        };
        match witness {
            Witness::Filter | Witness::AccessLog => {
                known.last_seen_ms = now_ms;
                known.count = known.count.saturating_add(count);
            }
            Witness::Prometheus => {
                let mut told = known.sightings.iter().filter(|(it, _)| *it == witness);
                if !told.any(|(_, seen)| seen.covers(now_ms)) {
                    known.count = known.count.saturating_add(count);
                }
                known.first_seen_ms = known.first_seen_ms.min(now_ms);
                known.last_seen_ms = known.last_seen_ms.max(now_ms);
            }
        }
        let seen = Seen {
            first_ms: now_ms,
            last_ms: now_ms,
        };
        known.sightings.add(witness, seen);
        true
    }

    /// A witness has watched a workload for so much longer: what nobody saw meanwhile is that much longer silent. The
    /// dependencies whose silence is now by another `step` longer, which is worth to be written down.
    pub fn watched(
        &mut self,
        workload: &Workload,
        watched_ms: u64,
        step_ms: u64,
        now_ms: u64,
    ) -> Vec<Dependency> {
        let node = self.nodes.get_mut(workload).into_iter();
        let known = node.flat_map(|node| node.dependencies.values_mut());
        let lengthened = known.filter_map(|known| {
            let before = known.sightings.silence_ms();
            let most_ms = now_ms.saturating_sub(known.last_seen_ms);
            known.sightings.lengthen(watched_ms, most_ms);
            let is_step = known.sightings.silence_ms() / step_ms > before / step_ms;
            is_step.then(|| known.clone())
        });
        lengthened.collect()
    }

    /// Forgets one dependency; `false` if it was not known.
    pub fn remove_dependency(&mut self, workload: &Workload, host: &EgressHost) -> bool {
        let node = self.nodes.get_mut(workload);
        if node
            .and_then(|node| node.dependencies.remove(host))
            .is_none()
        {
            return false;
        }
        self.dependency_count -= 1;
        if let Some(share) = self.namespaces.get_mut(&workload.namespace) {
            share.dependencies -= 1;
        }
        self.remove_dependent(workload, host);
        true
    }

    fn remove_dependent(&mut self, workload: &Workload, host: &EgressHost) {
        if let Some(dependents) = self.dependents.get_mut(host) {
            dependents.remove(workload);
            if dependents.is_empty() {
                self.dependents.remove(host);
            }
        }
    }

    /// As [`Graph::touch`], for a host outside the mesh.
    pub fn touch_external(
        &mut self,
        workload: &Workload,
        host: &str,
        witness: Witness,
        now_ms: u64,
        count: u64,
    ) -> bool {
        let node = self.nodes.get_mut(workload);
        let Some(known) = node.and_then(|node| node.externals.get_mut(host)) else {
            return false;
        };
        match witness {
            Witness::Filter | Witness::AccessLog => {
                known.last_seen_ms = now_ms;
                known.count = known.count.saturating_add(count);
            }
            Witness::Prometheus => {
                if !(known.first_seen_ms..=known.last_seen_ms).contains(&now_ms) {
                    known.count = known.count.saturating_add(count);
                }
                known.first_seen_ms = known.first_seen_ms.min(now_ms);
                known.last_seen_ms = known.last_seen_ms.max(now_ms);
            }
        }
        true
    }

    /// The workloads that something was learned about, sorted, from behind one of them.
    pub fn workloads_after(&self, after: Option<&Workload>) -> impl Iterator<Item = &Workload> {
        let rest = self.nodes.range::<Workload, _>(behind(after));
        rest.map(|(workload, _)| workload)
    }

    /// What a workload needs, sorted by host.
    pub fn dependencies<'a>(
        &'a self,
        workload: &Workload,
    ) -> impl Iterator<Item = &'a Dependency> + use<'a> {
        self.nodes
            .get(workload)
            .into_iter()
            .flat_map(|node| node.dependencies.values())
    }

    /// As [`Graph::dependencies`], from behind one of them.
    pub fn dependencies_after<'a>(
        &'a self,
        workload: &Workload,
        after: Option<&EgressHost>,
    ) -> impl Iterator<Item = &'a Dependency> {
        let node = self.nodes.get(workload).into_iter();
        let rest = node.flat_map(move |node| node.dependencies.range(behind(after)));
        rest.map(|(_, dependency)| dependency)
    }

    /// Whether anybody needs a host.
    #[must_use]
    pub fn is_needed(&self, host: &EgressHost) -> bool {
        self.dependents.contains_key(host)
    }

    /// Who needs a host, sorted by workload, from behind one of them.
    pub fn dependents_after<'a>(
        &'a self,
        host: &'a EgressHost,
        after: Option<&Workload>,
    ) -> impl Iterator<Item = &'a Dependency> {
        let workloads = self.dependents.get(host).into_iter();
        let rest = workloads.flat_map(move |them| them.range::<Workload, _>(behind(after)));
        rest.filter_map(|workload| self.nodes.get(workload)?.dependencies.get(host))
    }

    /// Hosts outside the mesh that a workload called, sorted.
    pub fn externals_of<'a>(
        &'a self,
        workload: &Workload,
    ) -> impl Iterator<Item = &'a ExternalHost> + use<'a> {
        self.nodes
            .get(workload)
            .into_iter()
            .flat_map(|node| node.externals.values())
    }

    /// How many workloads were learned about.
    #[must_use]
    pub fn workload_count(&self) -> usize {
        self.nodes.len()
    }

    /// How many dependencies there are.
    #[must_use]
    pub fn dependency_count(&self) -> usize {
        self.dependency_count
    }

    /// How many external hosts there are.
    #[must_use]
    pub fn external_count(&self) -> usize {
        self.external_count
    }

    /// Whether something was learned about a workload.
    #[must_use]
    pub fn has(&self, workload: &Workload) -> bool {
        self.nodes.contains_key(workload)
    }

    /// How many dependencies a workload has.
    #[must_use]
    pub fn dependency_count_of(&self, workload: &Workload) -> usize {
        self.nodes
            .get(workload)
            .map_or(0, |node| node.dependencies.len())
    }

    /// How many external hosts a workload has called.
    #[must_use]
    pub fn external_count_of(&self, workload: &Workload) -> usize {
        self.nodes
            .get(workload)
            .map_or(0, |node| node.externals.len())
    }

    /// Every external host, sorted by workload and host.
    pub fn externals(&self) -> impl Iterator<Item = &ExternalHost> {
        self.externals_after(None)
    }

    /// The external hosts behind one of a workload.
    pub fn externals_after<'a>(
        &'a self,
        after: Option<(&'a Workload, &'a str)>,
    ) -> impl Iterator<Item = &'a ExternalHost> {
        self.nodes_from(after.map(|(source, _)| source))
            .flat_map(move |(workload, node)| {
                let start = match after {
                    Some((source, host)) if source == workload => Bound::Excluded(host),
                    _ => Bound::Unbounded,
                };
                let rest = node.externals.range::<str, _>((start, Bound::Unbounded));
                rest.map(|(_, external)| external)
            })
    }

    /// Every dependency, sorted by workload and host.
    pub fn iter(&self) -> impl Iterator<Item = &Dependency> {
        self.iter_after(None)
    }

    /// The dependencies behind one of a workload.
    pub fn iter_after<'a>(
        &'a self,
        after: Option<(&'a Workload, &'a EgressHost)>,
    ) -> impl Iterator<Item = &'a Dependency> {
        self.nodes_from(after.map(|(source, _)| source))
            .flat_map(move |(workload, node)| {
                let start = match after {
                    Some((source, host)) if source == workload => Bound::Excluded(host),
                    _ => Bound::Unbounded,
                };
                let rest = node.dependencies.range((start, Bound::Unbounded));
                rest.map(|(_, dependency)| dependency)
            })
    }

    fn nodes_from(&self, from: Option<&Workload>) -> impl Iterator<Item = (&Workload, &Node)> {
        let start = from.map_or(Bound::Unbounded, Bound::Included);
        self.nodes.range::<Workload, _>((start, Bound::Unbounded))
    }
}

/// What comes behind a key of a map or set, or all of it.
fn behind<K>(after: Option<&K>) -> (Bound<&K>, Bound<&K>) {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    (start, Bound::Unbounded)
}

#[cfg(test)]
mod tests;
