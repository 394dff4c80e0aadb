use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;

use crate::client;
use crate::namespaces::NamespaceArgs;
use crate::output::{OutputArgs, ago, columns, print};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh graph
  lazymesh graph -n shop
  lazymesh graph --format dot | dot -Tsvg > graph.svg
  lazymesh graph -o json | jq '.dependencies[].host'")]
pub(crate) struct Args {
    /// Write the graph for a tool that draws it
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["output", "namespace"])]
    format: Option<Format>,
    #[command(flatten)]
    namespaces: NamespaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    collector: client::ClientArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// The API's JSON, as it is
    Json,
    /// Graphviz
    Dot,
    /// Mermaid
    Mermaid,
}

#[derive(Deserialize)]
struct Graph {
    dependencies: Vec<Edge>,
    external_hosts: Vec<Edge>,
}

/// A dependency or an external host.
#[derive(Deserialize)]
pub(crate) struct Edge {
    source: Source,
    pub(crate) host: String,
    pub(crate) first_seen_ms: u64,
    pub(crate) last_seen_ms: u64,
    pub(crate) count: u64,
    #[serde(default)]
    seen_by: Vec<Sighting>,
}

/// Who saw a dependency.
#[derive(Deserialize)]
struct Sighting {
    witness: String,
    last_seen_ms: u64,
}

#[derive(Deserialize)]
struct Source {
    namespace: String,
    name: String,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.collector.client().await?;
    let path = ["v1", "graph"];
    if let Some(format) = args.format {
        let format = match format {
            Format::Json => "json",
            Format::Dot => "dot",
            Format::Mermaid => "mermaid",
        };
        return print(&client.text(&path, &[("format", format)]).await?);
    }
    let mut answer = client.json(&path).await?;
    for list in ["dependencies", "external_hosts"] {
        if let Some(edges) = answer[list].as_array_mut() {
            let namespace = |it: &Value| {
                it["source"]["namespace"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            edges.retain(|it| args.namespaces.admits(&namespace(it)));
        }
    }
    args.output.print(&answer, || table(&answer))
}

fn table(answer: &Value) -> anyhow::Result<String> {
    let graph = Graph::deserialize(answer)?;
    if graph.dependencies.is_empty() && graph.external_hosts.is_empty() {
        return Ok("Nothing has been learned yet.".to_owned());
    }
    let dependencies = graph.dependencies.iter().map(|edge| edge.row("mesh"));
    let externals = graph.external_hosts.iter().map(|edge| edge.row("external"));
    Ok(columns(
        ["WORKLOAD", "HOST", "KIND", "COUNT", "LAST SEEN"],
        dependencies.chain(externals),
    ))
}

impl Edge {
    /// Who saw it, and when last.
    pub(crate) fn witnesses(&self) -> String {
        let sightings = self.seen_by.iter();
        let sightings = sightings.map(|it| format!("{} {}", it.witness, ago(it.last_seen_ms)));
        sightings.collect::<Vec<_>>().join(", ")
    }

    fn row(&self, kind: &str) -> [String; 5] {
        let Source { namespace, name } = &self.source;
        [
            format!("{namespace}/{name}"),
            self.host.clone(),
            kind.to_owned(),
            self.count.to_string(),
            ago(self.last_seen_ms),
        ]
    }
}
