//! What a hostile or broken client may send. None of it is stored, and none of it comes back raw.

use axum::body::Body;
use http::Request;
use lazymesh_protocol::{MAX_REPORTS, MAX_REPORTS_BYTES, MAX_RESOLVE_BYTES};
use serde_json::{Value, json};

use crate::api::{Answer, Api, question, source};

/// A body for `/v1/resolve` with one thing changed.
fn with(pointer: &str, value: Value) -> String {
    let mut question = question("shop/web", "reviews");
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    question.pointer_mut(parent).expect("a parent")[key] = value;
    question.to_string()
}

#[track_caller]
fn check(answer: &Answer, status: u16, field: Option<&str>, case: &str) {
    let (found, in_field) = answer.problem();
    assert_eq!(
        (found, in_field.as_deref()),
        (status, field),
        "{case:.80}: {}",
        answer.text()
    );
    assert!(
        answer.body.len() < 2_048,
        "{case:.80}: {} bytes",
        answer.body.len()
    );
    let raw = answer
        .body
        .iter()
        .find(|byte| !(0x20..0x7f).contains(*byte));
    assert!(
        raw.is_none() || answer.text().contains('…'),
        "{case:.80}: {}",
        answer.text()
    );
}

async fn table(path: &str, cases: impl IntoIterator<Item = (String, u16, Option<&str>)>) {
    let api = Api::new().await;
    for (body, status, field) in cases {
        let answer = api.post(path, body.clone()).await;
        check(&answer, status, field, &body);
    }
    assert_eq!(api.store.written(), (0, 0));
    assert_eq!(
        api.get("/v1/graph").await.json(),
        json!({"dependencies": [], "external_hosts": []})
    );
}

#[tokio::test]
async fn malformed_json() {
    let deep = "[".repeat(4_000);
    let cases = [
        "",
        " ",
        "{",
        "nope",
        "{}}",
        "{} {}",
        "{\"source\":",
        "\u{0}",
        "[1,]",
        "{'source':1}",
        "\"\\ud800\"",
        &deep,
    ];
    for path in ["/v1/resolve", "/v1/reports"] {
        table(path, cases.map(|body| (body.to_owned(), 400, None))).await;
    }
    let api = Api::new().await;
    let answer = api.post("/v1/resolve", "{\n\"source\" 1").await;
    assert_eq!(
        answer.json()["detail"],
        "a syntax error at line 2, column 10"
    );
    let answer = api.post("/v1/resolve", vec![b'"', 0xff, 0xfe, b'"']).await;
    check(&answer, 400, None, "not UTF-8");
}

#[tokio::test]
async fn wrong_types() {
    let cases = [
        ("[]".to_owned(), 422, None),
        ("null".to_owned(), 422, None),
        ("7".to_owned(), 422, None),
        ("{}".to_owned(), 422, Some("source")),
        (with("/source", json!("shop/web")), 422, Some("source")),
        (
            with("/source/namespace", json!(1)),
            422,
            Some("source.namespace"),
        ),
        (
            with("/source/workload", json!(null)),
            422,
            Some("source.workload"),
        ),
        (
            with("/source/service_account", json!({})),
            422,
            Some("source.service_account"),
        ),
        (with("/authority", json!(80)), 422, Some("authority")),
        (with("/authority", json!(["a"])), 422, Some("authority")),
        (
            with("/destination", json!({"ip": "1.2.3.4"})),
            422,
            Some("destination"),
        ),
        (
            with("/protocol", json!("gopher\u{1b}[31m")),
            422,
            Some("protocol"),
        ),
        (with("/protocol", json!(1)), 422, Some("protocol")),
    ];
    table("/v1/resolve", cases).await;
}

#[tokio::test]
async fn absurd_hosts() {
    let absurd = [
        json!(""),
        json!("a".repeat(7_000)),
        json!(format!("{}.example.com", "a".repeat(64))),
        json!("a b"),
        json!("a\r\nx-injected: 1"),
        json!("a\u{0}b"),
        json!("\u{1b}[31mred"),
        json!("🦀.example.com"),
        json!("reviews:65536"),
        json!("reviews:99999999999999999999"),
        json!("reviews:-1"),
        json!("reviews:"),
        json!("reviews:80:80"),
        json!("[::1"),
        json!("[::1]:99999"),
        json!("[fe80::1%eth0]:80"),
        json!("../../etc/passwd"),
        json!("*.example.com"),
        json!("http://reviews/"),
        json!("user@reviews"),
    ];
    table(
        "/v1/resolve",
        absurd.map(|host| (with("/authority", host), 422, Some("authority"))),
    )
    .await;
}

#[tokio::test]
async fn hosts_that_only_look_absurd() {
    let api = Api::new().await;
    for host in [
        "[2001:db8::1]:80",
        "[2001:db8::1]",
        "REVIEWS.",
        "10.96.0.10:80",
        "a_b.example.com",
        "xn--9dbne9b.example",
    ] {
        assert_eq!(api.resolve("shop/web", host).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn absurd_destinations_and_sources() {
    let long = "x".repeat(7_000);
    let destinations = [
        "",
        "reviews:80",
        "10.96.0.10",
        "10.96.0.10:65536",
        "10.96.0.999:80",
        "::1:80",
        "\u{7}",
        &long,
    ];
    let destinations =
        destinations.map(|value| (with("/destination", json!(value)), 422, Some("destination")));
    let namespaces = ["", "Shop", "a/b", "-a", "shop\n", "🦀", &long];
    let namespaces = namespaces.map(|value| {
        (
            with("/source/namespace", json!(value)),
            422,
            Some("source.namespace"),
        )
    });
    let workloads = ["", "a/../b", "-", "a b", "\u{0}", &long];
    let workloads = workloads.map(|value| {
        (
            with("/source/workload", json!(value)),
            422,
            Some("source.workload"),
        )
    });
    let accounts = [json!(""), json!("a b"), json!("\u{202e}")];
    let accounts = accounts.map(|value| {
        (
            with("/source/service_account", value),
            422,
            Some("source.service_account"),
        )
    });
    let mut nothing = question("shop/web", "");
    nothing["authority"] = Value::Null;
    let nothing = [(nothing.to_string(), 422, Some("authority"))];
    let cases = destinations
        .into_iter()
        .chain(namespaces)
        .chain(workloads)
        .chain(accounts)
        .chain(nothing);
    table("/v1/resolve", cases).await;
}

#[tokio::test]
async fn reports_of_the_wrong_shape() {
    let report =
        |reports: Value| json!({"source": source("shop/web"), "reports": reports}).to_string();
    let item = json!({"authority": "reviews", "protocol": "http", "count": 1});
    let many = Value::Array(vec![item.clone(); MAX_REPORTS + 1]);
    let bad_source = json!({"source": source("Shop/web"), "reports": [item]}).to_string();
    let cases = [
        (report(many), 422, Some("reports")),
        (report(json!({})), 422, Some("reports")),
        (report(json!([1])), 422, Some("reports[0]")),
        (
            report(json!([{"protocol": "http", "count": -1}])),
            422,
            Some("reports[0].count"),
        ),
        (
            report(json!([{"protocol": "http", "count": 1.5}])),
            422,
            Some("reports[0].count"),
        ),
        (bad_source, 422, Some("source.namespace")),
    ];
    table("/v1/reports", cases).await;
}

#[tokio::test]
async fn bodies_are_bounded() {
    let api = Api::new().await;
    let padded = |bytes: usize| {
        let body = question("shop/web", "reviews").to_string();
        let padding = " ".repeat(bytes - body.len());
        body + &padding
    };
    assert_eq!(
        api.post("/v1/resolve", padded(MAX_RESOLVE_BYTES))
            .await
            .status,
        200
    );
    check(
        &api.post("/v1/resolve", padded(MAX_RESOLVE_BYTES + 1)).await,
        413,
        None,
        "resolve",
    );
    check(
        &api.post("/v1/reports", " ".repeat(MAX_REPORTS_BYTES + 1))
            .await,
        413,
        None,
        "reports",
    );
    // Without a content-length, too.
    let chunks = (0..100).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 1_024])));
    let endless = Body::from_stream(futures::stream::iter(chunks));
    check(
        &api.post("/v1/resolve", endless).await,
        413,
        None,
        "chunked",
    );
}

#[tokio::test]
async fn only_json_is_read() {
    let api = Api::new().await;
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some(""),
    ] {
        let mut request = Request::post("/v1/resolve");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let body = question("shop/web", "reviews").to_string();
        let answer = api
            .ingest(request.body(Body::from(body)).expect("a request"))
            .await;
        check(&answer, 415, None, content_type.unwrap_or("none"));
    }
    assert_eq!(api.store.written(), (0, 0));
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let api = Api::new().await;
    for path in [
        "/",
        "/v1",
        "/v1/workloads/shop",
        "/v1/resolve",
        "/v1/workloads/",
        "/%00",
        "/etc/passwd",
    ] {
        check(&api.get(path).await, 404, None, path);
    }
    for (method, path, allow) in [
        ("POST", "/v1/workloads", "GET,HEAD"),
        ("DELETE", "/readyz", "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path);
        let answer = api
            .admin(request.body(Body::empty()).expect("a request"))
            .await;
        check(&answer, 405, None, path);
        assert_eq!(answer.header("allow"), allow);
    }
    let answer = api
        .ingest(
            Request::get("/v1/resolve")
                .body(Body::empty())
                .expect("a request"),
        )
        .await;
    check(&answer, 405, None, "GET");
    assert_eq!(answer.header("allow"), "POST");
    let answer = api
        .ingest(
            Request::get("/v1/graph")
                .body(Body::empty())
                .expect("a request"),
        )
        .await;
    check(&answer, 404, None, "an admin path on ingest");
}

#[tokio::test]
async fn paths_and_queries_that_cannot_be_read() {
    let api = Api::new().await;
    let long = format!("/v1/workloads/shop/{}", "a".repeat(64));
    let cases = [
        ("/v1/workloads/%ff/web", 400, None),
        ("/v1/sidecars/shop/%c3%28", 400, None),
        ("/v1/workloads?limit=1&limit=2", 400, None),
        ("/v1/workloads?limit=%ff", 422, Some("limit")),
        ("/v1/workloads/Shop/web", 422, Some("namespace")),
        ("/v1/workloads/shop/a%2fb", 422, Some("name")),
        (
            "/v1/workloads/shop/%1b%5b31m/dependencies",
            422,
            Some("name"),
        ),
        (&long, 422, Some("name")),
        ("/v1/services/shop/%00/dependents", 422, Some("name")),
        ("/v1/workloads?limit=0", 422, Some("limit")),
        ("/v1/workloads?limit=all", 422, Some("limit")),
        ("/v1/workloads?cursor=%1b", 422, Some("cursor")),
        (
            "/v1/workloads/shop/web/dependencies?cursor=x",
            422,
            Some("cursor"),
        ),
        ("/v1/external-hosts?cursor=shop/web", 422, Some("cursor")),
        ("/v1/always-visible?cursor=x", 422, Some("cursor")),
        ("/v1/graph?format=svg", 422, Some("format")),
        ("/v1/sidecars/shop/%1b%5b31m", 404, None),
    ];
    for (path, status, field) in cases {
        check(&api.get(path).await, status, field, path);
    }
}
