use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::resource::{Mesh, Object};

struct Case {
    mesh: Mesh,
    visibility: Visibility,
    objects: Vec<Value>,
}

fn with(objects: impl IntoIterator<Item = Value>) -> Case {
    Case {
        mesh: Mesh::default(),
        visibility: Visibility::default(),
        objects: objects.into_iter().collect(),
    }
}

impl Case {
    /// Hosts by the first label of their names, each with the reason for which it stays.
    #[track_caller]
    fn stay(self, expect: &[&str]) {
        let mut inventory = Inventory::new(self.mesh);
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } });
        inventory.apply(Object::from_value(namespace).unwrap().unwrap());
        for object in self.objects {
            inventory.apply(Object::from_value(object).unwrap().unwrap());
        }
        let mut found = BTreeMap::new();
        for (host, why) in always_visible_in(&inventory, &self.visibility, "shop") {
            found.entry(host).or_insert(why);
        }
        let found = found.iter().map(|(host, why)| {
            let name = host.host.split('.').next();
            format!("{} {}", name.unwrap_or_default(), why.word())
        });
        assert_eq!(found.collect::<Vec<_>>(), expect);
    }
}

fn service(name: &str, ports: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": { "clusterIP": "10.96.0.1", "ports": ports },
    })
}

/// A ServiceEntry with one port.
fn entry(name: &str, protocol: &str, spec: Value) -> Value {
    let mut entry = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": spec,
    });
    entry["spec"]["hosts"] = json!([format!("{name}.example.com")]);
    entry["spec"]["ports"] = json!([{ "number": 5000, "protocol": protocol }]);
    entry
}

fn for_host(kind: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": kind,
        "metadata": { "name": "rule", "namespace": "shop" },
        "spec": spec,
    })
}

#[test]
fn what_has_addresses_of_its_own_is_lazy() {
    with([
        service("web", json!([{ "port": 80, "name": "http" }])),
        service(
            "db",
            json!([{ "port": 5432, "name": "tcp" }, { "port": 3306 }]),
        ),
        service("detected", json!([{ "port": 9000 }])),
        service("tls", json!([{ "port": 443, "name": "https" }])),
        entry(
            "single",
            "TCP",
            json!({ "addresses": ["192.0.2.1", "192.0.2.2/32"] }),
        ),
        entry("block", "TCP", json!({ "addresses": ["192.0.2.0/24"] })),
    ])
    .stay(&[]);
}

#[test]
fn tcp_where_others_have_http_stays() {
    let taken = |others: Value| {
        with([
            service("db", json!([{ "port": 80, "name": "tcp" }])),
            service("tls", json!([{ "port": 80, "name": "tls" }])),
            service("web", others),
        ])
    };
    taken(json!([{ "port": 80, "name": "http" }])).stay(&["db shares-http-port"]);
    taken(json!([{ "port": 80 }])).stay(&["db shares-http-port"]);
    taken(json!([{ "port": 81, "name": "http" }])).stay(&[]);
}

#[test]
fn an_external_name_has_no_listener() {
    let mut name = service("db", json!([{ "port": 80, "name": "tcp" }]));
    name["spec"]["type"] = json!("ExternalName");
    name["spec"]["externalName"] = json!("db.example.com");
    with([
        name,
        service("web", json!([{ "port": 80, "name": "http" }])),
    ])
    .stay(&[]);
}

#[test]
fn without_an_address_only_what_passes_as_it_is_is_lazy() {
    let check = |spec: Value, protocols: [&str; 4], expect: [&str; 4]| {
        for (protocol, why) in protocols.into_iter().zip(expect) {
            let stays = format!("out {why}");
            let expect: Vec<_> = Some(stays.as_str())
                .filter(|_| !why.is_empty())
                .into_iter()
                .collect();
            with([entry("out", protocol, spec.clone())]).stay(&expect);
        }
    };
    let protocols = ["HTTP", "TLS", "TCP", ""];
    let (name, port) = ("told-by-server-name", "told-by-port");
    check(json!({}), protocols, ["", "", "", ""]);
    check(
        json!({ "resolution": "DNS" }),
        protocols,
        ["", "", port, port],
    );
    check(
        json!({ "location": "MESH_INTERNAL" }),
        protocols,
        ["", name, port, port],
    );
    let endpoints = json!([{ "address": "192.0.2.1" }]);
    check(
        json!({ "resolution": "STATIC", "endpoints": endpoints }),
        protocols,
        ["", name, port, port],
    );
    check(
        json!({ "workloadSelector": { "labels": { "app": "db" } } }),
        protocols,
        ["", name, port, port],
    );
    check(
        json!({ "addresses": ["192.0.2.0/24"] }),
        protocols,
        ["", name, "", ""],
    );
}

#[test]
fn what_is_closed_or_ruled_does_not_pass() {
    let out = || entry("out", "TLS", json!({ "resolution": "DNS" }));
    with([out()]).stay(&[]);
    let name = ["out told-by-server-name"];
    let mut closed = with([out()]);
    closed.mesh.registry_only = true;
    closed.stay(&name);
    let policy =
        json!({ "host": "*.example.com", "trafficPolicy": { "tls": { "mode": "SIMPLE" } } });
    with([out(), for_host("DestinationRule", policy)]).stay(&name);
    let routes = json!({ "hosts": ["out.example.com"], "tls": [{ "match": [{ "sniHosts": ["out.example.com"] }] }] });
    with([out(), for_host("VirtualService", routes)]).stay(&name);
}

#[test]
fn what_a_virtual_service_tells_by_the_server_s_name_stays() {
    let check = |kind: &str, expect: &[&str]| {
        let routes = json!({ "hosts": ["db.shop.svc.cluster.local"], kind: [{ "route": [] }] });
        let service = service("db", json!([{ "port": 443, "name": "tls" }]));
        with([service, for_host("VirtualService", routes)]).stay(expect);
    };
    check("tls", &["db told-by-server-name"]);
    check("tcp", &[]);
}

#[test]
fn what_refuses_all_but_http_stays() {
    let web = service("web", json!([{ "port": 80, "name": "http" }]));
    let mut proxy = service(
        "proxy",
        json!([{ "port": 80, "appProtocol": "http_proxy" }]),
    );
    with([web.clone(), proxy.clone()]).stay(&["proxy http-proxy"]);
    let raw = service(
        "raw",
        json!([{ "port": 80 }, { "port": 81, "name": "tls" }]),
    );
    let both = ["proxy http-proxy", "raw http-proxy"];
    with([web.clone(), proxy.clone(), raw]).stay(&both);
    proxy["spec"]["type"] = json!("ExternalName");
    with([web, proxy]).stay(&[]);
}

#[test]
fn what_shares_a_port_of_one_protocol_stays() {
    let web = || service("web", json!([{ "port": 5000, "name": "http" }]));
    let port = ["out exclusive-port", "web exclusive-port"];
    with([web(), entry("out", "MONGO", json!({}))]).stay(&port);
    with([
        web(),
        entry("out", "MONGO", json!({ "addresses": ["192.0.2.0/24"] })),
    ])
    .stay(&port);
    let own = json!({ "addresses": ["192.0.2.1"] });
    with([web(), entry("out", "MONGO", own)]).stay(&["out shares-http-port"]);
}

#[test]
fn what_istiod_merges_stays() {
    let named = |name: &str, namespace: &str, host: &str| {
        let mut entry = entry("out", "HTTP", json!({}));
        entry["metadata"] = json!({ "name": name, "namespace": namespace });
        entry["spec"]["hosts"] = json!([host]);
        entry
    };
    let db = "db.shop.svc.cluster.local";
    let service = service("db", json!([{ "port": 80, "name": "http" }]));
    with([
        named("a", "shop", "out.test"),
        named("b", "shop", "out.test"),
    ])
    .stay(&["out merged"]);
    with([
        named("a", "shop", "out.test"),
        named("b", "data", "out.test"),
    ])
    .stay(&[]);
    with([service.clone(), named("a", "shop", db)]).stay(&["db merged"]);
    with([service, named("a", "data", db)]).stay(&[]);
}

#[test]
fn where_requests_alone_are_decided_all_else_stays() {
    let mut case = with([
        service("db", json!([{ "port": 5432, "name": "tcp" }])),
        service("detected", json!([{ "port": 9000 }])),
        service("web", json!([{ "port": 80, "name": "http" }])),
    ]);
    case.visibility.http_only = true;
    case.stay(&["db http-only", "detected http-only"]);
}

#[test]
fn names_of_istio_s_dns_stay_where_a_sidecar_answers_it() {
    let entry = entry("db", "HTTP", json!({ "addresses": ["192.0.2.1"] }));
    let pod = |capture: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "web-1", "namespace": "shop", "labels": { "service.istio.io/canonical-name": "web" } },
            "spec": { "containers": [{
                "name": "istio-proxy",
                "env": [{ "name": "ISTIO_META_DNS_CAPTURE", "value": capture }],
            }] },
        })
    };
    with([entry.clone(), pod("false")]).stay(&[]);
    with([entry, pod("true")]).stay(&["db istio-dns"]);
}

#[test]
fn what_is_listed_says_so() {
    let host = EgressHost::new("shop", "db.shop.svc.cluster.local").unwrap();
    let mut case = with([
        service("db", json!([{ "port": 80, "name": "tcp" }])),
        service("web", json!([{ "port": 80, "name": "http" }])),
    ]);
    case.visibility.always.insert(host);
    case.stay(&["db listed"]);
}
