//! The tables of `os.time` and `os.date("*t")`.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, ZonedDateTime};
use mlua::{Error, Result, Table, Value};

/// The moment that the fields name in a time zone. As in C, they need not be in their usual range: the 32nd of a month is in the next.
///
/// # Errors
/// If a field is missing or no whole number, or the moment is out of range.
pub(super) fn read(table: &Table, zone: &TimeZone) -> Result<ZonedDateTime> {
    let year = field(table, "year", None)?;
    let month = field(table, "month", None)? - 1;
    let day = field(table, "day", None)?;
    let (hour, minute, second) =
        (field(table, "hour", Some(12))?, field(table, "min", Some(0))?, field(table, "sec", Some(0))?);
    let first = first_of_month(year + month.div_euclid(12), month.rem_euclid(12) + 1);
    // Each field is an i32, so that this does not overflow.
    let rest = (day - 1) * 86_400 + hour * 3600 + minute * 60 + second;
    let civil = first.and_then(|first| first.checked_add(SignedDuration::from_secs(rest)).ok());
    let ambiguous = civil.map(|civil| zone.to_ambiguous_timestamp(civil));
    let time = ambiguous.and_then(|ambiguous| {
        // An hour that comes twice in autumn is in daylight saving time when it comes first.
        let time = match (ambiguous.offset(), table.raw_get::<Value>("isdst")) {
            (AmbiguousOffset::Fold { .. }, Ok(Value::Boolean(false))) => ambiguous.later(),
            _ => ambiguous.compatible(),
        };
        time.ok()
    });
    let time = time.ok_or_else(|| Error::runtime("the date is out of range: it must be from year -9999 to 9999"))?;
    Ok(time.to_zoned_datetime(zone.clone()))
}

fn first_of_month(year: i64, month: i64) -> Option<DateTime> {
    let date = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1).ok()?;
    Some(date.to_datetime(jiff::civil::Time::midnight()))
}

/// A field that is a whole number. Metamethods of the table are not called.
fn field(table: &Table, name: &str, default: Option<i64>) -> Result<i64> {
    let number = match (table.raw_get::<Value>(name)?, default) {
        (Value::Nil, Some(default)) => return Ok(default),
        (Value::Nil, None) => return Err(Error::runtime(format!("field '{name}' missing in date table"))),
        (Value::Integer(number), _) => number,
        (Value::Number(number), _) if number.fract() == 0.0 => number as i64,
        (Value::String(text), _) => {
            let number = text.to_str().ok().and_then(|text| text.trim().parse().ok());
            number.ok_or_else(|| Error::runtime(format!("field '{name}' is not an integer")))?
        }
        _ => return Err(Error::runtime(format!("field '{name}' is not an integer"))),
    };
    i32::try_from(number).map(i64::from).map_err(|_| Error::runtime(format!("field '{name}' is out-of-bound")))
}

/// Sets the fields to a moment.
pub(super) fn write(table: &Table, moment: &ZonedDateTime) -> Result<()> {
    let is_dst = moment.time_zone().to_offset_info(moment.timestamp()).dst().is_dst();
    let (date, time) = (moment.date(), moment.time());
    table.raw_set("year", date.year())?;
    table.raw_set("month", date.month())?;
    table.raw_set("day", date.day())?;
    table.raw_set("hour", time.hour())?;
    table.raw_set("min", time.minute())?;
    table.raw_set("sec", time.second())?;
    table.raw_set("yday", date.day_of_year())?;
    table.raw_set("wday", date.weekday().to_sunday_one_offset())?;
    table.raw_set("isdst", is_dst)
}

#[cfg(test)]
mod tests {
    use mlua::Lua;

    use super::*;

    /// Central Europe, without a database of time zones.
    fn zone() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    #[test]
    fn local_times_become_moments_and_moments_local_times() {
        let lua = Lua::new();
        let time = |fields: &str| {
            let table: Table = lua.load(format!("return {{ year = 2026, {fields} }}")).eval().unwrap();
            let moment = read(&table, &zone()).unwrap();
            write(&table, &moment).unwrap();
            let hour = table.raw_get::<i64>("hour").unwrap();
            (moment.timestamp().as_second(), hour, table.raw_get::<bool>("isdst").unwrap())
        };
        assert_eq!(time("month = 1, day = 1, hour = 0"), (1_767_222_000, 0, false));
        assert_eq!(time("month = 7, day = 1, hour = 0"), (1_782_856_800, 0, true));
        // The hour that comes twice, and the one that is left out.
        let first = time("month = 10, day = 25, hour = 2");
        assert_eq!(first, (1_792_886_400, 2, true));
        assert_eq!(time("month = 10, day = 25, hour = 2, isdst = true"), first);
        assert_eq!(time("month = 10, day = 25, hour = 2, isdst = false"), (first.0 + 3600, 2, false));
        assert_eq!(time("month = 3, day = 29, hour = 2, min = 30"), (1_774_747_800, 3, true));
        // What follows from the calendar does not depend on the hour.
        assert_eq!(time("month = 13, day = 1, hour = 0"), (1_798_758_000, 0, false));
    }
}
