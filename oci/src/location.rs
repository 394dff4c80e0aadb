//! Where an artifact is: in a registry, or in a directory that stands for one.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Digest;
use crate::error::excerpt;

const LAYOUT_PREFIX: &str = "oci-layout:";
const DEFAULT_TAG: &str = "latest";

/// A repository, and a tag or digest in it.
///
/// Written `HOST/NAME[:TAG][@DIGEST]`, with or without `oci://` in front, or `oci-layout:DIR[:TAG][@DIGEST]`.
/// Where both are given, the digest decides and the tag is only a note for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The repository.
    pub home: Home,
    /// The tag; `latest` where neither tag nor digest was written.
    pub tag: Option<String>,
    /// The digest of the manifest, if pinned.
    pub digest: Option<Digest>,
}

/// Where a repository is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// A repository of a registry.
    Registry {
        /// Host, and port if not the default.
        host: String,
        /// Path of the repository in the registry.
        repository: String,
    },
    /// An OCI image layout directory.
    Layout(PathBuf),
}

/// What names one manifest in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pointer {
    /// A name that may move.
    Tag(String),
    /// The content itself.
    Digest(Digest),
}

/// A text is not a location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no artifact: {reason}")]
pub struct LocationError {
    text: String,
    reason: String,
}

impl Location {
    /// What to fetch: the digest if pinned, else the tag.
    pub fn pointer(&self) -> Pointer {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Pointer::Digest(*digest),
            (None, Some(tag)) => Pointer::Tag(tag.clone()),
            (None, None) => Pointer::Tag(DEFAULT_TAG.to_owned()),
        }
    }

    /// The `url` of a WasmPlugin that fetches exactly this manifest; none for a directory, which Istio does not read.
    pub fn plugin_url(&self, digest: &Digest) -> Option<String> {
        match &self.home {
            Home::Registry { host, repository } => {
                Some(format!("oci://{host}/{repository}@{digest}"))
            }
            Home::Layout(_) => None,
        }
    }

    /// The same place, pinned to `digest`.
    pub fn pinned(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let parsed = match text.strip_prefix(LAYOUT_PREFIX) {
            Some(rest) => layout(rest),
            None => registry(text.strip_prefix("oci://").unwrap_or(text)),
        };
        parsed.map_err(|reason| LocationError {
            text: excerpt(&without_login(text)),
            reason: without_login(&reason),
        })
    }
}

/// A URL or reference without user and password, fit for messages.
pub fn without_login(text: &str) -> String {
    let (scheme, rest) = text.split_at(text.find("://").map_or(0, |at| at + 3));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_digest = authority.contains("@sha256:");
    match authority.rsplit_once('@') {
        Some((_, host)) if !is_digest => format!("{scheme}{host}{path}"),
        _ => text.to_owned(),
    }
}

fn registry(text: &str) -> Result<Location, String> {
    if without_login(text) != text {
        return Err("expected no user or password in it".to_owned());
    }
    let reference: oci_client::Reference = text.parse().map_err(|e| format!("{e}"))?;
    let digest = reference
        .digest()
        .map(str::parse)
        .transpose()
        .map_err(|e| format!("{e}"))?;
    Ok(Location {
        home: Home::Registry {
            host: reference.resolve_registry().to_owned(),
            repository: reference.repository().to_owned(),
        },
        tag: reference.tag().map(str::to_owned),
        digest,
    })
}

fn layout(text: &str) -> Result<Location, String> {
    let (text, digest) = match text.split_once("@sha256:") {
        Some((before, hex)) => (
            before,
            Some(
                format!("sha256:{hex}")
                    .parse::<Digest>()
                    .map_err(|e| e.to_string())?,
            ),
        ),
        None => (text, None),
    };
    let (dir, tag) = match text.rsplit_once(':') {
        Some((dir, tag)) if is_tag(tag) => (dir, Some(tag.to_owned())),
        Some((_, tag)) if !tag.contains('/') => {
            return Err(format!("expected a tag, got {:?}", excerpt(tag)));
        }
        _ => (text, None),
    };
    if dir.is_empty() {
        return Err("a directory is missing after oci-layout:".to_owned());
    }
    let tag = tag.or_else(|| digest.is_none().then(|| DEFAULT_TAG.to_owned()));
    Ok(Location {
        home: Home::Layout(PathBuf::from(dir)),
        tag,
        digest,
    })
}

/// The distribution specification's `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().is_some_and(|first| word(*first))
        && bytes
            .iter()
            .all(|byte| word(*byte) || matches!(byte, b'.' | b'-'))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.home {
            Home::Registry { host, repository } => write!(f, "{host}/{repository}")?,
            Home::Layout(dir) => write!(f, "{LAYOUT_PREFIX}{}", dir.display())?,
        }
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let shown = match text.parse::<Location>() {
            Ok(location) => location.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(shown.contains(expect), "{text}: {shown}");
    }

    #[test]
    fn registries() {
        check(
            "localhost:5000/lazymesh/filter:0.1.0",
            "localhost:5000/lazymesh/filter:0.1.0",
        );
        check("oci://example.com/filter", "example.com/filter:latest");
        check(
            &format!("example.com/filter:1@sha256:{HEX}"),
            &format!("example.com/filter:1@sha256:{HEX}"),
        );
        check(
            &format!("example.com/filter@sha256:{HEX}"),
            &format!("example.com/filter@sha256:{HEX}"),
        );
        check("example.com/UPPER", "names no artifact");
        check("", "names no artifact");
    }

    #[test]
    fn layouts() {
        check("oci-layout:out", "oci-layout:out:latest");
        check(
            "oci-layout:/tmp/a.b/out:0.1.0",
            "oci-layout:/tmp/a.b/out:0.1.0",
        );
        check(
            &format!("oci-layout:out@sha256:{HEX}"),
            &format!("oci-layout:out@sha256:{HEX}"),
        );
        check("oci-layout:/odd:dir/out", "oci-layout:/odd:dir/out:latest");
        check("oci-layout:out:no tag", "expected a tag");
        check("oci-layout:", "a directory is missing");
        check("oci-layout:out@sha256:12", "expected sha256");
    }

    #[test]
    fn a_login_is_in_no_message() {
        for (text, expect) in [
            (
                "https://robot:hush@example.com/a:1",
                "https://example.com/a:1",
            ),
            (
                "oci://robot:hu@sh@example.com:80/a",
                "oci://example.com:80/a",
            ),
            ("robot:hush@example.com/a", "example.com/a"),
            ("hush@example.com?x", "example.com?x"),
            ("http://example.com/a@b", "http://example.com/a@b"),
            ("oci-layout:out@sha256:12", "oci-layout:out@sha256:12"),
            ("", ""),
        ] {
            assert_eq!(without_login(text), expect);
            let error = text.parse::<Location>();
            assert!(!error.is_err_and(|error| error.to_string().contains("hush")));
        }
    }

    #[test]
    fn the_digest_decides() {
        let location: Location = format!("example.com/filter:1@sha256:{HEX}")
            .parse()
            .expect("valid");
        assert_eq!(location.pointer(), Pointer::Digest(Digest::of(b"")));
    }
}
