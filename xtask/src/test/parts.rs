//! Fetches and builds the real parts that the tests of a selection run on.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::interop::{self, Interop};
use super::steps::Steps;
use super::tier::Selection;
use crate::lab::{Lab, Profile};
use crate::servers::Servers;
use crate::{build_image, go_tools, mesh_lab, packages, release, tools};

/// What is there.
#[derive(Default)]
pub(super) struct Parts {
    lab: Option<Lab>,
    older_envoy: Option<PathBuf>,
    image: Option<PathBuf>,
    interop: Option<Interop>,
    /// The mesh lab's tools.
    mesh: Option<PathBuf>,
    servers: Option<Servers>,
}

impl Parts {
    /// Those that the tests of `selection` take.
    pub(super) fn prepare(root: &Path, selection: &Selection, steps: &mut Steps) -> Result<Self> {
        let (envoy, interop, mesh) = (
            selection.has_envoy(),
            selection.has_interop(),
            selection.has_mesh(),
        );
        let mut parts = Self::default();
        if envoy || interop || mesh {
            let asked_for = selection.envoy_version().map(tools::envoy_of).transpose()?;
            let build = || Lab::prepare(root, Profile::Dev);
            let mut lab = steps.step("build", build)?;
            if let Some(envoy) = asked_for {
                lab.envoy = envoy.fetch()?;
            }
            parts.lab = Some(lab);
        }
        if selection.has_older_envoy() {
            parts.older_envoy = Some(tools::OLDER_ENVOYS[0].fetch()?);
        }
        if interop || mesh {
            parts.image = Some(steps.step("image", || build_image::run(root, Profile::Dev))?);
        }
        if interop {
            let prepare = || interop::prepare(root, &tools::cache_folder()?);
            parts.interop = Some(steps.step("interop", prepare)?);
        }
        if mesh {
            parts.mesh = Some(steps.step("mesh lab", || {
                packages::require(&mesh_lab::PACKAGES)?;
                go_tools::prepare(root)
            })?);
            parts.servers = Some(steps.step("servers", Servers::prepare)?);
        }
        Ok(parts)
    }

    /// Tests in Go, whose names contain `name`.
    pub(super) fn go_tests(&self, name: Option<&str>) -> Option<Command> {
        Some(self.interop.as_ref()?.go_tests(name))
    }

    /// Tests on an older Envoy.
    pub(super) fn tests_of_older_envoy(&self, root: &Path) -> Option<Command> {
        let envoy = self.older_envoy.as_ref()?;
        let mut tests = Selection::tests_of_older_envoy(root);
        self.tell(&mut tests);
        tests.env("LAZYMESH_ENVOY", envoy);
        Some(tests)
    }

    /// What a release takes, if it is there.
    pub(super) fn rehearse_release(&self, root: &Path) -> Result<()> {
        let Self {
            lab: Some(lab),
            image: Some(image),
            mesh: Some(mesh),
            ..
        } = self
        else {
            return Ok(());
        };
        let parts = release::Parts {
            module: &lab.filter,
            image,
            lazymesh: &lab.lazymesh,
            helm: &mesh.join("bin/helm"),
        };
        release::rehearse(root, &parts)
    }

    /// Tells `command` where they are.
    pub(super) fn tell(&self, command: &mut Command) {
        if let Some(lab) = &self.lab {
            lab.tell(command);
        }
        if let Some(image) = &self.image {
            command.env("LAZYMESH_IMAGE", image);
        }
        if let Some(interop) = &self.interop {
            interop.tell(command);
        }
        if let Some(mesh) = &self.mesh {
            command.env("LAZYMESH_LAB_TOOLS", mesh);
        }
        if let Some(servers) = &self.servers {
            servers.tell(command);
        }
    }
}
