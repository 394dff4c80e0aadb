//! Says what was found, and what to do about it.

use std::fmt::Display;

use serde::Serialize;

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Something is less than it could be.
    Warn,
    /// lazymesh does not work like this.
    Fail,
}

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub check: &'static str,
    /// How good it is.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, detail: impl Display) -> Self {
        Self {
            check,
            state: State::Ok,
            detail: detail.to_string(),
            hint: None,
        }
    }

    /// It is less than it could be.
    pub fn warn(check: &'static str, detail: impl Display, hint: impl Display) -> Self {
        Self {
            check,
            state: State::Warn,
            detail: detail.to_string(),
            hint: Some(hint.to_string()),
        }
    }

    /// It does not work like this.
    pub fn fail(check: &'static str, detail: impl Display, hint: impl Display) -> Self {
        Self {
            state: State::Fail,
            ..Self::warn(check, detail, hint)
        }
    }
}

/// Some of many names.
pub(super) fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(String::as_str);
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_names_stand_for_many() {
        let check = |count: usize, expect: &str| {
            let names: Vec<_> = (0..count).map(|it| it.to_string()).collect();
            assert_eq!(some(&names), expect);
        };
        check(0, "");
        check(2, "0, 1");
        check(5, "0, 1, 2, 3, 4");
        check(7, "0, 1, 2, 3, 4 and 2 more");
    }
}
