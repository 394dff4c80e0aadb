//! lazymesh in the lab, as its users have it: the module in a registry, everything else by its Helm chart.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use http::Method;
use lazymesh_oci::{Artifact, Digest, Metadata, Registry, RegistryOptions, Variant, push};
use serde::de::DeserializeOwned;

use super::{
    Lab, Pod, helm,
    workload::{self, Contents, Controllers},
};
use crate::{parts, wait};

/// The namespace that lazymesh is installed in.
pub const NAMESPACE: &str = "lazymesh-system";
/// Its Deployment, Service and ServiceAccount.
const COLLECTOR: &str = "lazymesh-collector";
/// The Job of `helm uninstall`.
const UNINSTALL: &str = "lazymesh-uninstall";
const INGEST: u16 = 8480;
const ADMIN: u16 = 8481;

/// Where the module is in the registry.
const REPOSITORY: &str = "lazymesh/filter";

/// How long istiod and sidecars may take to follow a change.
const SETTLE: &str = "3s";

/// How often the lab looks whether Kubernetes wants something else to run.
const LOOK: Duration = Duration::from_millis(50);

/// How lazymesh is installed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// More values of the chart, as `key=value`.
    pub values: Vec<String>,
    /// OCI image layout with the image to run, in the place of the `lazymesh` binary.
    pub image: Option<PathBuf>,
}

/// lazymesh, installed.
pub struct Lazymesh {
    collector: Pod,
    contents: Contents,
    image: String,
}

impl Lazymesh {
    /// Pushes the module, installs the chart, and waits until the collector is ready.
    ///
    /// # Errors
    /// The part that failed, with the end of its log.
    pub async fn install(lab: &Lab, options: &Options) -> Result<Self> {
        let digest = push_module(lab).await?;
        let image = format!("oci://{}/{REPOSITORY}@{digest}", lab.registry_address());
        lab.namespace(NAMESPACE, &[]).await?;
        let mut values = vec![
            format!("attachment.url={image}"),
            // No one in the lab provides storage.
            "store.persistent=false".to_owned(),
            // istiod has a handful of sidecars here.
            format!("settle={SETTLE}"),
        ];
        values.extend(options.values.iter().cloned());
        run(&mut helm::install(lab, NAMESPACE, &values))?;
        let contents = match &options.image {
            Some(layout) => Contents::Image(layout.clone()),
            None => Contents::Program(parts::lazymesh()?),
        };
        let collector = workload::deploy(lab, NAMESPACE, COLLECTOR, &contents).await?;
        let lazymesh = Self {
            collector,
            contents,
            image,
        };
        let ready = async || lazymesh.admin("/readyz").await.map(drop);
        let part = lazymesh.collector.app();
        part.until("the collector to be ready", wait::PATIENCE, ready)
            .await?;
        lab.until_reachable(NAMESPACE, COLLECTOR, INGEST).await?;
        Ok(lazymesh)
    }

    /// Pushes the module again, to a registry that has lost it.
    ///
    /// # Errors
    /// When the registry does not take it, or it is no longer the one that sidecars fetch.
    pub async fn push_again(&self, lab: &Lab) -> Result<()> {
        let digest = push_module(lab).await?;
        let same = self.image.ends_with(&digest.to_string());
        ensure!(same, "{digest} is not {}", self.image);
        Ok(())
    }

    /// `helm uninstall`.
    ///
    /// # Errors
    /// When it fails, or its Job does.
    pub async fn uninstall(self, lab: &Lab) -> Result<()> {
        let mut helm = helm::uninstall(lab, NAMESPACE);
        end(lab, Some(self.collector), &self.contents, &mut helm)
            .await
            .map(drop)
    }

    /// `lazymesh uninstall`. What the chart has made stays.
    ///
    /// # Errors
    /// When it fails, or the collector still runs after it.
    pub async fn uninstall_by_hand(self, lab: &Lab) -> Result<Remains> {
        let mut command = Command::new(parts::lazymesh()?);
        command
            .args(["uninstall", "--settle", SETTLE, "--kubeconfig"])
            .arg(lab.kubeconfig());
        let contents = self.contents;
        let said = end(lab, Some(self.collector), &contents, &mut command).await?;
        Ok(Remains { said, contents })
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

    /// Has what a workload has learned forgotten.
    ///
    /// # Errors
    /// As [`Lazymesh::admin`].
    pub async fn forget(&self, namespace: &str, workload: &str) -> Result<()> {
        let path = format!("/v1/workloads/{namespace}/{workload}");
        let answer = self.collector.local(ADMIN, Method::DELETE, &path);
        answer.await.map(drop)
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

/// A release whose collector has ended.
pub struct Remains {
    /// What `lazymesh uninstall` said.
    pub said: String,
    contents: Contents,
}

impl Remains {
    /// `helm uninstall`.
    ///
    /// # Errors
    /// When it fails, or its Job does.
    pub async fn uninstall(self, lab: &Lab) -> Result<()> {
        let mut helm = helm::uninstall(lab, NAMESPACE);
        end(lab, None, &self.contents, &mut helm).await.map(drop)
    }
}

/// Runs a command that ends lazymesh, while the lab does what Kubernetes would. Gives what it said.
async fn end(
    lab: &Lab,
    deployed: Option<Pod>,
    contents: &Contents,
    command: &mut Command,
) -> Result<String> {
    let mut controllers = Controllers {
        lab,
        namespace: NAMESPACE,
        contents,
        deployment: COLLECTOR,
        job: UNINSTALL,
        deployed,
        running: None,
    };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    while child.try_wait()?.is_none() {
        controllers.step().await?;
        tokio::time::sleep(LOOK).await;
    }
    controllers.step().await?;
    let said = said(command, child.wait_with_output()?)?;
    ensure!(
        controllers.deployed.is_none(),
        "the collector still runs: {said}"
    );
    Ok(said)
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

fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {command:?}"))?;
    said(command, output)
}

fn said(command: &Command, output: Output) -> Result<String> {
    let (out, err) = (
        String::from_utf8(output.stdout)?,
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(
        output.status.success(),
        "{command:?}: {}: {out}{err}",
        output.status
    );
    Ok(out)
}
