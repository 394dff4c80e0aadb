//! `SOURCE_DATE_EPOCH` as a date: the one time that may be in an artifact, because it is an input.

use crate::Error;

/// RFC 3339 text of the value of `SOURCE_DATE_EPOCH` (seconds since 1970), for [`crate::Metadata::created`].
///
/// # Errors
/// When the value is not a number of seconds up to the year 9999.
pub fn created_from_epoch(value: &str) -> Result<String, Error> {
    const YEAR_10000: i64 = 253_402_300_800;
    let unsuitable =
        || Error::Unsuitable("SOURCE_DATE_EPOCH must be a number of seconds since 1970".to_owned());
    let seconds = value.trim().parse::<i64>().map_err(|_| unsuitable())?;
    if !(0..YEAR_10000).contains(&seconds) {
        return Err(unsuitable());
    }
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    Ok(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    ))
}

/// Year, month and day from days since 1970 (Howard Hinnant's `civil_from_days`, for dates from 1970 on).
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::created_from_epoch;

    #[test]
    fn epochs() {
        let check = |value: &str, expect: Option<&str>| {
            assert_eq!(created_from_epoch(value).ok().as_deref(), expect);
        };
        check("0", Some("1970-01-01T00:00:00Z"));
        check("951827696", Some("2000-02-29T12:34:56Z"));
        check("1795247999", Some("2026-11-21T07:59:59Z"));
        check("253402300799", Some("9999-12-31T23:59:59Z"));
        check("-1", None);
        check("253402300800", None);
        check("yesterday", None);
    }
}
