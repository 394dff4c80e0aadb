use serde_json::Value;

use crate::api::Api;

fn hosts(yaml: &str) -> Vec<String> {
    let sidecar: Value = serde_saphyr::from_str(yaml).expect("YAML");
    assert_eq!(sidecar["kind"], "Sidecar");
    let hosts = sidecar["spec"]["egress"][0]["hosts"]
        .as_array()
        .expect("hosts");
    hosts
        .iter()
        .map(|host| host.as_str().expect("a string").to_owned())
        .collect()
}

const COLLECTOR: &str = "lazymesh-system/collector.lazymesh-system.svc.cluster.local";
/// What is in every scope besides.
const MYSQL: &str = "data/mysql.data.svc.cluster.local";

#[tokio::test]
async fn a_sidecar_is_shown_as_it_is_published() {
    let api = Api::new().await;
    api.resolve("shop/web", "reviews").await;
    let answer = api.get("/v1/sidecars/shop/lazymesh-web").await;
    assert_eq!(answer.header("content-type"), "application/yaml");
    assert_eq!(
        hosts(answer.text()),
        [MYSQL, COLLECTOR, "shop/reviews.shop.svc.cluster.local"]
    );
    assert_eq!(
        hosts(api.get("/v1/sidecars/shop/lazymesh-default").await.text()),
        [MYSQL, COLLECTOR]
    );
}

#[tokio::test]
async fn a_name_that_is_not_its_workloads_is_found_all_the_same() {
    let api = Api::new().await;
    api.resolve("shop/default", "reviews").await;
    let detail = api.get("/v1/workloads/shop/default").await.json();
    let name = detail["sidecar"]["name"]
        .as_str()
        .expect("a Sidecar")
        .to_owned();
    assert_ne!(name, "lazymesh-default");
    let answer = api.get(&format!("/v1/sidecars/shop/{name}")).await;
    assert_eq!(hosts(answer.text()).len(), 3);
}

#[tokio::test]
async fn why_there_is_none_is_said() {
    let api = Api::new().await;
    api.resolve("bank/teller", "ledger").await;
    for (path, reason) in [
        (
            "/v1/sidecars/shop/lazymesh-custom",
            "Sidecar shop/by-hand rules here",
        ),
        (
            "/v1/sidecars/bank/lazymesh-teller",
            "lazymesh.io/mode=enforce",
        ),
        (
            "/v1/sidecars/none/lazymesh-default",
            "publishes no such Sidecar",
        ),
        ("/v1/sidecars/shop/by-hand", "publishes no such Sidecar"),
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.problem(), (404, None), "{path}");
        let detail = answer.json()["detail"].clone();
        assert!(
            detail.as_str().expect("a detail").contains(reason),
            "{path}: {detail}"
        );
    }
}
