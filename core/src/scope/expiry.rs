//! Says which dependencies leave a workload's scope, since nobody has seen them for long.
//!
//! Once a host is in scope no filter sees its calls. So where a source watches, as access logs and Prometheus do, a dependency leaves that was not
//! seen for so long *while the workload was watched*: a source that was down proves nothing. A workload that no source has ever told of
//! is on probation: what it has not met for so long leaves, and what it still calls is learned anew by one request.

use std::time::Duration;

use super::cause::Tie;
use super::closure::Closure;
use super::{Policy, limit, obstacle};
use crate::graph::{Dependency, Graph, Origin, Witness};
use crate::inventory::{Inventory, Subject};
use crate::names::{EgressHost, Workload, fnv1a};
use crate::resource::{Mode, Ttl};

/// How long dependencies stay that nobody sees, and how many may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Where no label says another.
    pub ttl: Ttl,
    /// Most of a workload's dependencies that leave within a day, in percent; one may always.
    pub percent_a_day: u8,
}

impl Default for Expiry {
    fn default() -> Self {
        Self {
            ttl: Ttl::Never,
            percent_a_day: 10,
        }
    }
}

/// What leaves a workload's scope now, the most silent first. `today`: how many of its dependencies left within the last day.
#[must_use]
pub fn expired(
    inventory: &Inventory,
    graph: &Graph,
    policy: &Policy,
    workload: &Workload,
    today: usize,
    now_ms: u64,
) -> Vec<EgressHost> {
    let Ttl::After(ttl) = policy.ttl(inventory, workload) else {
        return Vec::new();
    };
    if !is_lazy(inventory, graph, policy, workload) {
        return Vec::new();
    }
    let is_watched = graph.dependencies(workload).any(was_watched);
    let silence = |known: &Dependency| match is_watched {
        true => known.sightings.silence_ms(),
        false => now_ms.saturating_sub(known.last_seen_ms),
    };
    let mut found: Vec<_> = graph
        .dependencies(workload)
        .filter(|known| known.origin == Origin::Learned)
        .filter(|known| silence(known) >= millis(patience(ttl, known)))
        .filter(|known| !may_be_connected(inventory, known))
        .map(|known| (silence(known), &known.host))
        .collect();
    found.sort_by_key(|&(silence, host)| (std::cmp::Reverse(silence), host));
    let most = at_most(
        graph.dependencies(workload).count() + today,
        policy.expiry.percent_a_day,
    );
    let left = found.into_iter().take(most.saturating_sub(today));
    left.map(|(_, host)| host.clone()).collect()
}

/// Whether what leaves the graph leaves a scope, and a filter meets what is still called.
fn is_lazy(inventory: &Inventory, graph: &Graph, policy: &Policy, workload: &Workload) -> bool {
    let subject = Subject::Workload(workload.clone());
    inventory.is_running(workload)
        && policy.mode(inventory, workload) == Mode::Enforce
        && obstacle(inventory, graph, policy, &subject).is_none()
        && limit(inventory, graph, workload).is_none()
}

fn was_watched(known: &Dependency) -> bool {
    let mut witnesses = known.sightings.iter();
    witnesses.any(|(witness, _)| witness != Witness::Filter)
}

/// Up to a quarter more than the time to live, each its own, so that not all that was learned at once leaves at once.
fn patience(ttl: Duration, known: &Dependency) -> Duration {
    let jitter = fnv1a(&format!("{}/{}", known.source, known.host)) % 256;
    ttl + ttl * jitter / 1_024
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whether there may be a connection to it, or to what comes along with it, that nobody has seen end: sources tell of a
/// connection that is not HTTP only then.
fn may_be_connected(inventory: &Inventory, known: &Dependency) -> bool {
    let mut closure = Closure::new(inventory, &known.source.namespace);
    closure.add(&known.host, Tie::Learned);
    let hosts = closure.into_hosts();
    let mut services = hosts.iter().filter_map(|host| inventory.services.get(host));
    services.any(|service| service.ports_beyond_http().next().is_some())
}

fn at_most(dependencies: usize, percent: u8) -> usize {
    (dependencies * usize::from(percent) / 100).max(1)
}
