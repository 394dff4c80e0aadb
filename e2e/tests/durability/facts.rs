//! What was acknowledged, and what is there.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Deserialize;

/// A set of `<namespace>/<workload> -> <host>`.
#[derive(Debug, Default)]
pub(crate) struct Facts(BTreeSet<String>);

#[derive(Deserialize)]
struct Graph {
    dependencies: Vec<Entry>,
    external_hosts: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    source: Source,
    host: String,
}

#[derive(Deserialize)]
struct Source {
    namespace: String,
    name: String,
}

impl Facts {
    pub(crate) fn add(&mut self, namespace: &str, workload: &str, host: &str) {
        self.0.insert(format!("{namespace}/{workload} -> {host}"));
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Reads the answer of `/v1/graph`.
    pub(crate) fn of_graph(graph: serde_json::Value) -> Result<Self> {
        let graph: Graph = serde_json::from_value(graph)?;
        let mut facts = Self::default();
        for entry in graph.dependencies.iter().chain(&graph.external_hosts) {
            facts.add(&entry.source.namespace, &entry.source.name, &entry.host);
        }
        Ok(facts)
    }

    /// Panics unless everything acknowledged is there.
    pub(crate) fn check_found_in(&self, found: &Self, when: &str) {
        let lost: Vec<_> = self.0.difference(&found.0).collect();
        let some = &lost[..lost.len().min(5)];
        assert!(
            lost.is_empty(),
            "{when}: {} of {} lost, such as {some:?}",
            lost.len(),
            self.len()
        );
    }
}
