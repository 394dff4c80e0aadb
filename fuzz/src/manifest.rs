//! Objects, one a line, make an inventory that can be planned from, and leave nothing behind when they go.

use lazymesh_core::{
    Graph, Inventory, Limits, Mesh, Object, ObjectKey, Policy, Subject, Workload, plan,
};

pub(crate) fn fuzz(text: &str) {
    let mut inventory = Inventory::new(Mesh::default());
    let mut keys: Vec<ObjectKey> = Vec::new();
    for line in text.lines() {
        let value = serde_json::from_str(line).unwrap_or_default();
        if let Ok(Some(object)) = Object::from_value(value) {
            keys.push(object.key());
            inventory.apply(object);
        }
    }
    let (graph, policy) = (Graph::new(Limits::default()), Policy::default());
    let web = Workload::new("shop", "web").expect("a name");
    for subject in [
        Subject::Namespace("shop".to_owned()),
        Subject::Workload(web),
    ] {
        let _ = plan(&inventory, &graph, &policy, &subject);
    }
    for key in keys {
        inventory.apply(key);
    }
    assert!(inventory.http_ports().is_empty());
}
