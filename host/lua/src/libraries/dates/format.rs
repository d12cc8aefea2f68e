//! The formats of `os.date`.

use jiff::ZonedDateTime;
use jiff::fmt::strtime::BrokenDownTime;
use mlua::{Error, Result};

/// The longest format, in bytes.
const MAX_FORMAT: usize = 4096;

/// The conversions of C99, which are those of Lua's manual.
const PLAIN: &[u8] = b"aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%";
/// Those that may have a modifier, which means nothing here: names and numbers are as in the locale "C".
const AFTER_E: &[u8] = b"cCxXyY";
const AFTER_O: &[u8] = b"deHImMSuUVwWy";

/// A moment by a format of C's `strftime`, in the locale "C".
///
/// # Errors
/// If the format is too long, or has a conversion that is not one.
pub(super) fn format(moment: &ZonedDateTime, format: &[u8]) -> Result<Vec<u8>> {
    if format.len() > MAX_FORMAT {
        return Err(Error::runtime(format!("a format of os.date has at most {MAX_FORMAT} bytes")));
    }
    let parts = BrokenDownTime::from(moment);
    let mut text = Vec::new();
    let mut rest = format;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            text.push(*byte);
            continue;
        }
        let (conversion, length) = match rest {
            [b'E', conversion, ..] if AFTER_E.contains(conversion) => (*conversion, 2),
            [b'O', conversion, ..] if AFTER_O.contains(conversion) => (*conversion, 2),
            [conversion, ..] if PLAIN.contains(conversion) => (*conversion, 1),
            _ => {
                let shown = String::from_utf8_lossy(rest.get(..2).unwrap_or(rest)).into_owned();
                return Err(Error::runtime(format!("invalid conversion specifier '%{}'", shown.escape_debug())));
            }
        };
        rest = rest.get(length..).unwrap_or_default();
        text.extend_from_slice(converted(moment, &parts, conversion)?.as_bytes());
    }
    Ok(text)
}

fn converted(moment: &ZonedDateTime, parts: &BrokenDownTime, conversion: u8) -> Result<String> {
    let written = |format: &str| parts.to_string(format).map_err(|error| Error::runtime(error.to_string()));
    match conversion {
        b'c' => written("%a %b %e %H:%M:%S %Y"),
        b'D' | b'x' => Ok(format!("{}/{:02}", written("%m/%d")?, i64::from(moment.year()).rem_euclid(100))),
        b'X' => written("%H:%M:%S"),
        b'r' => written("%I:%M:%S %p"),
        b'C' => Ok(format!("{:02}", moment.year().div_euclid(100))),
        b'y' => Ok(format!("{:02}", moment.year().rem_euclid(100))),
        b'g' => Ok(format!("{:02}", moment.date().iso_week_date().year().rem_euclid(100))),
        other => written(&format!("%{}", char::from(other))),
    }
}
