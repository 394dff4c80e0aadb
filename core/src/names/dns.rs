//! Checks DNS names, after RFC 1123 and Istio's `pkg/config/labels`.

use super::error::NameError;

/// Longest DNS name, in bytes, without a trailing dot.
pub(crate) const MAX_NAME_BYTES: usize = 253;
/// Longest DNS label, and longest value of a Kubernetes label, in bytes.
pub(crate) const MAX_LABEL_BYTES: usize = 63;

/// A label as Istio reads RFC 1123: letters, digits and inner hyphens.
pub(crate) fn is_label(label: &str) -> bool {
    label.len() <= MAX_LABEL_BYTES
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A host that Istio takes as a service's name: labels, the last of them not a number.
pub(crate) fn is_fqdn(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES
        && name.split('.').all(is_label)
        && name
            .rsplit('.')
            .next()
            .is_some_and(|top| top.bytes().any(|b| !b.is_ascii_digit()))
}

/// A name that Kubernetes takes for an object: a lower-case DNS subdomain, so no path separator, `..` or hidden file.
#[must_use]
pub fn is_object_name(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES
        && name.split('.').all(is_label)
        && !name.bytes().any(|b| b.is_ascii_uppercase())
}

/// A value of a Kubernetes label: letters and digits at the ends, `-`, `_` and `.` between them.
pub(crate) fn is_label_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    value.len() <= MAX_LABEL_BYTES
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A name that Kubernetes takes for a namespace: a lower-case DNS label.
pub(super) fn check_namespace(namespace: &str) -> Result<(), NameError> {
    if is_label(namespace) && !namespace.bytes().any(|b| b.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err(NameError::Namespace)
    }
}
