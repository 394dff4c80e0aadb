use std::fmt::Write;

use lazymesh_core::Workload;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{self, Client};
use crate::events;
use crate::graph::Edge;
use crate::namespaces::NamespaceArgs;
use crate::output::{OutputArgs, ago, columns};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh workloads
  lazymesh workloads -n shop
  lazymesh workloads -o wide
  lazymesh workloads --watch
  lazymesh workloads shop/web
  lazymesh workloads shop/web -o json | jq -r '.dependencies[].host'")]
pub(crate) struct Args {
    /// Show only this workload, with what it depends on
    #[arg(value_name = "NAMESPACE/NAME")]
    workload: Option<Workload>,
    #[command(flatten)]
    namespaces: NamespaceArgs,
    /// Go on with each workload that something happens to
    #[arg(short, long, conflicts_with = "workload")]
    watch: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    collector: client::ClientArgs,
}

#[derive(Deserialize)]
struct Item {
    namespace: String,
    name: String,
    mode: String,
    dependencies: usize,
}

/// What a plan says besides.
#[derive(Deserialize)]
struct Wide {
    sidecar: Sidecar,
    evidence: Evidence,
}

#[derive(Deserialize)]
struct Evidence {
    last_seen_ms: Option<u64>,
    sources: Vec<String>,
}

#[derive(Deserialize)]
struct Detail {
    namespace: String,
    name: String,
    mode: String,
    external_hosts: usize,
    service_accounts: Vec<String>,
    sidecar: Sidecar,
    dependencies: Vec<Edge>,
}

#[derive(Deserialize)]
struct Sidecar {
    state: String,
    name: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.collector.client().await?;
    match &args.workload {
        None => {
            let last = match args.watch {
                true => newest(&client).await?,
                false => None,
            };
            let mut items = client.list(&["v1", args.kind()], &[]).await?;
            let is_listed = |it: &Value| {
                args.namespaces
                    .admits(it["namespace"].as_str().unwrap_or_default())
            };
            items.retain(is_listed);
            let wide = args.output.is_wide();
            args.output.print(&items, || list(&items, wide))?;
            match args.watch {
                true => follow(&client, &args, last.as_deref()).await,
                false => Ok(()),
            }
        }
        Some(workload) => {
            let detail = detail(&client, workload).await?;
            args.output.print(&detail, || show(&detail))
        }
    }
}

impl Args {
    /// Of what kind the answers are: a plan says more of a workload.
    fn kind(&self) -> &'static str {
        match self.output.is_wide() {
            true => "plan",
            false => "workloads",
        }
    }
}

/// The newest event there is.
async fn newest(client: &Client) -> anyhow::Result<Option<String>> {
    let mut past = events::begin(client, "false", None).await?;
    let mut last = None;
    while let Some(event) = past.next().await? {
        last = event["id"].as_str().map(str::to_owned).or(last);
    }
    Ok(last)
}

/// Prints workloads anew that something has happened to since an event, until the stream ends.
async fn follow(client: &Client, args: &Args, last: Option<&str>) -> anyhow::Result<()> {
    let mut stream = events::begin(client, "true", last).await?;
    while let Some(event) = stream.next().await? {
        let Ok(Workload { namespace, name }) = Workload::deserialize(&event["workload"]) else {
            continue;
        };
        if !args.namespaces.admits(&namespace) {
            continue;
        }
        // One that is gone meanwhile has no row.
        if let Ok(item) = client.json(&["v1", args.kind(), &namespace, &name]).await {
            let row = || Ok(row(&item, args.output.is_wide())?.join("  "));
            args.output.print(&item, row)?;
        }
    }
    Ok(())
}

/// The workload, with its dependencies in the place of their number.
async fn detail(client: &Client, workload: &Workload) -> anyhow::Result<Value> {
    let path = ["v1", "workloads", &workload.namespace, &workload.name];
    let mut detail = client.json(&path).await?;
    let dependencies = client
        .list(&[&path[..], &["dependencies"]].concat(), &[])
        .await?;
    if let Value::Object(fields) = &mut detail {
        fields.insert("dependencies".to_owned(), json!(dependencies));
    }
    Ok(detail)
}

fn list(items: &[Value], wide: bool) -> anyhow::Result<String> {
    if items.is_empty() {
        return Ok(
            "No workload has pods in the inventory, and nothing has been learned yet.".to_owned(),
        );
    }
    let rows = items.iter().map(|item| row(item, wide));
    let rows = rows.collect::<anyhow::Result<Vec<_>>>()?;
    let mut headers = vec!["WORKLOAD", "MODE", "DEPENDENCIES"];
    if wide {
        headers.extend(["SIDECAR", "LAST SEEN", "SEEN BY"]);
    }
    Ok(columns(headers, rows))
}

fn row(item: &Value, wide: bool) -> anyhow::Result<Vec<String>> {
    let Item {
        namespace,
        name,
        mode,
        dependencies,
    } = Item::deserialize(item)?;
    let mut row = vec![
        format!("{namespace}/{name}"),
        mode,
        dependencies.to_string(),
    ];
    if wide {
        let more = Wide::deserialize(item)?;
        let seen = more.evidence.last_seen_ms.map_or("-".to_owned(), ago);
        row.extend([more.sidecar.state, seen, more.evidence.sources.join(",")]);
    }
    Ok(row)
}

fn show(detail: &Value) -> anyhow::Result<String> {
    let detail = Detail::deserialize(detail)?;
    let sidecar = match detail.sidecar.name {
        Some(name) => format!("{name} ({})", detail.sidecar.state),
        None => detail.sidecar.state,
    };
    let mut text = format!(
        "Workload:          {}/{}\nMode:              {}\nSidecar:           {sidecar}\nService accounts:  {}\n\
         External hosts:    {}\nDependencies:      {}\n",
        detail.namespace,
        detail.name,
        detail.mode,
        detail.service_accounts.join(", "),
        detail.external_hosts,
        detail.dependencies.len(),
    );
    if !detail.dependencies.is_empty() {
        let rows = detail.dependencies.iter();
        let rows = rows.map(|edge| {
            [
                edge.host.clone(),
                edge.count.to_string(),
                ago(edge.last_seen_ms),
                edge.witnesses(),
            ]
        });
        let heads = ["HOST", "COUNT", "LAST SEEN", "SEEN BY"];
        write!(text, "\n{}", columns(heads, rows))?;
    }
    Ok(text)
}
