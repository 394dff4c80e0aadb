//! Says how far one may rely on what was learned of a workload: what was watched, for how long, and by whom.

use std::fmt;

use crate::graph::{Graph, Witness};
use crate::inventory::Inventory;
use crate::names::Workload;
use crate::resource::Mode;

const DAY_MS: u64 = 86_400_000;
/// After so many days more time says little more: two weeks have seen what comes weekly twice.
const ENOUGH_DAYS: u64 = 14;
const WEEK_DAYS: u64 = 7;
/// After so many calls more of them say little more.
const ENOUGH_CALLS: u64 = 1_000;

/// How far one may rely on what was learned: a rule of thumb, not a probability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confidence {
    /// 0 to 100.
    pub percent: u8,
    /// How long it has been watched.
    pub days: u64,
    /// What may still be unseen.
    pub gaps: Vec<Gap>,
}

/// Why something may still be unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// Nothing was learned of it.
    Nothing,
    /// Nobody sees what it calls of its full scope.
    Unwatched,
    /// It was watched for less than a week.
    Week,
    /// It was seen to call less than a thousand times.
    FewCalls,
    /// Its pods are a Job's.
    Job,
    /// It has no pods.
    Idle,
}

impl Gap {
    /// In one word, for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Unwatched => "unwatched",
            Self::Week => "week",
            Self::FewCalls => "few-calls",
            Self::Job => "job",
            Self::Idle => "idle",
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Nothing => "nothing was learned of it: it calls nothing, or nobody saw it",
            Self::Unwatched => {
                "only filters have told of it, and they do not see what is in scope: access logs or Prometheus would"
            }
            Self::Week => "it was watched for less than a week: what comes weekly may be unseen",
            Self::FewCalls => "it was seen to call less than a thousand times: what is rare may be unseen",
            Self::Job => "its pods are a Job's: another run may call something else",
            Self::Idle => "it has no pods now: what it calls when it runs again may be unseen",
        })
    }
}

/// How far one may rely on what was learned of a workload.
///
/// Half of it is time, a third calls, a fifth that somebody sees all of them; a Job, or a workload without pods, has a
/// fifth less.
#[must_use]
pub fn confidence(
    inventory: &Inventory,
    graph: &Graph,
    mode: Mode,
    workload: &Workload,
    now_ms: u64,
) -> Confidence {
    let dependencies = || graph.dependencies(workload);
    let sightings = || dependencies().flat_map(|it| it.sightings.iter());
    // To a lazy sidecar all is unknown that was not learned, so its filter sees all of that.
    let sees_all = |witness: Witness| witness != Witness::Filter || mode == Mode::Enforce;
    let is_watched = sightings().any(|(witness, _)| sees_all(witness));
    let seen = sightings().filter(|(witness, _)| !is_watched || sees_all(*witness));
    let first_ms = seen.map(|(_, seen)| seen.first_ms).min();
    let days = first_ms.map_or(0, |first| now_ms.saturating_sub(first) / DAY_MS);
    let calls = dependencies().fold(0_u64, |sum, it| sum.saturating_add(it.count));
    let is_job = inventory.pods.of(workload).any(|pod| pod.is_job);
    let nothing = dependencies().next().is_none();
    let found = [
        (Gap::Nothing, nothing),
        (Gap::Unwatched, !nothing && !is_watched),
        (Gap::Week, !nothing && days < WEEK_DAYS),
        (Gap::FewCalls, !nothing && calls < ENOUGH_CALLS),
        (Gap::Job, is_job),
        (Gap::Idle, !inventory.is_running(workload)),
    ];
    let gaps: Vec<_> = found.into_iter().filter(|(_, is)| *is).collect();
    let gaps: Vec<_> = gaps.into_iter().map(|(gap, _)| gap).collect();
    let time = 50 * days.min(ENOUGH_DAYS) / ENOUGH_DAYS;
    // By orders of magnitude: 10, 100, 1,000.
    let calls = 10 * u64::from(calls.min(ENOUGH_CALLS).checked_ilog10().unwrap_or_default());
    let whole = if is_watched { 20 } else { 0 };
    let irregular = gaps.iter().any(|gap| matches!(gap, Gap::Job | Gap::Idle));
    let percent = (time + calls + whole).saturating_sub(if irregular { 20 } else { 0 });
    Confidence {
        percent: u8::try_from(percent).unwrap_or(100),
        days,
        gaps,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::graph::{Dependency, Limits, Origin, Seen, Sightings};
    use crate::resource::{Mesh, Object};

    const NOW: u64 = 100 * DAY_MS;

    fn inventory(owner: &str) -> Inventory {
        let mut inventory = Inventory::new(Mesh::default());
        let owners = json!([{"kind": owner, "name": "web-29012345", "controller": true}]);
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web-1", "namespace": "shop", "ownerReferences": owners,
                "labels": {"service.istio.io/canonical-name": "web"}},
        });
        let pod = Object::from_value(pod).expect("well-formed");
        inventory.apply(pod.expect("a kind that is read"));
        inventory
    }

    fn check(
        (owner, mode): (&str, Mode),
        (witness, days, count): (Witness, u64, u64),
        percent: u8,
        gaps: &[Gap],
    ) {
        let workload = Workload::new("shop", "web").expect("a name");
        let seen = Seen {
            first_ms: NOW - days * DAY_MS,
            last_ms: NOW,
        };
        let mut graph = Graph::new(Limits::default());
        if count > 0 {
            graph.insert(Dependency {
                source: workload.clone(),
                host: "shop/a".parse().expect("a host"),
                first_seen_ms: seen.first_ms,
                last_seen_ms: seen.last_ms,
                count,
                origin: Origin::Learned,
                sightings: Sightings::of(witness, seen),
            });
        }
        let found = confidence(&inventory(owner), &graph, mode, &workload, NOW);
        assert_eq!(
            (found.percent, &*found.gaps),
            (percent, gaps),
            "{witness:?} {days} {count}"
        );
    }

    #[test]
    fn time_calls_and_witnesses_make_confidence() {
        let learn = ("ReplicaSet", Mode::Learn);
        check(learn, (Witness::Prometheus, 30, 5_000), 100, &[]);
        check(learn, (Witness::AccessLog, 7, 1_000), 75, &[]);
        check(
            learn,
            (Witness::AccessLog, 6, 999),
            61,
            &[Gap::Week, Gap::FewCalls],
        );
        check(learn, (Witness::Filter, 30, 5_000), 80, &[Gap::Unwatched]);
        check(
            ("ReplicaSet", Mode::Enforce),
            (Witness::Filter, 30, 5_000),
            100,
            &[],
        );
        check(
            ("Job", Mode::Learn),
            (Witness::Prometheus, 30, 5_000),
            80,
            &[Gap::Job],
        );
        check(learn, (Witness::Prometheus, 0, 0), 0, &[Gap::Nothing]);
    }

    #[test]
    fn who_has_no_pods_is_relied_upon_less() {
        let (workload, graph) = (
            Workload::new("shop", "gone").expect("a name"),
            Graph::new(Limits::default()),
        );
        let found = confidence(&inventory("Job"), &graph, Mode::Learn, &workload, NOW);
        assert_eq!(found.gaps, [Gap::Nothing, Gap::Idle]);
    }
}
