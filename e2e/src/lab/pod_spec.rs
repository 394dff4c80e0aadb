//! What a pod is made from.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use serde_json::Value;

use super::Image;

/// What a pod is made from.
#[derive(Clone, Debug, Default)]
pub struct PodSpec {
    /// Namespace, which must exist.
    pub namespace: String,
    /// Name; also the label `app` and the canonical name, unless `labels` say otherwise.
    pub name: String,
    /// ServiceAccount, made if it is not there; by default the pod's name.
    pub service_account: Option<String>,
    /// ServiceAccount that its sidecar has a certificate of; by default the pod's own.
    pub identity: Option<String>,
    /// More labels; an empty value takes one of the lab's own away.
    pub labels: BTreeMap<String, String>,
    /// More variables for pilot-agent, for example `ISTIO_META_DNS_CAPTURE`.
    pub proxy_env: BTreeMap<String, String>,
    /// What runs instead of the lab's application. Its ServiceAccount's token is where every pod has it.
    pub program: Option<Program>,
    /// Without Envoy and interception.
    pub without_sidecar: bool,
    /// With Envoy as a gateway: nothing is intercepted.
    pub gateway: bool,
    /// Revision of the control plane that it belongs to; by default the one without a name of its own.
    pub revision: Option<String>,
    /// What made the pod, as an entry of `ownerReferences`.
    pub owner: Option<Value>,
}

/// A program that runs in a pod.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Where it is on the machine.
    pub path: PathBuf,
    /// The image that runs in its place.
    pub image: Option<Image>,
    /// Arguments.
    pub arguments: Vec<OsString>,
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// Runs as this user and group, without capabilities and on a root file system that is read-only; else as root.
    pub user: Option<u32>,
    /// Ports that Services may name.
    pub ports: BTreeMap<String, i32>,
    /// Folders of the machine, and where the pod has them.
    pub volumes: Vec<(PathBuf, PathBuf)>,
}

impl PodSpec {
    /// A pod of the lab's application.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// With one more label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With this ServiceAccount.
    #[must_use]
    pub fn service_account(mut self, name: &str) -> Self {
        self.service_account = Some(name.to_owned());
        self
    }

    pub(super) fn account(&self) -> &str {
        self.service_account.as_deref().unwrap_or(&self.name)
    }

    /// Whose certificate its sidecar has.
    pub(super) fn sidecar_account(&self) -> &str {
        self.identity.as_deref().unwrap_or(self.account())
    }

    pub(super) fn all_labels(&self) -> BTreeMap<&str, &str> {
        let mut labels = BTreeMap::from([
            ("app", self.name.as_str()),
            ("service.istio.io/canonical-name", self.name.as_str()),
            ("service.istio.io/canonical-revision", "latest"),
        ]);
        if !self.without_sidecar {
            // The injector's mark, by which istiod knows that the pod speaks mTLS.
            labels.insert("security.istio.io/tlsMode", "istio");
        }
        labels.extend(
            self.labels
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
        labels.retain(|_, value| !value.is_empty());
        labels
    }
}
