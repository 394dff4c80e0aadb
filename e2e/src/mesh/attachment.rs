//! The attachment, exactly as it is rendered for a mesh, with only its config sources pointed at files.

use std::{collections::BTreeSet, path::Path};

use anyhow::Result;
use lazymesh_envoyfilters::{
    Attachment, IstioVersion, catch_all_route_patch, cluster_header_route, direct_cluster,
    http_filter, virtual_host_patch,
};
use serde_json::{Value, json};

use super::{Filter, MeshBuilder};
use crate::{
    envoy::{Sources, files, files::Files},
    istiod::Patches,
    parts,
};

/// Istio to render for; the oldest and the newest differ in a name only.
const ISTIO: IstioVersion = IstioVersion::V1_30;

/// The HTTP filter and what goes into routes and clusters; the module is written to where ECDS reads it.
pub(super) fn attach(
    builder: &MeshBuilder,
    http_ports: &BTreeSet<u16>,
    files: &Files,
) -> Result<Option<(Value, Patches)>> {
    let mut attachment =
        Attachment::new(ISTIO, "oci://example.com/lazymesh", builder.config.clone());
    attachment.http_ports.clone_from(http_ports);
    let name = attachment.plugin_entry();
    let extension = match &builder.filter {
        Filter::None => return Ok(None),
        Filter::Attached | Filter::AlwaysOn => wasm(&parts::filter()?, &attachment),
        Filter::Module(path) => wasm(path, &attachment),
        Filter::DownloadFailed => json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        }),
    };
    let extension = json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": name,
        "typed_config": extension,
    });
    files::replace(&files.ecds(), &[extension])?;

    let mut filter = Sources::new(files.clone()).swap(http_filter(&attachment));
    if builder.filter == Filter::AlwaysOn {
        filter["disabled"] = json!(false);
    }
    let patches = Patches {
        virtual_host: virtual_host_patch(&attachment),
        allow_any_route: catch_all_route_patch(),
        first_route: cluster_header_route(),
        cluster: direct_cluster(),
    };
    Ok(Some((filter, patches)))
}

/// What istiod and istio-agent make of the WasmPlugin.
fn wasm(module: &Path, attachment: &Attachment) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": format!("{}.{}", attachment.root_namespace, attachment.name),
            "failure_policy": "FAIL_OPEN",
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": json!(attachment.config).to_string(),
            },
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": module } },
            },
        },
    })
}
