//! Reads for how long a dependency stays that nobody sees.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// Label of namespaces and pods that says for how long what they depend on stays unseen.
pub const TTL_LABEL: &str = "lazymesh.io/ttl";

const NEVER: &str = "off";

/// How long a dependency stays that nobody sees: label `lazymesh.io/ttl` of its workload's namespace, overridden by its pods'.
///
/// Where the pods of a workload disagree the greatest holds, since one Sidecar scopes them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ttl {
    /// So long.
    After(Duration),
    /// For ever.
    #[default]
    Never,
}

impl Ttl {
    /// What the label asks for; an unknown value is not a label.
    pub(crate) fn of(labels: &BTreeMap<String, String>) -> Option<Self> {
        labels.get(TTL_LABEL)?.parse().ok()
    }
}

/// The text is not a time to live.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected off, or a number with s, m, h or d as in 30d, got {0:?}")]
pub struct TtlError(String);

impl FromStr for Ttl {
    type Err = TtlError;

    fn from_str(text: &str) -> Result<Self, TtlError> {
        if text == NEVER {
            return Ok(Self::Never);
        }
        let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
        let parsed = units.into_iter().find_map(|(unit, seconds)| {
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            Some(Duration::from_secs(u64::from(number) * seconds))
        });
        match parsed {
            Some(ttl) if !ttl.is_zero() => Ok(Self::After(ttl)),
            _ => Err(TtlError(text.to_owned())),
        }
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(ttl) => write!(out, "{}s", ttl.as_secs()),
            Self::Never => out.write_str(NEVER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_live_have_a_unit() {
        let check = |text: &str, expect: Option<u64>| {
            let found = text.parse().ok();
            let expect = expect.map(|seconds| Ttl::After(Duration::from_secs(seconds)));
            assert_eq!(found, expect, "{text}");
        };
        check("90s", Some(90));
        check("2m", Some(120));
        check("168h", Some(604_800));
        check("30d", Some(2_592_000));
        for text in [
            "",
            "d",
            "30",
            "0d",
            "-1d",
            "1.5h",
            "1d12h",
            "99999999999d",
            "30D",
        ] {
            check(text, None);
        }
        assert_eq!("off".parse(), Ok(Ttl::Never));
        let week = Ttl::After(Duration::from_secs(604_800));
        assert_eq!(week.to_string().parse(), Ok(week));
    }

    #[test]
    fn the_most_careful_is_the_greatest() {
        let after = |seconds| Ttl::After(Duration::from_secs(seconds));
        assert_eq!(
            [after(9), Ttl::Never, after(10)].into_iter().max(),
            Some(Ttl::Never)
        );
        assert_eq!([after(9), after(10)].into_iter().max(), Some(after(10)));
    }
}
