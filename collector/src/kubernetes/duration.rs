//! Times on the command line.

use std::time::Duration;

/// A whole number and a unit, as in 15s.
///
/// # Errors
/// What is expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| "expected a whole number and a unit, as in 15s".to_owned())?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err("expected the unit ms, s or m, as in 15s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let check = |text, expect: Option<u64>| {
            assert_eq!(
                duration(text).ok(),
                expect.map(Duration::from_millis),
                "{text}"
            );
        };
        check("15s", Some(15_000));
        check("0ms", Some(0));
        check("2m", Some(120_000));
        check("15", None);
        check("s", None);
        check("-1s", None);
        check("15 s", None);
    }
}
