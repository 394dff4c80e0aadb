//! Counts what the collector does, as OpenMetrics.
//!
//! Counters that a request touches are looked up once, here, and not by label for every request.

use lazymesh_protocol::{Decision, PassthroughReason};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::runtime::readiness::Readiness;
use crate::state::{PIECE, SharedView};

/// Media type of [`Metrics::text`].
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

/// The collector's metrics.
pub(crate) struct Metrics {
    registry: Registry,
    answers: Answers,
    /// Time to answer `POST /v1/resolve`, without reading the request.
    pub(crate) resolve_seconds: Histogram,
    pub(crate) reports_accepted: Counter,
    pub(crate) reports_rejected: Counter,
    pub(crate) access_log_accepted: Counter,
    pub(crate) access_log_rejected: Counter,
    pub(crate) prometheus_answered: Counter,
    pub(crate) prometheus_failed: Counter,
    pub(crate) prometheus_told: Counter,
    pub(crate) prometheus_untold: Counter,
    prometheus_until: Gauge,
    prometheus_caught_up: Gauge,
    pub(crate) identity_refused: Counter,
    pub(crate) admin_unauthorized: Counter,
    pub(crate) learned: Counter,
    pub(crate) forgotten: Counter,
    pub(crate) expired: Counter,
    pub(crate) reverted: Counter,
    /// Time of one durable write, as a caller waits for it.
    pub(crate) commit_seconds: Histogram,
    pub(crate) commits_failed: Counter,
    pub(crate) published: Counter,
    pub(crate) withdrawn: Counter,
    pub(crate) unchanged: Counter,
    pub(crate) publish_failed: Counter,
    pub(crate) publish_waiting: Gauge,
    pub(crate) inventory_changes: Counter,
    pub(crate) inventory_unusable: Gauge,
    gauges: Gauges,
}

struct Answers {
    direct: Counter,
    hold: Counter,
    external: Counter,
    plain: Counter,
    limit: Counter,
    refused: Counter,
}

/// Sizes, measured when somebody asks.
struct Gauges {
    workloads: Gauge,
    dependencies: Gauge,
    external_hosts: Gauge,
    inventory_objects: Gauge,
    services: Gauge,
    namespaces_waiting: Gauge,
    workloads_silent: Gauge,
    namespaces_canary: Gauge,
    namespaces_reverted: Gauge,
    ready: Gauge,
    checks: Family<[(&'static str, &'static str); 1], Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("lazymesh");
        let reports = labelled(
            &mut registry,
            "reports",
            "Reported items, by what became of them",
        );
        let access_log = labelled(
            &mut registry,
            "access_log_entries",
            "Entries of access logs, by what became of them",
        );
        let asked = labelled(
            &mut registry,
            "prometheus_queries",
            "Questions to Prometheus, by what became of them",
        );
        let series = labelled(
            &mut registry,
            "prometheus_series",
            "Series that Prometheus told, by what became of them",
        );
        let publish = labelled(
            &mut registry,
            "publish",
            "Sidecars handled, by what became of them",
        );
        Self {
            answers: Answers::new(&mut registry),
            resolve_seconds: seconds(
                &mut registry,
                "resolve_duration",
                "Time to answer POST /v1/resolve, without reading the request",
            ),
            reports_accepted: with(&reports, "outcome", "accepted"),
            reports_rejected: with(&reports, "outcome", "rejected"),
            access_log_accepted: with(&access_log, "outcome", "accepted"),
            access_log_rejected: with(&access_log, "outcome", "rejected"),
            prometheus_answered: with(&asked, "outcome", "answered"),
            prometheus_failed: with(&asked, "outcome", "failed"),
            prometheus_told: with(&series, "outcome", "accepted"),
            prometheus_untold: with(&series, "outcome", "rejected"),
            prometheus_until: gauge(
                &mut registry,
                "prometheus_read_until_timestamp_seconds",
                "Until when Prometheus has been read, in seconds since 1970; 0 before it has answered",
            ),
            prometheus_caught_up: gauge(
                &mut registry,
                "prometheus_caught_up",
                "1 when all of the past that is asked for has been read",
            ),
            identity_refused: counter(
                &mut registry,
                "identity_refused",
                "Ingest requests whose caller may not speak for the reported workload",
            ),
            admin_unauthorized: counter(
                &mut registry,
                "admin_unauthorized",
                "Admin requests without the token",
            ),
            learned: counter(
                &mut registry,
                "learned",
                "Dependencies and external hosts learned",
            ),
            forgotten: counter(
                &mut registry,
                "forgotten",
                "Workloads forgotten, since their pods are gone or somebody said so",
            ),
            expired: counter(
                &mut registry,
                "expired",
                "Dependencies that left, since nobody has seen them for long",
            ),
            reverted: counter(
                &mut registry,
                "canaries_reverted",
                "Canaries that failed, so that their namespace got its full scope back",
            ),
            commit_seconds: seconds(
                &mut registry,
                "store_commit_duration",
                "Time of one durable write, as a caller waits for it",
            ),
            commits_failed: counter(
                &mut registry,
                "store_commits_failed",
                "Durable writes that failed",
            ),
            published: with(&publish, "outcome", "published"),
            withdrawn: with(&publish, "outcome", "withdrawn"),
            unchanged: with(&publish, "outcome", "unchanged"),
            publish_failed: with(&publish, "outcome", "failed"),
            publish_waiting: gauge(
                &mut registry,
                "publish_waiting",
                "Sidecars that wait for their pace or for another attempt",
            ),
            inventory_unusable: gauge(
                &mut registry,
                "inventory_unusable",
                "Documents, files and objects of the inventory that cannot be used; above 0 nothing of it is forgotten",
            ),
            inventory_changes: counter(
                &mut registry,
                "inventory_changes",
                "Changes of manifests that changed the inventory",
            ),
            gauges: Gauges::new(&mut registry),
            registry,
        }
    }

    /// Counts one answer to `POST /v1/resolve`.
    pub(crate) fn answered(&self, decision: &Decision) {
        let counter = match decision {
            Decision::Direct { .. } => &self.answers.direct,
            Decision::Hold { .. } => &self.answers.hold,
            Decision::Passthrough { reason } => match reason {
                PassthroughReason::External => &self.answers.external,
                PassthroughReason::Plain => &self.answers.plain,
                PassthroughReason::Limit => &self.answers.limit,
            },
        };
        counter.inc();
    }

    /// Counts one `POST /v1/resolve` that got no decision.
    pub(crate) fn refused(&self) {
        self.answers.refused.inc();
    }

    /// Prometheus has been read until this time.
    pub(crate) fn prometheus_read(&self, until_ms: Option<u64>, caught_up: bool) {
        let until = until_ms.unwrap_or_default() / 1_000;
        self.prometheus_until
            .set(i64::try_from(until).unwrap_or(i64::MAX));
        self.prometheus_caught_up.set(caught_up.into());
    }

    /// Measures sizes as they are now.
    pub(crate) fn measure(&self, view: &SharedView, readiness: &Readiness) {
        let gauges = &self.gauges;
        let waiting = |namespaces: &[String]| {
            let view = view.look();
            namespaces.iter().filter(|it| view.waits(it)).count()
        };
        let waiting = view.namespaces().chunks(PIECE).map(waiting).sum();
        set(&gauges.namespaces_waiting, waiting);
        let view = view.look();
        set(&gauges.workloads, view.graph.workload_count());
        set(&gauges.dependencies, view.graph.dependency_count());
        set(&gauges.external_hosts, view.graph.external_count());
        set(&gauges.inventory_objects, view.inventory.len());
        set(&gauges.services, view.inventory.services());
        let silent = view.policy.filters.silent();
        set(&gauges.workloads_silent, silent.len());
        set(&gauges.namespaces_canary, view.inventory.canaries().count());
        set(&gauges.namespaces_reverted, view.policy.reverts.len());
        set(&gauges.ready, usize::from(readiness.is_ready()));
        for check in readiness.checks() {
            let gauge = gauges.checks.get_or_create_owned(&[("check", check.name)]);
            set(&gauge, usize::from(check.ok));
        }
    }

    /// Everything, in the text format.
    ///
    /// # Errors
    /// Never in practice: writing to a string cannot fail.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Answers {
    fn new(registry: &mut Registry) -> Self {
        let answers = labelled(registry, "resolve", "POST /v1/resolve, by answer");
        let answer = |value| with(&answers, "answer", value);
        Self {
            direct: answer("direct"),
            hold: answer("hold"),
            external: answer("passthrough-external"),
            plain: answer("passthrough-plain"),
            limit: answer("passthrough-limit"),
            refused: answer("refused"),
        }
    }
}

impl Gauges {
    fn new(registry: &mut Registry) -> Self {
        let checks = Family::default();
        registry.register(
            "check",
            "1 when a check of /readyz is as it should be",
            checks.clone(),
        );
        let mut gauge = |name, help| gauge(registry, name, help);
        Self {
            workloads: gauge(
                "workloads",
                "Workloads with a dependency or an external host",
            ),
            dependencies: gauge("dependencies", "Dependencies in the graph"),
            external_hosts: gauge("external_hosts", "External hosts in the graph"),
            inventory_objects: gauge("inventory_objects", "Objects in the inventory"),
            services: gauge("services", "Services in the inventory"),
            namespaces_waiting: gauge(
                "namespaces_waiting",
                "Enforced namespaces from which no filter has called yet, so that they keep their full scope",
            ),
            workloads_silent: gauge(
                "workloads_silent",
                "Lazy workloads none of whose filters has called for 50 s, so that they have their full scope",
            ),
            namespaces_canary: gauge(
                "namespaces_canary",
                "Namespaces whose label lazymesh.io/enforce-percent says how much of them is enforced",
            ),
            namespaces_reverted: gauge(
                "namespaces_reverted",
                "Namespaces whose canary failed, so that they have their full scope",
            ),
            ready: gauge(
                "ready",
                "1 when the store is loaded and the inventory has synced, all of it",
            ),
            checks,
        }
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn labelled(registry: &mut Registry, name: &str, help: &str) -> Labelled {
    let family = Labelled::default();
    registry.register(name, help, family.clone());
    family
}

fn with(family: &Labelled, label: &'static str, value: &'static str) -> Counter {
    family.get_or_create_owned(&[(label, value)])
}

/// 50 µs to 1.6 s, doubling.
fn seconds(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    let histogram = Histogram::new(exponential_buckets(0.000_05, 2.0, 16));
    registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
    histogram
}

fn set(gauge: &Gauge, value: usize) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
