use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::meta::{Metadata, Selector, or_default};

/// How the name of a cluster of a service begins, `outbound|<port>|<subset>|<host>`.
const OUTBOUND: &str = "outbound|";

/// `networking.istio.io EnvoyFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct EnvoyFilter {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
    /// What it changes.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: EnvoyFilterSpec,
}

/// What an [`EnvoyFilter`] changes. Only which hosts that has sidecars call is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EnvoyFilterSpec {
    /// The pods; none for all of the namespace, or of the mesh in the root namespace.
    pub workload_selector: Option<Selector>,
    /// Hosts whose clusters its patches name.
    #[serde(rename = "configPatches", deserialize_with = "hosts_of_clusters")]
    pub hosts: BTreeSet<String>,
}

/// `extensions.istio.io WasmPlugin`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct WasmPlugin {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
    /// What it runs.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: WasmPluginSpec,
}

/// What a [`WasmPlugin`] runs. Only which hosts that has sidecars call is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WasmPluginSpec {
    /// The pods; none for all of the namespace, or of the mesh in the root namespace.
    pub selector: Option<Selector>,
    /// Hosts whose clusters its configuration names.
    #[serde(rename = "pluginConfig", deserialize_with = "hosts_of_clusters")]
    pub hosts: BTreeSet<String>,
}

/// `security.istio.io RequestAuthentication`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RequestAuthentication {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
    /// Whose tokens it takes.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: RequestAuthenticationSpec,
}

/// Whose tokens a [`RequestAuthentication`] takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RequestAuthenticationSpec {
    /// The pods; none for all of the namespace, or of the mesh in the root namespace.
    pub selector: Option<Selector>,
    /// The issuers.
    #[serde(deserialize_with = "or_default")]
    pub jwt_rules: Vec<JwtRule>,
}

/// One issuer of a [`RequestAuthentication`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct JwtRule {
    /// URL of its keys, which the sidecar may fetch itself; empty for keys in the rule.
    #[serde(alias = "jwks_uri", deserialize_with = "or_default")]
    pub jwks_uri: String,
}

/// Hosts of the clusters that any text in a value names, in lower case.
fn hosts_of_clusters<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeSet<String>, D::Error> {
    let mut hosts = BTreeSet::new();
    let mut pending = vec![Value::deserialize(deserializer)?];
    while let Some(value) = pending.pop() {
        match value {
            Value::String(text) => hosts.extend(clusters_in(&text)),
            Value::Array(items) => pending.extend(items),
            Value::Object(fields) => pending.extend(fields.into_iter().map(|(_, value)| value)),
            _ => {}
        }
    }
    Ok(hosts)
}

/// A text may be a cluster's name, or a program with such names in it.
fn clusters_in(text: &str) -> impl Iterator<Item = String> {
    text.split(OUTBOUND).skip(1).filter_map(|rest| {
        let mut parts = rest.splitn(3, '|');
        let (port, _subset, host) = (parts.next()?, parts.next()?, parts.next()?);
        port.parse::<u16>().ok()?;
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*');
        let end = host.find(|c| !is_host(c)).unwrap_or(host.len());
        let host = host.get(..end)?.trim_end_matches('.');
        (!host.is_empty()).then(|| host.to_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn finds_clusters_anywhere() {
        let check = |config: Value, expect: &[&str]| {
            let read: WasmPluginSpec =
                serde_json::from_value(json!({ "pluginConfig": config })).unwrap();
            let found: Vec<_> = read.hosts.iter().map(String::as_str).collect();
            assert_eq!(found, expect);
        };
        check(json!(null), &[]);
        check(
            json!("outbound|80||A.b.svc.cluster.local"),
            &["a.b.svc.cluster.local"],
        );
        check(json!([{ "x": { "y": "outbound|80|v1|a.b" } }, 1]), &["a.b"]);
        check(
            json!("h:httpCall(\"outbound|80||a.b\", \"outbound|81||c.d\")"),
            &["a.b", "c.d"],
        );
        check(
            json!("outbound|eighty||a.b outbound|80|a.b outbound|80||"),
            &[],
        );
    }
}
