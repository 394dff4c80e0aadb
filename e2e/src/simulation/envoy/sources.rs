use std::path::Path;

use serde_json::{Value, json};

use super::files::Files;

/// Points a sidecar's configuration at files: what a sidecar gets over ADS, or from `sds-grpc`, comes from there.
///
/// Nothing else of what was rendered for Istio is touched.
#[derive(Clone, Debug)]
pub struct Sources(Files);

impl Sources {
    /// Sources in these files.
    #[must_use]
    pub fn new(files: Files) -> Self {
        Self(files)
    }

    /// The same configuration, with its config sources swapped.
    #[must_use]
    pub fn swap(&self, mut value: Value) -> Value {
        self.visit(None, &mut value);
        value
    }

    /// `owner`: the name of what has this value.
    fn visit(&self, owner: Option<&str>, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.visit(owner, item)),
            Value::Object(fields) => {
                let name = fields.get("name").and_then(Value::as_str);
                let name = name.or(owner).map(str::to_owned);
                for (key, field) in fields {
                    match (key.as_str(), name.as_deref()) {
                        ("sds_config", Some(name)) => point(field, &self.0.sds(name)),
                        ("config_source", Some(name)) => point(field, &self.0.ecds(name)),
                        (_, name) => self.visit(name, field),
                    }
                }
            }
            _ => {}
        }
    }
}

/// Only where from; how long to wait for it stays as it is.
fn point(source: &mut Value, path: &Path) {
    if let Some(fields) = source.as_object_mut() {
        fields.retain(|key, _| key != "ads" && key != "api_config_source");
        fields.insert("path_config_source".to_owned(), json!({ "path": path }));
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn only_config_sources_are_swapped() {
        let sources = Sources::new(Files::new(PathBuf::from("/d")));
        let path = |path: &str| json!({ "path_config_source": { "path": path } });
        let input = json!({
            "name": "f", "disabled": true,
            "config_discovery": { "config_source": { "ads": {}, "initial_fetch_timeout": "0s" }, "type_urls": ["t"] },
            "list": [{ "name": "default", "sds_config": { "api_config_source": {} } }],
        });
        let mut ecds = path("/d/ecds/f.json");
        ecds["initial_fetch_timeout"] = json!("0s");
        let expect = json!({
            "name": "f", "disabled": true,
            "config_discovery": { "config_source": ecds, "type_urls": ["t"] },
            "list": [{ "name": "default", "sds_config": path("/d/sds/default.json") }],
        });
        assert_eq!(sources.swap(input), expect);
    }
}
