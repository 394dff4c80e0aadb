//! Hosts that sidecars call themselves: for an EnvoyFilter, a WasmPlugin or a RequestAuthentication; and those whose routes or clusters an
//! EnvoyFilter patches.
//!
//! Such a call never meets the catch-all of the outbound listeners, so nothing could learn it; and no first request could have what a patch
//! does.

use std::collections::{BTreeMap, BTreeSet};

use super::namespaced::Namespaced;
use crate::names::{Authority, Host};
use crate::resource::{
    EnvoyFilter, Kind, Metadata, ObjectKey, RequestAuthentication, Selector, WasmPlugin,
};

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

/// The object that has sidecars call something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Caller<'a> {
    kind: Kind,
    namespace: &'a str,
    name: &'a str,
}

impl Caller<'_> {
    pub(crate) fn key(self) -> ObjectKey {
        ObjectKey::new(self.kind, self.namespace, self.name)
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

    /// What sidecars of a namespace call whose pods have these labels, and for whom: for objects of the namespace and of
    /// the root namespace.
    pub(crate) fn of<'a>(
        &'a self,
        namespace: &'a str,
        root: &'a str,
        pods: &[&BTreeMap<String, String>],
    ) -> BTreeSet<(&'a str, Caller<'a>)> {
        let mut found = BTreeSet::new();
        for namespace in [namespace, root] {
            for (name, kinds) in self.callees.iter_in(namespace) {
                let selecting = kinds.iter().filter(|(_, callees)| callees.selects(pods));
                found.extend(selecting.flat_map(|(&kind, callees)| {
                    let caller = Caller {
                        kind,
                        namespace,
                        name,
                    };
                    callees
                        .hosts
                        .iter()
                        .map(move |host| (host.as_str(), caller))
                }));
            }
        }
        found
    }
}
