//! What the end-to-end tests, the demo and the benchmarks are told by environment variables: where the real
//! parts are that they start.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{build_filter, command, tools};

/// Optimisation of the collector that is measured or tested against.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    Dev,
    Release,
}

impl Profile {
    /// Arguments that make cargo build with it.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Dev => &[],
            Self::Release => &["--release"],
        }
    }

    /// Its name in Cargo.toml.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// The parts, fetched and built.
pub(crate) struct Lab {
    pub(crate) envoy: PathBuf,
    /// The Wasm module, with its documents beside it.
    pub(crate) filter: PathBuf,
    /// The `lazymesh` binary.
    pub(crate) lazymesh: PathBuf,
}

impl Lab {
    /// Fetches Envoy, builds the Wasm module and the `lazymesh` binary.
    pub(crate) fn prepare(root: &Path, profile: Profile) -> Result<Self> {
        let envoy = tools::ENVOY.fetch()?;
        let filter = build_filter::run(root)?;
        command::run(
            command::cargo(root, &["build", "--package", "lazymesh-cli"]).args(profile.arguments()),
        )?;
        let lazymesh = binary(root, None, profile, "lazymesh");
        Ok(Self {
            envoy,
            filter,
            lazymesh,
        })
    }

    /// Tells `command` where the parts are.
    pub(crate) fn tell(&self, command: &mut Command) {
        command
            .env("LAZYMESH_ENVOY", &self.envoy)
            .env("LAZYMESH_FILTER", &self.filter)
            .env("LAZYMESH_BIN", &self.lazymesh);
    }
}

/// Where cargo puts a binary, for `platform` if it is not built for this machine.
pub(crate) fn binary(root: &Path, platform: Option<&str>, profile: Profile, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let mut path = root.join(target);
    path.extend(platform);
    path.join(profile.folder()).join(name)
}
