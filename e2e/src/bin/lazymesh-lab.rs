//! The lab for people: `cargo xtask lab up|down|status|shell` runs this.

use std::{os::unix::process::CommandExt, process::ExitCode, time::Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use lazymesh_e2e::{
    exit,
    lab::{self, Lab, Life, Options, PodSpec},
};

#[derive(Parser)]
#[command(
    name = "cargo xtask lab",
    about = "A real Istio control plane and pods, without containers."
)]
struct Cli {
    /// Which lab, if there are several
    #[arg(long, default_value = "up")]
    name: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the control plane and pods; everything stays until `down`
    Up {
        /// Pods with sidecars, each with a Service of its name
        #[arg(value_name = "NAMESPACE/NAME", default_values = ["demo/a", "demo/b"])]
        pods: Vec<String>,
    },
    /// Ends everything and leaves nothing behind
    Down,
    /// What runs
    Status,
    /// A shell in a pod's namespaces, or a command
    Shell {
        #[arg(value_name = "NAMESPACE/NAME")]
        pod: String,
        #[arg(trailing_var_arg = true, default_values = ["sh"])]
        command: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    exit::status(run(Cli::parse()).await)
}

async fn run(Cli { name, command }: Cli) -> Result<()> {
    match command {
        Command::Up { pods } => up(name, &pods).await,
        Command::Down => down(&name).await,
        Command::Status => {
            print!("{}", lab::status(&name)?);
            Ok(())
        }
        Command::Shell { pod, command } => shell(&name, &pod, &command),
    }
}

async fn up(name: String, pods: &[String]) -> Result<()> {
    let pods = pods
        .iter()
        .map(|pod| parse(pod))
        .collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    let lab = Lab::start(Options {
        name,
        life: Life::UntilDown,
        ..Options::default()
    })
    .await?;
    println!(
        "control plane ready after {:.1} s",
        start.elapsed().as_secs_f64()
    );
    for (namespace, name) in pods {
        let start = Instant::now();
        lab.namespace(namespace, &[]).await?;
        lab.service(namespace, name).await?;
        let pod = lab.pod(PodSpec::new(namespace, name)).await?;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "pod {namespace}/{name} ready after {seconds:.1} s: {}",
            pod.address()
        );
    }
    println!("registry: {} (plain HTTP)", lab.registry_address());
    println!("logs and files: {}", lab.folder().display());
    println!("export KUBECONFIG={}", lab.kubeconfig().display());
    Ok(())
}

async fn down(name: &str) -> Result<()> {
    let was = lab::down(name).await?;
    println!(
        "{}",
        if was {
            "the lab is gone"
        } else {
            "there is no lab"
        }
    );
    Ok(())
}

fn shell(lab: &str, pod: &str, command: &[String]) -> Result<()> {
    let (namespace, name) = parse(pod)?;
    let Some((program, arguments)) = command.split_first() else {
        bail!("an empty command");
    };
    let mut command = lab::enter(lab, namespace, name, program)?;
    if let Some(terminal) = std::env::var_os("TERM") {
        command.env("TERM", terminal);
    }
    Err(command.args(arguments).exec()).context("cannot enter the pod")
}

fn parse(pod: &str) -> Result<(&str, &str)> {
    pod.split_once('/')
        .with_context(|| format!("{pod:?} is not NAMESPACE/NAME"))
}
