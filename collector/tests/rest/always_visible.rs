use crate::api::Api;

#[tokio::test]
async fn what_stays_in_every_scope_is_listed_with_the_reason() {
    let api = Api::new().await;
    let answer = api.get("/v1/always-visible").await.json();
    let items = answer["items"].as_array().expect("a list");
    let found: Vec<_> = items
        .iter()
        .map(|item| format!("{} {}", item["reason"], item["host"]))
        .collect();
    assert_eq!(
        found,
        [
            r#""shares-http-port" "data/mysql.data.svc.cluster.local""#,
            r#""listed" "lazymesh-system/collector.lazymesh-system.svc.cluster.local""#,
        ]
    );
    let detail = items[0]["detail"].as_str().expect("a sentence");
    assert!(detail.contains("port 80"), "{detail}");
    let page = api.get("/v1/always-visible?limit=1").await.json();
    assert_eq!(page["next"], items[0]["host"]);
}
