//! A key pair that lives as long as a dry run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command::output;

/// PEM files of a key on P-256.
pub(super) struct Pair {
    pub(super) private: PathBuf,
    pub(super) public: PathBuf,
}

pub(super) fn make(folder: &Path) -> Result<Pair> {
    let pair = Pair {
        private: folder.join("release.key"),
        public: folder.join("release.pub"),
    };
    let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let mut generate = Command::new("openssl");
    generate.arg("genpkey").args(curve);
    output(generate.arg("-out").arg(&pair.private))?;
    let mut publish = Command::new("openssl");
    publish.args(["pkey", "-pubout", "-in"]).arg(&pair.private);
    output(publish.arg("-out").arg(&pair.public))?;
    Ok(pair)
}
