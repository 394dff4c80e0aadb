use crate::api::Api;

#[tokio::test]
async fn the_graph_comes_in_three_forms() {
    let api = Api::new().await;
    api.resolve("shop/web", "reviews").await;
    api.resolve("shop/web", "api.example.com:8443").await;

    let json = api.get("/v1/graph").await.json();
    assert_eq!(
        json["dependencies"][0]["host"],
        "shop/reviews.shop.svc.cluster.local"
    );
    assert_eq!(json["dependencies"][0]["origin"], "learned");
    assert_eq!(json["dependencies"][0]["seen_by"][0]["witness"], "filter");
    assert_eq!(json["external_hosts"][0]["host"], "api.example.com:8443");
    assert_eq!(api.get("/v1/graph?format=json").await.json(), json);

    for (format, media, start) in [
        ("dot", "text/vnd.graphviz; charset=utf-8", "digraph"),
        ("mermaid", "text/vnd.mermaid; charset=utf-8", "flowchart"),
    ] {
        let answer = api.get(&format!("/v1/graph?format={format}")).await;
        assert_eq!(answer.header("content-type"), media);
        assert!(answer.text().starts_with(start), "{}", answer.text());
        assert!(answer.text().contains("reviews.shop"), "{}", answer.text());
    }
}
