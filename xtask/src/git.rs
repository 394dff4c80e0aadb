//! What git knows about the sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::output;

/// A commit that is checked out.
pub(crate) struct Checkout {
    /// The commit.
    pub(crate) revision: String,
    /// Whether files differ from it.
    pub(crate) modified: bool,
    /// Address of the remote `origin`, if others can reach it.
    pub(crate) source: Option<String>,
}

impl Checkout {
    /// What is checked out in `root`; none if that is not a checkout, or git is not there.
    pub(crate) fn of(root: &Path) -> Option<Self> {
        let ask = |arguments: &[&str]| {
            let answer = output(&mut git(root, arguments)).ok()?;
            Some(String::from_utf8(answer).ok()?.trim().to_owned())
        };
        Some(Self {
            revision: ask(&["rev-parse", "HEAD"])?,
            modified: !ask(&["status", "--porcelain"])?.is_empty(),
            source: ask(&["remote", "get-url", "origin"]).and_then(|url| public(&url)),
        })
    }
}

/// The files that belong to the sources, changed and new ones too, relative to `root`.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let all = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let list =
        String::from_utf8(output(&mut git(root, &all))?).context("a file name is not UTF-8")?;
    let names = list.split_terminator('\0').map(PathBuf::from);
    // What is listed but deleted is no more part of it.
    Ok(names.filter(|name| root.join(name).is_file()).collect())
}

fn git(root: &Path, arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.current_dir(root).args(arguments);
    git
}

/// A remote's address without user, password or token; none for a folder of this machine.
fn public(url: &str) -> Option<String> {
    if let Some((scheme, rest)) = url.split_once("://") {
        let path_at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        return matches!(scheme, "https" | "http" | "ssh" | "git")
            .then(|| format!("{scheme}://{host}{path}"));
    }
    // scp's way: git@example.com:team/project.git
    let (login, path) = url.split_once(':')?;
    let (_, host) = login.split_once('@')?;
    (!host.contains('/')).then(|| format!("ssh://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::public;

    #[test]
    fn addresses_without_secrets() {
        for (url, expect) in [
            (
                "https://example.com/lazymesh",
                Some("https://example.com/lazymesh"),
            ),
            (
                "https://robot:secret@example.com:8443/a@b",
                Some("https://example.com:8443/a@b"),
            ),
            (
                "https://token@example.com/lazymesh.git",
                Some("https://example.com/lazymesh.git"),
            ),
            (
                "git@example.com:team/lazymesh.git",
                Some("ssh://example.com/team/lazymesh.git"),
            ),
            (
                "ssh://git@example.com/lazymesh",
                Some("ssh://example.com/lazymesh"),
            ),
            ("/srv/git/lazymesh", None),
            ("../lazymesh", None),
            ("file:///srv/git/lazymesh", None),
            ("", None),
        ] {
            assert_eq!(public(url).as_deref(), expect, "{url}");
        }
    }
}
