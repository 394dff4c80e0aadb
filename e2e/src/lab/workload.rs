//! Pods as Kubernetes makes them of a pod template: what its controllers and kubelet do with a Deployment or a Job.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::PathBuf,
};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        batch::v1::Job,
        core::v1::{Container, PodTemplateSpec, SecurityContext, Volume},
    },
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use kube::Api;
use serde_json::json;

use super::{Image, Lab, Pod, PodSpec, Program, cluster::reference};

/// What the containers of workloads run.
#[derive(Clone, Debug)]
pub(super) enum Contents {
    /// A program of the machine, for what is in their image.
    Program(PathBuf),
    /// Their image, in this OCI image layout.
    Image(PathBuf),
}

/// Starts the pod of a Deployment.
pub(super) async fn deploy(
    lab: &Lab,
    namespace: &str,
    name: &str,
    contents: &Contents,
) -> Result<Pod> {
    let deployments: Api<Deployment> = Api::namespaced(lab.cluster.client(), namespace);
    let spec = deployments.get(name).await?.spec.context("no spec")?;
    let pod = lab
        .pod(pod(lab, namespace, name, &spec.template, contents)?)
        .await?;
    report(lab, namespace, name, 1).await?;
    Ok(pod)
}

/// What the Deployment's controller says about its pods.
async fn report(lab: &Lab, namespace: &str, name: &str, replicas: u32) -> Result<()> {
    let mut status = reference("apps/v1", "Deployment", namespace, name);
    status["status"] = json!({
        "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
    });
    lab.cluster.apply_status(&status).await
}

/// The controllers of one Deployment and one Job of the same namespace and image.
pub(super) struct Controllers<'a> {
    pub(super) lab: &'a Lab,
    pub(super) namespace: &'a str,
    pub(super) contents: &'a Contents,
    pub(super) deployment: &'a str,
    pub(super) job: &'a str,
    /// The Deployment's pod.
    pub(super) deployed: Option<Pod>,
    /// The Job's pod.
    pub(super) running: Option<Pod>,
}

impl Controllers<'_> {
    /// Does what is due.
    pub(super) async fn step(&mut self) -> Result<()> {
        self.scale().await?;
        match self.running.take() {
            None => self.running = self.start().await?,
            Some(pod) => self.running = self.finish(pod).await?,
        }
        Ok(())
    }

    /// Stops the pod that its Deployment no longer wants.
    async fn scale(&mut self) -> Result<()> {
        let deployments: Api<Deployment> =
            Api::namespaced(self.lab.cluster.client(), self.namespace);
        let found = deployments.get_opt(self.deployment).await?;
        let wanted = found.as_ref().is_some_and(|it| {
            let replicas = it.spec.as_ref().and_then(|spec| spec.replicas);
            replicas != Some(0)
        });
        if wanted {
            return Ok(());
        }
        let Some(pod) = self.deployed.take() else {
            return Ok(());
        };
        pod.app().stop().await?;
        pod.delete(self.lab).await?;
        match found {
            Some(_) => report(self.lab, self.namespace, self.deployment, 0).await,
            None => Ok(()),
        }
    }

    /// Starts the Job's pod, if there is a Job that has not run.
    async fn start(&self) -> Result<Option<Pod>> {
        let jobs: Api<Job> = Api::namespaced(self.lab.cluster.client(), self.namespace);
        let Some(job) = jobs.get_opt(self.job).await? else {
            return Ok(None);
        };
        if job.status.is_some_and(|status| status.succeeded.is_some()) {
            return Ok(None);
        }
        let template = job.spec.context("no spec")?.template;
        let spec = pod(self.lab, self.namespace, self.job, &template, self.contents)?;
        self.lab.pod(spec).await.map(Some)
    }

    /// Tells the Job that its pod has succeeded, as soon as it has.
    async fn finish(&self, pod: Pod) -> Result<Option<Pod>> {
        let Some(status) = pod.app().ended()? else {
            return Ok(Some(pod));
        };
        ensure!(status.success(), "{status}: {}", pod.app().tail());
        let now = Time(Timestamp::now());
        let condition = |kind: &str| {
            json!({ "type": kind, "status": "True", "reason": "Lab", "message": "",
                "lastProbeTime": now, "lastTransitionTime": now })
        };
        let mut job = reference("batch/v1", "Job", self.namespace, self.job);
        job["status"] = json!({
            "startTime": now,
            "completionTime": now,
            "succeeded": 1,
            "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
        });
        self.lab.cluster.apply_status(&job).await?;
        pod.delete(self.lab).await?;
        Ok(None)
    }
}

/// The pod of a template, named `name`.
fn pod(
    lab: &Lab,
    namespace: &str,
    name: &str,
    template: &PodTemplateSpec,
    contents: &Contents,
) -> Result<PodSpec> {
    let spec = template
        .spec
        .as_ref()
        .context("a template without a spec")?;
    let [container] = spec.containers.as_slice() else {
        bail!("the lab runs pods of one container");
    };
    let labels = template.metadata.as_ref().and_then(|it| it.labels.clone());
    // The lab's own label is no part of a template.
    let mut labels = labels.unwrap_or_default();
    labels.entry("app".to_owned()).or_default();
    let user = user(container)?;
    let volumes = Volumes {
        folder: lab
            .folder
            .join("volumes")
            .join(format!("{namespace}.{name}")),
        group: user,
    };
    let (path, image) = match contents {
        Contents::Program(path) => (path.clone(), None),
        Contents::Image(layout) => {
            let root = lab
                .folder
                .join("images")
                .join(format!("{namespace}.{name}"));
            let image = Image::unpack(layout, root, user)?;
            (image.program()?, Some(image))
        }
    };
    Ok(PodSpec {
        without_sidecar: labels
            .get("sidecar.istio.io/inject")
            .is_some_and(|it| it == "false"),
        service_account: spec.service_account_name.clone(),
        labels,
        program: Some(Program {
            path,
            image,
            arguments: container.args.iter().flatten().map(Into::into).collect(),
            env: env(container)?,
            user: Some(user),
            ports: ports(container),
            volumes: volumes.mounts(container, spec.volumes.as_deref().unwrap_or_default())?,
        }),
        ..PodSpec::new(namespace, name)
    })
}

fn env(container: &Container) -> Result<BTreeMap<String, String>> {
    let pairs = container.env.iter().flatten().map(|variable| {
        let value = variable.value.clone();
        let value = value.with_context(|| format!("{} has no plain value", variable.name))?;
        Ok((variable.name.clone(), value))
    });
    pairs.collect()
}

fn ports(container: &Container) -> BTreeMap<String, i32> {
    let ports = container.ports.iter().flatten();
    ports
        .filter_map(|port| Some((port.name.clone()?, port.container_port)))
        .collect()
}

/// Who the container runs as; it must be confined in every way that the lab can confine it.
fn user(container: &Container) -> Result<u32> {
    let SecurityContext {
        run_as_user,
        run_as_group,
        read_only_root_filesystem,
        ..
    } = container
        .security_context
        .as_ref()
        .context("no securityContext")?;
    ensure!(
        *read_only_root_filesystem == Some(true),
        "its root file system is writable"
    );
    ensure!(
        run_as_user == run_as_group,
        "the lab runs containers as a user and its own group"
    );
    Ok(u32::try_from(run_as_user.context("it runs as any user")?)?)
}

/// Where a pod's volumes are.
struct Volumes {
    folder: PathBuf,
    group: u32,
}

impl Volumes {
    fn mounts(&self, container: &Container, volumes: &[Volume]) -> Result<Vec<(PathBuf, PathBuf)>> {
        let mounts = container.volume_mounts.iter().flatten().map(|mount| {
            let volume = volumes.iter().find(|volume| volume.name == mount.name);
            let volume = volume.with_context(|| format!("no volume {}", mount.name))?;
            Ok((self.make(volume)?, PathBuf::from(&mount.mount_path)))
        });
        mounts.collect()
    }

    /// An empty folder that the group may write to.
    fn make(&self, volume: &Volume) -> Result<PathBuf> {
        ensure!(
            volume.empty_dir.is_some(),
            "volume {}: the lab has emptyDir only",
            volume.name
        );
        let folder = self.folder.join(&volume.name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        chown(&folder, None, Some(self.group))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o2775))?;
        Ok(folder)
    }
}
