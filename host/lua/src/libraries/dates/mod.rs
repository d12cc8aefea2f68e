//! `os`, of which only the functions for dates and times are there. Their clock is that of `now`, which tests of scripts set.

mod fields;
mod format;

use std::rc::Rc;

use jiff::{Timestamp, ZonedDateTime};
use mlua::{Error, IntoLua as _, Lua, LuaString, Result, Table, Value};
use rustix::time::{ClockId, clock_gettime};

use crate::engine::vm_context::VmContext;
use crate::instance::Instance;

/// Makes the table `os`.
pub(super) fn register(lua: &Lua, context: &Rc<VmContext>, instance: &Rc<Instance>) -> Result<()> {
    let os = lua.create_table()?;
    let shared = Rc::clone(instance);
    os.raw_set(
        "time",
        lua.create_function(move |_, fields: Option<Table>| match fields {
            None => Ok(now(&shared)),
            Some(table) => {
                let moment = fields::read(&table, shared.clock.borrow().zone())?;
                fields::write(&table, &moment)?;
                Ok(moment.timestamp().as_second())
            }
        })?,
    )?;
    let (shared, context) = (Rc::clone(instance), Rc::clone(context));
    os.raw_set(
        "date",
        lua.create_function(move |lua, (format, time): (Option<LuaString>, Option<f64>)| {
            context.on_time()?;
            let format = format.as_ref().map(LuaString::as_bytes);
            let format = format.as_deref().unwrap_or(b"%c");
            let (format, is_utc) = format.strip_prefix(b"!").map_or((format, false), |format| (format, true));
            let moment = moment(&shared, time, is_utc)?;
            if format.starts_with(b"*t") {
                let table = lua.create_table()?;
                fields::write(&table, &moment)?;
                return Ok(Value::Table(table));
            }
            lua.create_string(format::format(&moment, format)?)?.into_lua(lua)
        })?,
    )?;
    os.raw_set("difftime", lua.create_function(|_, (later, earlier): (f64, f64)| Ok(later - earlier))?)?;
    os.raw_set(
        "clock",
        lua.create_function(|_, ()| {
            let used = clock_gettime(ClockId::ThreadCPUTime);
            Ok(used.tv_sec as f64 + used.tv_nsec as f64 / 1e9)
        })?,
    )?;
    lua.globals().raw_set("os", os)
}

/// Seconds since 1970.
fn now(instance: &Instance) -> i64 {
    (instance.milliseconds() / 1000.0).floor() as i64
}

/// So many seconds after 1970, or now, in UTC or where the server is.
fn moment(instance: &Instance, time: Option<f64>, is_utc: bool) -> Result<ZonedDateTime> {
    let out_of_range =
        || Error::runtime("the time is out of range: it must be a number of seconds from year -9999 to 9999");
    let seconds = match time {
        None => now(instance),
        Some(time) if time.is_nan() => return Err(out_of_range()),
        // Lua refuses fractions. Scripts divide the milliseconds of now() by 1000, and mean the second.
        Some(time) => time.floor() as i64,
    };
    let time = Timestamp::from_second(seconds).map_err(|_| out_of_range())?;
    let zone = if is_utc { jiff::tz::TimeZone::UTC } else { instance.clock.borrow().zone().clone() };
    Ok(time.to_zoned_datetime(zone))
}
