//! `lazymesh plan`: what enforcing would leave, how far that may be relied upon, and, once reviewed, the label that does it.

use std::fmt::Write;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use lazymesh_collector::flag::number;
use lazymesh_collector::kubernetes::{ConnectConfig, label_namespace};
use lazymesh_core::Workload;
use serde::Deserialize;
use serde_json::Value;

use crate::client::{self, Client};
use crate::output::{Output, ago, columns, print};

#[derive(clap::Args)]
#[command(after_help = "\
The confidence is a rule of thumb of time, calls and who watched. --apply labels the namespace with
lazymesh.io/mode: enforce; with --fail-below only if all of its workloads are above.

Examples:
  lazymesh plan
  lazymesh plan shop
  lazymesh plan -o wide
  lazymesh plan shop/web -o diff
  lazymesh plan -o jsonpath='{[*].confidence.percent}'
  lazymesh plan shop --fail-below 80
  lazymesh plan shop --fail-below 80 --apply
  lazymesh plan -o json | jq '.[] | select(.limits != [])'")]
pub(crate) struct Args {
    /// Only this namespace, or this workload
    #[arg(value_name = "NAMESPACE[/WORKLOAD]")]
    whose: Option<String>,
    /// Only this namespace
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "whose")]
    namespace: Option<String>,
    /// Form of the answer: diff, table, wide, name, json, yaml or jsonpath=EXPRESSION
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
    /// Fail if the confidence in any of the workloads is below this, of 100
    #[arg(long, value_name = "CONFIDENCE", value_parser = number(0..=100_u8))]
    fail_below: Option<u8>,
    /// Enforce the namespace that was shown
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    connect: ConnectConfig,
    #[command(flatten)]
    collector: client::ClientArgs,
}

#[derive(Clone)]
enum Form {
    /// What changes in the egress hosts of each workload.
    Diff,
    Of(Output),
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "diff" => Ok(Self::Diff),
            _ => text.parse().map(Self::Of),
        }
    }
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
    confidence: Confidence,
    #[serde(default)]
    hosts: Vec<String>,
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
    xds_bytes: usize,
    memory_bytes: usize,
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
    sources: Vec<String>,
}

#[derive(Deserialize)]
struct Confidence {
    percent: u8,
    days: u64,
    gaps: Vec<Gap>,
}

#[derive(Deserialize)]
struct Gap {
    gap: String,
    detail: String,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.collector.client().await?;
    let whose = args.whose.as_deref().or(args.namespace.as_deref());
    let shown = match whose.filter(|whose| whose.contains('/')) {
        Some(workload) => {
            let plan = one(&client, &workload.parse()?).await?;
            args.print(&client, &plan, std::slice::from_ref(&plan), |_| show(&plan))
                .await?;
            vec![plan]
        }
        None => {
            let query: Vec<_> = whose.map(|it| ("namespace", it)).into_iter().collect();
            let plans = client.list(&["v1", "plan"], &query).await?;
            let answer = Value::Array(plans.clone());
            args.print(&client, &answer, &plans, |wide| list(&answer, wide))
                .await?;
            plans
        }
    };
    args.judge(&shown)?;
    match args.apply {
        true => args.enforce(whose, &shown).await,
        false => Ok(()),
    }
}

async fn one(client: &Client, workload: &Workload) -> anyhow::Result<Value> {
    let Workload { namespace, name } = workload;
    client.json(&["v1", "plan", namespace, name]).await
}

impl Args {
    async fn print(
        &self,
        client: &Client,
        answer: &Value,
        plans: &[Value],
        table: impl FnOnce(bool) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        match &self.output {
            Form::Diff => print(&diff(client, plans).await?),
            Form::Of(output) => output.print(answer, || table(output.is_wide())),
        }
    }

    /// Fails where somebody is not known well enough.
    fn judge(&self, plans: &[Value]) -> anyhow::Result<()> {
        let Some(least) = self.fail_below else {
            return Ok(());
        };
        let plans = plans.iter().map(Plan::deserialize);
        let plans = plans.collect::<Result<Vec<_>, _>>()?;
        let below = plans.iter().filter(|it| it.confidence.percent < least);
        let below: Vec<_> = below.map(Plan::workload).collect();
        ensure!(
            below.is_empty(),
            "expected a confidence of at least {least}, got less for {}",
            below.join(", ")
        );
        Ok(())
    }

    async fn enforce(&self, whose: Option<&str>, plans: &[Value]) -> anyhow::Result<()> {
        let Some(namespace) = whose.filter(|it| !it.contains('/')) else {
            bail!(
                "--apply: expected a namespace to enforce; a workload alone is enforced by the label lazymesh.io/mode of its pods"
            );
        };
        ensure!(
            !plans.is_empty(),
            "--apply: expected workloads in {namespace}, got none"
        );
        let client = self.connect.client().await?;
        let labelled = label_namespace(&client, namespace, Some("enforce")).await?;
        ensure!(labelled, "there is no namespace {namespace}");
        print(&format!("namespace {namespace}: lazymesh.io/mode: enforce"))
    }
}

/// The egress hosts of each workload now, and were it enforced.
async fn diff(client: &Client, plans: &[Value]) -> anyhow::Result<String> {
    let mut text = String::new();
    for plan in plans {
        let workload = Plan::deserialize(plan)?.workload().parse()?;
        let plan = Plan::deserialize(one(client, &workload).await?)?;
        writeln!(text, "--- {workload} now\n+++ {workload} enforced")?;
        let is_scoped = plan.mode == "enforce" && plan.sidecar.state == "managed";
        let is_full = plan.hosts == ["*/*"];
        if !is_scoped && !is_full {
            writeln!(text, "-*/*")?;
        }
        let sign = if is_scoped || is_full { ' ' } else { '+' };
        for host in &plan.hosts {
            writeln!(text, "{sign}{host}")?;
        }
    }
    Ok(text)
}

fn list(plans: &Value, wide: bool) -> anyhow::Result<String> {
    let plans = Vec::<Plan>::deserialize(plans).context("the collector answered something else")?;
    if plans.is_empty() {
        return Ok("No workload has pods there, and nothing has been learned yet.".to_owned());
    }
    let mut headers = vec![
        "WORKLOAD",
        "MODE",
        "SERVICES",
        "CLUSTERS",
        "ENDPOINTS",
        "MEMORY (EST.)",
        "FIRST SEEN",
        "SEEN",
        "CONFIDENCE",
        "LIMITS",
    ];
    if wide {
        headers.extend(["XDS (EST.)", "SIDECAR", "SEEN BY", "UNSEEN"]);
    }
    let rows = plans.iter().map(|plan| match wide {
        true => [plan.row(), plan.more()].concat(),
        false => plan.row(),
    });
    Ok(columns(headers, rows))
}

impl Plan {
    fn row(&self) -> Vec<String> {
        let (full, scoped) = (&self.full, &self.scoped);
        let limits: Vec<_> = self.limits.iter().map(|it| it.limit.as_str()).collect();
        vec![
            self.workload(),
            self.mode.clone(),
            of(scoped.services, full.services),
            of(scoped.clusters, full.clusters),
            of(scoped.endpoints, full.endpoints),
            bytes(scoped.memory_bytes, full.memory_bytes),
            self.evidence.first_seen_ms.map_or("-".to_owned(), ago),
            self.evidence.count.to_string(),
            format!("{} %", self.confidence.percent),
            limits.join(","),
        ]
    }

    /// What a wide table shows besides.
    fn more(&self) -> Vec<String> {
        let gaps: Vec<_> = self.confidence.gaps.iter().map(|it| &*it.gap).collect();
        vec![
            bytes(self.scoped.xds_bytes, self.full.xds_bytes),
            self.sidecar.state.clone(),
            self.evidence.sources.join(","),
            gaps.join(","),
        ]
    }

    fn workload(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

fn of(scoped: usize, full: usize) -> String {
    format!("{scoped} of {full}")
}

fn bytes(scoped: usize, full: usize) -> String {
    let megabytes = |bytes: usize| format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10);
    format!("{} of {} MB", megabytes(scoped), megabytes(full))
}

fn show(plan: &Value) -> anyhow::Result<String> {
    let plan = Plan::deserialize(plan)?;
    let evidence = match plan.evidence.first_seen_ms {
        Some(first) => format!(
            "{} requests, the first {} ago, seen by {}",
            plan.evidence.count,
            ago(first),
            plan.evidence.sources.join(", ")
        ),
        None => "none: nothing was learned yet".to_owned(),
    };
    let (full, scoped) = (&plan.full, &plan.scoped);
    let workload = plan.workload();
    let mut text = String::new();
    let lines = [
        ("Workload", workload),
        ("Mode", plan.mode),
        ("Sidecar", plan.sidecar.detail.unwrap_or(plan.sidecar.state)),
        ("Services", of(scoped.services, full.services)),
        ("Clusters", of(scoped.clusters, full.clusters)),
        ("Endpoints", of(scoped.endpoints, full.endpoints)),
        ("xDS (est.)", bytes(scoped.xds_bytes, full.xds_bytes)),
        (
            "Memory (est.)",
            bytes(scoped.memory_bytes, full.memory_bytes),
        ),
        ("Dependencies", plan.dependencies.to_string()),
        ("Always visible", plan.always_visible.to_string()),
        ("Along", plan.along.to_string()),
        ("Evidence", evidence),
        (
            "Confidence",
            format!(
                "{} %, watched for {} days",
                plan.confidence.percent, plan.confidence.days
            ),
        ),
    ];
    let gaps = plan
        .confidence
        .gaps
        .into_iter()
        .map(|it| ("Unseen", it.detail));
    let limits = plan.limits.into_iter().map(|it| ("Limit", it.detail));
    for (name, value) in lines.into_iter().chain(gaps).chain(limits) {
        writeln!(text, "{:<17}{value}", format!("{name}:"))?;
    }
    Ok(text)
}
