//! Both routers over one collector.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use lazymesh_collector::api::Token;
use lazymesh_collector::store::Store;
use lazymesh_collector::{Collector, IngestIdentity};
use lazymesh_core::{EgressHost, Filters, Limits, Mesh, Policy, Visibility};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::document::{self, Listener};
use crate::mesh;
use crate::store::CountingStore;

/// A collector with its routers.
pub(crate) struct Api {
    pub(crate) collector: Collector,
    pub(crate) store: Arc<CountingStore>,
    ingest: Router,
    admin: Router,
}

/// What an [`Api`] is made of; the default is a collector that is ready.
pub(crate) struct Setup {
    pub(crate) identity: IngestIdentity,
    pub(crate) token: Option<Token>,
    pub(crate) mesh: Mesh,
    pub(crate) limits: Limits,
    pub(crate) ready: bool,
    pub(crate) requires_filters: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            identity: IngestIdentity::None,
            token: None,
            mesh: Mesh::default(),
            limits: Limits::default(),
            ready: true,
            requires_filters: false,
        }
    }
}

impl Setup {
    pub(crate) async fn start(self) -> Api {
        let store = Arc::new(CountingStore::default());
        let always = ["lazymesh-system/collector.lazymesh-system.svc.cluster.local"];
        let policy = Policy {
            visibility: Visibility {
                always: always
                    .map(|host| host.parse::<EgressHost>().expect("a host"))
                    .into(),
                ..Visibility::default()
            },
            filters: match self.requires_filters {
                true => Filters::required(),
                false => Filters::default(),
            },
            ..Policy::default()
        };
        let shared: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let collector = Collector::new(shared, self.mesh, self.limits, policy);
        if self.ready {
            collector.load().await.expect("the store loads");
            collector.sync_inventory(mesh::objects());
        }
        Api {
            ingest: collector.ingest(self.identity),
            admin: collector.admin(self.token),
            collector,
            store,
        }
    }
}

/// An answer that the OpenAPI document allows.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON answer")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text answer")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self
            .headers
            .get(name)
            .map(|value| value.to_str().expect("ASCII"));
        value.unwrap_or_default()
    }

    /// Status and `field` of a problem.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, Option<String>) {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        (
            self.status.as_u16(),
            problem["field"].as_str().map(str::to_owned),
        )
    }
}

impl Api {
    pub(crate) async fn new() -> Self {
        Setup::default().start().await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.admin(Request::get(path).body(Body::empty()).expect("a request"))
            .await
    }

    pub(crate) async fn admin(&self, request: Request<Body>) -> Answer {
        call(&self.admin, Listener::Admin, request).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        self.ingest(request.body(body.into()).expect("a request"))
            .await
    }

    pub(crate) async fn ingest(&self, request: Request<Body>) -> Answer {
        call(&self.ingest, Listener::Ingest, request).await
    }

    /// Has a workload meet a host over HTTP.
    pub(crate) async fn resolve(&self, workload: &str, authority: &str) -> Answer {
        self.post("/v1/resolve", question(workload, authority).to_string())
            .await
    }

    /// Has a filter say only that it is there.
    pub(crate) async fn greet(&self, workload: &str) -> Answer {
        let body = json!({"source": source(workload), "reports": []});
        self.post("/v1/reports", body.to_string()).await
    }
}

/// A valid request to `/v1/resolve`.
pub(crate) fn question(workload: &str, authority: &str) -> Value {
    json!({"source": source(workload), "authority": authority, "protocol": "http"})
}

/// The source of `<namespace>/<workload>`.
pub(crate) fn source(workload: &str) -> Value {
    let (namespace, name) = workload.split_once('/').expect("namespace/name");
    json!({"namespace": namespace, "workload": name})
}

async fn call(router: &Router, listener: Listener, request: Request<Body>) -> Answer {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = router.clone().oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let answer = Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    };
    document::check(listener, &method, &path, &answer);
    answer
}
