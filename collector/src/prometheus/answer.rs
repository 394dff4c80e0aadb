//! Reads answers of Prometheus's API.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Most items of an answer. An answer takes many times the memory of its text where its items are small.
pub(super) const MAX_ITEMS: usize = 50_000;
/// Most labels of a series. A query names fewer to sum by.
const MAX_LABELS: usize = 16;

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
    pub(crate) result: Items<Sample>,
}

/// The first of a list.
pub(crate) struct Items<T> {
    pub(crate) kept: Vec<T>,
    /// Whether there are more than [`MAX_ITEMS`].
    pub(crate) are_more: bool,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(First(PhantomData))
    }
}

struct First<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
    type Value = Items<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<T>, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < MAX_ITEMS {
            match list.next_element()? {
                Some(item) => kept.push(item),
                None => break,
            }
        }
        let mut are_more = false;
        while list.next_element::<IgnoredAny>()?.is_some() {
            are_more = true;
        }
        Ok(Items { kept, are_more })
    }
}

/// One series, as of one time.
#[derive(Deserialize)]
pub(crate) struct Sample {
    metric: Labels,
    value: (f64, String),
}

/// Names and values.
struct Labels(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Few;

        impl<'de> Visitor<'de> for Few {
            type Value = Labels;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels = Vec::new();
                while labels.len() < MAX_LABELS {
                    match map.next_entry()? {
                        Some(label) => labels.push(label),
                        None => break,
                    }
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Labels(labels))
            }
        }

        from.deserialize_map(Few)
    }
}

impl Sample {
    /// A label's value; the empty one where there is no such label, as Prometheus has it.
    pub(crate) fn label(&self, name: &str) -> &str {
        let mut labels = self.metric.0.iter();
        let found = labels.find(|(label, _)| label == name);
        found.map_or("", |(_, value)| value)
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
    fn of_an_answer_no_more_is_kept_than_there_is_room_for() {
        let check = |count: usize, kept: usize, are_more: bool| {
            let text = format!("[{}]", vec!["\"\""; count].join(","));
            let items: Items<String> = serde_json::from_str(&text).expect("a list");
            assert_eq!((items.kept.len(), items.are_more), (kept, are_more));
        };
        check(0, 0, false);
        check(MAX_ITEMS, MAX_ITEMS, false);
        check(MAX_ITEMS + 1, MAX_ITEMS, true);
        let labels: Vec<String> = (0..100).map(|n| format!("\"l{n}\":\"v\"")).collect();
        let json = format!(
            "{{\"metric\":{{{}}},\"value\":[1,\"2\"]}}",
            labels.join(",")
        );
        let sample: Sample = serde_json::from_str(&json).expect("a sample");
        assert_eq!((sample.label("l15"), sample.label("l16")), ("v", ""));
        assert_eq!(sample.calls(), Some(2));
    }

    #[test]
    fn words_of_others_are_short_and_on_one_line() {
        assert_eq!(excerpt("a\nb\u{1b}c"), "a b c");
        assert_eq!(excerpt(&"é".repeat(300)).chars().count(), 200);
    }
}
