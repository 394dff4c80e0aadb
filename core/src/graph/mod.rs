//! Remembers who needs what: dependencies that were learned or pinned, and hosts outside the mesh that were seen.

mod render;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::names::{EgressHost, Workload};
use crate::resource::Mode;

pub use self::render::Picture;

/// Where a dependency comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A sidecar met the host.
    Learned,
    /// A person asked for it.
    Pinned,
}

/// A workload's need for one egress host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Who needs it.
    pub source: Workload,
    /// What is needed.
    pub host: EgressHost,
    /// When it was first met, in milliseconds since 1970.
    pub first_seen_ms: u64,
    /// When it was last met, in milliseconds since 1970.
    pub last_seen_ms: u64,
    /// Requests or connections that were reported.
    pub count: u64,
    /// Learned or pinned.
    pub origin: Origin,
}

/// A host outside the mesh that a workload called. Recorded, never put into a Sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalHost {
    /// Who called it.
    pub source: Workload,
    /// Host, with its port unless that is the protocol's own.
    pub host: String,
    /// When it was first met, in milliseconds since 1970.
    pub first_seen_ms: u64,
    /// When it was last met, in milliseconds since 1970.
    pub last_seen_ms: u64,
    /// Requests or connections that were reported.
    pub count: u64,
}

/// What a question taught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The source needs this egress host.
    Host(EgressHost),
    /// The source called this host outside the mesh: normalised, with its port unless that is the protocol's own.
    External(String),
    /// Nothing that may be recorded.
    Nothing,
}

/// How far a graph may grow by learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most workloads; as many again where they are enforced, so that those which are only learned leave them room.
    pub workloads: usize,
    /// Most dependencies of one workload.
    pub dependencies_per_workload: usize,
    /// Most external hosts of one workload.
    pub externals_per_workload: usize,
    /// Most external hosts of all workloads together.
    pub externals: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workloads: 20_000,
            dependencies_per_workload: 2_000,
            externals_per_workload: 500,
            externals: 100_000,
        }
    }
}

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
    /// How many workloads each namespace has.
    namespaces: BTreeMap<String, usize>,
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
        let node = self.node(&dependency.source);
        let before = node.dependencies.len();
        node.dependencies
            .entry(dependency.host.clone())
            .and_modify(|known| {
                known.first_seen_ms = known.first_seen_ms.min(dependency.first_seen_ms);
                known.last_seen_ms = known.last_seen_ms.max(dependency.last_seen_ms);
                known.count = known.count.max(dependency.count);
                known.origin = known.origin.max(dependency.origin);
            })
            .or_insert(dependency);
        let new = node.dependencies.len() - before;
        self.dependency_count += new;
    }

    /// What is known of a workload, which is there from now on.
    fn node(&mut self, workload: &Workload) -> &mut Node {
        if !self.nodes.contains_key(workload) {
            let namespace = workload.namespace.clone();
            *self.namespaces.entry(namespace).or_default() += 1;
        }
        self.nodes.entry(workload.clone()).or_default()
    }

    /// As [`Graph::insert`], for a host outside the mesh.
    pub fn insert_external(&mut self, external: ExternalHost) {
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
    }

    /// Whether the dependency is there.
    #[must_use]
    pub fn knows(&self, workload: &Workload, host: &EgressHost) -> bool {
        self.nodes
            .get(workload)
            .is_some_and(|node| node.dependencies.contains_key(host))
    }

    /// Whether the external host is there.
    #[must_use]
    pub fn knows_external(&self, workload: &Workload, host: &str) -> bool {
        self.nodes
            .get(workload)
            .is_some_and(|node| node.externals.contains_key(host))
    }

    /// Whether this is known already, or there is room to learn it in a mode.
    #[must_use]
    pub fn admits(&self, workload: &Workload, learned: &Learned, mode: Mode) -> bool {
        let has_room_for_externals = self.external_count < self.limits.externals;
        let Some(node) = self.nodes.get(workload) else {
            return match learned {
                Learned::Host(_) => !self.is_full(mode),
                Learned::External(_) => !self.is_full(mode) && has_room_for_externals,
                Learned::Nothing => true,
            };
        };
        match learned {
            Learned::Host(host) => {
                node.dependencies.len() < self.limits.dependencies_per_workload
                    || node.dependencies.contains_key(host)
            }
            Learned::External(host) => {
                let most = self.limits.externals_per_workload;
                // There may be any number of addresses behind one name. They leave room for names.
                let most = if is_address(host) { most / 2 } else { most };
                (node.externals.len() < most && has_room_for_externals)
                    || node.externals.contains_key(host)
            }
            Learned::Nothing => true,
        }
    }

    /// Whether there is no room for a workload more of a mode.
    #[must_use]
    pub fn is_full(&self, mode: Mode) -> bool {
        let most = match mode {
            Mode::Enforce => self.limits.workloads.saturating_mul(2),
            Mode::Learn | Mode::Off => self.limits.workloads,
        };
        self.nodes.len() >= most
    }

    /// Whether one more dependency of a workload could be learned in a mode.
    #[must_use]
    pub fn has_room(&self, workload: &Workload, mode: Mode) -> bool {
        match self.nodes.get(workload) {
            Some(node) => node.dependencies.len() < self.limits.dependencies_per_workload,
            None => !self.is_full(mode),
        }
    }

    /// Counts further uses of a known dependency; `false` if it is not known.
    pub fn touch(
        &mut self,
        workload: &Workload,
        host: &EgressHost,
        now_ms: u64,
        count: u64,
    ) -> bool {
        let node = self.nodes.get_mut(workload);
        let Some(known) = node.and_then(|node| node.dependencies.get_mut(host)) else {
            return false;
        };
        known.last_seen_ms = known.last_seen_ms.max(now_ms);
        known.count = known.count.saturating_add(count);
        true
    }

    /// Counts further uses of a known external host; `false` if it is not known.
    pub fn touch_external(
        &mut self,
        workload: &Workload,
        host: &str,
        now_ms: u64,
        count: u64,
    ) -> bool {
        let node = self.nodes.get_mut(workload);
        let Some(known) = node.and_then(|node| node.externals.get_mut(host)) else {
            return false;
        };
        known.last_seen_ms = known.last_seen_ms.max(now_ms);
        known.count = known.count.saturating_add(count);
        true
    }

    /// Every workload that was learned about, sorted.
    pub fn workloads(&self) -> impl Iterator<Item = &Workload> {
        self.nodes.keys()
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

    /// Who needs a host, sorted by workload.
    pub fn dependents<'a>(
        &'a self,
        host: &EgressHost,
    ) -> impl Iterator<Item = &'a Dependency> + use<'a> {
        let workloads = self.dependents.get_key_value(host);
        workloads.into_iter().flat_map(move |(host, workloads)| {
            workloads
                .iter()
                .filter_map(move |workload| self.nodes.get(workload)?.dependencies.get(host))
        })
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

    /// The namespaces of the workloads that something was learned about, sorted.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.keys().map(String::as_str)
    }

    /// The workloads of a namespace that something was learned about, sorted.
    pub fn workloads_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Workload> {
        let first = Workload {
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        let rest = self.nodes.range(first..).map(|(workload, _)| workload);
        rest.take_while(move |workload| workload.namespace == namespace)
    }

    fn nodes_from(&self, from: Option<&Workload>) -> impl Iterator<Item = (&Workload, &Node)> {
        let start = from.map_or(Bound::Unbounded, Bound::Included);
        self.nodes.range::<Workload, _>((start, Bound::Unbounded))
    }
}

/// Whether an external host is no name, with a port or without.
fn is_address(host: &str) -> bool {
    let alone = host.trim_start_matches('[').trim_end_matches(']');
    alone.parse::<IpAddr>().is_ok() || host.parse::<SocketAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(name: &str) -> Workload {
        Workload {
            namespace: "shop".into(),
            name: name.into(),
        }
    }

    fn host(name: &str) -> EgressHost {
        EgressHost {
            namespace: "shop".into(),
            host: name.into(),
        }
    }

    fn dependency(
        source: &str,
        to: &str,
        seen: std::ops::Range<u64>,
        count: u64,
        origin: Origin,
    ) -> Dependency {
        let (source, host) = (workload(source), host(to));
        Dependency {
            source,
            host,
            first_seen_ms: seen.start,
            last_seen_ms: seen.end,
            count,
            origin,
        }
    }

    #[test]
    fn merges_what_is_known() {
        let mut graph = Graph::new(Limits::default());
        graph.insert(dependency("cart", "a", 5..9, 3, Origin::Pinned));
        graph.insert(dependency("cart", "a", 2..7, 8, Origin::Learned));
        assert!(graph.touch(&workload("cart"), &host("a"), 20, 2));
        assert!(!graph.touch(&workload("cart"), &host("b"), 20, 2));
        let found: Vec<_> = graph.iter().cloned().collect();
        assert_eq!(found, [dependency("cart", "a", 2..20, 10, Origin::Pinned)]);
    }

    #[test]
    fn finds_dependents_in_order() {
        let mut graph = Graph::new(Limits::default());
        for (source, to) in [("web", "a"), ("cart", "b"), ("cart", "a")] {
            graph.insert(dependency(source, to, 1..1, 1, Origin::Learned));
        }
        let dependents = graph
            .dependents(&host("a"))
            .map(|found| found.source.name.as_str());
        assert_eq!(dependents.collect::<Vec<_>>(), ["cart", "web"]);
        assert_eq!(graph.dependents(&host("c")).count(), 0);
    }

    #[test]
    fn goes_on_behind_what_was_seen() {
        let mut graph = Graph::new(Limits::default());
        for (source, to) in [("cart", "a"), ("cart", "b"), ("web", "a")] {
            graph.insert(dependency(source, to, 1..1, 1, Origin::Learned));
        }
        graph.insert(dependency("web", "a", 1..2, 1, Origin::Learned));
        assert_eq!((graph.workload_count(), graph.dependency_count()), (2, 3));
        for (source, to, expect) in [
            ("a", "z", 3),
            ("cart", "a", 2),
            ("cart", "aa", 2),
            ("cart", "b", 1),
            ("dog", "a", 1),
            ("web", "a", 0),
        ] {
            let after = (&workload(source), &host(to));
            assert_eq!(
                graph.iter_after(Some(after)).count(),
                expect,
                "{source} {to}"
            );
        }
        assert_eq!(graph.workloads_in("shop").count(), 2);
        assert_eq!(graph.workloads_in("sho").count(), 0);
    }

    #[test]
    fn addresses_leave_room_for_names() {
        let mut graph = Graph::new(Limits {
            externals_per_workload: 2,
            ..Limits::default()
        });
        let first = "203.0.113.1:5432";
        graph.insert_external(ExternalHost {
            source: workload("cart"),
            host: first.into(),
            first_seen_ms: 1,
            last_seen_ms: 1,
            count: 1,
        });
        for (host, expect) in [
            (first, true),
            ("203.0.113.2:5432", false),
            ("203.0.113.2", false),
            ("[2001:db8::1]:443", false),
            ("[2001:db8::1]", false),
            ("2001:db8::1", false),
            ("example.org", true),
            ("example.org:8443", true),
        ] {
            let learned = Learned::External(host.into());
            assert_eq!(
                graph.admits(&workload("cart"), &learned, Mode::Learn),
                expect,
                "{host}"
            );
        }
    }

    #[test]
    fn the_external_hosts_of_all_share_a_limit() {
        let mut graph = Graph::new(Limits {
            externals: 2,
            ..Limits::default()
        });
        for (source, host) in [("cart", "x"), ("cart", "x"), ("web", "y")] {
            assert!(graph.admits(
                &workload(source),
                &Learned::External(host.into()),
                Mode::Learn
            ));
            graph.insert_external(ExternalHost {
                source: workload(source),
                host: host.into(),
                first_seen_ms: 1,
                last_seen_ms: 1,
                count: 1,
            });
        }
        for (source, host, expect) in [
            ("cart", "x", true),
            ("cart", "y", false),
            ("new", "z", false),
        ] {
            let learned = Learned::External(host.into());
            assert_eq!(
                graph.admits(&workload(source), &learned, Mode::Learn),
                expect,
                "{source} {host}"
            );
        }
        assert!(graph.admits(
            &workload("new"),
            &Learned::Host(self::host("a")),
            Mode::Learn
        ));
    }

    #[test]
    fn admits_what_is_known_or_fits() {
        let limits = Limits {
            workloads: 1,
            dependencies_per_workload: 1,
            externals_per_workload: 1,
            externals: 1,
        };
        let mut graph = Graph::new(limits);
        let (a, b) = (Learned::Host(host("a")), Learned::Host(host("b")));
        let (x, y) = (Learned::External("x".into()), Learned::External("y".into()));
        assert!(graph.admits(&workload("cart"), &a, Mode::Learn));
        graph.insert(dependency("cart", "a", 1..1, 1, Origin::Learned));
        let external = |name: &str| ExternalHost {
            source: workload("cart"),
            host: name.into(),
            first_seen_ms: 1,
            last_seen_ms: 1,
            count: 1,
        };
        assert!(graph.admits(&workload("cart"), &x, Mode::Learn));
        graph.insert_external(external("x"));
        for (source, learned, expect) in [
            ("cart", &a, true),
            ("cart", &b, false),
            ("cart", &x, true),
            ("cart", &y, false),
            ("cart", &Learned::Nothing, true),
            ("web", &a, false),
            ("web", &x, false),
            ("web", &Learned::Nothing, true),
        ] {
            assert_eq!(
                graph.admits(&workload(source), learned, Mode::Learn),
                expect,
                "{source} {learned:?}"
            );
        }
        let enforced = workload("web");
        assert!(
            graph.has_room(&enforced, Mode::Enforce),
            "others are only learned"
        );
        graph.insert(dependency("web", "a", 1..1, 1, Origin::Learned));
        assert!(!graph.has_room(&workload("more"), Mode::Enforce));
        assert!(graph.touch_external(&workload("cart"), "x", 4, 1));
        assert!(!graph.touch_external(&workload("cart"), "y", 4, 1));
    }
}
