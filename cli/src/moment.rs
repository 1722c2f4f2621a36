//! Times on the command line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time that was given as a date, or as an age; in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) u64);

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).map(|time| Self(time.as_secs())).ok();
        let date = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        let dated = humantime::parse_rfc3339_weak(&date).ok();
        let aged = || SystemTime::now().checked_sub(humantime::parse_duration(text).ok()?);
        dated.or_else(aged).and_then(since_1970).ok_or_else(|| {
            format!(
                "“{text}” is neither a date such as 2026-11-30 or 2026-11-30T08:00:00Z, nor an age such as 30d or 2h"
            )
        })
    }
}

/// Returns a time, given in seconds since 1970, as RFC 3339 writes it.
pub(crate) fn text(at: u64) -> String {
    // The largest time that can be written, for one that a hand-edited store could hold.
    let at = at.min(253_402_300_799);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_or_an_age() {
        assert_eq!("1970-01-02".parse(), Ok(Moment(86_400)));
        assert_eq!("1970-01-01T00:01:00Z".parse(), Ok(Moment(60)));
        let now = "0s".parse::<Moment>().unwrap().0;
        assert!((now - 86_401..now).contains(&"1d".parse::<Moment>().unwrap().0));
        for wrong in ["", "yesterday", "2026-13-01", "30", "99999999y"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }
}
