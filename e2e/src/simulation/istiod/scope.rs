use std::{fs, path::Path};

use anyhow::{Context, Result};
use lazymesh_core::{EgressHost, EgressScope, Stage};
use serde::Deserialize;
use serde_json::Value;

/// Which services a workload's sidecar gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// No Sidecar selects the workload: it gets the whole mesh.
    Mesh,
    /// What the Sidecar brings.
    Hosts(EgressScope),
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
            Some(sidecar) => Self::Hosts(EgressScope::of(&sidecar.document)),
            None => Self::Mesh,
        })
    }

    /// How far a host is in it, for a client of this namespace.
    #[must_use]
    pub fn stage(&self, host: &EgressHost, client: &str) -> Option<Stage> {
        match self {
            Self::Mesh => Some(Stage::Routes),
            Self::Hosts(scope) => scope.stage(host, client),
        }
    }
}

#[derive(Deserialize)]
struct Sidecar {
    metadata: Metadata,
    spec: Spec,
    #[serde(skip)]
    document: Value,
}

#[derive(Deserialize)]
struct Metadata {
    namespace: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    workload_selector: Option<Selector>,
}

#[derive(Deserialize)]
struct Selector {
    labels: std::collections::BTreeMap<String, String>,
}

impl Sidecar {
    fn selects(&self, workload: &str) -> bool {
        let Some(selector) = &self.spec.workload_selector else {
            return false;
        };
        let name = selector.labels.get("service.istio.io/canonical-name");
        selector.labels.len() == 1 && name.is_some_and(|name| name == workload)
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
            let sidecar = parse(&text).with_context(|| path.display().to_string())?;
            sidecars.push(sidecar);
        }
    }
    Ok(())
}

fn parse(text: &str) -> Result<Sidecar> {
    let document: Value = serde_saphyr::from_str(text)?;
    let sidecar = Sidecar::deserialize(&document)?;
    Ok(Sidecar {
        document,
        ..sidecar
    })
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
        Scope::Hosts(EgressScope {
            routes: [host.to_owned()].into(),
            ..EgressScope::default()
        })
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
