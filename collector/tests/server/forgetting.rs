use crate::mesh::Mesh;
use crate::running::{Running, until};

/// A tenant that may label its own pod, and nothing else, is as many workloads as it likes.
#[tokio::test]
async fn a_tenant_that_relabels_its_pod_takes_no_other_tenant_s_room() {
    let mesh = Mesh::new();
    mesh.run_pod("shop", Some("web"));
    let collector = Running::start_with(&mesh, &["--max-workloads=8"]).await;
    let mut limited = 0;
    for n in 0..20 {
        let name = format!("e{n}");
        mesh.run_pod("evil", Some(&name));
        until("the pod is seen", async || {
            collector.knows(&format!("evil/{name}")).await
        })
        .await;
        let answer = collector.ask_from("evil", &name, "x.example").await;
        let answer: serde_json::Value = answer.json().await.expect("JSON");
        limited += usize::from(answer["reason"] == "limit");
    }
    assert!(limited > 10, "its own room is all it takes: {limited}");
    assert_eq!(
        collector.resolve("web", "reviews").await["decision"],
        "hold"
    );
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn what_a_workload_learned_is_forgotten_when_its_pods_have_gone() {
    let mesh = Mesh::new();
    mesh.run_pod("shop", Some("web"));
    mesh.run_pod("other", Some("job"));
    let collector = Running::start_with(&mesh, &["--forget-after=1s"]).await;
    collector.resolve("web", "reviews").await;
    collector.resolve("web", "example.com").await;
    mesh.run_pod("shop", None);
    until("it is forgotten", async || {
        !collector.knows("shop/web").await
    })
    .await;
    assert_eq!(collector.metric("lazymesh_forgotten_total").await, 1);
    collector.stop().await.expect("a clean end");

    let collector = Running::start(&mesh).await;
    assert!(!collector.knows("shop/web").await, "it came back");
    collector.stop().await.expect("a clean end");
}
