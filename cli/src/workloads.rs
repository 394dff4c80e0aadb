use std::fmt::Write;

use lazymesh_core::Workload;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{self, Client};
use crate::graph::Edge;
use crate::namespaces::NamespaceArgs;
use crate::output::{OutputArgs, ago, columns};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh workloads
  lazymesh workloads -n shop
  lazymesh workloads shop/web
  lazymesh workloads shop/web -o json | jq -r '.dependencies[].host'")]
pub(crate) struct Args {
    /// Show only this workload, with what it depends on
    #[arg(value_name = "NAMESPACE/NAME")]
    workload: Option<Workload>,
    #[command(flatten)]
    namespaces: NamespaceArgs,
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
            let mut items = client.list(&["v1", "workloads"], &[]).await?;
            let is_listed = |it: &Value| {
                args.namespaces
                    .admits(it["namespace"].as_str().unwrap_or_default())
            };
            items.retain(is_listed);
            args.output.print(&items, || list(&items))
        }
        Some(workload) => {
            let detail = detail(&client, workload).await?;
            args.output.print(&detail, || show(&detail))
        }
    }
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

fn list(items: &[Value]) -> anyhow::Result<String> {
    if items.is_empty() {
        return Ok(
            "No workload has pods in the inventory, and nothing has been learned yet.".to_owned(),
        );
    }
    let rows = items
        .iter()
        .map(Item::deserialize)
        .collect::<Result<Vec<_>, _>>()?;
    let rows = rows.into_iter().map(|item| {
        let workload = format!("{}/{}", item.namespace, item.name);
        [workload, item.mode, item.dependencies.to_string()]
    });
    Ok(columns(["WORKLOAD", "MODE", "DEPENDENCIES"], rows))
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
