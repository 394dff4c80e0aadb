//! What happens is streamed, and who comes back is told what happened meanwhile.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::api::{Answer, Api, source};

/// The events that there are behind `after`, with the id of each.
async fn events(api: &Api, after: Option<&str>) -> Vec<Value> {
    let answer = ask(api, after).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let events = answer.text().split("\n\n").filter(|it| !it.is_empty());
    events.map(parse).collect()
}

async fn ask(api: &Api, after: Option<&str>) -> Answer {
    let request = Request::get("/v1/events?watch=false");
    let request = match after {
        Some(id) => request.header("last-event-id", id),
        None => request,
    };
    api.admin(request.body(Body::empty()).expect("a request"))
        .await
}

/// The data of an event, whose other fields repeat some of it.
#[track_caller]
fn parse(event: &str) -> Value {
    let field = |name: &str| {
        let mut lines = event.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let data: Value = serde_json::from_str(field("data").expect("data")).expect("JSON");
    assert_eq!(data["kind"].as_str(), field("event"), "{event}");
    assert_eq!(data["id"].as_str(), field("id"), "{event}");
    data
}

fn id(event: &Value) -> &str {
    event["id"].as_str().expect("an id")
}

#[tokio::test]
async fn who_began_to_call_what_is_told_once_and_in_order() {
    let api = Api::new().await;
    api.resolve("shop/web", "reviews").await;
    api.resolve("shop/web", "reviews").await;
    api.resolve("bank/teller", "api.example.com").await;
    let request = Request::delete("/v1/workloads/shop/web");
    api.admin(request.body(Body::empty()).expect("a request"))
        .await;
    let mut told = events(&api, None).await;
    for event in &mut told {
        let event = event.as_object_mut().expect("an object");
        assert!(event.remove("id").is_some() && event.remove("at_ms").is_some());
    }
    let expect = [
        json!({
            "kind": "learned", "workload": {"namespace": "shop", "name": "web"},
            "host": "shop/reviews.shop.svc.cluster.local", "witness": "filter",
        }),
        json!({
            "kind": "learned-external", "workload": {"namespace": "bank", "name": "teller"},
            "host": "api.example.com", "witness": "filter",
        }),
        json!({"kind": "forgotten", "workload": {"namespace": "shop", "name": "web"}}),
    ];
    assert_eq!(told, expect);
}

#[tokio::test]
async fn who_comes_back_gets_the_rest() {
    let api = Api::new().await;
    for n in 0..5 {
        api.resolve("shop/web", &format!("part-{n:02}")).await;
    }
    let all = events(&api, None).await;
    assert_eq!(all.len(), 5);
    assert_eq!(events(&api, Some(id(&all[1]))).await, all[2..]);
    assert_eq!(events(&api, Some(id(&all[4]))).await, [] as [Value; 0]);
}

#[tokio::test]
async fn who_comes_back_too_late_is_told_what_is_missing() {
    let api = Api::new().await;
    for n in 0..84 {
        let host =
            |m| json!({"authority": format!("x{m}.example"), "protocol": "http", "count": 1});
        let reports: Vec<_> = (0..100).map(host).collect();
        let body = json!({"source": source(&format!("shop/w{n}")), "reports": reports});
        api.post("/v1/reports", body.to_string()).await;
    }
    let all = events(&api, None).await;
    let oldest = id(&all[0]);
    let (run, number) = oldest.split_once('-').expect("run and number");
    let number: u64 = number.parse().expect("a number");
    let late = events(&api, Some(&format!("{run}-{}", number - 11))).await;
    assert_eq!(late[0], json!({"kind": "missed", "count": 10}));
    assert_eq!(late[1..], all[..]);
    let stranger = events(&api, Some("1-1")).await;
    assert_eq!(stranger[0], json!({"kind": "missed"}));
    assert_eq!(stranger[1..], all[..]);
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let api = Api::new().await;
    let problem = ask(&api, Some("nonsense")).await.problem();
    assert_eq!(problem, (422, Some("last-event-id".to_owned())));
    let problem = api.get("/v1/events?watch=perhaps").await.problem();
    assert_eq!(problem, (422, Some("watch".to_owned())));
}
