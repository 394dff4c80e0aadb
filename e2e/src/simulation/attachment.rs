//! The attachment, exactly as it is rendered for a mesh, with only its config sources pointed at files.

use std::path::Path;

use anyhow::Result;
use lazymesh_envoyfilters::{
    Attachment, IstioVersion, catch_all_route_patch, cluster_header_route, direct_cluster,
    http_filter, tcp_filter, virtual_host_patch,
};
use serde_json::{Value, json};

use super::{Filter, plan::Plan};
use crate::{
    parts,
    simulation::envoy::{Sources, files, files::Files},
    simulation::istiod::Patches,
};

/// Istio to render for; the oldest and the newest differ in a name only.
const ISTIO: IstioVersion = IstioVersion::V1_30;

/// The filters of HTTP and of TCP.
type Filters = (Value, Value);

/// The filters, and what goes into routes and clusters; the module is written to where ECDS reads it.
pub(super) fn attach(plan: &Plan, files: &Files) -> Result<Option<(Filters, Patches)>> {
    let builder = &plan.builder;
    if builder.filter == Filter::None {
        return Ok(None);
    }
    let mut config = builder.config.clone();
    config.mesh_prefixes = plan.mesh_prefixes();
    let mut attachment = Attachment::new(ISTIO, "oci://example.com/lazymesh", config);
    attachment.http_ports = plan.http_ports();
    let mut http = http_filter(&attachment);
    let mut tcp = tcp_filter(&attachment);
    let plugins = attachment.objects().into_iter();
    let plugins = plugins.filter(|object| object["kind"] == "WasmPlugin");
    // In this order.
    for ((layer, entry), plugin) in [("http", &http), ("network", &tcp)]
        .into_iter()
        .zip(plugins)
    {
        let name = entry["name"].as_str().unwrap_or_default();
        let config = match &builder.filter {
            Filter::Module(path) => wasm(path, layer, &plugin),
            Filter::DownloadFailed => entry["config_discovery"]["default_config"].clone(),
            _ => wasm(&parts::filter()?, layer, &plugin),
        };
        let extension = json!({
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": name,
            "typed_config": config,
        });
        files::replace(&files.ecds(name), &[extension])?;
    }
    if builder.filter == Filter::AlwaysOn {
        http["disabled"] = json!(false);
    }
    let sources = Sources::new(files.clone());
    (http, tcp) = (sources.swap(http), sources.swap(tcp));
    let patches = Patches {
        virtual_host: virtual_host_patch(&attachment),
        allow_any_route: catch_all_route_patch(),
        first_route: cluster_header_route(),
        cluster: direct_cluster(),
    };
    Ok(Some(((http, tcp), patches)))
}

/// What istiod and istio-agent make of a WasmPlugin. (Of one whose module cannot be fetched they make a filter that
/// does nothing.)
fn wasm(module: &Path, layer: &str, plugin: &Value) -> Value {
    let of = |field: &str| plugin["metadata"][field].as_str().unwrap_or_default();
    json!({
        "@type": format!("type.googleapis.com/envoy.extensions.filters.{layer}.wasm.v3.Wasm"),
        "config": {
            "name": format!("{}.{}", of("namespace"), of("name")),
            "failure_policy": "FAIL_OPEN",
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": plugin["spec"]["pluginConfig"].to_string(),
            },
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": module } },
            },
        },
    })
}
