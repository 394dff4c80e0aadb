//! Reads how much of an enforced namespace is enforced.

use std::collections::BTreeMap;
use std::fmt;

use crate::names::{Workload, fnv1a};

/// Label of namespaces that says how many of a hundred of their workloads are enforced.
pub const ENFORCE_PERCENT_LABEL: &str = "lazymesh.io/enforce-percent";

/// Longest excerpt of a label that is told.
const LONGEST: usize = 63;

/// A namespace that is enforced bit by bit: label `lazymesh.io/enforce-percent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Canary {
    /// So many of a hundred workloads, 0 to 100.
    Percent(u8),
    /// The label says something else, which counts for none.
    Misfit(String),
}

impl Canary {
    /// What the label asks for.
    pub(crate) fn of(labels: &BTreeMap<String, String>) -> Option<Self> {
        let text = labels.get(ENFORCE_PERCENT_LABEL)?;
        let is_number = text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        let percent = text.parse().ok().filter(|it| is_number && *it <= 100);
        let misfit = || Self::Misfit(text.chars().take(LONGEST).collect());
        Some(percent.map_or_else(misfit, Self::Percent))
    }

    /// How many of a hundred workloads are enforced.
    #[must_use]
    pub fn percent(&self) -> u8 {
        match self {
            Self::Percent(percent) => *percent,
            Self::Misfit(_) => 0,
        }
    }

    /// Whether a workload is one of them. Who is with fewer is with more, too.
    pub(crate) fn admits(&self, workload: &Workload) -> bool {
        fnv1a(&workload.to_string()) % 100 < u32::from(self.percent())
    }
}

impl fmt::Display for Canary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(out, "{ENFORCE_PERCENT_LABEL} is {percent}"),
            Self::Misfit(text) => write!(
                out,
                "{ENFORCE_PERCENT_LABEL}: expected a whole number from 0 to 100, got {text:?}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary(text: &str) -> Canary {
        let labels = BTreeMap::from([(ENFORCE_PERCENT_LABEL.to_owned(), text.to_owned())]);
        Canary::of(&labels).expect("a label")
    }

    #[test]
    fn shares_are_whole_numbers() {
        for (text, percent) in [("0", 0), ("7", 7), ("100", 100), ("010", 10)] {
            assert_eq!(canary(text), Canary::Percent(percent), "{text}");
        }
        for text in [
            "", "101", "256", "-1", "+5", "5%", "0.5", "1e1", "0100", "all",
        ] {
            assert_eq!(canary(text), Canary::Misfit(text.to_owned()), "{text}");
            assert_eq!(canary(text).percent(), 0, "{text}");
        }
        assert_eq!(Canary::of(&BTreeMap::new()), None);
    }

    #[test]
    fn a_larger_share_only_adds_workloads_and_a_share_is_about_as_large_as_it_says() {
        let workload = |n: usize| Workload::new("shop", format!("web-{n}")).expect("a name");
        let admitted = |percent| {
            let canary = Canary::Percent(percent);
            let all = (0..1_000).map(workload);
            all.filter(|it| canary.admits(it)).collect::<Vec<_>>()
        };
        let mut before = Vec::new();
        for percent in 0..=100 {
            let now = admitted(percent);
            assert!(before.iter().all(|it| now.contains(it)), "{percent}");
            let expect = usize::from(percent) * 10;
            assert!(now.len().abs_diff(expect) < 60, "{percent}: {}", now.len());
            before = now;
        }
        assert_eq!(before.len(), 1_000);
    }
}
