//! helm, and the chart of this repository.

use std::{path::Path, process::Command};

use super::Lab;

/// Name of the release.
const RELEASE: &str = "lazymesh";
/// The chart's folder.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/lazymesh");

/// `helm install`, with what differs from the chart's values as `key=value`.
pub(super) fn install(lab: &Lab, namespace: &str, values: &[String]) -> Command {
    let mut command = helm(lab, namespace, "install");
    command.arg(CHART);
    for value in values {
        command.args(["--set", value]);
    }
    command
}

/// `helm uninstall`.
pub(super) fn uninstall(lab: &Lab, namespace: &str) -> Command {
    helm(lab, namespace, "uninstall")
}

fn helm(lab: &Lab, namespace: &str, verb: &str) -> Command {
    let mut command = Command::new(lab.tools.program("helm"));
    command
        .args([verb, RELEASE, "--namespace", namespace, "--kubeconfig"])
        .arg(lab.kubeconfig());
    // Nothing of the developer's own helm.
    for (variable, folder) in [
        ("HELM_CACHE_HOME", "cache"),
        ("HELM_CONFIG_HOME", "config"),
        ("HELM_DATA_HOME", "data"),
    ] {
        command.env(variable, lab.folder.join(Path::new("helm")).join(folder));
    }
    command
}
