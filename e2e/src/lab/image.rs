//! Container images: unpacked from an OCI image layout, and run as a container runtime runs them, with nothing of the
//! machine but what Kubernetes mounts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, de::DeserializeOwned};

use super::sandbox::Sandbox;

/// Enters the image. `$1` is its root, `$2` user and group, `$3` the number of volumes that follow, then the command.
const ENTER: &str = r#"
root=$1 user=$2 volumes=$3
shift 3
mount --bind "$root" "$root"
cd "$root"
mkdir -p proc dev var/run/secrets/kubernetes.io/serviceaccount
touch etc/resolv.conf
mount -t proc proc proc
mount --rbind /dev dev
mount --bind /run/secrets/kubernetes.io/serviceaccount var/run/secrets/kubernetes.io/serviceaccount
mount --bind /run/pod/resolv.conf etc/resolv.conf
while [ "$volumes" -gt 0 ]; do
  mkdir -p ".$1"
  mount --bind "$1" ".$1"
  volumes=$((volumes - 1))
  shift
done
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user:$user" --groups= "$root" "$@"
"#;

/// An image on the disk.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its root file system.
    root: PathBuf,
    /// User and group that it runs as.
    user: u32,
    /// What it runs.
    entrypoint: Vec<String>,
    /// Variables, as `NAME=value`.
    env: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

#[derive(Deserialize)]
struct Config {
    config: Runs,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Runs {
    user: String,
    env: Vec<String>,
    entrypoint: Vec<String>,
}

impl Image {
    /// Unpacks the first image of `layout` into `root`. It must be made for `user` and a group of that number.
    pub(super) fn unpack(layout: &Path, root: PathBuf, user: u32) -> Result<Self> {
        let index: Index = read(&layout.join("index.json"))?;
        let first = index.manifests.first().context("no image in the layout")?;
        let manifest: Manifest = read(&blob(layout, first)?)?;
        let Config { config } = read(&blob(layout, &manifest.config)?)?;
        ensure!(
            config.user == format!("{user}:{user}"),
            "made for user {}, run as {user}",
            config.user
        );
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        fs::create_dir_all(&root)?;
        for layer in &manifest.layers {
            let mut tar = Command::new("tar");
            tar.args(["--extract", "--gzip", "--file"])
                .arg(blob(layout, layer)?);
            let status = tar.arg("--directory").arg(&root).status()?;
            ensure!(status.success(), "tar: {status}");
        }
        Ok(Self {
            root,
            user,
            entrypoint: config.entrypoint,
            env: config.env,
        })
    }

    /// Where its program is on the machine.
    pub(super) fn program(&self) -> Result<PathBuf> {
        let path = self.entrypoint.first().context("no entry point")?;
        Ok(self.root.join(path.trim_start_matches('/')))
    }

    /// The image's program in a sandbox, with these of the sandbox's folders.
    pub(super) fn command(&self, sandbox: &Sandbox, volumes: &[(PathBuf, PathBuf)]) -> Command {
        let volumes = volumes.iter().map(|(_, mount)| mount);
        let mut command = sandbox.command("unshare");
        command
            .args(["--mount", "--", "sh", "-ec", ENTER, "image"])
            .arg(&self.root)
            .arg(self.user.to_string())
            .arg(volumes.len().to_string())
            .args(volumes)
            .args(&self.entrypoint);
        let pairs = self.env.iter().filter_map(|pair| pair.split_once('='));
        // The runtime's own programs are found by this machine's PATH; the image's has its full path.
        command.envs(pairs.filter(|(name, _)| *name != "PATH"));
        command
    }
}

fn blob(layout: &Path, descriptor: &Descriptor) -> Result<PathBuf> {
    match descriptor.digest.split_once(':') {
        Some(("sha256", hex)) => Ok(layout.join("blobs/sha256").join(hex)),
        _ => bail!("expected a digest, got {}", descriptor.digest),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let shown = || path.display().to_string();
    serde_json::from_slice(&fs::read(path).with_context(shown)?).with_context(shown)
}
