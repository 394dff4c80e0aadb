//! The plugin's configuration: parsed once, and refused as a whole when it cannot work.

use lazymesh_protocol::{FilterConfig, MAX_MESH_PREFIXES};

use crate::json;
use crate::prefixes::Prefixes;

/// Why a plugin configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not the JSON of a [`FilterConfig`].
    #[error("the plugin configuration is not valid JSON of a FilterConfig: {0}")]
    Malformed(#[from] serde_json::Error),
    /// There is nobody to ask.
    #[error(
        "collector_cluster is empty; it must name the Envoy cluster of the collector's ingest port"
    )]
    NoCollector,
    /// A callout without a time-out would pause requests for ever.
    #[error("resolve_timeout_ms is 0; it must be at least 1")]
    NoTimeout,
    /// What is the mesh's would not be known.
    #[error(
        "mesh_prefixes: expected at most {MAX_MESH_PREFIXES} IP addresses and CIDR blocks, got {0:?}"
    )]
    Prefix(String),
}

/// Reads a plugin configuration, and which addresses are the mesh's.
pub(crate) fn parse(bytes: &[u8]) -> Result<(FilterConfig, Prefixes), ConfigError> {
    let config: FilterConfig = json::read(bytes)?;
    if config.collector_cluster.is_empty() {
        return Err(ConfigError::NoCollector);
    }
    if config.resolve_timeout_ms == 0 {
        return Err(ConfigError::NoTimeout);
    }
    let mesh = Prefixes::parse(&config.mesh_prefixes)
        .map_err(|text| ConfigError::Prefix(text.to_owned()))?;
    Ok((config, mesh))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: Result<u32, &str>) {
        let got = parse(json.as_bytes()).map(|(config, _)| config.resolve_timeout_ms);
        match (got, expect) {
            (Ok(got), Ok(expect)) => assert_eq!(got, expect, "{json}"),
            (Err(got), Err(expect)) => assert!(got.to_string().contains(expect), "{json}: {got}"),
            (got, expect) => panic!("{json}: {got:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn configurations() {
        check(r#"{"collector_cluster":"c"}"#, Ok(500));
        check(
            r#"{"collector_cluster":"c","resolve_timeout_ms":7,"new":1}"#,
            Ok(7),
        );
        check(
            r#"{"collector_cluster":""}"#,
            Err("collector_cluster is empty"),
        );
        check(
            r#"{"collector_cluster":"c","resolve_timeout_ms":0}"#,
            Err("at least 1"),
        );
        check(
            r#"{"collector_cluster":"c","mesh_prefixes":["10.0.0.0/8"]}"#,
            Ok(500),
        );
        check(
            r#"{"collector_cluster":"c","mesh_prefixes":["10.0.0.0/8","mesh"]}"#,
            Err("expected at most 256 IP addresses and CIDR blocks, got \"mesh\""),
        );
        check("{}", Err("missing field `collector_cluster`"));
        check("", Err("not valid JSON"));
    }
}
