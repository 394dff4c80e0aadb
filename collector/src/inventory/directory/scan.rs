//! What manifest files a directory has, and whether one has changed since it was read.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Largest manifest file, in bytes. `kubectl get pods -A -o yaml` writes some 8 KiB a pod.
pub(crate) const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;
/// Most manifest files in a directory and all below it.
const MAX_FILES: usize = 20_000;
/// Most directories, linked ones among them.
const MAX_DIRECTORIES: usize = 20_000;
/// Most directories in each other.
const MAX_DEPTH: usize = 32;

/// Differs when a file was written or replaced: inode, size, times of content and of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp([i64; 6]);

/// A directory at one moment.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) files: BTreeMap<PathBuf, Stamp>,
    /// Files and directories that could not be looked at. What was known below them should be kept.
    pub(crate) unreadable: BTreeMap<PathBuf, String>,
}

/// Lists `*.yaml`, `*.yml` and `*.json` below the root, but nothing whose name starts with a dot: that is where
/// editors, git and Kubernetes' own ConfigMap volumes keep what is not meant to be read.
///
/// Links are followed. A directory is listed once, by a name without links in it if it has one.
pub(crate) fn list(root: &Path) -> Listing {
    let mut walk = Walk::default();
    walk.visit(root, 0);
    while let Some((link, depth)) = walk.links.pop_first() {
        walk.visit(&link, depth);
    }
    walk.listing
}

/// The text of a manifest file.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    // A pipe that has come since the directory was listed would block whoever opens it.
    let mut options = fs::OpenOptions::new();
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = options.read(true).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let reason = format!("larger than {} MiB", MAX_FILE_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not text in UTF-8"))
}

#[derive(Default)]
struct Walk {
    listing: Listing,
    /// Directories by device and inode.
    seen: HashSet<(u64, u64)>,
    /// Linked directories that are still to be visited, with their depth.
    links: BTreeMap<PathBuf, usize>,
}

impl Walk {
    fn visit(&mut self, dir: &Path, depth: usize) {
        if let Err(error) = self.try_visit(dir, depth) {
            self.listing
                .unreadable
                .insert(dir.to_owned(), error.to_string());
        }
    }

    fn try_visit(&mut self, dir: &Path, depth: usize) -> io::Result<()> {
        let metadata = fs::metadata(dir)?;
        if !self.seen.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        at_most(self.seen.len(), MAX_DIRECTORIES, "directories")?;
        at_most(depth, MAX_DEPTH, "directories in each other")?;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                self.visit(&path, depth + 1);
            } else if kind.is_symlink() && (path.is_dir() || path.extension().is_none()) {
                self.links.insert(path, depth + 1);
            } else if is_manifest(&path) {
                self.add(path)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf) -> io::Result<()> {
        at_most(self.listing.files.len() + 1, MAX_FILES, "manifest files")?;
        match fs::metadata(&path) {
            // A pipe or a device would block whoever reads it.
            Ok(metadata) if metadata.is_file() => {
                self.listing.files.insert(path, stamp(&metadata));
            }
            Ok(_) => {}
            // It went away since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {}
            Err(error) => {
                self.listing.unreadable.insert(path, error.to_string());
            }
        }
        Ok(())
    }
}

fn at_most(count: usize, limit: usize, of: &str) -> io::Result<()> {
    match count <= limit {
        true => Ok(()),
        false => Err(io::Error::other(format!("more than {limit} {of}"))),
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["yaml", "yml", "json"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

fn stamp(metadata: &Metadata) -> Stamp {
    Stamp([
        metadata.ino().cast_signed(),
        metadata.len().cast_signed(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(root: &Path) -> Vec<String> {
        let relative = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
        list(root).files.keys().map(relative).collect()
    }

    #[test]
    fn manifests_are_found_below_but_not_what_is_hidden() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        for name in [
            "a/b/1.yaml",
            "a/2.yml",
            "3.json",
            "4.txt",
            ".5.yaml",
            ".git/6.yaml",
            "yaml",
            "5.YAML",
        ] {
            fs::write(root.join(name), "").unwrap();
        }
        assert_eq!(names(root), ["3.json", "5.YAML", "a/2.yml", "a/b/1.yaml"]);
    }

    #[test]
    fn links_are_followed_and_no_directory_is_listed_twice() {
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("team.yaml"), "").unwrap();
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir(root.join("..2026")).unwrap();
        fs::write(root.join("..2026/mesh.yaml"), "").unwrap();
        symlink("..2026", root.join("..data")).unwrap();
        symlink("..data/mesh.yaml", root.join("mesh.yaml")).unwrap();
        symlink(root, root.join("loop")).unwrap();
        symlink(root, root.join("loop.yaml")).unwrap();
        fs::create_dir(root.join("real")).unwrap();
        fs::write(root.join("real/a.YAML"), "").unwrap();
        symlink("real", root.join("again")).unwrap();
        symlink(elsewhere.path(), root.join("x")).unwrap();
        symlink(elsewhere.path(), root.join("y")).unwrap();
        assert_eq!(names(root), ["mesh.yaml", "real/a.YAML", "x/team.yaml"]);
        assert!(list(root).unreadable.is_empty());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_told() {
        let root = tempfile::tempdir().unwrap();
        for name in ["lost.yaml", "lost", "lost.txt"] {
            symlink("nowhere", root.path().join(name)).unwrap();
        }
        let listing = list(root.path());
        let told: Vec<_> = listing.unreadable.into_keys().collect();
        assert_eq!(
            told,
            ["lost", "lost.yaml"].map(|name| root.path().join(name))
        );
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("missing");
        let listing = list(&missing);
        assert!(listing.files.is_empty());
        assert!(listing.unreadable.contains_key(&missing));
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("big.yaml");
        fs::File::create(&path)
            .unwrap()
            .set_len(MAX_FILE_BYTES + 1)
            .unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_pipe_blocks_nobody() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("pipe.yaml");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(names(root.path()).is_empty());
    }

    #[test]
    fn a_write_of_the_same_size_shows() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.yaml");
        fs::write(&path, "a").unwrap();
        let before = list(root.path()).files[&path];
        let other = root.path().join("b");
        fs::write(&other, "b").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_ne!(list(root.path()).files[&path], before);
    }
}
