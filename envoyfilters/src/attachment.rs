//! The attachment as a whole: what a mesh's administrator chooses, and the objects that follow from it.

use std::collections::BTreeSet;

use lazymesh_protocol::FilterConfig;
use serde_json::Value;

use crate::{
    AccessLog, AttachmentError, IstioVersion, access_log, check, envoy_filter, port_anchor,
    wasm_plugin,
};

/// What to attach, and to which Istio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Version of the control plane, on which a name in the objects depends.
    pub istio: IstioVersion,
    /// Istio's root namespace, whose WasmPlugins and EnvoyFilters are for the whole mesh.
    pub root_namespace: String,
    /// Namespace of lazymesh itself, for the port anchor.
    pub namespace: String,
    /// Name of the WasmPlugin and the EnvoyFilter, and prefix of the others' names.
    pub name: String,
    /// Where proxies fetch the module, `oci://…`; best pinned, `oci://…@sha256:…`.
    pub image: String,
    /// Digest that the image must have, lower-case hex: of its manifest for `oci://`, else of the module.
    pub sha256: Option<String>,
    /// Configuration of the filter.
    pub config: FilterConfig,
    /// Ports on which the mesh speaks HTTP, or may speak it where Istio detects the protocol.
    pub http_ports: BTreeSet<u16>,
    /// Whether connections that are not HTTP are decided and counted. To begin or end that, Envoy builds their filter chain anew, and
    /// ends those that are open when its drain time is over.
    pub tcp: bool,
    /// Access logs that sidecars send to the collector, if any.
    pub als: Option<AccessLog>,
}

impl Attachment {
    /// An attachment with the usual names, for port 80 and TCP.
    #[must_use]
    pub fn new(istio: IstioVersion, image: impl Into<String>, config: FilterConfig) -> Self {
        Self {
            istio,
            root_namespace: "istio-system".to_owned(),
            namespace: "lazymesh-system".to_owned(),
            name: "lazymesh".to_owned(),
            image: image.into(),
            sha256: None,
            config,
            http_ports: BTreeSet::from([80]),
            tcp: true,
            als: None,
        }
    }

    /// Whether Kubernetes and Istio would take the objects.
    ///
    /// # Errors
    /// The first field that they would refuse.
    pub fn check(&self) -> Result<(), AttachmentError> {
        check::attachment(self)
    }

    /// EnvoyFilter, WasmPlugins and, if there are HTTP ports, the port anchor.
    ///
    /// In the order to apply them: a WasmPlugin before its EnvoyFilter would run on every request for a moment.
    #[must_use]
    pub fn objects(&self) -> Vec<Value> {
        let mut objects = vec![envoy_filter::object(self), wasm_plugin::http(self)];
        objects.extend(self.tcp.then(|| wasm_plugin::tcp(self)));
        objects.extend(port_anchor::object(self));
        objects.extend(self.als.iter().map(|als| access_log::object(self, als)));
        objects
    }

    /// The objects as one stream of YAML documents.
    #[must_use]
    pub fn yaml(&self) -> String {
        // Long strings stay on their line, so that a name is found by searching for it.
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        serde_saphyr::to_string_multiple_with_options(&self.objects(), options)
            .expect("every JSON value is a YAML value")
    }

    /// Name of the HTTP filter that Istio makes of the WasmPlugin, `extensions.istio.io/…`.
    #[must_use]
    pub fn plugin_entry(&self) -> String {
        self.istio.plugin_entry(&self.root_namespace, &self.name)
    }

    pub(crate) fn tcp_plugin_entry(&self) -> String {
        self.istio
            .plugin_entry(&self.root_namespace, &self.tcp_name())
    }

    pub(crate) fn tcp_name(&self) -> String {
        format!("{}-tcp", self.name)
    }

    /// Name of the EnvoyFilter for access logs, in Istio's root namespace.
    #[must_use]
    pub fn access_log_name(&self) -> String {
        format!("{}-als", self.name)
    }

    /// Name of the port anchor, a Service in [`Attachment::namespace`] that every sidecar must see.
    #[must_use]
    pub fn anchor_name(&self) -> String {
        format!("{}-ports", self.name)
    }
}
