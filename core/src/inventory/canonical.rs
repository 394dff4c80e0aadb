//! Names a pod's workload, as Istio names a canonical service (`CanonicalService` in `pkg/kube/labels`).
//!
//! The injector writes the name into a label of the pod, by which the workload's Sidecar selects it. A sidecar that
//! something else put there may lack the label; its workload has a name all the same, which the filter finds by the
//! same rules in the metadata of its proxy.

use lazymesh_protocol::CANONICAL_NAME_LABELS;

use crate::names::Workload;
use crate::resource::{OwnerReference, Pod};

/// Label by which the injector says what a pod's workload is called.
pub(crate) const CANONICAL_NAME_LABEL: &str = CANONICAL_NAME_LABELS[0];
/// Label whose value ends the name of a Deployment's ReplicaSet.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// The workload's name; none for a pod of no workload of ours.
pub(super) fn name(pod: &Pod) -> Option<String> {
    if pod.foreign {
        return None;
    }
    let labels = &pod.metadata.labels;
    if let Some(name) = labels.get(CANONICAL_NAME_LABEL) {
        return Some(name.clone());
    }
    (pod.spec.containers.proxy).or(pod.spec.init_containers.proxy)?;
    let mut substitutes = CANONICAL_NAME_LABELS.iter();
    let substitute = substitutes.find_map(|label| labels.get(*label));
    let name = substitute.cloned().unwrap_or_else(|| made_by(pod));
    Workload::new(pod.metadata.namespace.as_str(), name)
        .ok()
        .map(|workload| workload.name)
}

/// What a person wrote that made the pod, as the injector finds it out (`GetDeployMetaFromPod` in `pkg/kube`).
fn made_by(pod: &Pod) -> String {
    let metadata = &pod.metadata;
    let owner = metadata
        .owner_references
        .iter()
        .find(|owner| owner.controller);
    let Some(OwnerReference { kind, name, .. }) = owner else {
        return metadata.name.clone();
    };
    let parent = match kind.as_str() {
        "ReplicaSet" => metadata
            .labels
            .get(TEMPLATE_HASH)
            .and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-')),
        "Job" => name.rsplit_once('-').and_then(|(cron_job, time)| {
            let is_time =
                (8..=10).contains(&time.len()) && time.bytes().all(|byte| byte.is_ascii_digit());
            is_time.then_some(cron_job)
        }),
        _ => None,
    };
    parent.unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::resource::Object;

    #[track_caller]
    fn check(labels: Value, owner: Value, containers: Value, expect: Option<&str>) {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a-x7k", "namespace": "shop", "labels": labels, "ownerReferences": owner},
            "spec": containers,
        });
        let Ok(Some(Object::Pod(pod))) = Object::from_value(pod) else {
            panic!("a Pod")
        };
        assert_eq!(name(&pod).as_deref(), expect);
        assert_eq!(
            name(&Pod {
                foreign: true,
                ..pod
            }),
            None
        );
    }

    #[test]
    fn names_are_istio_s() {
        let proxy = || json!({"containers": [{"name": "a"}, {"name": "istio-proxy"}]});
        let native = || json!({"initContainers": [{"name": "istio-proxy"}]});
        let owner =
            |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true}]);
        let hash = || json!({"pod-template-hash": "7d4f"});
        let canonical = json!({CANONICAL_NAME_LABEL: "web", "app": "no"});
        check(canonical, json!([]), json!({}), Some("web"));
        check(json!({"app": "web"}), json!([]), json!({}), None);
        check(json!({"app": "web"}), json!([]), proxy(), Some("web"));
        check(json!({"app": "web"}), json!([]), native(), Some("web"));
        let both = json!({"app": "no", "app.kubernetes.io/name": "web"});
        check(both, json!([]), proxy(), Some("web"));
        check(json!({}), json!([]), proxy(), Some("a-x7k"));
        check(
            hash(),
            owner("ReplicaSet", "web-7d4f"),
            proxy(),
            Some("web"),
        );
        check(
            json!({}),
            owner("ReplicaSet", "web-7d4f"),
            proxy(),
            Some("web-7d4f"),
        );
        check(json!({}), owner("StatefulSet", "db"), proxy(), Some("db"));
        check(
            json!({}),
            owner("Job", "night-29012345"),
            proxy(),
            Some("night"),
        );
        check(json!({}), owner("Job", "night-1"), proxy(), Some("night-1"));
        let bystander = json!([{"kind": "Job", "name": "x"}]);
        check(json!({}), bystander, proxy(), Some("a-x7k"));
        check(json!({"app": "not a name"}), json!([]), proxy(), None);
    }
}
