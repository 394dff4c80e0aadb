//! What manifest files a directory has, and whether one has changed since it was read.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Largest manifest file, in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// Most manifest files in a directory and all below it.
const MAX_FILES: usize = 20_000;
/// Most directories in each other. Links to directories are not followed, so this only bounds the absurd.
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
pub(crate) fn list(root: &Path) -> Listing {
    let mut listing = Listing::default();
    visit(root, 0, &mut listing);
    listing
}

/// The text of a manifest file.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {MAX_FILE_BYTES} bytes"),
        ));
    }
    Ok(text)
}

fn visit(dir: &Path, depth: usize, listing: &mut Listing) {
    if let Err(error) = try_visit(dir, depth, listing) {
        listing.unreadable.insert(dir.to_owned(), error.to_string());
    }
}

fn try_visit(dir: &Path, depth: usize, listing: &mut Listing) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other(format!(
            "more than {MAX_DEPTH} directories deep"
        )));
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            visit(&path, depth + 1, listing);
        } else if is_manifest(&path) {
            add(path, listing)?;
        }
    }
    Ok(())
}

fn add(path: PathBuf, listing: &mut Listing) -> io::Result<()> {
    if listing.files.len() >= MAX_FILES {
        return Err(io::Error::other(format!(
            "more than {MAX_FILES} manifest files"
        )));
    }
    match fs::metadata(&path) {
        // A pipe or a device would block whoever reads it.
        Ok(metadata) if metadata.is_file() => {
            listing.files.insert(path, stamp(&metadata));
        }
        Ok(_) => {}
        // It went away since the directory was read, or is a link that leads nowhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            listing.unreadable.insert(path, error.to_string());
        }
    }
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json")
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
        ] {
            fs::write(root.join(name), "").unwrap();
        }
        assert_eq!(names(root), ["3.json", "a/2.yml", "a/b/1.yaml"]);
    }

    #[test]
    fn links_to_files_are_followed_and_links_to_directories_are_not() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir(root.join("..2026")).unwrap();
        fs::write(root.join("..2026/mesh.yaml"), "").unwrap();
        symlink("..2026", root.join("..data")).unwrap();
        symlink("..data/mesh.yaml", root.join("mesh.yaml")).unwrap();
        symlink("nowhere.yaml", root.join("lost.yaml")).unwrap();
        symlink(root, root.join("loop")).unwrap();
        symlink(root, root.join("loop.yaml")).unwrap();
        assert_eq!(names(root), ["mesh.yaml"]);
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
