//! What Kubernetes and Istio would refuse, said before anything is applied.

use std::net::IpAddr;

use ipnet::IpNet;
use lazymesh_protocol::MAX_MESH_PREFIXES;

use crate::{AccessLog, Attachment};

/// A field of an [`Attachment`] that would be refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    /// Istio fetches modules by these schemes only, and takes an image without one for `oci://`.
    #[error(
        "image: expected a URL that begins with oci://, https://, http:// or file:// and names something"
    )]
    Image,
    /// Istio takes nothing else for a digest.
    #[error("sha256: expected 64 characters of lower-case hex, without the prefix `sha256:`")]
    Sha256,
    /// Not a name that Kubernetes takes.
    #[error(
        "{field}: expected a DNS label: 1 to {max} of a-z, 0-9 and -, not beginning or ending with -"
    )]
    Name {
        /// Which name.
        field: &'static str,
        /// Most characters.
        max: usize,
    },
    /// What the filter would refuse.
    #[error(
        "mesh-prefix: expected at most {MAX_MESH_PREFIXES} IP addresses and CIDR blocks, got {text:?}"
    )]
    Prefix {
        /// The first that is neither, or that is one too many.
        text: String,
    },
    /// Nothing, or more than there is, would be sent.
    #[error("als-percent: expected a number from 1 to 100, got {percent}")]
    Percent {
        /// How many of a hundred.
        percent: u8,
    },
    /// No port has this number.
    #[error("http-port: expected a number from 1 to 65535")]
    Port,
}

/// Longest name of a Service or a namespace.
const MAX_LABEL: usize = 63;
/// Longest [`Attachment::name`], which the port anchor's name continues with `-ports`.
const MAX_NAME: usize = MAX_LABEL - "-ports".len();

pub(crate) fn attachment(attachment: &Attachment) -> Result<(), AttachmentError> {
    image(&attachment.image)?;
    attachment.sha256.as_deref().map_or(Ok(()), sha256)?;
    label("root-namespace", &attachment.root_namespace, MAX_LABEL)?;
    label("namespace", &attachment.namespace, MAX_LABEL)?;
    label("name", &attachment.name, MAX_NAME)?;
    if attachment.http_ports.contains(&0) {
        return Err(AttachmentError::Port);
    }
    if let Some(AccessLog { percent, .. }) = attachment.als
        && !(1..=100).contains(&percent)
    {
        return Err(AttachmentError::Percent { percent });
    }
    prefixes(&attachment.config.mesh_prefixes)
}

fn prefixes(texts: &[String]) -> Result<(), AttachmentError> {
    let valid = |text: &String| text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok();
    let beyond = texts.get(MAX_MESH_PREFIXES);
    match texts.iter().find(|text| !valid(text)).or(beyond) {
        Some(text) => Err(AttachmentError::Prefix { text: text.clone() }),
        None => Ok(()),
    }
}

fn image(url: &str) -> Result<(), AttachmentError> {
    let printable = url.bytes().all(|byte| byte.is_ascii_graphic());
    ["oci://", "https://", "http://", "file://"]
        .iter()
        .filter_map(|scheme| url.strip_prefix(scheme))
        .any(|rest| printable && !rest.is_empty())
        .then_some(())
        .ok_or(AttachmentError::Image)
}

fn sha256(digest: &str) -> Result<(), AttachmentError> {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digest.len() == 64 && digest.bytes().all(hex))
        .then_some(())
        .ok_or(AttachmentError::Sha256)
}

fn label(field: &'static str, name: &str, max: usize) -> Result<(), AttachmentError> {
    let allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-');
    let valid = (1..=max).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-');
    valid
        .then_some(())
        .ok_or(AttachmentError::Name { field, max })
}

#[cfg(test)]
mod tests {
    use lazymesh_protocol::FilterConfig;

    use super::*;
    use crate::IstioVersion;

    fn check(change: impl FnOnce(&mut Attachment), expect: Result<(), AttachmentError>) {
        let mut attachment = Attachment::new(
            IstioVersion::V1_30,
            "oci://registry.example/lazymesh",
            FilterConfig::new("collector"),
        );
        change(&mut attachment);
        assert_eq!(attachment.check(), expect, "{attachment:?}");
    }

    #[test]
    fn images() {
        let image = |url: &'static str| move |to: &mut Attachment| to.image = url.to_owned();
        check(image("oci://registry.example/filter@sha256:00"), Ok(()));
        check(image("https://files.example/filter.wasm"), Ok(()));
        check(image("file:///opt/filter.wasm"), Ok(()));
        check(
            image("registry.example/filter"),
            Err(AttachmentError::Image),
        );
        check(
            image("ftp://files.example/filter"),
            Err(AttachmentError::Image),
        );
        check(image("oci://"), Err(AttachmentError::Image));
        check(
            image("oci://registry.example/a b"),
            Err(AttachmentError::Image),
        );
        check(image(""), Err(AttachmentError::Image));
    }

    #[test]
    fn digests() {
        let sha256 = |digest: String| move |to: &mut Attachment| to.sha256 = Some(digest);
        check(sha256("0a".repeat(32)), Ok(()));
        check(sha256("0A".repeat(32)), Err(AttachmentError::Sha256));
        check(sha256("0a".repeat(31)), Err(AttachmentError::Sha256));
        check(
            sha256(format!("sha256:{}", "0".repeat(57))),
            Err(AttachmentError::Sha256),
        );
    }

    #[test]
    fn names() {
        let refused = |field, max| Err(AttachmentError::Name { field, max });
        let name = |name: String| move |to: &mut Attachment| to.name = name;
        check(name("lazymesh-2".to_owned()), Ok(()));
        check(name("a".repeat(57)), Ok(()));
        check(name("a".repeat(58)), refused("name", 57));
        check(name("-lazymesh".to_owned()), refused("name", 57));
        check(name("Lazymesh".to_owned()), refused("name", 57));
        check(name(String::new()), refused("name", 57));
        check(
            |to| to.namespace = "a.b".to_owned(),
            refused("namespace", 63),
        );
        check(
            |to| to.root_namespace = "a ".to_owned(),
            refused("root-namespace", 63),
        );
    }

    #[test]
    fn prefixes() {
        let prefixes = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            move |to: &mut Attachment| to.config.mesh_prefixes = texts
        };
        let refused = |text: &str| {
            let text = text.to_owned();
            Err(AttachmentError::Prefix { text })
        };
        check(prefixes(&["10.96.0.0/12", "fd00::/64", "10.0.0.1"]), Ok(()));
        check(
            prefixes(&["10.0.0.1", "10.0.0.0/33"]),
            refused("10.0.0.0/33"),
        );
        check(prefixes(&["mesh"]), refused("mesh"));
        check(
            prefixes(&["10.0.0.1"; MAX_MESH_PREFIXES + 1]),
            refused("10.0.0.1"),
        );
    }

    #[test]
    fn ports() {
        check(|to| to.http_ports = [1, 65535].into(), Ok(()));
        check(
            |to| to.http_ports = [0, 80].into(),
            Err(AttachmentError::Port),
        );
    }
}
