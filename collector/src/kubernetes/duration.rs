//! Reads times on the command line.

use std::time::Duration;

use jiff::SignedDuration;

/// A time with its units, as in 15s or 1m30s.
///
/// # Errors
/// What is expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a time with a unit, as in 15s, got {text:?}");
    let signed: SignedDuration = text.parse().map_err(|_| expected())?;
    Duration::try_from(signed).map_err(|_| expected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let check = |text, expect: Option<u64>| {
            let found = duration(text).ok();
            assert_eq!(found, expect.map(Duration::from_millis), "{text}");
        };
        check("15s", Some(15_000));
        check("0ms", Some(0));
        check("2m", Some(120_000));
        check("1m30s", Some(90_000));
        check("15", None);
        check("s", None);
        check("-1s", None);
        check("99999999999999999999s", None);
    }
}
