//! Leads from one scope to another, in steps that no sidecar can get out of order.
//!
//! istiod answers a change of a Sidecar with clusters first and routes last, whatever the change. Envoy takes a
//! cluster out at once, so a host that leaves has a route to nothing for a moment; and it takes a new cluster in only
//! when it has its endpoints, which it asks for while the new routes are already there. Either way requests get a 503
//! (`cluster_not_found`), and applications notice: they are in the middle of calling just these hosts.
//!
//! So a host's clusters come some time before its routes, and stay some time after them: as long as istiod may gather
//! changes, or both steps would be in one push. In that time the filter does what the routes will do, except for
//! what VirtualServices say besides weights: their hosts wait only as long as istiod usually takes. What the filter does not
//! decide does not wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::spec::SidecarSpec;
use crate::names::EgressHost;

/// How long istiod takes for a change, even when it is busy.
const WARM_UP: Duration = Duration::from_secs(2);
/// Istio's default scope.
const EVERYTHING: &str = "*/*";

/// What a Sidecar gives to its sidecars, as entries of `egress.hosts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressScope {
    /// Whose hosts have clusters and routes.
    pub routes: BTreeSet<String>,
    /// Whose hosts have clusters only.
    pub clusters: BTreeSet<String>,
}

impl EgressScope {
    /// All that a Sidecar is to have.
    #[must_use]
    pub fn whole(sidecar: &SidecarSpec) -> Self {
        Self::routes(&sidecar.hosts)
    }

    /// What its workloads have without it.
    #[must_use]
    pub fn without(sidecar: &SidecarSpec) -> Self {
        Self::routes(&sidecar.full)
    }

    /// How far a host is in a Sidecar of this namespace, if it is there at all.
    #[must_use]
    pub fn stage(&self, host: &EgressHost, namespace: &str) -> Option<Stage> {
        let entry = host.to_string();
        let has = |entries| Cover::new(entries, namespace).has(&entry);
        match (has(&self.routes), has(&self.clusters)) {
            (true, _) => Some(Stage::Routes),
            (false, true) => Some(Stage::Clusters),
            (false, false) => None,
        }
    }

    fn routes(hosts: &BTreeSet<EgressHost>) -> Self {
        Self {
            routes: entries(hosts),
            clusters: BTreeSet::new(),
        }
    }
}

/// How far a host is in a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has clusters only.
    Clusters,
    /// It has all.
    Routes,
}

/// What of a Sidecar is on its way: entries that have clusters only, and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transit {
    coming: BTreeMap<String, Instant>,
    going: BTreeMap<String, Instant>,
}

/// One step on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// What the Sidecar is to have now.
    pub scope: EgressScope,
    /// What is on its way from now on.
    pub transit: Transit,
}

/// The next step of a Sidecar from the scope that its workloads have to the one that it is to have. `settle`: how long
/// istiod and sidecars may take to follow a change; with zero there are no steps.
#[must_use]
pub fn roll_out(
    sidecar: &SidecarSpec,
    live: &EgressScope,
    mut transit: Transit,
    settle: Duration,
    now: Instant,
) -> Rollout {
    let namespace = sidecar.namespace.as_str();
    let desired = entries(&sidecar.hosts);
    let (at_once, soon) = (entries(&sidecar.undecided), entries(&sidecar.routed));
    transit.release(live, &desired, namespace, settle, now);
    let going = transit.going.keys().cloned().collect();
    let before = Before {
        routes: Cover::new(&live.routes, namespace),
        clusters: Cover::new(&live.clusters, namespace),
        going: Cover::new(&going, namespace),
    };
    let mut scope = EgressScope::default();
    for entry in &desired {
        let warm_up = if soon.contains(entry) {
            settle.min(WARM_UP)
        } else {
            settle
        };
        let arrives = at_once.contains(entry) || transit.arrives(&before, entry, warm_up, now);
        let into = if arrives {
            transit.forget(entry);
            &mut scope.routes
        } else {
            &mut scope.clusters
        };
        into.insert(entry.clone());
    }
    // What a wider entry will have goes on until that one comes.
    let coming = Cover::new(&scope.clusters, namespace);
    let stays = |entry: &&String| coming.has(entry);
    let staying: Vec<_> = live.routes.iter().filter(stays).cloned().collect();
    scope.routes.extend(staying);
    scope.clusters.extend(transit.going.keys().cloned());
    if scope.clusters.contains(EVERYTHING) {
        // Istio warns of anything beside it.
        scope.clusters = BTreeSet::from([EVERYTHING.to_owned()]);
    }
    Rollout { scope, transit }
}

impl Transit {
    /// When the step after this one is due; none when all has arrived.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.coming
            .values()
            .chain(self.going.values())
            .min()
            .copied()
    }

    /// Whose routes go now, and whose clusters go at last.
    fn release(
        &mut self,
        live: &EgressScope,
        desired: &BTreeSet<String>,
        namespace: &str,
        settle: Duration,
        now: Instant,
    ) {
        if settle.is_zero() {
            return;
        }
        let Self { coming, going } = self;
        coming.retain(|entry, _| desired.contains(entry));
        let known = |entry: &&String| coming.contains_key(*entry) || going.contains_key(*entry);
        // What an earlier collector has left on the way begins anew.
        let strange = live.clusters.iter().filter(|entry| !known(entry));
        let leaving = live.routes.iter().chain(strange);
        let desired = Cover::new(desired, namespace);
        let leaving: Vec<_> = leaving.filter(|entry| !desired.has(entry)).collect();
        going.retain(|_, until| *until > now);
        going.extend(
            leaving
                .into_iter()
                .map(|entry| (entry.clone(), now + settle)),
        );
    }

    /// Whether an entry that is desired gets its routes now.
    fn arrives(&mut self, before: &Before, entry: &str, warm_up: Duration, now: Instant) -> bool {
        let Self { coming, going } = self;
        going.remove(entry);
        let until = coming.get(entry).copied();
        let has_clusters = before.clusters.has(entry);
        let is_warm =
            has_clusters && (before.going.has(entry) || until.is_some_and(|it| it <= now));
        if before.routes.has(entry) || is_warm || warm_up.is_zero() {
            return true;
        }
        let due = now + warm_up;
        match coming.get_mut(entry) {
            // Its routes may have become more urgent meanwhile.
            Some(until) if has_clusters => *until = due.min(*until),
            _ => {
                coming.insert(entry.to_owned(), due);
            }
        }
        false
    }

    fn forget(&mut self, entry: &str) {
        self.coming.remove(entry);
        self.going.remove(entry);
    }
}

/// What a Sidecar's workloads had before.
struct Before<'a> {
    routes: Cover<'a>,
    clusters: Cover<'a>,
    going: Cover<'a>,
}

/// What entries bring in a Sidecar of a namespace.
struct Cover<'a> {
    entries: &'a BTreeSet<String>,
    /// Those that cover others.
    wide: Vec<&'a str>,
    namespace: &'a str,
}

impl<'a> Cover<'a> {
    fn new(entries: &'a BTreeSet<String>, namespace: &'a str) -> Self {
        let wide = entries.iter().map(String::as_str);
        Self {
            entries,
            wide: wide.filter(|entry| entry.contains('*')).collect(),
            namespace,
        }
    }

    /// Whether they bring all that this one does.
    fn has(&self, entry: &str) -> bool {
        let mut wide = self.wide.iter();
        self.entries.contains(entry) || wide.any(|wide| covers(wide, entry, self.namespace))
    }
}

fn covers(wide: &str, entry: &str, namespace: &str) -> bool {
    let Some(((wide_namespace, wide_host), (entry_namespace, entry_host))) =
        wide.split_once('/').zip(entry.split_once('/'))
    else {
        return false;
    };
    let resolve = |name| if name == "." { namespace } else { name };
    let has_namespace =
        wide_namespace == "*" || resolve(wide_namespace) == resolve(entry_namespace);
    let has_host = match wide_host.strip_prefix('*') {
        Some(suffix) => entry_host.ends_with(suffix),
        None => wide_host == entry_host,
    };
    has_namespace && has_host
}

fn entries(hosts: &BTreeSet<EgressHost>) -> BTreeSet<String> {
    hosts.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests;
