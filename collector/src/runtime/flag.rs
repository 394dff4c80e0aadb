//! Reads values of the command line, and says in own words what is expected where they are none.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;

/// A time with its units, as in 15s or 1m30s.
///
/// # Errors
/// What is expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a time with a unit, as in 15s, got {text:?}");
    let signed: SignedDuration = text.parse().map_err(|_| expected())?;
    Duration::try_from(signed).map_err(|_| expected())
}

/// An address to listen on.
///
/// # Errors
/// What is expected.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse();
    address.map_err(|_| {
        format!("expected an IP address and a port, as in 127.0.0.1:8480, got {text:?}")
    })
}

/// A URL, which may have a password and so is not repeated.
///
/// # Errors
/// What is expected.
pub fn url(text: &str) -> Result<Url, String> {
    let url = text.parse();
    url.map_err(|_| "expected a URL, as in http://127.0.0.1:8481".to_owned())
}

/// Whether a URL says a place, and neither secrets nor a query.
pub(crate) fn is_place(url: &Url) -> bool {
    let has_secrets = !url.username().is_empty() || url.password().is_some();
    url.has_host() && !has_secrets && url.query().is_none()
}

/// A reader of whole numbers, both ends included.
pub fn number<N>(
    range: RangeInclusive<N>,
) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static
where
    N: FromStr + Display + PartialOrd + Clone + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            format!("expected a whole number from {least} to {most}, got {text:?}")
        })
    }
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

    #[test]
    fn what_is_no_number_is_told_the_range() {
        let check = |text, expect: Result<u8, &str>| {
            assert_eq!(number(1..=100_u8)(text), expect.map_err(str::to_owned));
        };
        check("1", Ok(1));
        check("100", Ok(100));
        let expected = |got| format!("expected a whole number from 1 to 100, got {got:?}");
        for text in ["0", "101", "256", "-1", "1.5", "", "ten"] {
            check(text, Err(&expected(text)));
        }
    }

    #[test]
    fn addresses_have_ports() {
        for (text, good) in [
            ("127.0.0.1:0", true),
            ("[::1]:80", true),
            ("localhost:80", false),
        ] {
            assert_eq!(address(text).is_ok(), good, "{text}");
        }
    }
}
