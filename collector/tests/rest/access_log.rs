//! Access logs over gRPC: who may send them, and what they teach.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use bytes::{BufMut, Bytes};
use futures::future::join;
use http::Request;
use http_body_util::BodyExt;
use lazymesh_collector::IngestIdentity;
use prost::Message;
use serde_json::json;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::api::{Api, Setup};
use crate::mesh::object;

const COLLECTOR: &str = "spiffe://cluster.local/ns/lazymesh-system/sa/collector";
const PATH: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

#[derive(Clone, PartialEq, Message)]
struct StreamAccessLogsMessage {
    #[prost(message, optional, tag = "1")]
    identifier: Option<Identifier>,
    #[prost(message, optional, tag = "2")]
    http_logs: Option<Entries>,
    #[prost(message, optional, tag = "3")]
    tcp_logs: Option<Entries>,
}

#[derive(Clone, PartialEq, Message)]
struct Identifier {
    #[prost(message, optional, tag = "1")]
    node: Option<Node>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(message, optional, tag = "3")]
    metadata: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "3")]
    string_value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Entries {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    log_entry: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(message, optional, tag = "1")]
    common: Option<Common>,
    #[prost(message, optional, tag = "3")]
    request: Option<HttpRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct Common {
    #[prost(string, tag = "15")]
    upstream_cluster: String,
}

#[derive(Clone, PartialEq, Message)]
struct HttpRequest {
    #[prost(string, tag = "3")]
    authority: String,
}

struct Logs {
    api: Api,
    router: Router,
    _stop: watch::Sender<bool>,
}

impl Logs {
    async fn start(identity: IngestIdentity, ready: bool) -> Self {
        let setup = Setup {
            identity: identity.clone(),
            ready,
            ..Setup::default()
        };
        let api = setup.start().await;
        let (stop, stopped) = watch::channel(false);
        Self {
            router: api.collector.access_logs(identity, stopped),
            api,
            _stop: stop,
        }
    }

    /// Sends messages as one stream; the status that it ends with.
    async fn send(&self, xfcc: Option<&str>, messages: &[StreamAccessLogsMessage]) -> u16 {
        let mut body = Vec::new();
        for message in messages {
            let message = message.encode_to_vec();
            body.put_u8(0);
            body.put_u32(message.len().try_into().expect("a length"));
            body.put_slice(&message);
        }
        let mut request = Request::post(PATH).header("content-type", "application/grpc");
        if let Some(uri) = xfcc {
            let element = format!("By={COLLECTOR};Hash=00ff;Subject=\"\";URI={uri}");
            request = request.header("x-forwarded-client-cert", element);
        }
        let request = request.body(Body::from(body)).expect("a request");
        let answer = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("an answer");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("a body");
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = head
            .headers
            .get("grpc-status")
            .or_else(|| trailers.get("grpc-status"));
        let status = status.expect("a status").to_str().expect("ASCII");
        status.parse().expect("a number")
    }

    async fn learned(&self, workload: &str) -> Vec<String> {
        let answer = self
            .api
            .get(&format!("/v1/workloads/{workload}/dependencies"))
            .await;
        let answer = answer.json();
        let items = answer["items"].as_array().into_iter().flatten();
        items
            .map(|item| item["host"].as_str().expect("a host").to_owned())
            .collect()
    }
}

fn identifier(namespace: &str, workload: &str) -> Option<Identifier> {
    let fields = [("NAMESPACE", namespace), ("WORKLOAD_NAME", workload)];
    let fields = fields.map(|(name, value)| {
        let string_value = value.to_owned();
        (name.to_owned(), Value { string_value })
    });
    let fields = BTreeMap::from(fields);
    let metadata = Some(Struct { fields });
    Some(Identifier {
        node: Some(Node { metadata }),
    })
}

fn entry(cluster: &str, authority: &str) -> Bytes {
    let entry = Entry {
        common: Some(Common {
            upstream_cluster: cluster.to_owned(),
        }),
        request: Some(HttpRequest {
            authority: authority.to_owned(),
        }),
    };
    entry.encode_to_vec().into()
}

fn of(workload: &str, log_entry: Vec<Bytes>) -> StreamAccessLogsMessage {
    let (namespace, workload) = workload.split_once('/').expect("namespace/workload");
    StreamAccessLogsMessage {
        identifier: identifier(namespace, workload),
        http_logs: Some(Entries { log_entry }),
        tcp_logs: None,
    }
}

fn reviews() -> Bytes {
    entry("outbound|80||reviews.shop.svc.cluster.local", "reviews")
}

#[tokio::test]
async fn the_certificate_says_who_speaks() {
    let identity = IngestIdentity::Xfcc {
        collector: COLLECTOR.to_owned(),
    };
    let logs = Logs::start(identity.clone(), true).await;
    let web = Some("spiffe://cluster.local/ns/shop/sa/web-account");
    for (xfcc, claimed, status) in [
        (None, "shop/web", 7),
        (web, "bank/teller", 7),
        (web, "shop/custom", 7),
        (web, "shop/nobody", 7),
        (
            Some("spiffe://other.example/ns/shop/sa/web-account"),
            "shop/web",
            7,
        ),
        (web, "shop/", 3),
        (web, "shop/web", 0),
    ] {
        let found = logs.send(xfcc, &[of(claimed, vec![reviews()])]).await;
        assert_eq!(found, status, "{xfcc:?} as {claimed}");
    }
    assert_eq!(
        logs.learned("shop/web").await,
        ["shop/reviews.shop.svc.cluster.local"]
    );
    assert!(logs.learned("shop/custom").await.is_empty());

    let unready = Logs::start(identity, false).await;
    assert_eq!(
        unready.send(web, &[of("shop/web", vec![reviews()])]).await,
        14
    );
}

#[tokio::test]
async fn entries_teach_what_was_called() {
    let logs = Logs::start(IngestIdentity::None, true).await;
    logs.api.collector.sync_inventory(vec![object(json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "books", "namespace": "shop"},
        "spec": {
            "hosts": ["books.example.com"],
            "http": [{"route": [{"destination": {"host": "ratings"}}]}],
        },
    }))]);
    let check = async |n: usize, entries: Vec<Bytes>, expect: &[&str]| {
        let workload = format!("shop/caller-{n}");
        assert_eq!(logs.send(None, &[of(&workload, entries)]).await, 0);
        assert_eq!(logs.learned(&workload).await, expect, "{workload}");
    };
    let (ratings, reviews_host) = (
        "shop/ratings.shop.svc.cluster.local",
        "shop/reviews.shop.svc.cluster.local",
    );
    let ratings_cluster = "outbound|80|v2|ratings.shop.svc.cluster.local";
    check(0, vec![entry(ratings_cluster, "")], &[ratings]).await;
    check(
        1,
        vec![entry(ratings_cluster, "no name\u{1f980}")],
        &[ratings],
    )
    .await;
    // Both what was called and what it stood for.
    let books = vec![entry(ratings_cluster, "books.example.com")];
    check(2, books, &["shop/books.example.com", ratings]).await;
    // What the sidecar has no cluster of: by name, as a filter asks.
    for (n, cluster) in ["PassthroughCluster", "lazymesh-direct", ""]
        .iter()
        .enumerate()
    {
        check(
            10 + n,
            vec![entry(cluster, "reviews.shop:80")],
            &[reviews_host],
        )
        .await;
    }
    // A cluster of a service that is gone, and what comes in.
    check(
        20,
        vec![entry("outbound|80||gone.shop.svc.cluster.local", "")],
        &[],
    )
    .await;
    check(21, vec![entry("inbound|80||", "reviews")], &[]).await;
}

#[tokio::test]
async fn each_witness_is_remembered_by_itself() {
    let logs = Logs::start(IngestIdentity::None, true).await;
    let witnesses = async || {
        let path = "/v1/workloads/shop/web/dependencies";
        let answer = logs.api.get(path).await.json();
        let seen_by = answer["items"][0]["seen_by"].as_array().cloned();
        let seen_by = seen_by.into_iter().flatten();
        seen_by
            .map(|seen| seen["witness"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    let entries = [of("shop/web", vec![reviews()])];
    assert_eq!(logs.send(None, &entries).await, 0);
    assert_eq!(witnesses().await, ["access-log"]);
    logs.api.resolve("shop/web", "reviews").await;
    assert_eq!(witnesses().await, ["filter", "access-log"]);
}

#[tokio::test]
async fn a_bad_entry_drops_only_itself() {
    let logs = Logs::start(IngestIdentity::None, true).await;
    let bad = [
        Bytes::from_static(b"\x0a\xff"),
        Bytes::from_static(b"\x1a\x03\x1a\x01\xff"),
        entry("PassthroughCluster", "a b"),
        entry("", ""),
    ];
    let mut entries = bad.to_vec();
    entries.push(reviews());
    assert_eq!(logs.send(None, &[of("shop/web", entries)]).await, 0);
    assert_eq!(
        logs.learned("shop/web").await,
        ["shop/reviews.shop.svc.cluster.local"]
    );
    let metrics = logs.api.get("/metrics").await;
    for line in [
        "lazymesh_access_log_entries_total{outcome=\"accepted\"} 1",
        "lazymesh_access_log_entries_total{outcome=\"rejected\"} 4",
    ] {
        assert!(metrics.text().contains(line), "{line}: {}", metrics.text());
    }
}

#[tokio::test]
async fn who_floods_is_slowed_and_others_are_not() {
    let logs = Logs::start(IngestIdentity::None, true).await;
    // A second's worth that may come at once, and another's.
    let flood = of("shop/web", vec![Bytes::new(); 40_000]);
    let timed = async |messages: &[StreamAccessLogsMessage]| {
        let started = Instant::now();
        assert_eq!(logs.send(None, messages).await, 0);
        started.elapsed()
    };
    let modest = [of("bank/teller", vec![reviews()])];
    let flood = [flood];
    let (flood, modest) = join(timed(&flood), timed(&modest)).await;
    assert!(flood >= Duration::from_millis(900), "{flood:?}");
    assert!(modest < flood / 2, "{modest:?} of {flood:?}");
}
