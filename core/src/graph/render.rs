//! Draws the graph: Graphviz and Mermaid.
//!
//! Names come from clusters, and clusters belong to many; both renderers quote every name.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::graph::Graph;

/// Graphviz, one edge a dependency, in a stable order.
#[must_use]
pub fn dot(graph: &Graph) -> String {
    let mut out = String::from("digraph lazymesh {\n  rankdir=LR;\n  node [shape=box];\n");
    for dependency in graph.iter() {
        let (source, host) = (
            quote(&dependency.source.to_string()),
            quote(&dependency.host.to_string()),
        );
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {source} -> {host};");
    }
    out.push_str("}\n");
    out
}

fn quote(name: &str) -> String {
    format!(
        "\"{}\"",
        name.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', " ")
    )
}

/// A Mermaid flowchart, one edge a dependency, in a stable order.
#[must_use]
pub fn mermaid(graph: &Graph) -> String {
    let mut nodes = Nodes::default();
    let mut edges = String::new();
    for dependency in graph.iter() {
        let source = nodes.id(dependency.source.to_string());
        let host = nodes.id(dependency.host.to_string());
        let _ = writeln!(edges, "  n{source} --> n{host}");
    }
    let mut labels: Vec<_> = nodes.ids.into_iter().map(|(name, id)| (id, name)).collect();
    labels.sort_unstable();
    let mut out = String::from("flowchart LR\n");
    for (id, name) in labels {
        let _ = writeln!(out, "  n{id}[\"{}\"]", entities(&name));
    }
    out + &edges
}

/// Mermaid takes no arbitrary identifiers, so nodes are numbered in the order they are met.
#[derive(Default)]
struct Nodes {
    ids: BTreeMap<String, usize>,
}

impl Nodes {
    fn id(&mut self, name: String) -> usize {
        let next = self.ids.len();
        *self.ids.entry(name).or_insert(next)
    }
}

fn entities(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | ' ') {
            out.push(c);
        } else {
            let _ = write!(out, "#{};", u32::from(c));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Dependency, Limits, Origin};
    use crate::names::{EgressHost, Workload};

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::new(Limits::default());
        for (source, host) in edges {
            graph.insert(Dependency {
                source: Workload {
                    namespace: "shop".into(),
                    name: (*source).into(),
                },
                host: EgressHost {
                    namespace: "shop".into(),
                    host: (*host).into(),
                },
                first_seen_ms: 1,
                last_seen_ms: 1,
                count: 1,
                origin: Origin::Learned,
            });
        }
        graph
    }

    #[test]
    fn dot_quotes_names() {
        let picture = dot(&graph(&[("cart", "a.b"), ("x\"]; evil", "a.b")]));
        assert_eq!(
            picture,
            "digraph lazymesh {\n  rankdir=LR;\n  node [shape=box];\n  \
             \"shop/cart\" -> \"shop/a.b\";\n  \"shop/x\\\"]; evil\" -> \"shop/a.b\";\n}\n"
        );
    }

    #[test]
    fn mermaid_numbers_nodes_and_writes_entities() {
        let picture = mermaid(&graph(&[("cart", "*.b"), ("x\"", "*.b")]));
        assert_eq!(
            picture,
            "flowchart LR\n  n0[\"shop/cart\"]\n  n1[\"shop/#42;.b\"]\n  n2[\"shop/x#34;\"]\n  \
             n0 --> n1\n  n2 --> n1\n"
        );
    }
}
