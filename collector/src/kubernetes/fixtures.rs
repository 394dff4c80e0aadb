//! An API server of a few lines: lists, watches, creation, server-side apply and deletes, all in memory. It records what it
//! is asked, so that tests see which requests were made and which were not.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower_test::mock;

type Answer = UnsyncBoxBody<Bytes, Infallible>;

/// The API server's side.
#[derive(Clone, Default)]
pub(crate) struct FakeApi {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    version: u64,
    /// By collection (`services`) and `namespace/name`.
    objects: BTreeMap<(String, String), Value>,
    watches: Vec<(String, UnboundedSender<Bytes>)>,
    /// What watches have been told, for those that come later: version, collection and event.
    told: Vec<(u64, String, Bytes)>,
    /// What came before this version is forgotten.
    forgotten: u64,
    /// Collections that do not exist.
    unknown: BTreeSet<String>,
    requests: Vec<String>,
    /// The namespace whose requests are never answered.
    withheld: Option<String>,
}

/// What a URL names.
struct Target {
    plural: String,
    namespace: String,
    name: Option<String>,
    /// `fieldSelector=metadata.name=…` or `labelSelector=…`.
    query: BTreeMap<String, String>,
}

impl FakeApi {
    /// A server, and a client of it.
    pub(crate) fn start() -> (Self, Client) {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Answer>>();
        let api = Self::default();
        let server = api.clone();
        tokio::spawn(async move {
            let mut unanswered = Vec::new();
            while let Some((request, answer)) = handle.next_request().await {
                if server.withholds(&request) {
                    unanswered.push(answer);
                } else {
                    answer.send_response(server.serve(request).await);
                }
            }
        });
        (api, Client::new(service, "default"))
    }

    /// Puts an object in place, as somebody else would.
    pub(crate) fn put(&self, plural: &str, object: Value) {
        self.state.lock().put(plural, object);
    }

    /// Deletes an object, as somebody else would.
    pub(crate) fn delete(&self, plural: &str, place: &str) {
        self.state.lock().delete(plural, place);
    }

    pub(crate) fn get(&self, plural: &str, place: &str) -> Option<Value> {
        self.state
            .lock()
            .objects
            .get(&(plural.to_owned(), place.to_owned()))
            .cloned()
    }

    pub(crate) fn set_unknown(&self, plural: &str, unknown: bool) {
        let mut state = self.state.lock();
        if unknown {
            state.unknown.insert(plural.to_owned());
        } else {
            state.unknown.remove(plural);
        }
    }

    /// Ends all watches as a server does that has forgotten what they have seen, with these changes that no
    /// watch is told of.
    pub(crate) fn restart(&self, change: impl FnOnce(&Self)) {
        let watches = std::mem::take(&mut self.state.lock().watches);
        change(self);
        let mut state = self.state.lock();
        state.told.clear();
        state.forgotten = state.version;
        for (_, watch) in watches {
            let _ = watch.unbounded_send(expired());
        }
    }

    /// `verb plural` of every request since the last call.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().requests)
    }

    /// Answers no request for an object of this namespace any more.
    pub(crate) fn withhold(&self, namespace: &str) {
        self.state.lock().withheld = Some(namespace.to_owned());
    }

    fn withholds(&self, request: &Request<Body>) -> bool {
        let namespace = Target::parse(request.uri()).namespace;
        self.state.lock().withheld.as_deref() == Some(namespace.as_str())
    }

    async fn serve(&self, request: Request<Body>) -> Response<Answer> {
        let (parts, body) = request.into_parts();
        let target = Target::parse(&parts.uri);
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut state = self.state.lock();
        let watches = target
            .query
            .get("watch")
            .is_some_and(|watch| watch == "true");
        let verb = match (&parts.method, &target.name) {
            (&Method::GET, Some(_)) => "get",
            (&Method::GET, None) if watches => "watch",
            (&Method::GET, None) => "list",
            (&Method::POST, None) => "create",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, _) => "delete",
            _ => "other",
        };
        state.requests.push(format!("{verb} {}", target.plural));
        if state.unknown.contains(&target.plural) {
            return failure(404, "the server could not find the requested resource");
        }
        match verb {
            "get" => state
                .find(&target)
                .map_or_else(|| failure(404, "not found"), success),
            "list" => success(state.list(&target)),
            "watch" => Response::new(stream(state.watch(target)).boxed_unsync()),
            "create" => success(state.put(&target.plural, body)),
            "patch" => state.apply(&target, body),
            "delete" => state.remove(&target),
            _ => failure(405, "method not allowed"),
        }
    }
}

impl Target {
    fn parse(uri: &http::Uri) -> Self {
        let mut path: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        path.drain(..if path[0] == "api" { 2 } else { 3 });
        let namespaced = path[0] == "namespaces" && path.len() > 2;
        let namespace = if namespaced { path[1] } else { "" }.to_owned();
        let path = if namespaced { &path[2..] } else { &path[..] };
        let decode = |text: &str| text.replace("%3D", "=").replace("%2F", "/");
        let pairs = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        Self {
            plural: path[0].to_owned(),
            namespace,
            name: path.get(1).map(|name| (*name).to_owned()),
            query: pairs
                .map(|(key, value)| (key.to_owned(), decode(value)))
                .collect(),
        }
    }

    fn place(&self) -> String {
        format!(
            "{}/{}",
            self.namespace,
            self.name.as_deref().unwrap_or_default()
        )
    }

    fn selects(&self, object: &Value) -> bool {
        let in_namespace =
            self.namespace.is_empty() || object["metadata"]["namespace"] == self.namespace;
        let field = self
            .query
            .get("fieldSelector")
            .and_then(|field| field.strip_prefix("metadata.name="));
        let labels = self
            .query
            .get("labelSelector")
            .into_iter()
            .flat_map(|labels| labels.split("%2C"));
        let mut labels = labels.filter_map(|label| label.split_once('='));
        in_namespace
            && field.is_none_or(|name| object["metadata"]["name"] == name)
            && labels.all(|(key, value)| object["metadata"]["labels"][key] == value)
    }
}

impl State {
    fn put(&mut self, plural: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let known = self
            .objects
            .insert((plural.to_owned(), place(&object)), object.clone());
        self.tell(
            plural,
            if known.is_some() { "MODIFIED" } else { "ADDED" },
            &object,
        );
        object
    }

    fn delete(&mut self, plural: &str, place: &str) -> Option<Value> {
        let object = self
            .objects
            .remove(&(plural.to_owned(), place.to_owned()))?;
        self.version += 1;
        self.tell(plural, "DELETED", &object);
        Some(object)
    }

    fn tell(&mut self, plural: &str, kind: &str, object: &Value) {
        let event = line(&json!({ "type": kind, "object": object }));
        self.told
            .push((self.version, plural.to_owned(), event.clone()));
        for (_, watch) in self.watches.iter().filter(|(watched, _)| watched == plural) {
            let _ = watch.unbounded_send(event.clone());
        }
    }

    fn find(&self, target: &Target) -> Option<Value> {
        self.objects
            .get(&(target.plural.clone(), target.place()))
            .cloned()
    }

    fn list(&self, target: &Target) -> Value {
        let of_kind = self
            .objects
            .iter()
            .filter(|((plural, _), _)| *plural == target.plural);
        let items: Vec<&Value> = of_kind
            .map(|(_, object)| object)
            .filter(|object| target.selects(object))
            .collect();
        let version = self.version.to_string();
        json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": version }, "items": items })
    }

    fn watch(&mut self, target: Target) -> UnboundedReceiver<Bytes> {
        let (sender, receiver) = unbounded();
        let version = target
            .query
            .get("resourceVersion")
            .and_then(|version| version.parse().ok());
        if version.is_some_and(|version: u64| version < self.forgotten) {
            let _ = sender.unbounded_send(expired());
            return receiver;
        }
        for (at, plural, event) in &self.told {
            if version.is_none_or(|version| *at > version) && *plural == target.plural {
                let _ = sender.unbounded_send(event.clone());
            }
        }
        self.watches.push((target.plural, sender));
        receiver
    }

    /// Server-side apply without the bookkeeping of managers: maps are merged, all else is replaced. An object
    /// that is there is in conflict unless the apply is forced.
    fn apply(&mut self, target: &Target, patch: Value) -> Response<Answer> {
        let live = self.find(target);
        let forced = target
            .query
            .get("force")
            .is_some_and(|force| force == "true");
        let merge = !target.query.contains_key("fieldManager") || patch.get("apiVersion").is_none();
        let version = &patch["metadata"]["resourceVersion"];
        let object = match live {
            None if merge => return failure(404, "not found"),
            None if version.is_string() => return failure(409, "gone"),
            None => patch,
            Some(live)
                if version.is_string() && *version != live["metadata"]["resourceVersion"] =>
            {
                return failure(409, "the object has been modified");
            }
            Some(_) if !forced && !merge => return failure(409, "conflict with another manager"),
            Some(mut live) => {
                merge_into(&mut live, &patch);
                live
            }
        };
        success(self.put(&target.plural, object))
    }

    fn remove(&mut self, target: &Target) -> Response<Answer> {
        let gone = self.delete(&target.plural, &target.place());
        gone.map_or_else(|| failure(404, "not found"), success)
    }
}

fn merge_into(live: &mut Value, patch: &Value) {
    match (live, patch) {
        (Value::Object(live), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    live.remove(key);
                } else {
                    merge_into(live.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (live, patch) => *live = patch.clone(),
    }
}

fn place(object: &Value) -> String {
    let text = |key: &str| {
        object["metadata"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    format!("{}/{}", text("namespace"), text("name"))
}

fn line(event: &Value) -> Bytes {
    Bytes::from(format!("{event}\n"))
}

fn expired() -> Bytes {
    line(&json!({ "type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410,
    } }))
}

fn stream(
    events: UnboundedReceiver<Bytes>,
) -> StreamBody<impl futures::Stream<Item = Result<Frame<Bytes>, Infallible>>> {
    StreamBody::new(events.map(|bytes| Ok(Frame::data(bytes))))
}

fn success(object: Value) -> Response<Answer> {
    Response::new(Full::from(object.to_string()).boxed_unsync())
}

fn failure(code: u16, message: &str) -> Response<Answer> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": message, "reason": if code == 404 { "NotFound" } else { "Failed" }, "code": code,
    });
    let mut response = success(status);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    response
}

/// A namespace with labels.
pub(crate) fn namespace(name: &str, labels: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } })
}

/// A service with an HTTP port.
pub(crate) fn service(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": namespace, "name": name },
        "spec": { "clusterIP": "10.0.0.1", "ports": [{ "name": "http", "port": 80 }] },
    })
}

/// The mesh's configuration.
pub(crate) fn mesh_config(mesh: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "namespace": "istio-system", "name": "istio" },
        "data": { "mesh": mesh },
    })
}

/// A Sidecar with one host, with or without our label.
pub(crate) fn sidecar(namespace: &str, name: &str, owner: &str, host: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
        "metadata": {
            "namespace": namespace, "name": name, "labels": { "app.kubernetes.io/managed-by": owner },
        },
        "spec": { "egress": [{ "hosts": [host] }] },
    })
}
