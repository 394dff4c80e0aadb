//! Rolls a scope out in steps that no sidecar can get out of order.
//!
//! istiod answers a change of a Sidecar with clusters first and routes last, whatever the change. Envoy takes a
//! cluster out at once, so a host that leaves has a route to nothing for a moment; and it takes a new cluster in only
//! when it has its endpoints, which it asks for while the new routes are already there. Either way requests get a 503
//! (`cluster_not_found`), and applications notice: they are in the middle of calling just these hosts.
//!
//! So a host's clusters come some time before its routes, and stay some time after them: as long as istiod may gather
//! changes, or both steps would be in one push. In that time the filter does what the routes will do, except for
//! what VirtualServices say besides weights: their hosts wait only as long as istiod usually takes. What is not HTTP does not
//! wait.
//!
//! A Sidecar can say that:
//! an egress listener with a port of its own brings clusters like any other, but routes only for that port, and one
//! that captures its traffic has no socket. Of protocol `HTTP_PROXY` it takes the services' ports as they are.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::publish::sink::Published;

/// The listener that brings clusters: within Istio's own ports, so no application has it.
const PORT: u16 = 15079;
/// How long istiod takes for a change, even when it is busy.
const WARM_UP: Duration = Duration::from_secs(2);
/// Istio's default scope.
const EVERYTHING: &str = "*/*";
/// Istio's way to write "nothing".
const NOTHING: &str = "~/*";

/// What a Sidecar gives to its sidecars, as entries of `egress.hosts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Whose hosts have clusters and routes.
    pub(crate) routes: BTreeSet<String>,
    /// Whose hosts have clusters only.
    pub(crate) clusters: BTreeSet<String>,
}

impl Scope {
    /// Of a Sidecar.
    pub(crate) fn of(sidecar: &Value) -> Self {
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
    pub(crate) fn put_into(&self, sidecar: &mut Value) {
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
}

/// What the workloads of a Sidecar are to see.
pub(crate) struct Desired<'a> {
    /// Entries of `egress.hosts`.
    pub(crate) entries: &'a BTreeSet<String>,
    /// Those of them whose routes come with their clusters.
    pub(crate) at_once: &'a BTreeSet<String>,
    /// Those of them whose routes come as soon after their clusters as istiod allows.
    pub(crate) soon: &'a BTreeSet<String>,
}

/// What is on its way, by Sidecar.
pub(crate) struct Rollout {
    settle: Duration,
    transits: HashMap<Published, Transit>,
}

/// Entries that have clusters only, and until when.
#[derive(Default)]
struct Transit {
    coming: HashMap<String, Instant>,
    going: HashMap<String, Instant>,
}

impl Rollout {
    /// `settle`: how long istiod and sidecars may take to follow a change; with zero there are no steps.
    pub(crate) fn new(settle: Duration) -> Self {
        Self {
            settle,
            transits: HashMap::new(),
        }
    }

    /// The next step of a Sidecar from the scope that its workloads have to the one that is wanted.
    pub(crate) fn next(
        &mut self,
        place: &Published,
        there: &Scope,
        wanted: &Desired,
        now: Instant,
    ) -> Scope {
        let namespace = place.namespace.as_str();
        let mut transit = self.transits.remove(place).unwrap_or_default();
        self.let_go(&mut transit, there, wanted.entries, namespace, now);
        let going = transit.going.keys().cloned().collect();
        let before = Before {
            routes: Cover::new(&there.routes, namespace),
            clusters: Cover::new(&there.clusters, namespace),
            going: Cover::new(&going, namespace),
        };
        let mut next = Scope::default();
        for entry in wanted.entries {
            let warm_up = if wanted.soon.contains(entry) {
                self.settle.min(WARM_UP)
            } else {
                self.settle
            };
            let arrives = wanted.at_once.contains(entry)
                || arrives(&mut transit, &before, entry, warm_up, now);
            let into = if arrives {
                transit.forget(entry);
                &mut next.routes
            } else {
                &mut next.clusters
            };
            into.insert(entry.clone());
        }
        // What a wider entry will have goes on until that one comes.
        let coming = Cover::new(&next.clusters, namespace);
        let stays = |entry: &&String| coming.has(entry);
        next.routes
            .extend(there.routes.iter().filter(stays).cloned());
        next.clusters.extend(transit.going.keys().cloned());
        if next.clusters.contains(EVERYTHING) {
            // Istio warns of anything beside it.
            next.clusters = BTreeSet::from([EVERYTHING.to_owned()]);
        }
        if transit.due().is_some() {
            self.transits.insert(place.clone(), transit);
        }
        next
    }

    /// When the step after the last one is due.
    pub(crate) fn due(&self, place: &Published) -> Option<Instant> {
        self.transits.get(place)?.due()
    }

    /// Forgets a Sidecar that is withdrawn.
    pub(crate) fn forget(&mut self, place: &Published) {
        self.transits.remove(place);
    }

    /// Whose routes go now, and whose clusters go at last.
    fn let_go(
        &self,
        transit: &mut Transit,
        there: &Scope,
        wanted: &BTreeSet<String>,
        namespace: &str,
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
        let wanted = Cover::new(wanted, namespace);
        let leaving: Vec<_> = leaving.filter(|entry| !wanted.has(entry)).collect();
        going.retain(|_, until| *until > now);
        going.extend(
            leaving
                .into_iter()
                .map(|entry| (entry.clone(), now + self.settle)),
        );
    }
}

/// Whether an entry that is wanted gets its routes now.
fn arrives(
    transit: &mut Transit,
    before: &Before,
    entry: &str,
    warm_up: Duration,
    now: Instant,
) -> bool {
    let Transit { coming, going } = transit;
    going.remove(entry);
    let until = coming.get(entry).copied();
    let has_clusters = before.clusters.has(entry);
    let is_warm = has_clusters && (before.going.has(entry) || until.is_some_and(|it| it <= now));
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

impl Transit {
    fn forget(&mut self, entry: &str) {
        self.coming.remove(entry);
        self.going.remove(entry);
    }

    fn due(&self) -> Option<Instant> {
        self.coming
            .values()
            .chain(self.going.values())
            .min()
            .copied()
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

#[cfg(test)]
mod tests;
