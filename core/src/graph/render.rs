//! Draws the graph: Graphviz and Mermaid.
//!
//! Names come from clusters, and clusters belong to many; both renderers quote every name.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::graph::Dependency;

/// A picture that is drawn edge by edge, one a dependency.
#[derive(Debug)]
pub enum Picture {
    /// Graphviz.
    Dot,
    /// A Mermaid flowchart. It takes no arbitrary identifiers, so nodes are numbered in the order they are met.
    Mermaid(BTreeMap<String, usize>),
}

impl Picture {
    /// Graphviz.
    #[must_use]
    pub fn dot() -> Self {
        Self::Dot
    }

    /// A Mermaid flowchart.
    #[must_use]
    pub fn mermaid() -> Self {
        Self::Mermaid(BTreeMap::new())
    }

    /// What comes before the edges.
    #[must_use]
    pub fn head(&self) -> &'static str {
        match self {
            Self::Dot => "digraph lazymesh {\n  rankdir=LR;\n  node [shape=box];\n",
            Self::Mermaid(_) => "flowchart LR\n",
        }
    }

    /// What comes after them.
    #[must_use]
    pub fn foot(&self) -> &'static str {
        match self {
            Self::Dot => "}\n",
            Self::Mermaid(_) => "",
        }
    }

    /// Draws one edge, with the nodes that were not met before.
    pub fn edge(&mut self, dependency: &Dependency, out: &mut String) {
        let ends = [dependency.source.to_string(), dependency.host.to_string()];
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Dot => {
                let [source, host] = ends.map(|name| quote(&name));
                writeln!(out, "  {source} -> {host};")
            }
            Self::Mermaid(nodes) => {
                let [source, host] = ends.map(|name| node(nodes, name, out));
                writeln!(out, "  n{source} --> n{host}")
            }
        };
    }
}

fn quote(name: &str) -> String {
    format!(
        "\"{}\"",
        name.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', " ")
    )
}

/// The number of a node, which is written down when it is new.
fn node(nodes: &mut BTreeMap<String, usize>, name: String, out: &mut String) -> usize {
    let next = nodes.len();
    *nodes.entry(name).or_insert_with_key(|name| {
        let _ = writeln!(out, "  n{next}[\"{}\"]", entities(name));
        next
    })
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
    use crate::graph::{Origin, Sightings};
    use crate::names::{EgressHost, Workload};

    fn draw(mut picture: Picture, edges: &[(&str, &str)]) -> String {
        let mut out = picture.head().to_owned();
        for (source, host) in edges {
            let dependency = Dependency {
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
                sightings: Sightings::default(),
            };
            picture.edge(&dependency, &mut out);
        }
        out + picture.foot()
    }

    #[test]
    fn dot_quotes_names() {
        let picture = draw(Picture::dot(), &[("cart", "a.b"), ("x\"]; evil", "a.b")]);
        assert_eq!(
            picture,
            "digraph lazymesh {\n  rankdir=LR;\n  node [shape=box];\n  \
             \"shop/cart\" -> \"shop/a.b\";\n  \"shop/x\\\"]; evil\" -> \"shop/a.b\";\n}\n"
        );
    }

    #[test]
    fn mermaid_numbers_nodes_and_writes_entities() {
        let picture = draw(Picture::mermaid(), &[("cart", "*.b"), ("x\"", "*.b")]);
        assert_eq!(
            picture,
            "flowchart LR\n  n0[\"shop/cart\"]\n  n1[\"shop/#42;.b\"]\n  n0 --> n1\n  \
             n2[\"shop/x#34;\"]\n  n2 --> n1\n"
        );
    }
}
