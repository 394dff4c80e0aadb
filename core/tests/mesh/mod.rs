//! Small meshes whose objects often meet: few names, every kind, hostile values among the ordinary ones.

use std::collections::BTreeMap;

use lazymesh_core::{EgressHost, Object, Question, Workload};
use lazymesh_protocol::{Protocol, Source};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

pub(crate) const NAMESPACES: [&str; 3] = ["a", "b", "istio-system"];
const NAMES: [&str; 3] = ["x", "y", "z"];
pub(crate) const WILDCARDS: [&str; 3] = ["*.test", "*.b.test", "*.a.svc.cluster.local"];
const HOSTS: [&str; 14] = [
    "x",
    "y",
    "x.a.svc.cluster.local",
    "y.b.svc.cluster.local",
    "Z.b.svc.cluster.local.",
    "b.test",
    "c.b.test",
    "10.0.0.1",
    "under_score.test",
    "*",
    "*-v1.test",
    WILDCARDS[0],
    WILDCARDS[1],
    WILDCARDS[2],
];
const ADDRESSES: [&str; 5] = ["10.0.0.1", "10.0.0.2", "10.1.0.1", "10.1.0.2", "fd00::1"];
const PORTS: [u16; 3] = [80, 443, 8080];

/// Objects, no two of one key, sorted by key.
pub(crate) fn objects() -> impl Strategy<Value = Vec<Object>> {
    prop::collection::vec(object(), 0..25).prop_map(|objects| {
        let objects: BTreeMap<_, _> = objects
            .into_iter()
            .map(|object| (object.key(), object))
            .collect();
        objects.into_values().collect()
    })
}

/// One object of any kind.
pub(crate) fn object() -> impl Strategy<Value = Object> {
    let kinds = prop_oneof![
        namespace(),
        service(),
        slice(),
        pod(),
        service_entry(),
        virtual_service(),
        destination_rule(),
        sidecar(),
        peer_authentication(),
    ];
    (kinds, select(&NAMESPACES), select(&NAMES), 0..3u8).prop_map(
        |(mut value, namespace, name, day)| {
            let is_namespace = value["kind"] == "Namespace";
            let metadata = &mut value["metadata"];
            metadata["name"] = json!(if is_namespace { namespace } else { name });
            metadata["namespace"] = json!(namespace);
            if day > 0 {
                metadata["creationTimestamp"] = json!(format!("2026-01-0{day}T00:00:00Z"));
            }
            Object::from_value(value)
                .expect("well-formed")
                .expect("a kind that is read")
        },
    )
}

fn namespace() -> BoxedStrategy<Value> {
    let modes = select(&["enforce", "enforce", "learn", "off", "nonsense"]);
    modes.prop_map(|mode| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": {"lazymesh.io/mode": mode}}})).boxed()
}

fn service() -> BoxedStrategy<Value> {
    let kinds = select(&["ClusterIP", "ClusterIP", "Headless", "ExternalName"]);
    (kinds, select(&ADDRESSES), ports("port"), select(&HOSTS), export_to())
        .prop_map(|(kind, address, ports, host, export_to)| {
            let mut spec = json!({"ports": ports, "clusterIP": address});
            match kind {
                "Headless" => spec["clusterIP"] = json!("None"),
                "ExternalName" => spec = json!({"type": kind, "externalName": host}),
                _ => {}
            }
            let annotations = json!({"networking.istio.io/exportTo": export_to.join(",")});
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"annotations": annotations}, "spec": spec})
        })
        .boxed()
}

fn slice() -> BoxedStrategy<Value> {
    let endpoint = (
        select(&ADDRESSES),
        any::<bool>(),
        prop::option::of(select(&NAMES)),
    )
        .prop_map(|(address, ready, pod)| {
            let target = pod.map(|name| json!({"kind": "Pod", "name": name}));
            json!({"addresses": [address], "conditions": {"ready": ready}, "targetRef": target})
        });
    (
        select(&NAMES),
        prop::collection::vec(endpoint, 0..3),
        ports("port"),
    )
        .prop_map(|(service, endpoints, ports)| {
            let labels = json!({"kubernetes.io/service-name": service});
            json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"labels": labels}, "endpoints": endpoints, "ports": ports,
            })
        })
        .boxed()
}

fn pod() -> BoxedStrategy<Value> {
    let modes = prop::option::of(select(&["enforce", "learn", "off"]));
    let names = select(&[
        "service.istio.io/canonical-name",
        "service.istio.io/canonical-name",
        "app",
    ]);
    (names, select(&NAMES), any::<bool>(), modes, select(&ADDRESSES), select(&["Running", "Succeeded"]))
        .prop_map(|(label, workload, meshed, mode, address, phase)| {
            let mut labels = json!({label: workload});
            if meshed {
                labels["security.istio.io/tlsMode"] = json!("istio");
            }
            if let Some(mode) = mode {
                labels["lazymesh.io/mode"] = json!(mode);
            }
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"labels": labels},
                "spec": {"serviceAccountName": workload, "containers": [{"name": "istio-proxy"}]}, "status": {"phase": phase, "podIP": address},
            })
        })
        .boxed()
}

fn service_entry() -> BoxedStrategy<Value> {
    let blocks = prop::collection::vec(
        select(&[
            "10.0.0.1",
            "10.0.0.0/24",
            "10.0.0.0/8",
            "fd00::/8",
            "nonsense",
        ]),
        0..3,
    );
    (hosts(), blocks, ports("number"), export_to())
        .prop_map(|(hosts, addresses, ports, export_to)| {
            json!({
                "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {},
                "spec": {"hosts": hosts, "addresses": addresses, "ports": ports, "exportTo": export_to},
            })
        })
        .boxed()
}

fn virtual_service() -> BoxedStrategy<Value> {
    let destination = (select(&HOSTS), prop::option::of(select(&PORTS)), 0..100u32).prop_map(|(host, port, weight)| {
        json!({"destination": {"host": host, "port": port.map(|number| json!({"number": number}))}, "weight": weight})
    });
    let delegate = prop::option::of((select(&NAMES), select(&NAMESPACES))).prop_map(|delegate| {
        delegate.map(|(name, namespace)| json!({"name": name, "namespace": namespace}))
    });
    let route = (
        prop::collection::vec(destination, 0..3),
        delegate,
        any::<bool>(),
    )
        .prop_map(|(route, delegate, all)| {
            let matches = if all {
                json!(null)
            } else {
                json!([{"sniHosts": ["*.test"]}])
            };
            json!({"route": route, "delegate": delegate, "match": matches})
        });
    let routes = prop::collection::vec(route, 0..3);
    (hosts(), routes, export_to())
        .prop_map(|(hosts, routes, export_to)| {
            let spec = json!({"hosts": hosts, "exportTo": export_to, "http": routes, "tcp": routes, "tls": routes});
            json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {}, "spec": spec})
        })
        .boxed()
}

fn destination_rule() -> BoxedStrategy<Value> {
    (select(&HOSTS), export_to(), any::<bool>())
        .prop_map(|(host, export_to, shapes)| {
            let mut spec = json!({"host": host, "exportTo": export_to});
            if shapes {
                spec["subsets"] = json!([{"name": "v1"}]);
            }
            json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {}, "spec": spec})
        })
        .boxed()
}

fn sidecar() -> BoxedStrategy<Value> {
    let selector = select(vec![
        json!(null),
        json!({}),
        json!({"labels": {"service.istio.io/canonical-name": "x"}}),
    ]);
    (selector, any::<bool>())
        .prop_map(|(selector, ours)| {
            let owner = if ours { "lazymesh" } else { "somebody" };
            json!({
                "apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
                "metadata": {"labels": {"app.kubernetes.io/managed-by": owner}},
                "spec": {"workloadSelector": selector},
            })
        })
        .boxed()
}

fn peer_authentication() -> BoxedStrategy<Value> {
    let modes = || select(&["DISABLE", "STRICT", "UNSET"]);
    let selector = select(vec![
        json!(null),
        json!({"matchLabels": {"service.istio.io/canonical-name": "x"}}),
    ]);
    (selector, modes(), modes())
        .prop_map(|(selector, mode, port_mode)| {
            json!({
                "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {},
                "spec": {"selector": selector, "mtls": {"mode": mode}, "portLevelMtls": {"80": {"mode": port_mode}}},
            })
        })
        .boxed()
}

fn hosts() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(select(&HOSTS), 0..3)
}

fn export_to() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(select(&["*", ".", "~", "a", "b"]), 0..2)
}

fn ports(field: &'static str) -> impl Strategy<Value = Vec<Value>> {
    let port = select(&PORTS).prop_map(move |port| {
        let mut value = json!({"name": format!("p{port}")});
        value[field] = json!(port);
        value
    });
    prop::collection::vec(port, 0..3)
}

pub(crate) fn workloads() -> impl Strategy<Value = Workload> {
    (select(&NAMESPACES), select(&NAMES))
        .prop_map(|(namespace, name)| Workload::new(namespace, name).expect("valid names"))
}

pub(crate) fn egress_hosts() -> impl Strategy<Value = EgressHost> {
    (select(&NAMESPACES), select(&HOSTS)).prop_filter_map("no egress host", |(namespace, host)| {
        EgressHost::new(namespace, host).ok()
    })
}

pub(crate) fn questions() -> impl Strategy<Value = Question> {
    let authorities = [
        "x",
        "x.a",
        "y.b.svc",
        "x.a.svc.cluster.local",
        "z.y.b",
        "b.test",
        "c.b.test",
        "d-v1.test:8080",
        "10.0.0.1",
        "[fd00::1]:80",
        "example.org",
    ];
    let protocols = select(&[Protocol::Http, Protocol::Tcp, Protocol::Tls]);
    (
        workloads(),
        prop::option::of(select(authorities.to_vec())),
        select(&ADDRESSES),
        select(&PORTS),
        protocols,
    )
        .prop_map(|(workload, authority, address, port, protocol)| {
            let source = Source {
                namespace: workload.namespace,
                workload: workload.name,
                cluster: None,
                service_account: None,
            };
            let destination = if address.contains(':') {
                format!("[{address}]:{port}")
            } else {
                format!("{address}:{port}")
            };
            Question::new(&source, authority, Some(&destination), protocol).expect("well-formed")
        })
}
