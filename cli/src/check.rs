//! `lazymesh check`: whether a cluster is fit for lazymesh, and whether lazymesh is well.

use anyhow::bail;
use lazymesh_collector::check::{Checkup, Finding, State};
use lazymesh_collector::kubernetes::ConnectConfig;
use lazymesh_envoyfilters::IstioVersion;
use lazymesh_oci::Location;

use crate::client::{Check, Client, ClientArgs};
use crate::oci_registry::{LoginArgs, interruptible};
use crate::output::OutputArgs;

const HERE: &str = env!("CARGO_PKG_VERSION");

#[derive(clap::Args)]
#[command(after_help = "\
Each line begins with ok, warn or fail. The exit status is 1 if any fails.

Examples:
  lazymesh check --pre --image registry.example.com/lazymesh/filter:0.1.0
  lazymesh check
  lazymesh check --context production -o json | jq '.[] | select(.state != \"ok\")'")]
pub(crate) struct Args {
    /// Look only at what must be there before lazymesh is installed
    #[arg(long)]
    pre: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The filter's artifact, to see whether its registry has it; without this, what is attached
    #[arg(long, value_name = "REF")]
    image: Option<Location>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    login: LoginArgs,
    #[command(flatten)]
    collector: ClientArgs,
}

/// Which cluster to look at.
#[derive(clap::Args)]
pub(crate) struct ClusterArgs {
    #[command(flatten)]
    connect: ConnectConfig,
    /// Namespace of lazymesh
    #[arg(
        short,
        long,
        value_name = "NAMESPACE",
        default_value = "lazymesh-system"
    )]
    namespace: String,
    /// Namespace of istiod
    #[arg(long, value_name = "NAMESPACE", default_value = "istio-system")]
    istio_namespace: String,
    /// Istio's root namespace
    #[arg(long, value_name = "NAMESPACE", default_value = "istio-system")]
    root_namespace: String,
    /// Only what is for this revision of the control plane
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Version of Istio; without it, istiod's pods say it
    #[arg(long, value_name = "VERSION")]
    istio: Option<IstioVersion>,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let (mut findings, attached) = args.cluster.look(args.pre).await;
    let image = args.image.clone().or_else(|| attached?.parse().ok());
    if let Some(image) = image {
        findings.push(registry(&args.login, &image).await);
    }
    if !args.pre {
        findings.extend(collector(&args.collector).await);
    }
    args.output.print(&findings, || Ok(lines(&findings)))?;
    match findings.iter().filter(|it| it.state == State::Fail).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} checks failed", findings.len()),
    }
}

impl ClusterArgs {
    /// What the cluster says, and where its sidecars fetch the filter.
    pub(crate) async fn look(&self, before: bool) -> (Vec<Finding>, Option<String>) {
        let checkup = Checkup {
            namespace: self.namespace.clone(),
            istio_namespace: self.istio_namespace.clone(),
            root_namespace: self.root_namespace.clone(),
            revision: self.revision.clone().filter(|it| !it.is_empty()),
            istio: self.istio,
            before,
        };
        let client = match self.connect.client().await {
            Ok(client) => client,
            Err(error) => {
                let hint = "name a cluster by --kubeconfig or --context; without one `lazymesh status` shows the collector alone";
                return (vec![Finding::fail("kubernetes", error, hint)], None);
            }
        };
        let findings = checkup.run(&client).await;
        let url = checkup.module(&client).await;
        (
            findings,
            url.map(|it| it.trim_start_matches("oci://").to_owned()),
        )
    }
}

async fn registry(login: &LoginArgs, image: &Location) -> Finding {
    let check = "registry";
    let seen = async {
        let repository = login.open(image).await?;
        let pointer = image.pointer();
        let seen = interruptible(lazymesh_oci::inspect(&*repository, &pointer)).await?;
        anyhow::Ok(seen.digest.to_string())
    };
    match seen.await {
        Ok(digest) => Finding::ok(check, format!("it has the filter as {digest}")),
        Err(error) => Finding::warn(
            check,
            format!("expected the filter, got {error:#}"),
            "looked from here; sidecars look from their nodes, with the pull secrets of the WasmPlugin",
        ),
    }
}

/// What the collector says of itself.
pub(crate) async fn collector(args: &ClientArgs) -> Vec<Finding> {
    let asked = async {
        let client = args.open()?;
        findings(&client).await
    };
    asked.await.unwrap_or_else(|error| {
        let hint = "kubectl --namespace lazymesh-system port-forward deployment/lazymesh-collector 8481, then look again";
        vec![Finding::warn("collector's own checks", format!("{error:#}"), hint)]
    })
}

async fn findings(client: &Client) -> anyhow::Result<Vec<Finding>> {
    let (ready, there) = (client.readyz().await?, client.version().await?);
    let mut findings = vec![match there == HERE {
        true => Finding::ok("versions", HERE),
        false => Finding::warn(
            "versions",
            format!("this is {HERE}, the collector is {there}"),
            "use the command of the collector's version",
        ),
    }];
    findings.extend(ready.checks.into_iter().map(of_check));
    let metrics = client.metrics().await?;
    let waiting = metrics
        .get("namespaces_waiting")
        .copied()
        .unwrap_or_default();
    findings.push(match waiting > 0.0 {
        false => Finding::ok("filters", "heard from in every enforced namespace"),
        true => Finding::warn(
            "filters",
            format!("not heard from in {waiting} enforced namespaces, which keep their full scope"),
            "their sidecars cannot fetch the filter or cannot reach the collector: see istio-proxy's log there",
        ),
    });
    Ok(findings)
}

/// A check of the collector's, by a name that no other finding has.
fn of_check(check: Check) -> Finding {
    let name = match check.name.as_str() {
        "store" => "collector: store",
        "inventory" => "collector: inventory",
        "publisher" => "collector: publisher",
        "attachment" => "collector: attachment",
        "prometheus" => "collector: prometheus",
        _ => "collector",
    };
    let detail = check.detail.unwrap_or_default();
    match (check.ok, check.required) {
        (true, _) => Finding::ok(name, "as it should be"),
        (false, true) => Finding::fail(name, detail, "see the collector's log"),
        (false, false) => Finding::warn(name, detail, "see the collector's log"),
    }
}

fn lines(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let state = match finding.state {
            State::Ok => "ok  ",
            State::Warn => "warn",
            State::Fail => "fail",
        };
        text.push_str(&format!("{state}  {}: {}\n", finding.check, finding.detail));
        if let Some(hint) = &finding.hint {
            text.push_str(&format!("      {hint}\n"));
        }
    }
    text
}
