//! A month of Istio's metrics, as the sidecars of a small mesh have told it, in OpenMetrics text.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

const REVIEWS: &str = "reviews.shop.svc.cluster.local";
const RATINGS: &str = "ratings.shop.svc.cluster.local";

/// How often `shop/web` has called reviews in all.
pub(crate) const REVIEWS_CALLS: u64 = 10 + 58;

/// Labels of the series of one caller.
fn labels(namespace: &str, workload: &str, destination: &str, scraped: &str) -> String {
    format!(
        "reporter=\"source\",source_workload=\"{workload}\",source_workload_namespace=\"{namespace}\",\
         destination_service=\"{destination}\",response_code=\"200\",namespace=\"{scraped}\""
    )
}

/// A counter that one call has begun, as a sidecar shows it.
pub(crate) fn request(namespace: &str, workload: &str, destination: &str) -> String {
    let labels = labels(namespace, workload, destination, namespace);
    format!("# TYPE istio_requests_total counter\nistio_requests_total{{{labels}}} 1\n")
}

/// When a pod that has lived for a month was scraped, in seconds before now: twice a day, and each minute lately.
fn scrapes() -> impl Iterator<Item = u64> {
    let days = (1..=59).rev().map(|half_day| half_day * DAY / 2);
    days.chain((0..=25).rev().map(|minute| minute * MINUTE))
}

/// Half an hour in which each of so many workloads of so many namespaces calls reviews.
pub(crate) fn crowd(namespaces: usize, workloads: usize) -> String {
    let now = now();
    let mut text = "# TYPE istio_requests counter\n".to_owned();
    for namespace in 0..namespaces {
        for workload in 0..workloads {
            let (namespace, workload) = (format!("ns-{namespace}"), format!("w-{workload}"));
            let labels = labels(&namespace, &workload, REVIEWS, &namespace);
            for minute in (0..30).rev() {
                let at = now - minute * MINUTE;
                writeln!(text, "istio_requests_total{{{labels}}} 1 {at}").expect("a string");
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a clock").as_secs()
}

/// The whole of it.
pub(crate) fn month() -> String {
    let now = now();
    let mut text = "# TYPE istio_requests counter\n".to_owned();
    let add = |text: &mut String, name: &str, labels: &str, ago: u64, value: u64| {
        writeln!(text, "{name}_total{{{labels}}} {value} {}", now - ago).expect("a string");
    };
    let web = |destination: &str| {
        let labels = labels("shop", "web-v1", destination, "shop");
        format!("{labels},source_canonical_service=\"web\"")
    };
    for ago in scrapes() {
        let half_days = 59 - ago.div_ceil(DAY / 2).max(1);
        add(
            &mut text,
            "istio_requests",
            &web(REVIEWS),
            ago,
            10 + half_days,
        );
    }
    for destination in [RATINGS, "api.example.com"] {
        for ago in scrapes() {
            add(&mut text, "istio_requests", &web(destination), ago, 1);
        }
    }
    let forged = labels("shop", "victim", REVIEWS, "evil");
    for ago in scrapes() {
        add(&mut text, "istio_requests", &forged, ago, 1);
    }
    let night = labels("shop", "night", RATINGS, "shop");
    for minute in 0..5 {
        add(
            &mut text,
            "istio_requests",
            &night,
            20 * DAY - minute * MINUTE,
            1,
        );
    }
    text.push_str("# TYPE istio_tcp_connections_opened counter\n");
    let mysql = web("mysql.data.svc.cluster.local");
    for ago in scrapes() {
        add(&mut text, "istio_tcp_connections_opened", &mysql, ago, 3);
    }
    text.push_str("# EOF\n");
    text
}
