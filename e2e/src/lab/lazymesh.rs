//! lazymesh in the lab: its module in the registry, its collector in a pod.

use std::{collections::BTreeMap, ffi::OsString, fs};

use anyhow::{Context, Result};
use http::Method;
use lazymesh_oci::{Artifact, Digest, Metadata, Registry, RegistryOptions, Variant, push};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Lab, Pod, PodSpec, Program, cluster::reference, pod::HOME};
use crate::{parts, wait};

/// The namespace that lazymesh is installed in.
pub const NAMESPACE: &str = "lazymesh-system";
/// Its pod, Service and ServiceAccount.
const COLLECTOR: &str = "lazymesh-collector";
const INGEST: u16 = 8480;
const ADMIN: u16 = 8481;

/// Where the module is in the registry.
const REPOSITORY: &str = "lazymesh/filter";

/// How lazymesh is installed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// More arguments of the collector.
    pub arguments: Vec<String>,
}

/// lazymesh, installed.
pub struct Lazymesh {
    collector: Pod,
    image: String,
}

impl Lazymesh {
    /// Pushes the module, and starts a collector that attaches it to every sidecar.
    ///
    /// # Errors
    /// The part that failed, with the end of its log.
    pub async fn install(lab: &Lab, options: &Options) -> Result<Self> {
        let digest = push_module(lab).await?;
        let image = format!("oci://{}/{REPOSITORY}@{digest}", lab.registry_address());
        lab.namespace(NAMESPACE, &[]).await?;
        apply(lab).await?;
        let collector = lab.pod(pod(&image, options)?).await?;
        let lazymesh = Self { collector, image };
        let ready = async || lazymesh.admin("/readyz").await.map(drop);
        let part = lazymesh.collector.app();
        part.until("the collector to be ready", wait::PATIENCE, ready)
            .await?;
        lab.until_reachable(NAMESPACE, COLLECTOR, INGEST).await?;
        Ok(lazymesh)
    }

    /// An answer of the collector's admin port, as text.
    ///
    /// # Errors
    /// When there is no answer, or none with a status of 2xx.
    pub async fn admin(&self, path: &str) -> Result<String> {
        self.collector.local(ADMIN, Method::GET, path).await
    }

    /// An answer of the collector's admin port, from JSON.
    ///
    /// # Errors
    /// As [`Lazymesh::admin`], or when it is something else.
    pub async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let text = self.admin(path).await?;
        serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))
    }

    /// The collector's pod.
    #[must_use]
    pub fn collector(&self) -> &Pod {
        &self.collector
    }

    /// Where sidecars fetch the module.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }
}

async fn push_module(lab: &Lab) -> Result<Digest> {
    let module = fs::read(parts::filter()?)?;
    let artifact = Artifact::pack(module, &Metadata::default(), Variant::Wasm)?;
    let options = RegistryOptions {
        plain_http: true,
        ..RegistryOptions::default()
    };
    let registry = Registry::new(&lab.registry_address(), REPOSITORY, options)?;
    Ok(push(&registry, "lab", &artifact, &|_, _| {}).await?.digest)
}

fn pod(image: &str, options: &Options) -> Result<PodSpec> {
    let account = format!("spiffe://cluster.local/ns/{NAMESPACE}/sa/{COLLECTOR}");
    let data = format!("{HOME}/data");
    let (ingest, admin) = (format!("0.0.0.0:{INGEST}"), format!("127.0.0.1:{ADMIN}"));
    let own = [
        ["--data-dir", &data],
        ["--ingest", &ingest],
        ["--ingest-identity", "xfcc"],
        ["--spiffe-id", &account],
        ["--admin", &admin],
        ["--attach", image],
    ];
    let arguments = ["collector", "--kubernetes"]
        .into_iter()
        .chain(own.into_iter().flatten());
    Ok(PodSpec {
        program: Some(Program {
            path: parts::lazymesh()?,
            arguments: arguments
                .map(OsString::from)
                .chain(options.arguments.iter().map(OsString::from))
                .collect(),
            env: BTreeMap::new(),
        }),
        ..PodSpec::new(NAMESPACE, COLLECTOR)
    })
}

async fn apply(lab: &Lab) -> Result<()> {
    let mut service = reference("v1", "Service", NAMESPACE, COLLECTOR);
    service["spec"] = json!({
        "selector": { "app": COLLECTOR },
        "ports": [{ "name": "http-ingest", "port": INGEST }],
    });
    lab.cluster().apply_object(&service).await?;
    let mut binding = reference(
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "",
        COLLECTOR,
    );
    binding["roleRef"] = json!({
        "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin",
    });
    binding["subjects"] =
        json!([{ "kind": "ServiceAccount", "namespace": NAMESPACE, "name": COLLECTOR }]);
    lab.cluster().apply_object(&binding).await.map(drop)
}
