//! `setInterval`, `setTimeout`, `clearInterval`, `clearTimeout` and `sleep`.

use std::rc::Rc;
use std::time::Duration;

use mlua::{Lua, Result, Table, Value};

use super::state::ApiState;
use crate::engine::timers::{MAX_PERIOD, MIN_PERIOD, Timer};

/// Reads a time in milliseconds.
fn duration(value: &Value) -> Result<Duration> {
    let milliseconds = match value {
        Value::Integer(number) => *number as f64,
        Value::Number(number) => *number,
        other => {
            return Err(mlua::Error::runtime(format!(
                "the time in milliseconds is a number, not a {}",
                other.type_name()
            )));
        }
    };
    if milliseconds.is_nan() {
        return Err(mlua::Error::runtime("the time in milliseconds is not a number"));
    }
    Ok(Duration::from_secs_f64((milliseconds / 1000.0).clamp(0.0, MAX_PERIOD.as_secs_f64())).max(MIN_PERIOD))
}

/// The functions of which the prelude makes them.
pub(super) fn register(lua: &Lua, state: &Rc<ApiState>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "timer",
        lua.create_function(move |_, (again, function, time, arguments): (bool, Value, Value, Option<Table>)| {
            let Value::Function(function) = function else {
                return Err(mlua::Error::runtime(format!("a timer calls a function, not a {}", function.type_name())));
            };
            shared.must_be_live()?;
            let (period, token) = (duration(&time)?, shared.instance.token());
            let timer = Timer::Call { function, arguments, every: again.then_some(period), is_running: false };
            shared.timers.borrow_mut().add(token, shared.instance.now.get() + period, timer)?;
            Ok(token)
        })?,
    )?;

    let shared = Rc::clone(state);
    native.raw_set(
        "clear_timer",
        lua.create_function(move |_, token: Value| {
            // As in ActionScript, a value that is no timer is no error.
            if let Value::Integer(token) = token {
                shared.timers.borrow_mut().clear(token.unsigned_abs());
            }
            Ok(())
        })?,
    )?;

    let shared = Rc::clone(state);
    native.raw_set(
        "sleep",
        lua.create_function(move |_, time: Value| {
            shared.must_be_live()?;
            let token = shared.instance.token();
            let at = shared.instance.now.get() + duration(&time)?;
            shared.timers.borrow_mut().add(token, at, Timer::Sleep)?;
            Ok(token)
        })?,
    )
}
