//! An inventory of which something cannot be used.

use std::fs;

use crate::mesh::Mesh;
use crate::running::{Running, until};

const CART: &str = "
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.96.0.12, ports: [{name: http, port: 80}]}
";

async fn until_told(collector: &Running, what: &str) {
    until(&format!("/readyz tells {what}"), async || {
        let ready = collector.get("/readyz").await;
        ready["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains(what))
    })
    .await;
}

async fn until_ready(collector: &Running) {
    until("it is ready", async || {
        collector.get("/readyz").await["ready"] == true
    })
    .await;
}

async fn check(collector: &Running, authority: &str, expect: u16) {
    let status = collector.ask("web", authority).await.status();
    assert_eq!(status, expect, "{authority}");
}

#[tokio::test]
async fn after_a_restart_nothing_is_narrowed_or_called_external() {
    let mesh = Mesh::new();
    let file = mesh.path("manifests/cart.yaml");
    fs::write(&file, CART).expect("a file");
    let collector = Running::start(&mesh).await;
    collector.resolve("web", "cart").await;
    let has_cart = async || {
        mesh.sidecar("lazymesh-web")
            .is_some_and(|sidecar| sidecar.contains("cart"))
    };
    until("cart is published", has_cart).await;
    let before = mesh.sidecar("lazymesh-web");
    collector.stop().await.expect("a clean end");

    fs::write(&file, "---\nkind: [\n").expect("a file");
    let collector = Running::begin(&mesh, &[]).await;
    until_told(&collector, "cart.yaml:3: document 1: ").await;
    check(&collector, "reviews", 200).await;
    check(&collector, "cart", 503).await;
    check(&collector, "example.com", 503).await;
    assert_eq!(collector.metric("lazymesh_inventory_unusable ").await, 1);
    assert_eq!(mesh.sidecar("lazymesh-web"), before.clone());

    fs::write(&file, CART).expect("a file");
    until_ready(&collector).await;
    check(&collector, "cart", 200).await;
    check(&collector, "example.com", 200).await;
    // reviews was learned meanwhile.
    until("reviews is published", async || {
        mesh.sidecar("lazymesh-web")
            .is_some_and(|sidecar| sidecar.contains("reviews"))
    })
    .await;
    assert!(has_cart().await);
    for outcome in ["withdrawn", "failed"] {
        let metric = format!("lazymesh_publish_total{{outcome=\"{outcome}\"}}");
        assert_eq!(collector.metric(&metric).await, 0, "{outcome}");
    }
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn a_directory_that_goes_away_while_it_runs_is_told_and_forgotten_by_nobody() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    let (there, away) = (mesh.path("manifests"), mesh.path("away"));
    fs::rename(&there, &away).expect("a rename");
    until_told(&collector, "manifests: No such file").await;
    check(&collector, "reviews", 200).await;
    check(&collector, "example.com", 503).await;
    fs::rename(&away, &there).expect("a rename");
    until_ready(&collector).await;
    check(&collector, "example.com", 200).await;
    collector.stop().await.expect("a clean end");
}

/// Files beyond the limit are not read, so what stands in them is not known.
#[tokio::test]
async fn beyond_the_limit_of_files_nothing_is_called_external() {
    let mesh = Mesh::new();
    let many = mesh.path("manifests/many");
    fs::create_dir(&many).expect("a directory");
    for n in 0..20_000 {
        fs::write(many.join(format!("{n}.yaml")), "").expect("a file");
    }
    let collector = Running::begin(&mesh, &[]).await;
    until_told(&collector, "more than 20000 manifest files").await;
    check(&collector, "example.com", 503).await;
    assert_eq!(collector.metric("lazymesh_inventory_unusable ").await, 1);
    fs::remove_dir_all(&many).expect("a directory");
    until_ready(&collector).await;
    check(&collector, "example.com", 200).await;
    collector.stop().await.expect("a clean end");
}
