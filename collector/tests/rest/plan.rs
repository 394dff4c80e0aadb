use serde_json::{Value, json};

use crate::api::{Api, Setup};

#[tokio::test]
async fn a_plan_counts_what_enforcing_leaves() {
    let api = Api::new().await;
    api.resolve("bank/teller", "reviews.shop").await;
    let mut plan = api.get("/v1/plan/bank/teller").await.json();
    let (evidence, confidence) = (plan["evidence"].take(), plan["confidence"].take());
    assert_eq!(
        plan,
        json!({
            "namespace": "bank",
            "name": "teller",
            "mode": "learn",
            "sidecar": {
                "state": "learn-only",
                "detail": "the mode is learn; label it lazymesh.io/mode=enforce for a Sidecar",
            },
            "full": {"services": 35, "clusters": 35, "endpoints": 0, "xds_bytes": 91_000, "memory_bytes": 2_327_500},
            "scoped": {"services": 2, "clusters": 2, "endpoints": 0, "xds_bytes": 5_200, "memory_bytes": 133_000},
            "dependencies": 1,
            "always_visible": 2,
            "along": 0,
            "limits": [],
            "evidence": null,
            "confidence": null,
            "hosts": [
                "data/mysql.data.svc.cluster.local",
                "lazymesh-system/collector.lazymesh-system.svc.cluster.local",
                "shop/reviews.shop.svc.cluster.local",
            ],
        })
    );
    assert_eq!(
        (&evidence["count"], &evidence["running"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(evidence["first_seen_ms"], evidence["last_seen_ms"]);
    assert_eq!(evidence["sources"], json!(["filter"]));
    let gaps = confidence["gaps"].as_array().expect("a list").iter();
    let gaps: Vec<_> = gaps.map(|it| it["gap"].clone()).collect();
    assert_eq!(gaps, ["unwatched", "week", "few-calls"]);
    let listed = api.get("/v1/plan?namespace=bank").await.json();
    assert_eq!(listed["items"][0]["hosts"], Value::Null);
}

#[tokio::test]
async fn plans_are_listed_by_namespace_and_page() {
    let api = Api::new().await;
    let check = async |query: &str, expect: &[&str]| {
        let page = api.get(&format!("/v1/plan{query}")).await.json();
        let items = page["items"].as_array().expect("items").clone();
        let name = |it: &Value| format!("{}/{}", it["namespace"], it["name"]).replace('"', "");
        let names: Vec<_> = items.iter().map(name).collect();
        assert_eq!(names, expect, "{query}");
    };
    check("", &["bank/teller", "shop/custom", "shop/web"]).await;
    check("?namespace=shop", &["shop/custom", "shop/web"]).await;
    check("?namespace=shop&limit=1", &["shop/custom"]).await;
    check(
        "?namespace=shop&cursor=bank/teller",
        &["shop/custom", "shop/web"],
    )
    .await;
    check("?namespace=shop&cursor=shop/custom", &["shop/web"]).await;
    check("?namespace=none", &[]).await;
    let absent = api.get("/v1/plan/shop/none").await;
    assert_eq!(absent.json()["status"], 404);
}

#[tokio::test]
async fn a_plan_says_what_keeps_a_scope_large() {
    let api = Setup {
        limits: lazymesh_core::Limits {
            dependencies_per_workload: 1,
            ..lazymesh_core::Limits::default()
        },
        ..Setup::default()
    }
    .start()
    .await;
    api.resolve("shop/web", "reviews").await;
    let plan = api.get("/v1/plan/shop/web").await.json();
    assert_eq!(plan["limits"][0]["limit"], "full");
    assert_eq!(plan["scoped"], plan["full"]);
}
