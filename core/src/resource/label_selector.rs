//! Evaluates label selectors as Kubernetes writes them.
//!
//! kube-core has them too, but brings all of k8s-openapi into every build of core.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Labels that must all be there, and conditions that must all hold. An empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels, each with its value.
    pub match_labels: BTreeMap<String, String>,
    /// Conditions.
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// A condition on one label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelSelectorRequirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// Values, for the first two.
    pub values: Vec<String>,
}

impl LabelSelector {
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut wanted = self.match_labels.iter();
        let mut conditions = self.match_expressions.iter();
        wanted.all(|(key, value)| labels.get(key) == Some(value))
            && conditions.all(|condition| condition.holds(labels))
    }
}

impl LabelSelectorRequirement {
    /// An operator that does not exist holds for nothing.
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator.as_str() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => value.is_none_or(|value| !self.values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn labels_and_conditions() {
        let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
        let check = |selector: Value, expect| {
            let found: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(found.matches(&labels), expect, "{selector}");
        };
        let condition = |operator: &str, key: &str, values: &[&str]| json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] });
        check(json!({}), true);
        check(json!({ "matchLabels": { "team": "shop" } }), true);
        check(
            json!({ "matchLabels": { "team": "shop", "tier": "1" } }),
            false,
        );
        check(condition("In", "team", &["a", "shop"]), true);
        check(condition("In", "tier", &["a"]), false);
        check(condition("NotIn", "team", &["shop"]), false);
        check(condition("NotIn", "tier", &["shop"]), true);
        check(condition("Exists", "team", &[]), true);
        check(condition("DoesNotExist", "team", &[]), false);
        check(condition("Like", "team", &["shop"]), false);
    }
}
