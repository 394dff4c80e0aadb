//! xDS from files: one discovery response a file, replaced atomically, because Envoy reloads a file when another
//! one is moved over it.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::certificates::{CertificateAuthority, Identity};

/// Where one sidecar's configuration is.
#[derive(Clone, Debug)]
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// Files below this folder.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The bootstrap.
    #[must_use]
    pub fn bootstrap(&self) -> PathBuf {
        self.root.join("bootstrap.json")
    }

    /// All clusters.
    #[must_use]
    pub fn cds(&self) -> PathBuf {
        self.root.join("cds.json")
    }

    /// The listeners of TCP services.
    #[must_use]
    pub fn lds(&self) -> PathBuf {
        self.root.join("lds.json")
    }

    /// One filter: Envoy takes one to a file.
    #[must_use]
    pub fn ecds(&self, name: &str) -> PathBuf {
        let name = name.replace('/', "_");
        self.root.join("ecds").join(format!("{name}.json"))
    }

    /// One route table.
    #[must_use]
    pub fn rds(&self, name: &str) -> PathBuf {
        self.root.join("rds").join(format!("{name}.json"))
    }

    /// One secret.
    #[must_use]
    pub fn sds(&self, name: &str) -> PathBuf {
        self.root.join("sds").join(format!("{name}.json"))
    }

    /// Envoy's own log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("envoy.log")
    }

    /// One line a request.
    #[must_use]
    pub fn access_log(&self) -> PathBuf {
        self.root.join("access.log")
    }

    /// Where Envoy says which admin port it took.
    #[must_use]
    pub fn admin_address(&self) -> PathBuf {
        self.root.join("admin-address")
    }

    /// Writes the workload's certificate and the mesh's root, under the names that Istio's agent gives them.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn write_secrets(
        &self,
        authority: &CertificateAuthority,
        identity: &Identity,
    ) -> Result<()> {
        let secret = |name: &str, (kind, value): (&str, Value)| {
            json!({
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
                "name": name,
                kind: value,
            })
        };
        let inline = |pem: &str| json!({ "inline_string": pem });
        let certificate = json!({
            "certificate_chain": inline(identity.certificate_pem()),
            "private_key": inline(&identity.key_pem()),
        });
        let root = json!({ "trusted_ca": inline(&authority.pem()) });
        replace(
            &self.sds("default"),
            &[secret("default", ("tls_certificate", certificate))],
        )?;
        replace(
            &self.sds("ROOTCA"),
            &[secret("ROOTCA", ("validation_context", root))],
        )
    }
}

/// Replaces a discovery response.
///
/// # Errors
/// When the file cannot be written.
pub fn replace(path: &Path, resources: &[Value]) -> Result<()> {
    write(path, &json!({ "resources": resources }))
}

/// Replaces a JSON file.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, value: &Value) -> Result<()> {
    let next = path.with_extension("next");
    let written = File::create(&next)
        .and_then(|mut file| file.write_all(format!("{value:#}").as_bytes()))
        .and_then(|()| std::fs::rename(&next, path));
    written.with_context(|| format!("cannot write {}", path.display()))
}
