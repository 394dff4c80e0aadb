//! The parts of the mesh tests' lab that come as Go modules: Kubernetes, etcd, istiod, pilot-agent and others.
//!
//! The modules in `e2e/tools` pin every dependency by checksum. They are built once, which takes some minutes,
//! into the cache folder, under a name made from their sources, so that a changed pin is built anew.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::command;
use crate::tools::cache_folder;

/// A Go module of `e2e/tools`, all of whose commands are built.
struct Module {
    folder: &'static str,
    /// Variables that the upstream builds set by the linker.
    variables: &'static [(&'static str, &'static str)],
}

const MODULES: [Module; 4] = [
    Module {
        folder: "kubernetes",
        variables: &[
            ("k8s.io/component-base/version.gitVersion", "v1.35.0"),
            ("k8s.io/component-base/version.gitMajor", "1"),
            ("k8s.io/component-base/version.gitMinor", "35"),
        ],
    },
    Module {
        folder: "istio",
        variables: &[("istio.io/istio/pkg/version.buildVersion", "1.31.0")],
    },
    Module {
        folder: "helm",
        variables: &[],
    },
    Module {
        folder: "servers",
        variables: &[],
    },
];

/// Files of Istio's modules that the lab needs besides programs: module, path in it, name in the lab's tools.
const FILES: [(&str, &str, &str); 2] = [
    (
        "istio.io/api",
        "kubernetes/customresourcedefinitions.gen.yaml",
        "istio-crds.yaml",
    ),
    (
        "istio.io/istio",
        "tools/packaging/common/envoy_bootstrap.json",
        "envoy_bootstrap.json",
    ),
];

/// Folder with everything in it, built if it is not there yet.
///
/// # Errors
/// When Go is missing, or a module cannot be fetched or built.
pub(crate) fn prepare(root: &Path) -> Result<PathBuf> {
    let sources = root.join("e2e/tools");
    let cache = cache_folder()?;
    let tools = cache.join(format!("lab-{:.12}", fingerprint(&sources)?));
    if tools.exists() {
        return Ok(tools);
    }
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let staging = tempfile::tempdir_in(&cache).context("cannot write to the cache folder")?;
    for module in &MODULES {
        module.build(&sources, &staging.path().join("bin"))?;
    }
    for (module, from, to) in FILES {
        let from = folder_of(&sources.join("istio"), module)?.join(from);
        let text = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        fs::write(staging.path().join(to), text)?;
    }
    // Sidecars do not run as the user who built them.
    command::run(
        Command::new("chmod")
            .arg("--recursive")
            .arg("a+rX")
            .arg(staging.path()),
    )?;
    // A rename, so that a task that is stopped, or runs beside this one, never leaves half of the tools.
    fs::rename(staging.path(), &tools)
        .or_else(|error| if tools.exists() { Ok(()) } else { Err(error) })
        .with_context(|| format!("cannot write {}", tools.display()))?;
    Ok(tools)
}

impl Module {
    fn build(&self, sources: &Path, to: &Path) -> Result<()> {
        eprintln!("building e2e/tools/{} (once; some minutes)", self.folder);
        let start = Instant::now();
        let mut flags = "-s -w".to_owned();
        for (name, value) in self.variables {
            flags.push_str(&format!(" -X {name}={value}"));
        }
        let mut go = go(&sources.join(self.folder));
        go.args([
            "build",
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
        ])
        .arg(flags)
        .arg("-o")
        // With a slash at its end: a folder for all commands.
        .arg(to.join(""))
        .arg("./...");
        fs::create_dir_all(to)?;
        let status = match go.status() {
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "go is missing, which the parts of the mesh tests are built with: install Go 1.26 \
                 or newer (https://go.dev/dl)"
            ),
            status => status.context("cannot start go")?,
        };
        if !status.success() {
            bail!("e2e/tools/{} does not build ({status})", self.folder);
        }
        eprintln!("built e2e/tools/{} in {:.0?}", self.folder, start.elapsed());
        Ok(())
    }
}

fn go(folder: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(folder).env("GOFLAGS", "");
    go
}

/// Where Go keeps the sources of `module`.
fn folder_of(folder: &Path, module: &str) -> Result<PathBuf> {
    let mut go = go(folder);
    let output = go
        .args(["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module])
        .output()?;
    let path = String::from_utf8(output.stdout)?;
    if path.trim().is_empty() {
        bail!(
            "go does not know where {module} is: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(path.trim().into())
}

/// Hash of everything that the tools are made from.
fn fingerprint(sources: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(sources, &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    // Variables and file names are in this page.
    hash.update(include_bytes!("go_tools.rs"));
    for file in files {
        hash.update(file.strip_prefix(sources)?.as_os_str().as_encoded_bytes());
        hash.update(fs::read(&file)?);
    }
    Ok(format!("{:x}", hash.finalize()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
