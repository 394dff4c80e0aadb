use std::io::{Write as _, stderr};
use std::time::Duration;

use lazymesh_core::Workload;
use serde::Deserialize;
use serde_json::Value;

use crate::client::{self, Client};
use crate::event_stream::Events;
use crate::namespaces::NamespaceArgs;
use crate::output::{OutputArgs, ago, columns};

/// Pause before a stream that broke is begun again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh events
  lazymesh events -n shop
  lazymesh events --watch
  lazymesh events --watch -o json | jq -r 'select(.kind == \"learned\") | .host'")]
pub(crate) struct Args {
    /// Go on with what happens from now on
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    namespaces: NamespaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    collector: client::ClientArgs,
}

#[derive(Deserialize)]
struct Event {
    kind: String,
    at_ms: Option<u64>,
    workload: Option<Workload>,
    host: Option<String>,
    witness: Option<String>,
    sidecar: Option<String>,
    detail: Option<String>,
    count: Option<u64>,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.collector.client().await?;
    match args.watch {
        true => follow(&client, &args).await,
        false => {
            let mut stream = begin(&client, "false", None).await?;
            let mut events = Vec::new();
            while let Some(event) = stream.next().await? {
                events.push(event);
            }
            events.retain(|it| args.admits(it));
            args.output.print(&events, || list(&events))
        }
    }
}

/// Prints events as they come. A stream that breaks is taken up behind the last of them.
async fn follow(client: &Client, args: &Args) -> anyhow::Result<()> {
    let mut stream = begin(client, "true", None).await?;
    let mut last = None;
    loop {
        while let Ok(Some(event)) = stream.next().await {
            if args.admits(&event) {
                args.output.print(&event, || Ok(row(&event)?.join("  ")))?;
            }
            last = event["id"].as_str().map(str::to_owned).or(last);
        }
        tokio::time::sleep(PAUSE).await;
        match begin(client, "true", last.as_deref()).await {
            Ok(again) => stream = again,
            // Whoever reads it may be gone.
            Err(error) => drop(writeln!(stderr(), "waiting for the collector: {error:#}")),
        }
    }
}

impl Args {
    /// Whether an event is of the namespaces that are shown. What is of none, as what was missed, is of all.
    fn admits(&self, event: &Value) -> bool {
        let workload = event["workload"]["namespace"].as_str();
        let sidecar = || Some(event["sidecar"].as_str()?.split_once('/')?.0);
        let namespace = workload.or_else(sidecar);
        namespace.is_none_or(|it| self.namespaces.admits(it))
    }
}

pub(crate) async fn begin(
    client: &Client,
    watch: &str,
    last: Option<&str>,
) -> anyhow::Result<Events> {
    let query = [("watch", watch)];
    let response = client.stream(&["v1", "events"], &query, last).await?;
    Ok(Events::new(response))
}

fn list(events: &[Value]) -> anyhow::Result<String> {
    let rows = events.iter().map(row).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(columns(["AGE", "EVENT", "WHOSE", "HOST", "DETAIL"], rows))
}

fn row(event: &Value) -> anyhow::Result<[String; 5]> {
    let event = Event::deserialize(event)?;
    let count = event.count.map(|count| match event.kind.as_str() {
        "published" => format!("{count} hosts"),
        _ => format!("{count} events"),
    });
    let by = event.witness.map(|witness| format!("by {witness}"));
    let whose = event.workload.map(|it| it.to_string()).or(event.sidecar);
    Ok([
        event.at_ms.map_or("-".to_owned(), ago),
        event.kind,
        whose.unwrap_or_default(),
        event.host.unwrap_or_default(),
        event.detail.or(by).or(count).unwrap_or_default(),
    ])
}
