use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;

/// Which services a workload's sidecar gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// No Sidecar selects the workload: it gets the whole mesh.
    Mesh,
    /// Exactly these `namespace/host` entries.
    Hosts(BTreeSet<String>),
}

impl Scope {
    /// Reads the Sidecars of a directory tree, and takes the one that Istio would take for this workload: the one
    /// that selects it, else the one of its namespace that selects nothing in particular.
    ///
    /// # Errors
    /// When a file is not a Sidecar.
    pub fn read(directory: &Path, namespace: &str, workload: &str) -> Result<Self> {
        let mut sidecars = Vec::new();
        collect(directory, &mut sidecars)?;
        sidecars.retain(|sidecar| sidecar.metadata.namespace == namespace);
        let selecting = sidecars.iter().find(|sidecar| sidecar.selects(workload));
        let default = || {
            sidecars
                .iter()
                .find(|sidecar| sidecar.spec.workload_selector.is_none())
        };
        Ok(match selecting.or_else(default) {
            Some(sidecar) => Self::Hosts(sidecar.hosts()),
            None => Self::Mesh,
        })
    }

    /// Whether it contains this host.
    #[must_use]
    pub fn imports(&self, namespace: &str, host: &str) -> bool {
        match self {
            Self::Mesh => true,
            Self::Hosts(hosts) => hosts.contains(&format!("{namespace}/{host}")),
        }
    }
}

#[derive(Deserialize)]
struct Sidecar {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    namespace: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    workload_selector: Option<Selector>,
    #[serde(default)]
    egress: Vec<Egress>,
}

#[derive(Deserialize)]
struct Selector {
    labels: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Egress {
    hosts: Vec<String>,
}

impl Sidecar {
    fn selects(&self, workload: &str) -> bool {
        let Some(selector) = &self.spec.workload_selector else {
            return false;
        };
        let name = selector.labels.get("service.istio.io/canonical-name");
        selector.labels.len() == 1 && name.is_some_and(|name| name == workload)
    }

    fn hosts(&self) -> BTreeSet<String> {
        let egress = self.spec.egress.iter();
        egress
            .flat_map(|egress| egress.hosts.iter().cloned())
            .collect()
    }
}

fn collect(directory: &Path, sidecars: &mut Vec<Sidecar>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, sidecars)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let text = fs::read_to_string(&path)?;
            let sidecar =
                serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
            sidecars.push(sidecar);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], expect: &Scope) {
        let directory = tempfile::tempdir().unwrap();
        for (index, file) in files.iter().enumerate() {
            fs::write(directory.path().join(format!("{index}.yaml")), file).unwrap();
        }
        let scope = Scope::read(directory.path(), "shop", "productpage").unwrap();
        assert_eq!(&scope, expect);
    }

    fn sidecar(namespace: &str, workload: Option<&str>, host: &str) -> String {
        let selector = workload.map_or(String::new(), |name| {
            format!("  workloadSelector: {{labels: {{service.istio.io/canonical-name: {name}}}}}\n")
        });
        format!(
            "metadata: {{namespace: {namespace}}}\nspec:\n{selector}  egress: [{{hosts: [{host}]}}]\n"
        )
    }

    fn hosts(host: &str) -> Scope {
        Scope::Hosts([host.to_owned()].into())
    }

    #[test]
    fn the_most_specific_sidecar_wins() {
        let default = sidecar("shop", None, "shop/a");
        let own = sidecar("shop", Some("productpage"), "shop/b");
        let other = sidecar("shop", Some("reviews"), "shop/c");
        let elsewhere = sidecar("bank", None, "bank/d");
        check(&[], &Scope::Mesh);
        check(&[&elsewhere], &Scope::Mesh);
        check(&[&default, &elsewhere, &other], &hosts("shop/a"));
        check(&[&default, &own], &hosts("shop/b"));
    }
}
