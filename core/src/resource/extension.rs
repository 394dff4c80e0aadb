use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::meta::{Metadata, Selector, or_default};

/// How the name of a cluster of a service begins, `outbound|<port>|<subset>|<host>`.
const OUTBOUND: &str = "outbound|";

/// Where a patch of an EnvoyFilter names the host whose routes or cluster it is for.
const MATCHED_HOSTS: [&str; 3] = [
    "/match/routeConfiguration/vhost/name",
    "/match/routeConfiguration/vhost/domainName",
    "/match/cluster/service",
];

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

/// What an [`EnvoyFilter`] changes. Only which hosts it is about is read: those that it has sidecars call, and those whose routes or
/// clusters it patches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EnvoyFilterSpec {
    /// The pods; none for all of the namespace, or of the mesh in the root namespace.
    pub workload_selector: Option<Selector>,
    /// Hosts that its patches name, by clusters or in what they match.
    #[serde(rename = "configPatches", deserialize_with = "hosts_of_patches")]
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
    Ok(named_in(&Value::deserialize(deserializer)?))
}

/// As [`hosts_of_clusters`], with those of the virtual hosts and clusters that patches match.
fn hosts_of_patches<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeSet<String>, D::Error> {
    let patches = Value::deserialize(deserializer)?;
    let matched = (patches.as_array().into_iter().flatten()).flat_map(|patch| {
        let texts = MATCHED_HOSTS.map(|place| patch.pointer(place).and_then(Value::as_str));
        texts.into_iter().flatten().filter_map(host_of)
    });
    let mut hosts: BTreeSet<_> = matched.collect();
    hosts.extend(named_in(&patches));
    Ok(hosts)
}

/// The host of `host`, or of `host:port`.
fn host_of(text: &str) -> Option<String> {
    let host = text.split_once(':').map_or(text, |(host, _)| host);
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

fn named_in(value: &Value) -> BTreeSet<String> {
    let mut hosts = BTreeSet::new();
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        match value {
            Value::String(text) => hosts.extend(clusters_in(text)),
            Value::Array(items) => pending.extend(items),
            Value::Object(fields) => pending.extend(fields.values()),
            _ => {}
        }
    }
    hosts
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
    fn finds_the_hosts_that_patches_are_for() {
        let check = |patch: Value, expect: &[&str]| {
            let read: EnvoyFilterSpec =
                serde_json::from_value(json!({ "configPatches": [patch] })).unwrap();
            let found: Vec<_> = read.hosts.iter().map(String::as_str).collect();
            assert_eq!(found, expect);
        };
        let vhost = |vhost: Value| json!({ "match": { "routeConfiguration": { "vhost": vhost } } });
        check(
            vhost(json!({ "name": "A.b.svc.cluster.local:80" })),
            &["a.b.svc.cluster.local"],
        );
        check(vhost(json!({ "domainName": "a.b" })), &["a.b"]);
        check(vhost(json!({ "name": ":80" })), &[]);
        check(
            json!({ "match": { "cluster": { "service": "a.b" } } }),
            &["a.b"],
        );
        check(
            json!({ "match": { "cluster": { "name": "outbound|80||a.b" } } }),
            &["a.b"],
        );
        check(
            json!({ "match": { "listener": { "portNumber": 80 } } }),
            &[],
        );
    }

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
