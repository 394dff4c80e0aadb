//! `lazymesh manifests`: the attachment as YAML or JSON, for `kubectl apply` and for review.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use clap::{ArgAction, ValueEnum};
use lazymesh_collector::flag::number;
use lazymesh_envoyfilters::{AccessLog, Attachment, FilterConfig, IstioVersion};
use serde_json::{Value, json};

use crate::output::print;

/// Prints the objects that attach the filter to the sidecars of a mesh, for `kubectl apply`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Istio of the mesh, for example 1.30 or 1.30.2
    #[arg(long, value_name = "VERSION")]
    istio: IstioVersion,
    /// Where sidecars fetch the module; best pinned: oci://registry.example/lazymesh/filter@sha256:…
    #[arg(long, value_name = "URL")]
    image: String,
    /// Digest that the image must have, 64 characters of lower-case hex
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Port on which the mesh speaks HTTP, or may speak it; repeat for each
    #[arg(long = "http-port", value_name = "PORT", default_values_t = [80], value_parser = number(1..=u16::MAX))]
    http_ports: Vec<u16>,
    /// Address or CIDR block of the mesh: its Services, the pods of headless ones, ServiceEntries; repeat for each. Connections to
    /// other addresses that are not HTTP wait for nothing
    #[arg(long = "mesh-prefix", value_name = "CIDR")]
    mesh_prefixes: Vec<String>,
    /// Whether to decide connections that are not HTTP, and to record the hosts outside the mesh that they go to
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    tcp: bool,
    /// Let sidecars send their access logs to the collector, which learns from them what the filter never sees
    #[arg(long)]
    als: bool,
    /// How many of a hundred requests and connections are sent
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 10,
        value_parser = number(1..=100_u8),
        requires = "als"
    )]
    als_percent: u8,
    /// Namespace of lazymesh
    #[arg(long, default_value = "lazymesh-system")]
    namespace: String,
    /// Istio's root namespace
    #[arg(long, default_value = "istio-system")]
    root_namespace: String,
    /// DNS domain of the cluster, part of the collector's name
    #[arg(long, default_value = "cluster.local")]
    cluster_domain: String,
    /// Setting of the filter, for example resolve_timeout_ms=300; repeat for each
    #[arg(long = "config", value_name = "NAME=VALUE")]
    config: Vec<String>,
    /// Format
    #[arg(short, long, value_enum, default_value_t = Output::Yaml)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// One document an object
    Yaml,
    /// One `List` of all objects
    Json,
}

/// Prints the objects.
///
/// # Errors
/// When Kubernetes, Istio or the filter would not take what was asked for.
pub(crate) fn run(args: &Args) -> Result<()> {
    print(&render(args)?)
}

fn render(args: &Args) -> Result<String> {
    let attachment = attachment(args)?;
    Ok(match args.output {
        Output::Yaml => attachment.yaml(),
        Output::Json => {
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": attachment.objects() });
            format!("{list:#}\n")
        }
    })
}

fn attachment(args: &Args) -> Result<Attachment> {
    let host = format!(
        "lazymesh-collector.{}.svc.{}",
        args.namespace, args.cluster_domain
    );
    let collector = format!("outbound|8480||{host}");
    let config = FilterConfig {
        mesh_prefixes: args.mesh_prefixes.clone(),
        ..configure(&FilterConfig::new(collector), &args.config)?
    };
    let percent = args.als_percent;
    let als = AccessLog { host, percent };
    let attachment = Attachment {
        root_namespace: args.root_namespace.clone(),
        namespace: args.namespace.clone(),
        sha256: args.sha256.clone(),
        http_ports: BTreeSet::from_iter(args.http_ports.iter().copied()),
        tcp: args.tcp,
        als: args.als.then_some(als),
        ..Attachment::new(args.istio, &args.image, config)
    };
    attachment.check()?;
    Ok(attachment)
}

/// `config` with the settings, each `name=value`, in the place of its own.
fn configure(config: &FilterConfig, settings: &[String]) -> Result<FilterConfig> {
    let mut fields = json!(config);
    for setting in settings {
        let (name, value) = setting
            .split_once('=')
            .with_context(|| format!("--config {setting}: expected NAME=VALUE"))?;
        let Some(field) = fields.get_mut(name) else {
            bail!(
                "--config {setting}: no such setting, expected one of {}",
                names(&fields)
            );
        };
        *field = parse(field, value).with_context(|| {
            format!(
                "--config {setting}: expected a whole number up to {}",
                u32::MAX
            )
        })?;
    }
    Ok(serde_json::from_value(fields)?)
}

/// `text` as a value of the same type as the one it replaces.
fn parse(replaced: &Value, text: &str) -> Result<Value> {
    Ok(if replaced.is_string() {
        json!(text)
    } else {
        json!(text.parse::<u32>()?)
    })
}

fn names(fields: &Value) -> String {
    let names: Vec<_> = fields
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys().map(String::as_str))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    #[command(args_override_self = true)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn rendered(arguments: &str) -> Result<String> {
        let required = "manifests --istio 1.30 --image oci://registry.example/filter";
        let arguments = required.split(' ').chain(arguments.split_whitespace());
        render(&Command::try_parse_from(arguments)?.args)
    }

    #[test]
    fn what_is_asked_for_is_in_the_objects() {
        let cases = [
            (
                "",
                "collector_cluster: outbound|8480||lazymesh-collector.lazymesh-system.svc.cluster.local",
            ),
            ("", "name: http-80\n"),
            ("--http-port 8080 --http-port 9080", "name: http-9080\n"),
            (
                "--namespace lazy --cluster-domain k8s.example",
                "lazymesh-collector.lazy.svc.k8s.example",
            ),
            ("--root-namespace mesh", "trafficextension/mesh.lazymesh~"),
            (
                "--config resolve_timeout_ms=300",
                "resolve_timeout_ms: 300\n",
            ),
            (
                "--config collector_authority=lazy",
                "collector_authority: lazy\n",
            ),
            ("--mesh-prefix 10.96.0.0/12", "- 10.96.0.0/12\n"),
            ("--als", "numerator: 10\n"),
            ("--als --als-percent 100", "numerator: 100\n"),
            (
                "--als --namespace lazy",
                "cluster_name: outbound|8483||lazymesh-collector.lazy.svc.cluster.local",
            ),
            ("-o json", "\"kind\": \"List\""),
        ];
        for (arguments, expect) in cases {
            let rendered = rendered(arguments).unwrap();
            assert!(
                rendered.contains(expect),
                "{arguments:?}: {expect:?} is not in\n{rendered}"
            );
        }
    }

    #[test]
    fn a_mistake_is_named() {
        let cases = [
            ("--istio 1.27", "1.28, 1.29, 1.30"),
            ("--image registry.example/filter", "oci://"),
            ("--sha256 sha256:00", "64 characters"),
            ("--http-port 0", "from 1 to 65535, got \"0\""),
            ("--als --als-percent 0", "from 1 to 100, got \"0\""),
            ("--als-percent 5", "--als"),
            ("--http-port http", "'--http-port <PORT>'"),
            ("--namespace Lazy", "namespace: expected a DNS label"),
            (
                "--mesh-prefix 10.0.0.0/33",
                "CIDR blocks, got \"10.0.0.0/33\"",
            ),
            ("--config fast", "expected NAME=VALUE"),
            ("--config fast=1", "expected one of breaker_backoff_ms"),
            ("--config max_hosts=many", "expected a whole number"),
            ("--config max_hosts=-1", "expected a whole number"),
        ];
        for (arguments, expect) in cases {
            let error = format!("{:#}", rendered(arguments).unwrap_err());
            assert!(error.contains(expect), "{arguments:?}: {error}");
        }
    }
}
