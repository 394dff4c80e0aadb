//! The programs that the lab is made of, and what the machine must have.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::parts;

/// Programs of the system, with the Debian package that has them.
const SYSTEM: [(&str, &str); 5] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
];

/// Where the programs are.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    /// Folder of what `cargo xtask` built from Go modules.
    pub(super) folder: PathBuf,
    pub(super) envoy: PathBuf,
    /// The application of this package.
    pub(super) app: PathBuf,
}

impl Tools {
    /// Finds everything, or says what is missing and where to get it.
    pub(super) fn find() -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "the lab makes network namespaces, which takes root: run this as root"
        );
        for (program, package) in SYSTEM {
            ensure!(
                is_there(program),
                "`{program}` is missing: install it (Debian: `apt install {package}`)"
            );
        }
        let folder = env::var_os("LAZYMESH_LAB_TOOLS")
            .map(PathBuf::from)
            .context(
                "LAZYMESH_LAB_TOOLS is not set: run `cargo xtask lab` or `cargo xtask test`",
            )?;
        ensure!(
            folder.is_dir(),
            "LAZYMESH_LAB_TOOLS: expected a folder, got {}",
            folder.display()
        );
        Ok(Self {
            folder,
            envoy: parts::envoy()?,
            app: app()?,
        })
    }

    /// A program built from a Go module.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Istio's CustomResourceDefinitions.
    pub(super) fn istio_crds(&self) -> PathBuf {
        self.folder.join("istio-crds.yaml")
    }
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Cargo puts a package's binaries beside its other binaries, and above its tests.
fn app() -> Result<PathBuf> {
    let us = env::current_exe()?;
    us.ancestors()
        .skip(1)
        .take(2)
        .map(|folder: &Path| folder.join("lazymesh-app"))
        .find(|path| path.is_file())
        .context("lazymesh-app is not built: run `cargo build -p lazymesh-e2e --features lab`")
}
