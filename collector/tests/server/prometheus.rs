//! A Prometheus that is down, slow, strange or too large: what it says counts once it can be read, and nothing is lost.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::future::join_all;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::mesh::Mesh;
use crate::running::{Running, config, until};

const REVIEWS: &str = "shop/reviews.shop.svc.cluster.local";

/// An answer to each question.
type Answers = fn(&str) -> Response;

/// What is answered to a question.
type Script = Arc<dyn Fn(&str) -> Response + Send + Sync>;

/// What answers in the place of Prometheus.
struct Fake {
    address: SocketAddr,
    state: Arc<Shown>,
}

struct Shown {
    script: Mutex<Script>,
    /// How long each answer takes.
    delay: Mutex<Duration>,
    asked: Mutex<Vec<String>>,
    tokens: Mutex<Vec<String>>,
}

impl Fake {
    async fn start(script: impl Fn(&str) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Shown {
            script: Mutex::new(Arc::new(script)),
            delay: Mutex::default(),
            asked: Mutex::default(),
            tokens: Mutex::default(),
        });
        let router = Router::new()
            .route("/prefix/api/v1/query", post(query))
            .route("/prefix/api/v1/label/{label}/values", get(values))
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    fn becomes(&self, script: impl Fn(&str) -> Response + Send + Sync + 'static) {
        *self.state.script.lock() = Arc::new(script);
    }

    /// From now on it takes so long.
    fn takes(&self, delay: Duration) {
        *self.state.delay.lock() = delay;
    }

    fn flag(&self) -> String {
        format!("--prometheus-url=http://{}/prefix/", self.address)
    }

    fn asked(&self) -> Vec<String> {
        self.state.asked.lock().clone()
    }
}

impl Shown {
    async fn answer(&self, question: &str) -> Response {
        self.asked.lock().push(question.to_owned());
        let delay = *self.delay.lock();
        tokio::time::sleep(delay).await;
        let script = Arc::clone(&*self.script.lock());
        script(question)
    }
}

async fn query(State(shown): State<Arc<Shown>>, headers: HeaderMap, form: String) -> Response {
    let form = format!("/?{form}").parse().expect("a form");
    let Query(form) = Query::<HashMap<String, String>>::try_from_uri(&form).expect("a form");
    if let Some(token) = headers.get("authorization") {
        let token = token.to_str().expect("ASCII").to_owned();
        shown.tokens.lock().push(token);
    }
    shown.answer(&form["query"]).await
}

async fn values(
    State(shown): State<Arc<Shown>>,
    Path(label): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let question = format!("values of {label} in {}", query["match[]"]);
    shown.answer(&question).await
}

fn success(data: &Value) -> Response {
    Json(json!({"status": "success", "data": data})).into_response()
}

fn vector(result: &[Value]) -> Response {
    success(&json!({"resultType": "vector", "result": result}))
}

fn failure(status: u16, kind: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let body = json!({"status": "error", "errorType": kind, "error": "why"});
    (status, Json(body)).into_response()
}

/// A series that says that `shop/<workload>` has called a service of shop.
fn called(workload: &str, service: &str, value: &str) -> Value {
    json!({
        "metric": {
            "source_workload": workload,
            "source_workload_namespace": "shop",
            "destination_service": format!("{service}.shop.svc.cluster.local"),
        },
        "value": [1.0, value],
    })
}

/// An answer to questions about requests; others find nothing.
fn requests(question: &str, result: &[Value]) -> Response {
    match question.contains("istio_requests_total") {
        true => vector(result),
        false => vector(&[]),
    }
}

async fn hosts(collector: &Running, workload: &str) -> Vec<String> {
    let path = format!("/v1/workloads/shop/{workload}/dependencies");
    let answer = collector.get(&path).await;
    let items = answer["items"].as_array().cloned().unwrap_or_default();
    let hosts = items.iter().filter_map(|it| it["host"].as_str());
    hosts.map(str::to_owned).collect()
}

async fn learns_reviews(collector: &Running) {
    until("it is learned", async || {
        hosts(collector, "web").await == [REVIEWS]
    })
    .await;
}

async fn tells(collector: &Running, detail: &str) {
    until(detail, async || {
        let ready = collector.get("/readyz").await;
        let checks = ready["checks"].as_array().cloned().unwrap_or_default();
        let mut checks = checks.iter().filter(|it| it["name"] == "prometheus");
        // Whatever Prometheus does, the collector answers.
        assert_eq!(ready["ready"], true);
        checks.any(|it| it["detail"].as_str().is_some_and(|it| it.contains(detail)))
    })
    .await;
}

#[tokio::test]
async fn what_could_not_be_read_is_read_later() {
    let check = async |(script, told): (Answers, &'static str)| {
        let (mesh, fake) = (Mesh::new(), Fake::start(script).await);
        let flags = [&*fake.flag(), "--prometheus-interval=1s"];
        let collector = Running::start_with(&mesh, &flags).await;
        tells(&collector, told).await;
        fake.becomes(|question| requests(question, &[called("web", "reviews", "0")]));
        learns_reviews(&collector).await;
        collector.stop().await.expect("a good end");
    };
    let cases: [(Answers, &str); 7] = [
        (|_| failure(500, "internal"), "got internal: why"),
        (
            |_| failure(400, "bad_data"),
            "take the question, got bad_data",
        ),
        (|_| "<html>".into_response(), "what is no answer of its API"),
        (
            |_| StatusCode::FORBIDDEN.into_response(),
            "--prometheus-token-file",
        ),
        (
            |_| {
                let data = json!({"resultType": "vector", "result": []});
                let answer =
                    json!({"status": "success", "data": data, "warnings": ["a store is down"]});
                Json(answer).into_response()
            },
            "got a warning: a store is down",
        ),
        (
            |question| requests(question, &[]),
            "expected series of istio_requests_total",
        ),
        (
            |question| {
                requests(
                    question,
                    &[json!({"metric": {"app": "web"}, "value": [1.0, "1"]})],
                )
            },
            "see --prometheus-label",
        ),
    ];
    join_all(cases.map(check)).await;
}

/// Whose answers come after the time for them is asked for the same again; what was known stays.
#[tokio::test]
async fn a_prometheus_that_is_slow_costs_nothing_but_time() {
    let fake = Fake::start(|question| requests(question, &[called("web", "reviews", "1")])).await;
    let mesh = Mesh::new();
    mesh.run_pod("shop", Some("web"));
    let flags = [
        &*fake.flag(),
        "--prometheus-interval=1s",
        "--prometheus-timeout=1s",
        "--prometheus-lookback=1m",
        // So that it would leave, were it not seen while somebody looks.
        "--ttl=1s",
    ];
    let collector = Running::start_with(&mesh, &flags).await;
    learns_reviews(&collector).await;
    fake.takes(Duration::from_secs(2));
    let both = [called("web", "reviews", "0"), called("web", "ratings", "1")];
    fake.becomes(move |question| requests(question, &both));
    tells(&collector, "got none in 1 s").await;
    let asked = fake.asked().len();
    until("it was asked again", async || fake.asked().len() > asked).await;
    assert_eq!(hosts(&collector, "web").await, [REVIEWS]);
    fake.takes(Duration::ZERO);
    until("what was missed is learned", async || {
        hosts(&collector, "web").await.len() == 2
    })
    .await;
    collector.stop().await.expect("a good end");
}

#[tokio::test]
async fn a_prometheus_that_is_not_there_stops_nothing() {
    let mesh = Mesh::new();
    let flags = ["--prometheus-url=http://127.0.0.1:1"];
    let collector = Running::start_with(&mesh, &flags).await;
    tells(&collector, "got no connection").await;
    collector.resolve("web", "reviews").await;
    learns_reviews(&collector).await;
    collector.stop().await.expect("a good end");
}

/// More than one answer may hold is asked for by namespace, then by workload; an answer without end is not read to it.
#[tokio::test]
async fn a_million_series_are_read_in_parts() {
    let fake = Fake::start(|question| {
        let is_all = !question.contains("source_workload_namespace=");
        let is_large = question.contains(r#"source_workload_namespace="shop""#)
            && !question.contains("source_workload=");
        match question.strip_prefix("values of ") {
            Some(label) if label.starts_with("source_workload_namespace in") => {
                success(&json!(["bank", "shop"]))
            }
            Some(_) => success(&json!(["web", "cart"])),
            None if is_all => failure(422, "execution"),
            None if is_large => vector(&vec![called("web", "none", "1"); 100_000]),
            None if question.contains(r#"source_workload="web""#) => {
                vector(&[called("web", "reviews", "1")])
            }
            None => vector(&[]),
        }
    })
    .await;
    let mesh = Mesh::new();
    let flags = [&*fake.flag(), "--prometheus-lookback=24h"];
    let collector = Running::start_with(&mesh, &flags).await;
    learns_reviews(&collector).await;
    until("all is read", async || {
        collector.metric("lazymesh_prometheus_caught_up ").await == 1
    })
    .await;
    // What is too large once is not asked for again.
    let is_whole =
        |it: &&String| it.contains("last_over_time(istio_requests_total{reporter=\"source\"}[");
    assert_eq!(fake.asked().iter().filter(is_whole).count(), 1);
    collector.stop().await.expect("a good end");
}

#[tokio::test]
async fn series_that_cannot_be_teach_nothing() {
    let bad = || {
        let mut nan = called("web", "reviews", "NaN");
        let mut list = vec![
            called("web", "gone", "1"),
            called("unknown", "reviews", "1"),
            called("../web", "reviews", "1"),
            called("web", "reviews", "-1"),
            nan.clone(),
        ];
        nan["value"][1] = json!("1");
        nan["metric"]["namespace"] = json!("bank");
        list.push(nan);
        list
    };
    let fake = Fake::start(move |question| requests(question, &bad())).await;
    let mesh = Mesh::new();
    let flags = [&*fake.flag(), "--prometheus-lookback=1m"];
    let collector = Running::start_with(&mesh, &flags).await;
    let rejected = "lazymesh_prometheus_series_total{outcome=\"rejected\"}";
    until("they are counted", async || {
        collector.metric(rejected).await == 6
    })
    .await;
    assert!(hosts(&collector, "web").await.is_empty());
    let externals = collector.get("/v1/external-hosts").await;
    assert_eq!(externals["items"], json!([]));
    collector.stop().await.expect("a good end");
}

/// A canary is judged by how its calls end: now, and in the day before.
#[tokio::test]
async fn a_canary_whose_calls_fail_more_than_before_is_reverted() {
    let failed = |question: &str, before: &str| {
        let is_failed =
            question.contains(r#"source_workload_namespace="shop",response_code=~"5..""#);
        let is_before = question.contains("[86400000ms]");
        let value = match (is_failed, is_before) {
            (false, _) => "100",
            (true, false) => "40",
            (true, true) => before,
        };
        requests(question, &[called("web", "reviews", value)])
    };
    let fake = Fake::start(move |question| failed(question, "38")).await;
    let mesh = Mesh::new();
    mesh.run_pod("shop", Some("web"));
    mesh.label_canary(100);
    let flags = [&*fake.flag(), "--prometheus-interval=1s"];
    let collector = Running::start_with(&mesh, &flags).await;
    let is_before = |it: &String| it.contains("5..") && it.contains("[86400000ms]");
    until("it was judged", async || {
        fake.asked().iter().filter(|it| is_before(it)).count() > 1
    })
    .await;
    assert_eq!(collector.metric("lazymesh_namespaces_reverted ").await, 0);
    fake.becomes(move |question| failed(question, "0"));
    until("it is reverted", async || {
        let shown = collector.get("/v1/workloads/shop/web").await;
        shown["sidecar"]["detail"]
            .as_str()
            .is_some_and(|it| it.contains("40 % of calls"))
    })
    .await;
    collector.stop().await.expect("a good end");
}

#[tokio::test]
async fn the_token_is_read_anew() {
    let fake = Fake::start(|question| requests(question, &[])).await;
    let mesh = Mesh::new();
    let file = mesh.path("token");
    std::fs::write(&file, "first\n").expect("a file");
    let flag = format!("--prometheus-token-file={}", file.display());
    let flags = [&*fake.flag(), &flag, "--prometheus-interval=1s"];
    let collector = Running::start_with(&mesh, &flags).await;
    let is_sent = async |token: &'static str| {
        until(token, async || {
            fake.state
                .tokens
                .lock()
                .last()
                .is_some_and(|it| it == token)
        })
        .await;
    };
    is_sent("Bearer first").await;
    std::fs::write(&file, "second").expect("a file");
    is_sent("Bearer second").await;
    std::fs::remove_file(&file).expect("a file");
    tells(&collector, "--prometheus-token-file").await;
    collector.stop().await.expect("a good end");
}

#[tokio::test]
async fn mistakes_are_told_at_once() {
    let mesh = Mesh::new();
    let check = async |flags: &[&str], expect: &str| {
        let started = lazymesh_collector::Server::start(config(&mesh, flags)).await;
        let error = started.err().expect("an error").to_string();
        assert!(error.contains(expect), "{flags:?}: {error}");
    };
    check(&["--prometheus-url=ftp://a"], "expected http://").await;
    check(&["--prometheus-url=http://user:word@a"], "no user").await;
    check(&["--prometheus-url=https://a"], "--prometheus-ca-file").await;
    let url = "--prometheus-url=https://a";
    check(&[url, "--prometheus-ca-file=/nowhere"], "/nowhere").await;
    let empty = mesh.path("empty");
    std::fs::write(&empty, "").expect("a file");
    let flag = format!("--prometheus-ca-file={}", empty.display());
    check(&[url, &flag], "got none").await;
}
