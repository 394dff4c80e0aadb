//! What a change of the inventory makes necessary.
//!
//! In a large mesh endpoints and pods change all the time. Only the Sidecars that a change can touch are planned
//! again.

use std::collections::BTreeSet;

use lazymesh_core::{Kind, Reach};

use crate::inventory::directory::Event;
use crate::publish::workqueue::Target;
use crate::state::Knowledge;

/// What came of some events.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    /// How many objects differ.
    pub(crate) changed: usize,
    /// Whether Services or ServiceEntries are among them, on which depends what every sidecar must see.
    pub(crate) hosts: bool,
    /// What must be planned again; what is gone now may have a Sidecar to withdraw.
    pub(crate) targets: BTreeSet<Target>,
    everything: bool,
}

impl Effect {
    /// Takes events into the inventory.
    pub(crate) fn of(knowledge: &mut Knowledge, events: Vec<Event>) -> Self {
        let mut effect = Self::default();
        for event in events {
            effect.take(knowledge, event);
        }
        if effect.everything {
            effect.targets.extend(knowledge.targets());
        }
        effect
    }

    fn take(&mut self, knowledge: &mut Knowledge, event: Event) {
        let key = match &event {
            Event::Apply(object) => object.key(),
            Event::Remove(key) => key.clone(),
        };
        let before = knowledge.inventory.reach(&key);
        // A namespace that goes takes its targets with it.
        let own = match key.kind {
            Kind::Namespace => knowledge.targets(),
            _ => Vec::new(),
        };
        let differs = match event {
            Event::Apply(object) => knowledge.inventory.apply(object),
            Event::Remove(key) => knowledge.inventory.remove(&key),
        };
        if !differs {
            return;
        }
        self.changed += 1;
        self.hosts |= matches!(key.kind, Kind::Service | Kind::ServiceEntry);
        self.reach(before);
        self.reach(knowledge.inventory.reach(&key));
        let is_its = |target: &Target| target.namespace() == Some(key.name.as_str());
        self.targets.extend(own.into_iter().filter(is_its));
    }

    fn reach(&mut self, reach: Reach) {
        match reach {
            Reach::Nothing => {}
            Reach::Namespace(namespace) => {
                self.targets.insert(Target::Namespace(namespace));
            }
            Reach::Workload(workload) => {
                self.targets
                    .insert(Target::Namespace(workload.namespace.clone()));
                self.targets.insert(Target::Workload(workload));
            }
            Reach::Everything => self.everything = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use lazymesh_core::{Graph, Inventory, Limits, Mesh, Object, Visibility};
    use serde_json::{Value, json};

    use super::*;
    use crate::learn::Heard;

    fn knowledge() -> Knowledge {
        let mut knowledge = Knowledge {
            inventory: Inventory::new(Mesh::default()),
            graph: Graph::new(Limits::default()),
            visibility: Visibility::default(),
            off: false,
            heard: Heard::default(),
        };
        for value in [
            object("Namespace", "", "shop"),
            object("Service", "shop", "web"),
            pod("web-1", "web", "1.0.0.1"),
            pod("db-1", "db", "1.0.0.2"),
        ] {
            Effect::of(&mut knowledge, vec![apply(value)]);
        }
        knowledge
    }

    fn object(kind: &str, namespace: &str, name: &str) -> Value {
        let version = match kind {
            "EndpointSlice" => "discovery.k8s.io/v1",
            "VirtualService" | "Sidecar" => "networking.istio.io/v1",
            _ => "v1",
        };
        json!({
            "apiVersion": version,
            "kind": kind,
            "metadata": { "namespace": namespace, "name": name },
        })
    }

    fn pod(name: &str, workload: &str, address: &str) -> Value {
        let mut pod = object("Pod", "shop", name);
        pod["metadata"]["labels"] = json!({ "service.istio.io/canonical-name": workload });
        pod["status"] = json!({ "podIP": address });
        pod
    }

    fn apply(value: Value) -> Event {
        Event::Apply(Object::from_value(value).unwrap().unwrap())
    }

    #[track_caller]
    fn check(event: Event, expect: &[&str]) {
        let effect = Effect::of(&mut knowledge(), vec![event]);
        let targets: Vec<_> = effect.targets.iter().map(ToString::to_string).collect();
        assert_eq!(targets, expect);
    }

    #[test]
    fn only_what_a_change_can_touch_is_planned_again() {
        let all = ["shop", "shop/db", "shop/web"];
        check(apply(object("EndpointSlice", "shop", "web-x")), &[]);
        check(apply(pod("web-1", "web", "1.0.0.3")), &["shop", "shop/web"]);
        check(
            apply(pod("web-1", "front", "1.0.0.1")),
            &["shop", "shop/front", "shop/web"],
        );
        check(apply(object("VirtualService", "shop", "web")), &all);
        // Nothing that counts differs.
        check(apply(object("Service", "shop", "web")), &[]);
        check(apply(object("Sidecar", "shop", "mine")), &all);
        let mut ours = object("Sidecar", "shop", "lazymesh-web");
        ours["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": "lazymesh" });
        check(apply(ours), &[]);
    }

    #[test]
    fn what_is_gone_may_have_a_sidecar_to_withdraw() {
        let gone = |value: Value| Event::Remove(Object::from_value(value).unwrap().unwrap().key());
        check(gone(pod("db-1", "db", "")), &["shop", "shop/db"]);
        check(
            gone(object("Namespace", "", "shop")),
            &["shop", "shop/db", "shop/web"],
        );
    }
}
