//! Indexes DestinationRules that change how a host is reached.

use std::collections::BTreeSet;
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
    subsets: Vec<String>,
    /// Whether it has routes choose endpoints by what requests say.
    hashes: bool,
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
    /// Hosts of those that have routes choose endpoints, each with the rule's namespace and name.
    hashed: BTreeSet<[String; 3]>,
}

impl RuleIndex {
    pub(crate) fn insert(&mut self, object: &DestinationRule, mesh: &Mesh) {
        if object.spec.traffic_policy.any || !object.spec.subsets.is_empty() {
            let (host, rule) = read_rule(object, mesh);
            if rule.hashes {
                self.hashed.insert(of_hashed(&host, &rule));
            }
            self.hosts.insert(&host, &Arc::new(rule));
        }
    }

    pub(crate) fn remove(&mut self, object: &DestinationRule, mesh: &Mesh) {
        let (host, rule) = read_rule(object, mesh);
        self.hashed.remove(&of_hashed(&host, &rule));
        self.hosts.remove(&host, &rule);
    }

    /// Whether there are rules for a host, whoever obeys them.
    pub(crate) fn has(&self, host: &str) -> bool {
        self.hosts.covering(host).flatten().next().is_some()
    }

    /// Whether a client's sidecar could reach a host by a rule's policy. Istio looks for one in the client's
    /// namespace, the service's and the root namespace, and takes the first; here any of them counts.
    pub(crate) fn shapes(&self, host: &str, client: &str, service: &str, root: &str) -> bool {
        self.of(host, client, service, root).next().is_some()
    }

    /// Whether the host has a subset, whichever of the rules counts.
    pub(crate) fn has_subset(
        &self,
        subset: &str,
        host: &str,
        client: &str,
        service: &str,
        root: &str,
    ) -> bool {
        let mut rules = self.of(host, client, service, root).peekable();
        rules.peek().is_some() && rules.all(|rule| rule.subsets.iter().any(|own| own == subset))
    }

    /// How many subsets a client's sidecar has of a host.
    pub(crate) fn subsets(&self, host: &str, client: &str, service: &str, root: &str) -> usize {
        let place = |rule: &&Rule| {
            let mut places = [client, service, root].into_iter();
            places.position(|place| place == rule.namespace)
        };
        let rule = self.of(host, client, service, root).min_by_key(place);
        rule.map_or(0, |rule| rule.subsets.len())
    }

    /// Whether any of the rules has the host's routes choose endpoints by what requests say.
    pub(crate) fn hashes(&self, host: &str, client: &str, service: &str, root: &str) -> bool {
        self.of(host, client, service, root).any(|rule| rule.hashes)
    }

    /// The hosts, wildcards among them, of all rules that have routes choose endpoints.
    pub(crate) fn hashed(&self) -> impl Iterator<Item = &str> {
        self.hashed.iter().map(|[host, ..]| host.as_str())
    }

    fn of(
        &self,
        host: &str,
        client: &str,
        service: &str,
        root: &str,
    ) -> impl Iterator<Item = &Rule> {
        let rules = self.hosts.covering(host).flatten().map(Arc::as_ref);
        rules.filter(move |rule| {
            let places = [client, service, root];
            places.contains(&rule.namespace.as_str()) && rule.export_to.allows(client)
        })
    }
}

fn of_hashed(host: &str, rule: &Rule) -> [String; 3] {
    [host, &rule.namespace, &rule.name].map(str::to_owned)
}

fn read_rule(object: &DestinationRule, mesh: &Mesh) -> (String, Rule) {
    let (metadata, spec) = (&object.metadata, &object.spec);
    let rule = Rule {
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        subsets: (spec.subsets.iter().map(|subset| subset.name.clone())).collect(),
        hashes: spec.traffic_policy.hashes
            || (spec.subsets.iter()).any(|subset| subset.traffic_policy.hashes),
        export_to: ExportTo::new(
            &metadata.namespace,
            spec.export_to.iter().map(String::as_str),
            &mesh.default_export_to.destination_rules,
        ),
    };
    let host = full_host(&spec.host, &metadata.namespace, &mesh.cluster_domain);
    (host.to_ascii_lowercase(), rule)
}
