//! A disk that takes nothing more.

use crate::api::Api;

#[tokio::test]
async fn what_cannot_be_written_is_not_acknowledged() {
    let api = Api::new().await;
    assert_eq!(api.resolve("shop/web", "reviews").await.status, 200);
    api.store.break_disk();

    let refused = api.resolve("shop/web", "ratings").await;
    assert_eq!(refused.problem(), (503, None));
    assert!(!refused.text().contains("secret"), "{}", refused.text());
    let detail = api.get("/v1/workloads/shop/web").await.json();
    assert_eq!(detail["dependencies"], 1);

    // Only a restart opens the store again, so both probes say it.
    assert_eq!(api.get("/readyz").await.problem(), (503, None));
    let livez = api.get("/livez").await;
    assert_eq!(livez.problem(), (503, None));
    assert!(!livez.text().contains("secret"), "{}", livez.text());
}
