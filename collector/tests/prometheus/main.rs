//! What the collector learns of a real Prometheus, which `cargo xtask test interop` installs.

#[path = "../server/mesh.rs"]
#[allow(dead_code, reason = "the other suite needs the rest of it")]
mod mesh;
mod month;
mod prometheus;
#[path = "../server/running.rs"]
#[allow(dead_code, reason = "the other suite needs the rest of it")]
mod running;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::mesh::Mesh;
use crate::month::{DAY, REVIEWS_CALLS, crowd, month, request};
use crate::prometheus::Prometheus;
use crate::running::{Running, until};

const REVIEWS: &str = "shop/reviews.shop.svc.cluster.local";
const RATINGS: &str = "shop/ratings.shop.svc.cluster.local";
const MYSQL: &str = "data/mysql.data.svc.cluster.local";

const DATA: &str = "
apiVersion: v1
kind: Service
metadata: {name: mysql, namespace: data}
spec: {clusterIP: 10.96.0.12, ports: [{name: tcp, port: 3306}]}
";

fn mesh() -> Mesh {
    let mesh = Mesh::new();
    std::fs::write(mesh.path("manifests/data.yaml"), DATA).expect("a file");
    mesh
}

/// What is known of a workload's dependencies.
async fn dependencies(collector: &Running, workload: &str) -> Vec<Value> {
    let path = format!("/v1/workloads/{workload}/dependencies");
    let answer = collector.get(&path).await;
    answer["items"].as_array().cloned().unwrap_or_default()
}

async fn hosts(collector: &Running, workload: &str) -> Vec<String> {
    let known = dependencies(collector, workload).await;
    let hosts = known.iter().filter_map(|it| it["host"].as_str());
    hosts.map(str::to_owned).collect()
}

async fn caught_up(collector: &Running) {
    until("all of the past is read", async || {
        collector.metric("lazymesh_prometheus_caught_up ").await == 1
    })
    .await;
}

fn days_ago(known: &Value, field: &str) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.expect("a clock").as_millis();
    let at_ms = known[field].as_u64().expect("a time");
    let ago = now_ms.saturating_sub(at_ms.into());
    u64::try_from(ago).expect("a time") / 1_000 / DAY
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_learned_in_the_minute_after_installation() {
    let prometheus = Prometheus::start(&month()).await;
    let mesh = mesh();
    let began = Instant::now();
    let flags = [&*prometheus.flag()];
    let collector = Running::start_with(&mesh, &flags).await;
    caught_up(&collector).await;
    assert!(began.elapsed() < Duration::from_secs(60));

    // What has grown, and what was called once, by a pod that lives still.
    assert_eq!(
        hosts(&collector, "shop/web").await,
        [MYSQL, RATINGS, REVIEWS]
    );
    let web = dependencies(&collector, "shop/web").await;
    for known in &web {
        assert_eq!(known["seen_by"][0]["witness"], "prometheus", "{known}");
    }
    assert_eq!(web[2]["count"], REVIEWS_CALLS, "{}", web[2]);
    assert!(days_ago(&web[2], "first_seen_ms") >= 28, "{}", web[2]);
    assert_eq!(days_ago(&web[2], "last_seen_ms"), 0, "{}", web[2]);
    let externals = collector.get("/v1/external-hosts").await;
    assert_eq!(externals["items"][0]["host"], "api.example.com");

    // A Job of 20 days ago, which no pod is left of.
    let night = dependencies(&collector, "shop/night").await;
    assert_eq!(night[0]["host"], RATINGS);
    let last = days_ago(&night[0], "last_seen_ms");
    assert!((18..=20).contains(&last), "{last}: {}", night[0]);

    // One namespace's pod does not speak for another.
    assert!(hosts(&collector, "shop/victim").await.is_empty());
    let ready = collector.get("/readyz").await;
    let checks = ready["checks"].as_array().expect("checks");
    let check = checks.iter().find(|it| it["name"] == "prometheus");
    assert_eq!(check.expect("the check")["ok"], true, "{ready}");

    // The same month once more says nothing new.
    collector.stop().await.expect("a good end");
    let collector = Running::start_with(&mesh, &flags).await;
    caught_up(&collector).await;
    let again = dependencies(&collector, "shop/web").await;
    assert_eq!(again[2]["count"], REVIEWS_CALLS);
    collector.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_may_have_other_names() {
    let renamed = month()
        .replace("source_canonical_service", "service")
        .replace("source_workload_namespace", "caller_ns")
        .replace("reporter", "side");
    let prometheus = Prometheus::start(&renamed).await;
    let mesh = mesh();
    let labels = "--prometheus-label=source_canonical_service=service,source_workload_namespace=caller_ns,reporter=side";
    let flags = [&*prometheus.flag(), labels, "--prometheus-lookback=24h"];
    let collector = Running::start_with(&mesh, &flags).await;
    caught_up(&collector).await;
    assert_eq!(
        hosts(&collector, "shop/web").await,
        [MYSQL, RATINGS, REVIEWS]
    );
    collector.stop().await.expect("a good end");
}

/// Prometheus itself refuses what would take more of its memory than it may have; and it may speak TLS.
#[tokio::test(flavor = "multi_thread")]
async fn what_prometheus_refuses_is_asked_for_in_parts() {
    let flags = ["--query.max-samples=60"];
    let prometheus = Prometheus::start_with_tls(&crowd(4, 10), &flags).await;
    let mesh = mesh();
    let [url, authorities] = prometheus.tls_flags();
    let flags = [&*url, &authorities, "--prometheus-lookback=1h"];
    let collector = Running::start_with(&mesh, &flags).await;
    caught_up(&collector).await;
    assert_eq!(collector.metric("lazymesh_workloads ").await, 40);
    // Undivided, two windows of two counters are four.
    let answered = "lazymesh_prometheus_queries_total{outcome=\"answered\"}";
    assert!(collector.metric(answered).await >= 8);
    collector.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_scraped_later_is_learned_then() {
    let prometheus = Prometheus::start("").await;
    let mesh = mesh();
    let flags = [&*prometheus.flag(), "--prometheus-interval=1s"];
    let collector = Running::start_with(&mesh, &flags).await;
    until("the lack is told", async || {
        let ready = collector.get("/readyz").await;
        ready
            .to_string()
            .contains("expected series of istio_requests_total")
    })
    .await;
    let learned = async |host: &'static str| {
        until(host, async || {
            hosts(&collector, "shop/web")
                .await
                .iter()
                .any(|it| it == host)
        })
        .await;
    };
    prometheus.expose(&request("shop", "web", "reviews.shop.svc.cluster.local"));
    learned(REVIEWS).await;
    // A counter that begins anew, with a host that is called once.
    prometheus.expose(&request("shop", "web", "ratings.shop.svc.cluster.local"));
    learned(RATINGS).await;
    collector.stop().await.expect("a good end");
}
