//! Indexes DestinationRules that change how a host is reached.

use std::sync::Arc;

use super::export::ExportTo;
use super::hosts::{HostIndex, Rank, Ranked};
use super::routes::full_host;
use crate::resource::DestinationRule;
use crate::resource::Mesh;

#[derive(Debug)]
struct Rule {
    namespace: String,
    name: String,
    export_to: ExportTo,
}

impl Ranked for Rule {
    fn rank(&self) -> Rank<'_> {
        Rank {
            name: (&self.namespace, &self.name),
            ..Rank::default()
        }
    }
}

/// DestinationRules by host. One without a traffic policy and subsets changes nothing, and is left out.
#[derive(Debug, Default)]
pub(crate) struct RuleIndex {
    hosts: HostIndex<Rule>,
}

impl RuleIndex {
    pub(crate) fn insert(&mut self, object: &DestinationRule, mesh: &Mesh) {
        if object.spec.traffic_policy || object.spec.subsets {
            let (host, rule) = read_rule(object, mesh);
            self.hosts.insert(&host, &Arc::new(rule));
        }
    }

    pub(crate) fn remove(&mut self, object: &DestinationRule, mesh: &Mesh) {
        let (host, rule) = read_rule(object, mesh);
        self.hosts.remove(&host, &rule);
    }

    /// Whether a client's sidecar could reach a host by a rule's policy. Istio looks for one in the client's
    /// namespace, the service's and the root namespace, and takes the first; here any of them counts.
    pub(crate) fn shapes(&self, host: &str, client: &str, service: &str, root: &str) -> bool {
        let places = [client, service, root];
        let mut rules = self.hosts.covering(host).flatten();
        rules.any(|rule| places.contains(&rule.namespace.as_str()) && rule.export_to.allows(client))
    }
}

fn read_rule(object: &DestinationRule, mesh: &Mesh) -> (String, Rule) {
    let (metadata, spec) = (&object.metadata, &object.spec);
    let rule = Rule {
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        export_to: ExportTo::new(
            &metadata.namespace,
            spec.export_to.iter().map(String::as_str),
            &mesh.default_export_to.destination_rules,
        ),
    };
    let host = full_host(&spec.host, &metadata.namespace, &mesh.cluster_domain);
    (host.to_ascii_lowercase(), rule)
}
