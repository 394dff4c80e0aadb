use std::collections::BTreeSet;

use serde_json::Value;

use crate::api::Api;

/// Reads a list page by page, with something happening between the pages.
async fn read(
    api: &Api,
    path: &str,
    limit: usize,
    key: fn(&Value) -> String,
    between: &[&str],
) -> Vec<String> {
    let (mut seen, mut cursor, mut between) = (Vec::new(), String::new(), between.iter());
    loop {
        let page = api
            .get(&format!("{path}?limit={limit}{cursor}"))
            .await
            .json();
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= limit);
        seen.extend(items.iter().map(key));
        if let Some(authority) = between.next() {
            assert_eq!(api.resolve("shop/web", authority).await.status, 200);
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

#[track_caller]
fn check(seen: &[String], there: &BTreeSet<String>) {
    let unique: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len(), "something came twice");
    assert!(
        there.iter().all(|item| unique.contains(item)),
        "something was left out"
    );
}

#[tokio::test]
async fn dependencies_come_once_each_while_others_are_learned() {
    let api = Api::new().await;
    let key = |item: &Value| item["host"].as_str().expect("a host").to_owned();
    for n in (0..30).step_by(2) {
        api.resolve("shop/web", &format!("part-{n:02}")).await;
    }
    let path = "/v1/workloads/shop/web/dependencies";
    let there: BTreeSet<String> = read(&api, path, 1_000, key, &[])
        .await
        .into_iter()
        .collect();
    assert_eq!(there.len(), 15);
    let between = ["part-01", "part-29", "part-03", "ratings", "part-13"];
    check(&read(&api, path, 2, key, &between).await, &there);
    check(&read(&api, path, 1, key, &[]).await, &there);
}

#[tokio::test]
async fn external_hosts_come_once_each_while_others_are_learned() {
    let api = Api::new().await;
    let key = |item: &Value| format!("{}{}", item["source"], item["host"]);
    for workload in ["shop/web", "shop-a/web", "bank/teller"] {
        for n in 0..10 {
            api.resolve(workload, &format!("n{n}.example.com:8443"))
                .await;
        }
    }
    let there: BTreeSet<String> = read(&api, "/v1/external-hosts", 1_000, key, &[])
        .await
        .into_iter()
        .collect();
    assert_eq!(there.len(), 30);
    let between = ["a.example.com", "z.example.com", "n5.example.com"];
    check(
        &read(&api, "/v1/external-hosts", 7, key, &between).await,
        &there,
    );
}

#[tokio::test]
async fn workloads_are_sorted_by_namespace_and_not_by_spelling() {
    let api = Api::new().await;
    let key = |item: &Value| format!("{} {}", item["namespace"], item["name"]);
    for workload in ["shop/web", "shop-a/web", "shop0/web", "shop/a.b"] {
        api.resolve(workload, "reviews.shop").await;
    }
    let there: BTreeSet<String> = read(&api, "/v1/workloads", 1_000, key, &[])
        .await
        .into_iter()
        .collect();
    check(&read(&api, "/v1/workloads", 1, key, &[]).await, &there);
}
