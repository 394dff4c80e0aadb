use serde_json::{Value, json};

use crate::api::Api;

async fn explain(api: &Api, query: &str) -> Value {
    api.get(&format!("/v1/explain?{query}")).await.json()
}

#[tokio::test]
async fn a_call_that_was_never_made_is_explained_by_what_it_would_do() {
    let api = Api::new().await;
    let query = "workload=shop/web&host=reviews";
    let would = explain(&api, query).await;
    assert_eq!(
        would,
        json!({
            "workload": {"namespace": "shop", "name": "web"},
            "mode": "enforce",
            "sidecar": {"state": "managed", "name": "lazymesh-web"},
            "call": {"protocol": "http", "authority": "reviews", "destination": "10.96.0.10:80"},
            "meant": {
                "host": "shop/reviews.shop.svc.cluster.local",
                "detail": "shop/reviews.shop.svc.cluster.local of Service shop/reviews",
            },
            "in_scope": false,
            "because": [],
            "first_request": {
                "decision": "hold",
                "reason": "not-ready",
                "detail": "none of its endpoints is ready",
                "clusters": [{"cluster": "outbound|80||reviews.shop.svc.cluster.local", "weight": 1}],
                "learns": "shop/reviews.shop.svc.cluster.local",
            },
        })
    );
    let question = json!({
        "source": {"namespace": "shop", "workload": "web"},
        "authority": "reviews", "destination": "10.96.0.10:80", "protocol": "http",
    });
    let answer = api.post("/v1/resolve", question.to_string()).await.json();
    assert_eq!(answer["decision"], would["first_request"]["decision"]);
    assert_eq!(answer["host"], would["first_request"]["learns"]);

    let now = explain(&api, query).await;
    assert_eq!(now["in_scope"], true);
    assert_eq!(now["because"][0]["rule"], "learned");
    assert_eq!(now["dependency"]["seen_by"][0]["witness"], "filter");
    assert_eq!(now["first_request"], Value::Null);
}

#[tokio::test]
async fn scopes_that_lazymesh_does_not_rule_are_told_apart() {
    let api = Api::new().await;
    let check = async |query: &str, in_scope: Value, rule: &str, decision: Value| {
        let said = explain(&api, query).await;
        let rules = said["because"].as_array().expect("reasons");
        let rule_found = rules
            .first()
            .map_or("", |it| it["rule"].as_str().unwrap_or("?"));
        let found = (
            &said["in_scope"],
            rule_found,
            &said["first_request"]["decision"],
        );
        assert_eq!(found, (&in_scope, rule, &decision), "{query}");
    };
    let none = Value::Null;
    let reviews = "host=reviews.shop";
    check(
        &format!("workload=bank/teller&{reviews}"),
        json!(true),
        "learn-only",
        none.clone(),
    )
    .await;
    let passthrough = json!("passthrough");
    check(
        &format!("workload=shop/custom&{reviews}"),
        none.clone(),
        "user-managed",
        passthrough.clone(),
    )
    .await;
    check(
        "workload=shop/web&host=api.example.com:8443",
        json!(false),
        "",
        passthrough,
    )
    .await;
    let mysql = "workload=shop/web&host=mysql.data:80&protocol=tcp";
    check(mysql, json!(true), "shares-http-port", none).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let api = Api::new().await;
    for (query, status, field) in [
        ("workload=shop/web", 400, None),
        ("workload=shop&host=reviews", 422, Some("workload")),
        ("workload=shop/web&host=a/b", 422, Some("host")),
        (
            "workload=shop/web&host=reviews&protocol=udp",
            422,
            Some("protocol"),
        ),
        (
            "workload=shop/web&host=reviews&destination=x",
            422,
            Some("destination"),
        ),
        ("workload=shop/none&host=reviews", 404, None),
    ] {
        let problem = api.get(&format!("/v1/explain?{query}")).await.problem();
        assert_eq!(problem, (status, field.map(str::to_owned)), "{query}");
    }
}
