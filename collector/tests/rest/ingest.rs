use std::pin::pin;

use axum::body::Body;
use bytes::Bytes;
use futures::future::join_all;
use futures::poll;
use futures::stream::{FuturesUnordered, StreamExt, pending};
use http::Request;
use serde_json::{Value, json};

use crate::api::{Answer, Api, Setup, source};

#[tokio::test]
async fn a_host_of_the_mesh_is_learned_and_answered() {
    let api = Api::new().await;
    let answer = api.resolve("shop/web", "reviews:80").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({
            "decision": "hold",
            "cluster": "outbound|80||reviews.shop.svc.cluster.local",
            "timeout_ms": 2000,
            "host": "shop/reviews.shop.svc.cluster.local",
            "ttl_ms": 5000,
        })
    );
    assert_eq!(api.store.written(), (1, 1));
}

#[tokio::test]
async fn a_host_outside_is_recorded_and_let_through() {
    let api = Api::new().await;
    let answer = api.resolve("shop/web", "api.example.com").await;
    let expect = json!({"decision": "passthrough", "reason": "external", "ttl_ms": 60000});
    assert_eq!(answer.json(), expect);
    assert_eq!(api.store.written(), (1, 1));
}

#[tokio::test]
async fn what_is_known_is_not_written_again() {
    let api = Api::new().await;
    for authority in [
        "reviews",
        "reviews.shop",
        "REVIEWS.shop.svc.cluster.local.",
        "example.com",
        "example.com:80",
    ] {
        assert_eq!(
            api.resolve("shop/web", authority).await.status,
            200,
            "{authority}"
        );
    }
    assert_eq!(api.store.written(), (2, 2));

    let dependencies = api.get("/v1/workloads/shop/web/dependencies").await.json();
    assert_eq!(dependencies["items"][0]["count"], 3);
}

#[tokio::test]
async fn concurrent_first_requests_are_all_answered_alike() {
    let api = Api::new().await;
    let answers = (0..100).map(|_| api.resolve("shop/web", "reviews"));
    let mut bodies: Vec<Value> = join_all(answers).await.iter().map(Answer::json).collect();
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    let dependencies = api.get("/v1/workloads/shop/web/dependencies").await.json();
    assert_eq!(dependencies["items"][0]["count"], 100);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_in_is_given_up() {
    let api = Api::new().await;
    let never = Body::from_stream(pending::<Result<Bytes, std::io::Error>>());
    assert_eq!(api.post("/v1/resolve", never).await.problem(), (408, None));
}

#[tokio::test]
async fn bodies_that_never_come_keep_nobody_out() {
    let api = Api::new().await;
    let slow = || {
        api.post(
            "/v1/resolve",
            Body::from_stream(pending::<Result<Bytes, std::io::Error>>()),
        )
    };
    let mut busy: FuturesUnordered<_> = (0..4_096).map(|_| slow()).collect();
    // One look at each of them starts it; none can finish.
    assert!(poll!(busy.next()).is_pending());
    assert_eq!(api.resolve("shop/web", "reviews").await.status, 200);
}

#[tokio::test]
async fn what_is_too_much_at_once_is_sent_away() {
    let api = Api::new().await;
    assert_eq!(api.resolve("shop/web", "reviews").await.status, 200);
    api.store.hold();
    let meet = async |n: usize| api.resolve("shop/web", &format!("h{n}.example.com")).await;
    let mut busy: FuturesUnordered<_> = (0..1_024).map(meet).collect();
    assert!(poll!(busy.next()).is_pending());
    let answer = api.resolve("shop/web", "ratings").await;
    assert_eq!(answer.problem(), (503, None));
    assert_eq!(answer.header("retry-after"), "1");
    // What is known waits for no disk.
    assert_eq!(api.resolve("shop/web", "reviews").await.status, 200);
    let request = Request::get("/livez")
        .body(Body::empty())
        .expect("a request");
    assert_eq!(api.ingest(request).await.status, 200);
    drop(busy);
    api.store.release();
    assert_eq!(api.resolve("shop/web", "ratings").await.status, 200);
}

#[tokio::test]
async fn a_flood_of_one_namespace_s_batches_delays_nobody_else() {
    let api = Api::new().await;
    api.store.hold();
    let flood = |n: usize| {
        let reports: Vec<_> = (0..256)
            .map(|host| json!({"authority": format!("h{n}-{host}.example.com"), "protocol": "http", "count": 1}))
            .collect();
        let source = source(&format!("shop/w{}", n % 8));
        api.post(
            "/v1/reports",
            json!({"source": source, "reports": reports}).to_string(),
        )
    };
    let mut busy: FuturesUnordered<_> = (0..64).map(flood).collect();
    assert!(poll!(busy.next()).is_pending());
    let mut other = pin!(api.resolve("bank/teller", "ledger"));
    assert!(poll!(&mut other).is_pending());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    // One write for each of the two batches that have their turn, and one for the other namespace's host.
    assert_eq!(api.store.waiting(), 3);
    api.store.release();
    assert_eq!(other.await.status, 200);
}

#[tokio::test]
async fn a_workload_at_its_limit_is_let_through() {
    let mut setup = Setup::default();
    setup.limits.dependencies_per_workload = 1;
    setup.limits.externals_per_workload = 1;
    let api = setup.start().await;
    let limit = json!({"decision": "passthrough", "reason": "limit", "ttl_ms": 10000});
    for (authority, limited) in [
        ("reviews", false),
        ("ratings", true),
        ("reviews", false),
        ("one.example.com", false),
        ("two.example.com", true),
    ] {
        let answer = api.resolve("shop/web", authority).await.json();
        assert_eq!(answer == limit, limited, "{authority}: {answer}");
    }
    assert_eq!(api.store.written(), (2, 2));
    // One workload's limit is nobody else's.
    assert_ne!(api.resolve("bank/teller", "ledger").await.json(), limit);
}

#[tokio::test]
async fn reports_are_recorded_item_by_item() {
    let api = Api::new().await;
    let reports = json!({"source": source("shop/web"), "reports": [
        {"authority": "reviews", "protocol": "http", "count": 3},
        {"authority": "", "protocol": "http", "count": 1},
        {"authority": "reviews.shop", "protocol": "http", "count": 4},
        {"authority": "ratings", "protocol": "http", "count": 0},
        {"protocol": "tcp", "count": 1},
        {"destination": "10.96.0.11:80", "protocol": "tcp", "count": 9},
    ]});
    let answer = api.post("/v1/reports", reports.to_string()).await.json();
    assert_eq!(answer["accepted"], 3);
    let rejected = answer["rejected"].as_array().expect("rejected items");
    let indices: Vec<&Value> = rejected.iter().map(|item| &item["index"]).collect();
    assert_eq!(indices, [1, 3, 4]);
    assert_eq!(rejected[1]["detail"], "count is 0; expected at least 1");
    // One write for the batch, one change for each of the two hosts.
    assert_eq!(api.store.written(), (1, 2));

    let items = api.get("/v1/workloads/shop/web/dependencies").await.json()["items"].clone();
    let counts: Vec<_> = items
        .as_array()
        .expect("items")
        .iter()
        .map(|item| &item["count"])
        .collect();
    assert_eq!(counts, [9, 7]);

    let again = api.post("/v1/reports", reports.to_string()).await.json();
    assert_eq!(again["accepted"], 3);
    assert_eq!(api.store.written(), (1, 2));
}

#[tokio::test]
async fn an_empty_batch_is_fine() {
    let api = Api::new().await;
    let reports = json!({"source": source("shop/web"), "reports": []});
    let answer = api.post("/v1/reports", reports.to_string()).await;
    assert_eq!(answer.json(), json!({"accepted": 0}));
    assert_eq!(api.store.written(), (0, 0));
}
