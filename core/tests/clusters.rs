//! Two clusters of one mesh may have the same addresses, and pods and Services of the same name.

use lazymesh_core::{ClusterId, Graph, Inventory, Limits, Mesh, Object, Policy, Question, decide};
use lazymesh_protocol::{Decision, Protocol, Source};
use serde_json::{Value, json};

fn service(name: &str, address: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "namespace": "shop" },
        "spec": { "clusterIP": address, "ports": [{ "port": 80 }] },
    })
}

fn pod(name: &str, account: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "labels": { "security.istio.io/tlsMode": "istio" } },
        "spec": { "serviceAccountName": account },
    })
}

fn slice(service: &str, pod: &str) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": service, "namespace": "shop", "labels": { "kubernetes.io/service-name": service } },
        "endpoints": [{ "addresses": [], "targetRef": { "kind": "Pod", "name": pod } }],
    })
}

fn cluster(id: &str) -> ClusterId {
    id.parse().expect("an ID")
}

fn inventory<'a>(objects: impl IntoIterator<Item = (&'a str, Value)>) -> Inventory {
    let mut inventory = Inventory::new(Mesh::default());
    for (id, value) in objects {
        let object = Object::from_value(value).expect("well-formed");
        inventory.apply(
            object
                .expect("a kind that is read")
                .in_cluster(&cluster(id)),
        );
    }
    inventory
}

/// What a caller in a cluster gets that dials an address: the service account that may answer, or what is held.
#[track_caller]
fn check(inventory: &Inventory, caller: Option<&str>, destination: &str, expect: &str) {
    let source = Source {
        namespace: "shop".into(),
        workload: "web".into(),
        cluster: caller.map(str::to_owned),
        service_account: None,
    };
    let question = Question::new(&source, None, Some(destination), Protocol::Tcp);
    let question = question.expect("well-formed");
    let graph = Graph::new(Limits::default());
    let found = match decide(inventory, &graph, &Policy::default(), &question).decision {
        Decision::Direct {
            subject_alt_names, ..
        } => subject_alt_names.join(","),
        Decision::Hold { cluster, .. } => cluster,
        Decision::Passthrough { .. } => "outside".to_owned(),
    };
    assert_eq!(found, expect);
}

#[test]
fn an_address_is_one_of_the_caller_s_cluster() {
    let objects = [
        ("east", service("a", "10.96.0.1")),
        ("east", slice("a", "p")),
        ("east", pod("p", "of-east")),
        ("west", service("b", "10.96.0.1")),
        ("west", slice("b", "p")),
        ("west", pod("p", "of-west")),
    ];
    let mut mesh = inventory(objects.clone());
    let identity = |account| format!("spiffe://cluster.local/ns/shop/sa/{account}");
    check(&mesh, Some("east"), "10.96.0.1:80", &identity("of-east"));
    check(&mesh, Some("west"), "10.96.0.1:80", &identity("of-west"));
    check(&mesh, Some("north"), "10.96.0.1:80", "outside");
    // What goes in one cluster stays in the other.
    for (id, value) in objects.iter().filter(|(id, _)| *id == "west") {
        let object = Object::from_value(value.clone()).unwrap().unwrap();
        mesh.apply(object.in_cluster(&cluster(id)).key());
    }
    check(&mesh, Some("east"), "10.96.0.1:80", &identity("of-east"));
    // Where there is one cluster, its name is of no account.
    check(&mesh, Some("west"), "10.96.0.1:80", &identity("of-east"));
    check(&mesh, None, "10.96.0.1:80", &identity("of-east"));
}

#[test]
fn a_service_with_endpoints_in_other_clusters_waits_for_istio() {
    let mesh = inventory([
        ("east", service("a", "10.96.0.1")),
        ("east", slice("a", "p")),
        ("east", pod("p", "of-east")),
        ("west", service("a", "10.96.7.7")),
        ("west", slice("a", "p")),
        ("west", pod("p", "of-west")),
    ]);
    let held = "outbound|80||a.shop.svc.cluster.local";
    check(&mesh, Some("east"), "10.96.0.1:80", held);
    check(&mesh, Some("west"), "10.96.7.7:80", held);
    check(&mesh, Some("east"), "10.96.7.7:80", "outside");
}
