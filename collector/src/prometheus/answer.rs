//! Reads answers of Prometheus's API.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// An answer, whatever was asked.
#[derive(Deserialize)]
pub(crate) struct Answer<T> {
    pub(crate) status: Status,
    pub(crate) data: Option<T>,
    /// What kind of error it is.
    #[serde(default, rename = "errorType")]
    pub(crate) error_type: String,
    #[serde(default)]
    pub(crate) error: String,
    /// What the answer lacks, by its own word.
    #[serde(default)]
    pub(crate) warnings: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Success,
    Error,
}

/// What a query came to.
#[derive(Deserialize)]
pub(crate) struct Vector {
    pub(crate) result: Vec<Sample>,
}

/// One series, as of one time.
#[derive(Deserialize)]
pub(crate) struct Sample {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Sample {
    /// A label's value; the empty one where there is no such label, as Prometheus has it.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.metric.get(name).map_or("", String::as_str)
    }

    /// The value, if it is one that a counter can have.
    pub(crate) fn calls(&self) -> Option<u64> {
        let value: f64 = self.value.1.parse().ok()?;
        // The cast saturates.
        (value.is_finite() && value >= 0.0).then(|| value.ceil() as u64)
    }
}

impl<T: DeserializeOwned> Answer<T> {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// Words of somebody else's, fit for a log: short, and on one line.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 200;
    let short = text.chars().take(LONGEST);
    short
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_counters() {
        let check = |value: &str, expect: Option<u64>| {
            let json = format!(r#"{{"metric": {{"a": "b"}}, "value": [1.5, "{value}"]}}"#);
            let sample: Sample = serde_json::from_str(&json).expect("a sample");
            assert_eq!(sample.calls(), expect, "{value}");
            assert_eq!((sample.label("a"), sample.label("c")), ("b", ""));
        };
        check("0", Some(0));
        check("12", Some(12));
        check("0.2", Some(1));
        check("1e300", Some(u64::MAX));
        check("-1", None);
        check("NaN", None);
        check("+Inf", None);
        check("many", None);
    }

    #[test]
    fn words_of_others_are_short_and_on_one_line() {
        assert_eq!(excerpt("a\nb\u{1b}c"), "a b c");
        assert_eq!(excerpt(&"é".repeat(300)).chars().count(), 200);
    }
}
