//! Who may report for whom, when the collector's own sidecar says who calls.

use axum::body::Body;
use bytes::Bytes;
use futures::stream::pending;
use http::Request;
use lazymesh_collector::IngestIdentity;
use serde_json::{Value, json};

use crate::api::{Answer, Api, Setup, question};

const COLLECTOR: &str = "spiffe://cluster.local/ns/lazymesh-system/sa/collector";

async fn start() -> Api {
    let identity = IngestIdentity::Xfcc {
        collector: COLLECTOR.to_owned(),
    };
    Setup {
        identity,
        ..Setup::default()
    }
    .start()
    .await
}

async fn ask(api: &Api, xfcc: &[String], body: &Value) -> Answer {
    let mut request = Request::post("/v1/resolve").header("content-type", "application/json");
    for value in xfcc {
        request = request.header("x-forwarded-client-cert", value);
    }
    api.ingest(
        request
            .body(Body::from(body.to_string()))
            .expect("a request"),
    )
    .await
}

/// An element as the collector's sidecar adds it.
fn element(by: &str, uri: &str) -> String {
    format!("By={by};Hash=00ff;Subject=\"\";URI={uri}")
}

fn web() -> String {
    element(COLLECTOR, "spiffe://cluster.local/ns/shop/sa/web-account")
}

#[tokio::test]
async fn nobody_is_refused_before_the_pods_are_known() {
    let identity = IngestIdentity::Xfcc {
        collector: COLLECTOR.to_owned(),
    };
    let api = Setup {
        identity,
        ready: false,
        ..Setup::default()
    }
    .start()
    .await;
    let answer = ask(&api, &[web()], &question("shop/web", "reviews")).await;
    assert_eq!(answer.problem(), (503, None));
}

#[tokio::test]
async fn a_caller_may_speak_for_its_own_workload() {
    let api = start().await;
    let forged = element(COLLECTOR, "spiffe://cluster.local/ns/bank/sa/teller");
    for xfcc in [
        vec![web()],
        vec![format!("{forged},{}", web())],
        vec![forged, web()],
    ] {
        let answer = ask(&api, &xfcc, &question("shop/web", "reviews")).await;
        assert_eq!(answer.status, 200, "{xfcc:?} {}", answer.text());
    }
}

#[tokio::test]
async fn everybody_else_is_refused() {
    let api = start().await;
    let own = question("shop/web", "reviews");
    let mut contradicting = own.clone();
    contradicting["source"]["service_account"] = json!("default");
    let other_by = element(
        "spiffe://cluster.local/ns/bank/sa/teller",
        "spiffe://cluster.local/ns/shop/sa/web-account",
    );
    let after = format!(
        "{},{}",
        web(),
        element(COLLECTOR, "spiffe://cluster.local/ns/bank/sa/teller")
    );
    let cases = [
        (vec![], own.clone(), "no header"),
        (vec![String::new()], own.clone(), "an empty header"),
        (vec![other_by], own.clone(), "added by another proxy"),
        (
            vec![web(), "By=x".to_owned()],
            own.clone(),
            "a later header counts",
        ),
        (vec![after], own.clone(), "a later element counts"),
        (
            vec![format!("By={COLLECTOR};Hash=00")],
            own.clone(),
            "no URI",
        ),
        (
            vec![element(COLLECTOR, "spiffe://cluster.local/vm/1")],
            own.clone(),
            "not a service account",
        ),
        (
            vec![element(
                COLLECTOR,
                "spiffe://federated.example/ns/shop/sa/web-account",
            )],
            own.clone(),
            "a federated trust domain",
        ),
        (
            vec![element(
                COLLECTOR,
                "spiffe://cluster.local.evil/ns/shop/sa/web-account",
            )],
            own.clone(),
            "a trust domain that begins alike",
        ),
        (
            vec![web()],
            question("bank/teller", "ledger"),
            "another namespace",
        ),
        (
            vec![web()],
            question("shop/custom", "reviews"),
            "another workload's account",
        ),
        (
            vec![web()],
            question("shop/none", "reviews"),
            "a workload without pods",
        ),
        (vec![web()], contradicting, "another account in the body"),
    ];
    for (xfcc, body, case) in &cases {
        let answer = ask(&api, xfcc, body).await;
        assert_eq!(answer.problem(), (403, None), "{case}: {}", answer.text());
    }
    assert_eq!(api.store.written(), (0, 0));
    let metrics = api.get("/metrics").await;
    let line = format!("lazymesh_identity_refused_total {}", cases.len());
    assert!(metrics.text().contains(&line), "{}", metrics.text());
}

#[tokio::test]
async fn an_alias_of_the_trust_domain_is_the_mesh_s_own() {
    let mut setup = Setup {
        identity: IngestIdentity::Xfcc {
            collector: COLLECTOR.to_owned(),
        },
        ..Setup::default()
    };
    setup.mesh.trust_domain_aliases = vec!["old.example".to_owned()];
    let api = setup.start().await;
    for (domain, status) in [
        ("cluster.local", 200),
        ("old.example", 200),
        ("new.example", 403),
    ] {
        let uri = format!("spiffe://{domain}/ns/shop/sa/web-account");
        let xfcc = [element(COLLECTOR, &uri)];
        let answer = ask(&api, &xfcc, &question("shop/web", "reviews")).await;
        assert_eq!(answer.status, status, "{domain}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_proves_nothing_is_refused_before_the_body_comes() {
    let api = start().await;
    let never = Body::from_stream(pending::<Result<Bytes, std::io::Error>>());
    let start = tokio::time::Instant::now();
    assert_eq!(api.post("/v1/reports", never).await.problem(), (403, None));
    assert_eq!(start.elapsed().as_millis(), 0);
}

#[tokio::test]
async fn reports_ask_for_it_too() {
    let api = start().await;
    let reports = json!({"source": {"namespace": "shop", "workload": "web"}, "reports": []});
    assert_eq!(
        api.post("/v1/reports", reports.to_string()).await.problem(),
        (403, None)
    );
}
