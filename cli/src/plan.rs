use std::fmt::Write;

use lazymesh_core::Workload;
use serde::Deserialize;
use serde_json::Value;

use crate::client;
use crate::output::{OutputArgs, ago, columns};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh plan
  lazymesh plan shop
  lazymesh plan shop/web
  lazymesh plan -o json | jq '[.[] | select(.limits != [])]'")]
pub(crate) struct Args {
    /// Only this namespace, or this workload
    #[arg(value_name = "NAMESPACE[/WORKLOAD]")]
    whose: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    collector: client::ClientArgs,
}

#[derive(Deserialize)]
struct Plan {
    namespace: String,
    name: String,
    mode: String,
    sidecar: Sidecar,
    full: Footprint,
    scoped: Footprint,
    dependencies: usize,
    always_visible: usize,
    along: usize,
    limits: Vec<Limit>,
    evidence: Evidence,
}

#[derive(Deserialize)]
struct Sidecar {
    state: String,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Footprint {
    services: usize,
    clusters: usize,
    endpoints: usize,
}

#[derive(Deserialize)]
struct Limit {
    limit: String,
    detail: String,
}

#[derive(Deserialize)]
struct Evidence {
    count: u64,
    first_seen_ms: Option<u64>,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.collector.client().await?;
    let whose = args.whose.as_deref();
    match whose.filter(|whose| whose.contains('/')) {
        Some(workload) => {
            let Workload { namespace, name } = workload.parse()?;
            let plan = client.json(&["v1", "plan", &namespace, &name]).await?;
            args.output.print(&plan, || show(&plan))
        }
        None => {
            let query: Vec<_> = whose.map(|it| ("namespace", it)).into_iter().collect();
            let plans = client.list(&["v1", "plan"], &query).await?;
            args.output.print(&plans, || list(&plans))
        }
    }
}

fn list(plans: &[Value]) -> anyhow::Result<String> {
    if plans.is_empty() {
        return Ok("No workload has pods there, and nothing has been learned yet.".to_owned());
    }
    let plans = plans
        .iter()
        .map(Plan::deserialize)
        .collect::<Result<Vec<_>, _>>()?;
    let rows = plans.into_iter().map(|plan| {
        let limits: Vec<_> = plan.limits.into_iter().map(|it| it.limit).collect();
        [
            format!("{}/{}", plan.namespace, plan.name),
            plan.mode,
            format!("{} of {}", plan.scoped.services, plan.full.services),
            format!("{} of {}", plan.scoped.clusters, plan.full.clusters),
            format!("{} of {}", plan.scoped.endpoints, plan.full.endpoints),
            plan.evidence.first_seen_ms.map_or("-".to_owned(), ago),
            plan.evidence.count.to_string(),
            limits.join(","),
        ]
    });
    let headers = [
        "WORKLOAD",
        "MODE",
        "SERVICES",
        "CLUSTERS",
        "ENDPOINTS",
        "FIRST SEEN",
        "SEEN",
        "LIMITS",
    ];
    Ok(columns(headers, rows))
}

fn show(plan: &Value) -> anyhow::Result<String> {
    let plan = Plan::deserialize(plan)?;
    let of = |scoped: usize, full: usize| format!("{scoped} of {full}");
    let first_seen = plan.evidence.first_seen_ms;
    let mut text = format!(
        "Workload:        {}/{}\nMode:            {}\nSidecar:         {}\nServices:        {}\nClusters:        {}\n\
         Endpoints:       {}\nDependencies:    {}\nAlways visible:  {}\nAlong:           {}\nEvidence:        {}\n",
        plan.namespace,
        plan.name,
        plan.mode,
        plan.sidecar.detail.unwrap_or(plan.sidecar.state),
        of(plan.scoped.services, plan.full.services),
        of(plan.scoped.clusters, plan.full.clusters),
        of(plan.scoped.endpoints, plan.full.endpoints),
        plan.dependencies,
        plan.always_visible,
        plan.along,
        match first_seen {
            Some(first) => format!(
                "{} requests, the first {} ago",
                plan.evidence.count,
                ago(first)
            ),
            None => "none: nothing was learned yet".to_owned(),
        },
    );
    for limit in plan.limits {
        writeln!(text, "Limit:           {}", limit.detail)?;
    }
    Ok(text)
}
