use std::fmt::Write;
use std::net::SocketAddr;

use anyhow::Context;
use clap::ValueEnum;
use lazymesh_core::{Authority, Workload};
use serde::Deserialize;
use serde_json::Value;

use crate::client;
use crate::graph::Edge;
use crate::output::{OutputArgs, ago};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh explain shop/web reviews
  lazymesh explain shop/web mysql.data:3306
  lazymesh explain shop/web reviews -o json | jq .in_scope")]
pub(crate) struct Args {
    /// Who calls
    #[arg(value_name = "NAMESPACE/WORKLOAD")]
    workload: Workload,
    /// Whom, as the application names it
    #[arg(value_name = "HOST[:PORT]")]
    host: Authority,
    /// What is spoken; by default what the host's port is declared to be
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<Spoken>,
    /// What is dialled; by default the host's own address
    #[arg(long, value_name = "IP:PORT")]
    destination: Option<SocketAddr>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    collector: client::ClientArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Spoken {
    Http,
    Tcp,
    Tls,
}

impl Spoken {
    fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

#[derive(Deserialize)]
struct Explanation {
    mode: String,
    sidecar: Sidecar,
    call: Call,
    meant: Meant,
    in_scope: Option<bool>,
    because: Vec<Because>,
    published: Option<String>,
    dependency: Option<Edge>,
    first_request: Option<FirstRequest>,
}

#[derive(Deserialize)]
struct Sidecar {
    state: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Call {
    protocol: String,
    authority: Option<String>,
    destination: Option<String>,
}

#[derive(Deserialize)]
struct Meant {
    detail: String,
}

#[derive(Deserialize)]
struct Because {
    host: Option<String>,
    detail: String,
}

#[derive(Deserialize)]
struct FirstRequest {
    decision: String,
    detail: String,
    clusters: Vec<Cluster>,
    learns: Option<String>,
}

#[derive(Deserialize)]
struct Cluster {
    cluster: String,
    weight: u32,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.collector.client().await?;
    let (workload, host) = (args.workload.to_string(), args.host.to_string());
    let destination = args.destination.map(|it| it.to_string());
    let mut query = vec![("workload", &*workload), ("host", &*host)];
    query.extend(args.protocol.map(|it| ("protocol", it.word())));
    query.extend(destination.as_deref().map(|it| ("destination", it)));
    let answer = client.text(&["v1", "explain"], &query).await?;
    let answer: Value = serde_json::from_str(&answer)
        .context("expected JSON: is that the collector's admin port?")?;
    args.output.print(&answer, || show(&answer))
}

fn show(answer: &Value) -> anyhow::Result<String> {
    let said = Explanation::deserialize(answer)?;
    let sidecar = said.sidecar.name.unwrap_or(said.sidecar.state);
    let call = [
        Some(said.call.protocol),
        said.call.authority,
        said.call.destination,
    ];
    let call: Vec<_> = call.into_iter().flatten().collect();
    let mut text = format!(
        "Call:           {}\nMeans:          {}\nMode:           {}\nSidecar:        {sidecar}\nIn scope:       {}\n",
        call.join(" "),
        said.meant.detail,
        said.mode,
        match said.in_scope {
            Some(true) => "yes",
            Some(false) => "no",
            None => "as the user's Sidecar says",
        },
    );
    for Because { host, detail } in said.because {
        let host = host.map(|host| format!("{host}: ")).unwrap_or_default();
        writeln!(text, "Because:        {host}{detail}")?;
    }
    if let Some(published) = said.published {
        writeln!(text, "Published:      {published}")?;
    }
    if let Some(known) = said.dependency {
        let (since, witnesses) = (ago(known.first_seen_ms), known.witnesses());
        writeln!(
            text,
            "Seen:           {since} ago for the first time; last by {witnesses}"
        )?;
    }
    if let Some(first) = said.first_request {
        writeln!(text, "First request:  {}: {}", first.decision, first.detail)?;
        for Cluster { cluster, weight } in first.clusters {
            writeln!(text, "Cluster:        {cluster} ({weight})")?;
        }
        let learns = first.learns.as_deref().unwrap_or("nothing");
        writeln!(text, "Learns:         {learns}")?;
    }
    Ok(text)
}
