//! Hosts that sidecars call themselves: for an EnvoyFilter, a WasmPlugin or a RequestAuthentication.
//!
//! Such a call never meets the catch-all of the outbound listeners, so nothing could learn it.

use std::collections::{BTreeMap, BTreeSet};

use super::namespaced::Namespaced;
use crate::names::{Authority, Host};
use crate::resource::{EnvoyFilter, Kind, Metadata, RequestAuthentication, Selector, WasmPlugin};

/// What one object has the sidecars call that it selects.
#[derive(Debug)]
pub(crate) struct Callees {
    selector: Option<Selector>,
    hosts: BTreeSet<String>,
}

impl Callees {
    pub(super) fn of_filter(filter: &EnvoyFilter) -> Self {
        Self {
            selector: filter.spec.workload_selector.clone(),
            hosts: filter.spec.hosts.clone(),
        }
    }

    pub(super) fn of_plugin(plugin: &WasmPlugin) -> Self {
        Self {
            selector: plugin.spec.selector.clone(),
            hosts: plugin.spec.hosts.clone(),
        }
    }

    pub(super) fn of_authentication(policy: &RequestAuthentication) -> Self {
        let rules = policy.spec.jwt_rules.iter();
        Self {
            selector: policy.spec.selector.clone(),
            hosts: rules.filter_map(|rule| host_of(&rule.jwks_uri)).collect(),
        }
    }

    fn selects(&self, pods: &[&BTreeMap<String, String>]) -> bool {
        let selector = self.selector.as_ref();
        selector.is_none_or(|selector| {
            selector.labels.is_empty() || pods.iter().any(|labels| selector.matches(labels))
        })
    }
}

fn host_of(url: &str) -> Option<String> {
    let (_scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    match authority.parse::<Authority>().ok()?.host {
        Host::Name(name) => Some(name),
        Host::Ip(_) => None,
    }
}

/// Callees by the namespace and name of their object, a kind each.
#[derive(Debug, Default)]
pub(crate) struct CalleeIndex {
    callees: Namespaced<BTreeMap<Kind, Callees>>,
}

impl CalleeIndex {
    pub(super) fn insert(&mut self, kind: Kind, metadata: &Metadata, callees: Callees) {
        if !callees.hosts.is_empty() {
            let kinds = self.callees.entry(&metadata.namespace, &metadata.name);
            kinds.insert(kind, callees);
        }
    }

    pub(super) fn remove(&mut self, kind: Kind, metadata: &Metadata) {
        let (namespace, name) = (&metadata.namespace, &metadata.name);
        let Some(kinds) = self.callees.get_mut(namespace, name) else {
            return;
        };
        kinds.remove(&kind);
        if kinds.is_empty() {
            self.callees.remove(namespace, name);
        }
    }

    /// What sidecars of a namespace call whose pods have these labels: for objects of the namespace and of the root
    /// namespace.
    pub(crate) fn of(
        &self,
        namespace: &str,
        root: &str,
        pods: &[&BTreeMap<String, String>],
    ) -> BTreeSet<&str> {
        let kinds = [namespace, root]
            .into_iter()
            .flat_map(|place| self.callees.iter_in(place));
        let callees = kinds.flat_map(|(_, kinds)| kinds.values());
        let selecting = callees.filter(|callees| callees.selects(pods));
        selecting
            .flat_map(|callees| &callees.hosts)
            .map(String::as_str)
            .collect()
    }
}
