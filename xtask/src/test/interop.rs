//! Programs that the tests talk to: Debian's registry, skopeo and Prometheus, oras from PyPI, cosign and Istio's fetcher in Go;
//! and those that make clients of the collector's API, from PyPI and npm.
//!
//! They are the real thing that users have, so they are taken as those get them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::folder::{Node, Python};
use super::go::GoProgram;
use crate::packages::{self, Needed};

const PACKAGES: [Needed; 5] = [
    ("docker-registry", "docker-registry"),
    ("skopeo", "skopeo"),
    ("prometheus", "prometheus"),
    ("node", "nodejs"),
    ("npm", "npm"),
];
const ORAS: Python = Python {
    name: "oras",
    requirements: "oci/tests/interop/requirements.txt",
};
const PYTHON_CLIENTS: Python = Python {
    name: "clients",
    requirements: "collector/tests/clients/python/requirements.txt",
};
const NODE_CLIENTS: Node = Node {
    name: "clients-node",
    folder: "collector/tests/clients/typescript",
};
const COSIGN: GoProgram = GoProgram {
    name: "cosign",
    folder: "oci/tests/cosign",
    build: &["build", "github.com/sigstore/cosign/v3/cmd/cosign"],
};
const ISTIO: GoProgram = GoProgram {
    name: "istio-artifact-tests",
    folder: "oci/tests/istio",
    build: &["test", "-c", "."],
};

/// Where the programs are that are not on PATH.
pub(super) struct Interop {
    oras: PathBuf,
    cosign: PathBuf,
    istio: PathBuf,
    python_clients: PathBuf,
    node_clients: PathBuf,
}

impl Interop {
    /// Tells `command` where they are.
    pub(super) fn tell(&self, command: &mut Command) {
        command
            .env("LAZYMESH_ORAS", &self.oras)
            .env("LAZYMESH_COSIGN", &self.cosign)
            .env("LAZYMESH_CLIENTS_PYTHON", &self.python_clients)
            .env("LAZYMESH_CLIENTS_NODE", &self.node_clients);
    }

    /// The tests that are Go tests, whose names contain `name`.
    pub(super) fn go_tests(&self, name: Option<&str>) -> Command {
        let mut tests = Command::new(&self.istio);
        tests.arg("-test.v");
        if let Some(name) = name {
            tests.arg(format!(r"-test.run=(?i)\Q{name}\E"));
        }
        tests
    }
}

/// Installs and builds what is missing.
pub(super) fn prepare(root: &Path, cache: &Path) -> Result<Interop> {
    packages::require(&PACKAGES)?;
    Ok(Interop {
        oras: ORAS.prepare(root, cache)?,
        cosign: COSIGN.prepare(root, cache)?,
        istio: ISTIO.prepare(root, cache)?,
        python_clients: PYTHON_CLIENTS.prepare(root, cache)?,
        node_clients: NODE_CLIENTS.prepare(root, cache)?,
    })
}
