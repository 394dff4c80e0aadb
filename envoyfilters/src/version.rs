//! The Istio versions whose generated names the attachment has to match.

use std::fmt;
use std::str::FromStr;

/// A minor version of Istio's control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "a variant is its version")]
pub enum IstioVersion {
    V1_28,
    V1_29,
    V1_30,
    V1_31,
    V1_32,
}

impl IstioVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 5] = [
        Self::V1_28,
        Self::V1_29,
        Self::V1_30,
        Self::V1_31,
        Self::V1_32,
    ];

    /// Name of the HTTP filter that this Istio makes of a WasmPlugin.
    ///
    /// From 1.30 on istiod turns WasmPlugins into TrafficExtensions, whose names have another form.
    pub(crate) fn plugin_entry(self, namespace: &str, name: &str) -> String {
        if self < Self::V1_30 {
            format!("extensions.istio.io/wasmplugin/{namespace}.{name}")
        } else {
            format!(
                "extensions.istio.io/trafficextension/{namespace}.{name}~istio-translated-wasmplugin"
            )
        }
    }

    fn minor(self) -> &'static str {
        match self {
            Self::V1_28 => "28",
            Self::V1_29 => "29",
            Self::V1_30 => "30",
            Self::V1_31 => "31",
            Self::V1_32 => "32",
        }
    }
}

impl fmt::Display for IstioVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor())
    }
}

/// The attachment is not known to fit this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown Istio version: expected one of {}, with or without a patch release",
    known()
)]
pub struct UnknownIstioVersion;

fn known() -> String {
    IstioVersion::ALL
        .map(|version| version.to_string())
        .join(", ")
}

impl FromStr for IstioVersion {
    type Err = UnknownIstioVersion;

    /// Takes `1.30`, `1.30.2` and `1.30.0-rc.1`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '.');
        if parts.next() != Some("1") {
            return Err(UnknownIstioVersion);
        }
        let minor = parts.next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|version| version.minor() == minor)
            .ok_or(UnknownIstioVersion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_a_patch_release() {
        let cases = [
            ("1.28", Ok(IstioVersion::V1_28)),
            ("1.29.6", Ok(IstioVersion::V1_29)),
            ("1.30.0-rc.1", Ok(IstioVersion::V1_30)),
            ("1.32", Ok(IstioVersion::V1_32)),
            ("1.27", Err(UnknownIstioVersion)),
            ("1.3", Err(UnknownIstioVersion)),
            ("1", Err(UnknownIstioVersion)),
            ("2.30", Err(UnknownIstioVersion)),
            ("", Err(UnknownIstioVersion)),
        ];
        for (text, expect) in cases {
            assert_eq!(text.parse(), expect, "{text:?}");
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for version in IstioVersion::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
    }

    #[test]
    fn the_error_lists_the_known_versions() {
        let message = UnknownIstioVersion.to_string();
        assert!(
            message.contains("1.28, 1.29, 1.30, 1.31, 1.32"),
            "{message}"
        );
    }
}
