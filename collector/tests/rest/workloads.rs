use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::api::{Api, Setup};

#[tokio::test]
async fn workloads_come_from_pods_and_from_what_was_learned() {
    let api = Api::new().await;
    api.resolve("gone/batch", "reviews.shop").await;
    let names = |items: &serde_json::Value| -> Vec<String> {
        let items = items["items"].as_array().expect("items").iter();
        items
            .map(|item| {
                format!("{}/{} {}", item["namespace"], item["name"], item["mode"]).replace('"', "")
            })
            .collect()
    };
    let expect = [
        "bank/teller learn",
        "gone/batch learn",
        "shop/custom enforce",
        "shop/web enforce",
    ];
    assert_eq!(names(&api.get("/v1/workloads").await.json()), expect);
}

#[tokio::test]
async fn a_workload_has_its_accounts_and_its_sidecar() {
    let api = Api::new().await;
    api.resolve("shop/web", "reviews").await;
    api.resolve("shop/web", "example.com").await;
    assert_eq!(
        api.get("/v1/workloads/shop/web").await.json(),
        json!({
            "namespace": "shop",
            "name": "web",
            "mode": "enforce",
            "dependencies": 1,
            "external_hosts": 1,
            "service_accounts": ["web-account"],
            "sidecar": {"state": "managed", "name": "lazymesh-web"},
        })
    );
    let sidecar = |workload: &'static str| {
        let api = &api;
        async move { api.get(&format!("/v1/workloads/{workload}")).await.json()["sidecar"].clone() }
    };
    assert_eq!(
        sidecar("shop/custom").await,
        json!({
            "state": "user-managed", "name": "by-hand",
            "detail": "Sidecar shop/by-hand rules here, and lazymesh does not own it",
        })
    );
    assert_eq!(sidecar("bank/teller").await["state"], "learn-only");
}

#[tokio::test]
async fn a_workload_is_forgotten_when_somebody_says_so() {
    let api = Api::new().await;
    for authority in ["reviews", "ratings", "example.com"] {
        api.resolve("shop/web", authority).await;
    }
    api.resolve("shop/custom", "reviews").await;
    let forget = async |workload: &str| {
        let request = Request::delete(format!("/v1/workloads/{workload}"));
        let answer = api.admin(request.body(Body::empty()).expect("a request"));
        answer.await.status.as_u16()
    };
    assert_eq!(forget("shop/web").await, 204);
    assert_eq!(api.store.written(), (5, 7), "three records were taken out");
    let web = api.get("/v1/workloads/shop/web").await.json();
    assert_eq!(
        (&web["dependencies"], &web["external_hosts"]),
        (&json!(0), &json!(0))
    );
    let custom = api.get("/v1/workloads/shop/custom").await.json();
    assert_eq!(custom["dependencies"], 1);
    assert_eq!(forget("shop/web").await, 404);
    assert_eq!(forget("shop/nobody").await, 404);
    assert_eq!(forget("Shop/web").await, 422);
    api.resolve("shop/web", "reviews").await;
    let web = api.get("/v1/workloads/shop/web").await.json();
    assert_eq!(web["dependencies"], 1, "it learns anew");
}

#[tokio::test]
async fn a_namespace_keeps_its_scope_until_a_filter_has_called_from_it() {
    let api = Setup {
        requires_filters: true,
        ..Setup::default()
    }
    .start()
    .await;
    let states = async || {
        let mut states = Vec::new();
        for workload in ["shop/web", "shop/custom", "bank/teller"] {
            let path = format!("/v1/workloads/{workload}");
            let detail = api.get(&path).await.json();
            states.push(detail["sidecar"]["state"].clone());
        }
        states
    };
    let waiting = ["no-filter-seen", "user-managed", "learn-only"];
    assert_eq!(states().await, waiting);
    api.greet("bank/teller").await;
    assert_eq!(states().await, waiting);
    api.greet("shop/custom").await;
    assert_eq!(states().await, ["managed", "user-managed", "learn-only"]);
}

#[tokio::test]
async fn unknown_workloads_are_not_found() {
    let api = Api::new().await;
    for path in [
        "/v1/workloads/shop/none",
        "/v1/workloads/none/web",
        "/v1/workloads/shop/none/dependencies",
    ] {
        assert_eq!(api.get(path).await.problem(), (404, None), "{path}");
    }
}

#[tokio::test]
async fn dependents_are_found_by_service() {
    let api = Api::new().await;
    api.resolve("shop/web", "reviews").await;
    api.resolve("bank/teller", "reviews.shop:80").await;
    let answer = api.get("/v1/services/shop/reviews/dependents").await.json();
    let sources: Vec<_> = answer["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| &item["source"])
        .collect();
    let expect = [
        json!({"namespace": "bank", "name": "teller"}),
        json!({"namespace": "shop", "name": "web"}),
    ];
    assert_eq!(sources, expect.iter().collect::<Vec<_>>());

    let none = api.get("/v1/services/shop/ratings/dependents").await.json();
    assert_eq!(none, json!({"items": []}));
    assert_eq!(
        api.get("/v1/services/shop/nothing/dependents")
            .await
            .problem(),
        (404, None)
    );
}
