//! Names what everybody knows of a pod: its ports, its paths, and how another process enters it.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::sandbox::Sandbox;

/// Applications answer HTTP here.
pub const HTTP: u16 = 8080;
/// Applications answer gRPC here. A port of its own, since Istio takes a port of a pod to speak one protocol.
pub const GRPC: u16 = 8081;
/// Applications greet here, before the client says anything.
pub const GREETING: u16 = 9000;

/// Where a pod's own files are, inside it.
pub(super) const HOME: &str = "/run/pod";
/// Envoy's access log, in the pod's folder.
pub(super) const ACCESS_LOG: &str = "access.log";
/// Where the lab's programs are, inside a pod: users other than root may not read the developer's home.
pub(super) const PROGRAMS: &str = "/run/programs";

/// What another process needs to enter a pod.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entrance {
    pub(super) sandbox: Sandbox,
    pub(super) address: Ipv4Addr,
}

const FILE: &str = "entrance.json";

impl Entrance {
    /// How to enter a pod of the lab in `lab`.
    pub(super) fn of(lab: &Path, namespace: &str, name: &str) -> Result<Self> {
        let file = folder(lab, namespace, name).join(FILE);
        let text = fs::read(file).with_context(|| format!("there is no pod {namespace}/{name}"))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Leaves it in the pod's folder, for other processes.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        Ok(fs::write(folder.join(FILE), serde_json::to_vec(self)?)?)
    }
}

/// Folder of a pod of the lab in `lab`.
pub(super) fn folder(lab: &Path, namespace: &str, name: &str) -> PathBuf {
    lab.join("pods").join(format!("{namespace}.{name}"))
}
