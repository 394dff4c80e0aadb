//! The servers that the mesh tests show TCP with; those that are Go modules come with the lab's tools.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{packages, tools};

/// Where they are. MariaDB is on PATH.
pub(crate) struct Servers {
    postgres: PathBuf,
    redis: PathBuf,
}

impl Servers {
    /// Fetches them.
    pub(crate) fn prepare() -> Result<Self> {
        packages::require(&[("mariadbd", "mariadb-server-core")])?;
        Ok(Self {
            postgres: tools::POSTGRES.fetch()?,
            redis: tools::REDIS.fetch()?,
        })
    }

    /// Tells `command` where they are.
    pub(crate) fn tell(&self, command: &mut Command) {
        command
            .env("LAZYMESH_POSTGRES", &self.postgres)
            .env("LAZYMESH_REDIS", &self.redis);
    }
}
