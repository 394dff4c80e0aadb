use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use crate::mesh::Mesh;
use crate::running::{Running, until};

pub(crate) async fn until_published(mesh: &Mesh, name: &str, host: &str) {
    until(&format!("{name} has {host}"), async || {
        mesh.sidecar(name)
            .is_some_and(|sidecar| sidecar.contains(host))
    })
    .await;
}

pub(crate) async fn until_gone(mesh: &Mesh, name: &str) {
    until(&format!("{name} is gone"), async || {
        mesh.sidecar(name).is_none()
    })
    .await;
}

#[tokio::test]
async fn what_is_learned_is_published() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    until_published(&mesh, "lazymesh-default", "lazymesh-collector").await;
    collector.resolve("web", "reviews").await;
    until_published(&mesh, "lazymesh-web", "shop/reviews.shop.svc.cluster.local").await;
    collector.resolve("web", "ratings").await;
    until_published(&mesh, "lazymesh-web", "shop/ratings.shop.svc.cluster.local").await;
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn a_restart_keeps_knowledge_and_touches_no_sidecar() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    collector.resolve("web", "reviews").await;
    collector.resolve("web", "reviews").await;
    collector.resolve("web", "example.com").await;
    until_published(&mesh, "lazymesh-web", "reviews").await;
    let graph = collector.get("/v1/graph").await;
    collector.stop().await.expect("a clean end");

    let file = mesh.path("sidecars/shop/lazymesh-web.yaml");
    let inode = fs::metadata(&file).expect("a file").ino();
    let collector = Running::start(&mesh).await;
    assert_eq!(collector.get("/v1/graph").await, graph);
    until("both Sidecars were looked at", async || {
        collector
            .metric("lazymesh_publish_total{outcome=\"unchanged\"}")
            .await
            == 2
    })
    .await;
    assert_eq!(fs::metadata(&file).expect("a file").ino(), inode);
    assert_eq!(graph["dependencies"][0]["count"], 2);
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn switching_off_withdraws_and_switching_on_publishes_again() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    collector.resolve("web", "reviews").await;
    until_published(&mesh, "lazymesh-web", "reviews").await;

    mesh.label_shop("learn");
    until_gone(&mesh, "lazymesh-web").await;
    until_gone(&mesh, "lazymesh-default").await;
    mesh.label_shop("enforce");
    until_published(&mesh, "lazymesh-web", "reviews").await;
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn what_lost_its_reason_while_the_collector_was_down_is_withdrawn() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    collector.resolve("web", "reviews").await;
    until_published(&mesh, "lazymesh-web", "reviews").await;
    collector.stop().await.expect("a clean end");

    mesh.label_shop("off");
    let by_hand = "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: by-hand, namespace: shop}\n";
    fs::write(mesh.path("sidecars/shop/by-hand.yaml"), by_hand).expect("a file");
    let collector = Running::start(&mesh).await;
    until_gone(&mesh, "lazymesh-web").await;
    until_gone(&mesh, "lazymesh-default").await;
    assert_eq!(mesh.sidecar("by-hand").as_deref(), Some(by_hand));
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn a_failure_to_publish_is_told_and_tried_again() {
    let mesh = Mesh::new();
    fs::create_dir(mesh.path("sidecars")).expect("a directory");
    let obstacle = mesh.path("sidecars/shop");
    fs::write(&obstacle, "a file where a directory should be").expect("a file");
    let collector = Running::start(&mesh).await;
    let publisher = async || collector.get("/readyz").await["checks"][2].clone();
    until("the failure is told", async || {
        publisher().await["ok"] == false
    })
    .await;
    assert_eq!(collector.get("/readyz").await["ready"], true);
    assert!(
        collector
            .metric("lazymesh_publish_total{outcome=\"failed\"}")
            .await
            > 0
    );

    fs::remove_file(&obstacle).expect("a file");
    until_published(&mesh, "lazymesh-default", "lazymesh-collector").await;
    until("the failure is over", async || {
        publisher().await["ok"] == true
    })
    .await;
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn who_can_learn_no_more_has_everything() {
    let mesh = Mesh::new();
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: idle-1, namespace: shop, labels: {service.istio.io/canonical-name: idle}}}";
    fs::write(mesh.path("manifests/pod.yaml"), pod).expect("a file");
    let collector = Running::start_with(&mesh, &["--max-workloads=1"]).await;
    until_published(&mesh, "lazymesh-idle", "lazymesh-collector").await;
    // Hosts outside the mesh, which are in no Sidecar, take the place and the one more that enforced workloads have.
    collector.resolve("web", "example.com").await;
    collector.resolve("cart", "example.com").await;
    until_published(&mesh, "lazymesh-idle", "*/*").await;
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn scopes_change_in_steps_and_rest_tells_of_both() {
    let mesh = Mesh::new();
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, labels: {service.istio.io/canonical-name: web}}}";
    fs::write(mesh.path("manifests/pod.yaml"), pod).expect("a file");
    let collector = Running::start_with(&mesh, &["--settle=10m"]).await;
    collector.resolve("web", "reviews").await;
    until_published(&mesh, "lazymesh-web", "shop/reviews.shop.svc.cluster.local").await;
    let shown = async || {
        let text = collector.text("/v1/sidecars/shop/lazymesh-web").await;
        serde_saphyr::from_multiple::<Value>(&text).expect("YAML")
    };
    let has_reviews =
        |sidecar: &Value| sidecar["spec"]["egress"][1].to_string().contains("reviews");
    until("what is published is shown", async || {
        let shown = shown().await;
        shown.len() == 2 && has_reviews(&shown[0])
    })
    .await;
    let [published, desired] = shown().await.try_into().expect("two Sidecars");
    let file = mesh.sidecar("lazymesh-web").expect("a file");
    let file: Value = serde_saphyr::from_str(&file).expect("YAML");
    assert_eq!(published, file);
    // The clusters of the full scope that the workload had stay for a while.
    assert_eq!(published["spec"]["egress"][0]["hosts"][0], "*/*");
    assert_eq!(published["spec"]["egress"][1], desired["spec"]["egress"][0]);
    assert_eq!(desired["spec"]["egress"][1], Value::Null);
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn what_has_no_label_is_as_configured() {
    let mesh = Mesh::new();
    mesh.label_shop("none-of-the-three");
    let collector = Running::start_with(&mesh, &["--default-mode=off"]).await;
    collector.resolve("web", "reviews").await;
    let graph = collector.get("/v1/graph").await;
    assert_eq!(graph["dependencies"], serde_json::json!([]));
    collector.stop().await.expect("a clean end");

    let collector = Running::start(&mesh).await;
    collector.resolve("web", "reviews").await;
    let graph = collector.get("/v1/graph").await;
    assert_eq!(graph["dependencies"][0]["count"], 1);
    assert_eq!(mesh.sidecar("lazymesh-web"), None);
    collector.stop().await.expect("a clean end");

    let collector = Running::start_with(&mesh, &["--default-mode=enforce"]).await;
    until_published(&mesh, "lazymesh-web", "reviews").await;
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn a_file_that_somebody_deletes_comes_back() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    collector.resolve("web", "reviews").await;
    until_published(&mesh, "lazymesh-web", "reviews").await;
    let folder = mesh.path("sidecars/shop");
    fs::remove_file(folder.join("lazymesh-web.yaml")).expect("a file");
    until_published(&mesh, "lazymesh-web", "reviews").await;
    fs::remove_dir_all(folder).expect("a folder");
    until_published(&mesh, "lazymesh-web", "reviews").await;
    until_published(&mesh, "lazymesh-default", "lazymesh-collector").await;
    collector.stop().await.expect("a clean end");
}
