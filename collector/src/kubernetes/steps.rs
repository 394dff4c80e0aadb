//! The way from one scope to another, in steps that no sidecar can get out of order.
//!
//! istiod answers a change of a Sidecar with clusters first and routes last, whatever the change. Envoy takes a
//! cluster out at once, so a host that leaves has a route to nothing for a moment; and it takes a new cluster in only
//! when it has its endpoints, which it asks for while the new routes are already there. Either way requests get a 503
//! (`cluster_not_found`), and applications notice: they are in the middle of calling just these hosts.
//!
//! So a host's clusters come some time before its routes, and stay some time after them: as long as istiod may gather
//! changes, or both steps would be in one push. A Sidecar can say that:
//! an egress listener with a port of its own brings clusters like any other, but routes only for that port, and one
//! that captures its traffic has no socket. Of protocol `HTTP_PROXY` it takes the services' ports as they are.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::publisher::Published;

/// The listener that brings clusters: within Istio's own ports, so no application has it.
const PORT: u16 = 15079;
/// Istio's default scope.
const EVERYTHING: &str = "*/*";
/// Istio's way to write "nothing".
const NOTHING: &str = "~/*";

/// What a Sidecar gives to its sidecars, as entries of `egress.hosts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// Whose hosts have clusters and routes.
    pub(super) routes: BTreeSet<String>,
    /// Whose hosts have clusters only.
    pub(super) clusters: BTreeSet<String>,
}

impl Scope {
    /// Without any Sidecar.
    pub(super) fn full() -> Self {
        Self {
            routes: BTreeSet::from([EVERYTHING.to_owned()]),
            clusters: BTreeSet::new(),
        }
    }

    /// Of a Sidecar.
    pub(super) fn of(sidecar: &Value) -> Self {
        let listeners = sidecar.pointer("/spec/egress").and_then(Value::as_array);
        let mut scope = Self::default();
        for listener in listeners.into_iter().flatten() {
            let hosts = listener["hosts"].as_array().into_iter().flatten();
            let hosts = hosts.filter_map(Value::as_str);
            let hosts = hosts.filter(|host| *host != NOTHING).map(str::to_owned);
            match listener.get("port") {
                None => scope.routes.extend(hosts),
                Some(_) => scope.clusters.extend(hosts),
            }
        }
        scope
    }

    /// Gives a Sidecar this scope.
    pub(super) fn put_into(&self, sidecar: &mut Value) {
        let nothing = BTreeSet::from([NOTHING.to_owned()]);
        let routes = if self.routes.is_empty() {
            &nothing
        } else {
            &self.routes
        };
        let mut egress = vec![json!({ "hosts": routes })];
        if !self.clusters.is_empty() {
            // Istio wants the listener without a port to be the last.
            egress.insert(
                0,
                json!({
                    "bind": "127.0.0.1",
                    "hosts": self.clusters,
                    "port": { "name": "clusters", "number": PORT, "protocol": "HTTP_PROXY" },
                }),
            );
        }
        sidecar["spec"]["egress"] = json!(egress);
    }

    fn has_routes(&self, entry: &str) -> bool {
        self.routes.contains(EVERYTHING) || self.routes.contains(entry)
    }

    fn has_clusters(&self, entry: &str) -> bool {
        self.clusters.contains(EVERYTHING) || self.clusters.contains(entry)
    }
}

/// What is on its way, by Sidecar.
pub(super) struct Steps {
    settle: Duration,
    transits: HashMap<Published, Transit>,
}

/// Entries that have clusters only, and until when.
#[derive(Default)]
struct Transit {
    coming: HashMap<String, Instant>,
    going: HashMap<String, Instant>,
}

impl Steps {
    /// `settle`: how long istiod and sidecars may take to follow a change; with zero there are no steps.
    pub(super) fn new(settle: Duration) -> Self {
        Self {
            settle,
            transits: HashMap::new(),
        }
    }

    /// The next step of a Sidecar from the scope that its workloads have to one with `wanted` routes.
    pub(super) fn next(
        &mut self,
        place: &Published,
        there: &Scope,
        wanted: &BTreeSet<String>,
        now: Instant,
    ) -> Scope {
        let mut transit = self.transits.remove(place).unwrap_or_default();
        self.let_go(&mut transit, there, wanted, now);
        let mut next = Scope::default();
        for entry in wanted {
            let arrives = self.arrives(&mut transit, there, entry, now);
            let into = if arrives {
                &mut next.routes
            } else {
                &mut next.clusters
            };
            into.insert(entry.clone());
        }
        next.clusters.extend(transit.going.keys().cloned());
        if next.clusters.contains(EVERYTHING) {
            if wanted.contains(EVERYTHING) {
                next.routes.clone_from(&there.routes);
            }
            // Istio warns of anything beside it.
            next.clusters = BTreeSet::from([EVERYTHING.to_owned()]);
        }
        if transit.due().is_some() {
            self.transits.insert(place.clone(), transit);
        }
        next
    }

    /// When the step after the last one is due.
    pub(super) fn due(&self, place: &Published) -> Option<Instant> {
        self.transits.get(place)?.due()
    }

    /// Forgets a Sidecar that is withdrawn.
    pub(super) fn forget(&mut self, place: &Published) {
        self.transits.remove(place);
    }

    /// Whose routes go now, and whose clusters go at last.
    fn let_go(
        &self,
        transit: &mut Transit,
        there: &Scope,
        wanted: &BTreeSet<String>,
        now: Instant,
    ) {
        if self.settle.is_zero() {
            return;
        }
        let Transit { coming, going } = transit;
        coming.retain(|entry, _| wanted.contains(entry));
        let known = |entry: &&String| coming.contains_key(*entry) || going.contains_key(*entry);
        // What an earlier collector has left on the way begins anew.
        let strange = there.clusters.iter().filter(|entry| !known(entry));
        let leaving = there.routes.iter().chain(strange);
        let stays = |entry: &&String| wanted.contains(*entry) || wanted.contains(EVERYTHING);
        let leaving: Vec<_> = leaving.filter(|entry| !stays(entry)).collect();
        going.retain(|_, until| *until > now);
        going.extend(
            leaving
                .into_iter()
                .map(|entry| (entry.clone(), now + self.settle)),
        );
    }

    /// Whether an entry that is wanted gets its routes now.
    fn arrives(&self, transit: &mut Transit, there: &Scope, entry: &str, now: Instant) -> bool {
        let Transit { coming, going } = transit;
        let returns = going.remove(entry).is_some() || going.contains_key(EVERYTHING);
        let until = coming.get(entry).copied();
        let is_warm = there.has_clusters(entry) && (returns || until.is_some_and(|it| it <= now));
        if there.has_routes(entry) || is_warm || self.settle.is_zero() {
            coming.remove(entry);
            return true;
        }
        if until.is_none() || !there.has_clusters(entry) {
            coming.insert(entry.to_owned(), now + self.settle);
        }
        false
    }
}

impl Transit {
    fn due(&self) -> Option<Instant> {
        self.coming
            .values()
            .chain(self.going.values())
            .min()
            .copied()
    }
}

#[cfg(test)]
mod tests;
