use axum::body::Body;
use http::Request;

use crate::api::{Api, Setup};
use crate::mesh;

#[tokio::test]
async fn nothing_is_answered_before_the_collector_is_ready() {
    let api = Setup {
        ready: false,
        ..Setup::default()
    }
    .start()
    .await;
    let check = async |missing: &str| {
        let ready = api.get("/readyz").await;
        assert_eq!(ready.problem(), (503, None));
        assert_eq!(ready.json()["detail"], missing);
        assert_eq!(ready.json()["checks"].as_array().map(Vec::len), Some(7));
        let answer = api.resolve("shop/web", "reviews").await;
        assert_eq!(answer.problem(), (503, None));
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(api.get("/livez").await.status, 200);
    };
    check("the store is being loaded; the inventory has not synced yet").await;
    api.collector.load().await.expect("the store loads");
    check("the inventory has not synced yet").await;
    assert_eq!(api.store.written(), (0, 0));

    api.collector.sync_inventory(mesh::objects());
    assert_eq!(api.get("/readyz").await.json()["ready"], true);
    assert_eq!(api.resolve("shop/web", "reviews").await.status, 200);
}

#[tokio::test]
async fn both_listeners_say_that_they_live() {
    let api = Api::new().await;
    assert_eq!(api.get("/livez").await.text(), "ok\n");
    let request = Request::get("/livez")
        .body(Body::empty())
        .expect("a request");
    assert_eq!(api.ingest(request).await.text(), "ok\n");
}

#[tokio::test]
async fn metrics_count() {
    let api = Api::new().await;
    api.resolve("shop/web", "reviews").await;
    api.resolve("shop/web", "reviews").await;
    api.resolve("shop/web", "example.com").await;
    api.resolve("shop/web", "").await;
    let answer = api.get("/metrics").await;
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text; version=1.0.0")
    );
    for line in [
        "lazymesh_resolve_total{answer=\"hold\"} 2",
        "lazymesh_resolve_total{answer=\"passthrough-external\"} 1",
        "lazymesh_resolve_total{answer=\"refused\"} 1",
        "lazymesh_resolve_duration_seconds_count 4",
        "lazymesh_store_commit_duration_seconds_count 2",
        "lazymesh_learned_total 2",
        "lazymesh_dependencies 1",
        "lazymesh_external_hosts 1",
        "lazymesh_ready 1",
        "# EOF",
    ] {
        assert!(
            answer.text().lines().any(|found| found == line),
            "{line} in\n{}",
            answer.text()
        );
    }
}
