//! Namespaces that are enforced bit by bit, and get their full scope back when something goes wrong.

use crate::mesh::Mesh;
use crate::publishing::{until_gone, until_published};
use crate::running::Running;

const REVIEWS: &str = "shop/reviews.shop.svc.cluster.local";

async fn state(collector: &Running) -> String {
    let shown = collector.get("/v1/workloads/shop/web").await;
    shown["sidecar"]["state"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn a_canary_that_fails_is_reverted_until_somebody_says_so() {
    let mesh = Mesh::new();
    mesh.run_pod("shop", Some("web"));
    mesh.label_canary(50);
    let collector = Running::start(&mesh).await;
    collector.resolve("web", "reviews").await;
    assert_eq!(state(&collector).await, "canary");

    mesh.label_canary(100);
    until_published(&mesh, "lazymesh-web", REVIEWS).await;
    until_published(&mesh, "lazymesh-default", "lazymesh-collector").await;
    collector.time_out("web", 5).await;
    assert_eq!(state(&collector).await, "managed");
    collector.time_out("web", 1).await;
    assert_eq!(state(&collector).await, "reverted");
    until_gone(&mesh, "lazymesh-default").await;
    until_gone(&mesh, "lazymesh-web").await;
    let events = collector.text("/v1/events?watch=false").await;
    assert!(events.contains("6 holds timed out"), "{events}");
    collector.stop().await.expect("a clean end");

    let collector = Running::start(&mesh).await;
    assert_eq!(state(&collector).await, "reverted");
    assert_eq!(collector.metric("lazymesh_namespaces_reverted ").await, 1);
    assert_eq!(collector.delete("/v1/reverts/shop").await, 204);
    until_published(&mesh, "lazymesh-web", REVIEWS).await;
    assert_eq!(collector.delete("/v1/reverts/shop").await, 404);

    collector.time_out("web", 6).await;
    until_gone(&mesh, "lazymesh-web").await;
    mesh.label_canary(99);
    until_published(&mesh, "lazymesh-web", REVIEWS).await;
    collector.stop().await.expect("a clean end");
}
