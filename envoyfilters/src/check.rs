//! What Kubernetes and Istio would refuse, said before anything is applied.

use crate::Attachment;

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
    Ok(())
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
    fn ports() {
        check(|to| to.http_ports = [1, 65535].into(), Ok(()));
        check(
            |to| to.http_ports = [0, 80].into(),
            Err(AttachmentError::Port),
        );
    }
}
