use clap::{Parser, Subcommand};

use crate::{
    always_visible, bug_report, check, collector, completion, events, explain, forget, graph,
    manifests, oci_copy, oci_inspect, oci_pull, oci_push, oci_sign, oci_verify, plan, resume,
    sidecar, status, version, workloads,
};

/// Lazy xDS for Istio: sidecars start almost empty, learn what their workload calls, and get only that.
#[derive(Parser)]
#[command(
    name = "lazymesh",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the collector: answers filters, learns, publishes Sidecars
    Collector(Box<collector::Args>),
    /// Print the objects that attach the filter to the sidecars of a mesh, for kubectl apply
    Manifests(manifests::Args),
    /// Look over a cluster: whether lazymesh can work there, and whether it does
    Check(Box<check::Args>),
    /// Show how the collector is
    Status(status::Args),
    /// Show the versions of this command and of the collector
    Version(version::Args),
    /// Print what is needed to find a fault, without secrets
    BugReport(Box<bug_report::Args>),
    /// Show who depends on what
    Graph(graph::Args),
    /// List workloads, or show one with what it depends on
    Workloads(workloads::Args),
    /// Show what enforcing would leave of each workload's scope
    Plan(plan::Args),
    /// Explain why a workload has a host in scope, or what its first request to it would do
    Explain(explain::Args),
    /// List what happened lately: what was learned, what went, which Sidecars changed
    Events(events::Args),
    /// Show a workload's Sidecar as the collector publishes it
    Sidecar(sidecar::Args),
    /// List the hosts that stay in every scope, with the reason for each
    AlwaysVisible(always_visible::Args),
    /// Forget what a workload has learned
    Forget(forget::Args),
    /// Try a canary again that has failed, so that its namespace has its full scope
    Resume(resume::Args),
    /// Push the filter to a registry, or a directory that stands for one
    Push(Box<oci_push::Args>),
    /// Pull the filter out of a registry, verified
    Pull(oci_pull::Args),
    /// Show what an artifact consists of, and what the module in it needs
    Inspect(oci_inspect::Args),
    /// Sign an artifact or a container image, with its documents
    Sign(oci_sign::Args),
    /// Check an artifact's digests, signature and bill of materials
    Verify(oci_verify::Args),
    /// Copy an artifact with all that refers to it, into an air-gapped registry for example
    Copy(oci_copy::Args),
    /// Take everything of lazymesh out of a cluster, without a failed request
    Uninstall(crate::uninstall::Args),
    /// Print a completion script for a shell
    #[command(alias = "completions")]
    Completion(completion::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
