//! Timers, and handlers that sleep.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Function, Lua, MultiValue, Result, Table, Value};

use crate::api::state::State;

/// The most timers and sleepers.
const MOST: usize = 16_384;
/// The shortest period: one script's timer must not keep its thread busy.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest: some 24 days, as in ActionScript.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// What happens when a time comes.
pub(crate) enum Timer {
    /// A handler goes on.
    Sleep,
    /// A function is called.
    Call {
        function: Function,
        /// What it is called with, as `table.pack` has it.
        arguments: Option<Table>,
        /// Again after so long.
        every: Option<Duration>,
        /// Whether the last call still waits for something: the next is then left out.
        is_running: bool,
    },
}

/// The timers of a machine, by token.
#[derive(Default)]
pub(crate) struct Timers {
    timers: HashMap<u64, (Instant, Timer)>,
    due: BTreeSet<(Instant, u64)>,
}

impl Timers {
    pub(crate) fn add(&mut self, token: u64, at: Instant, timer: Timer) -> Result<()> {
        if self.timers.len() >= MOST {
            return Err(mlua::Error::runtime("too many timers"));
        }
        self.due.insert((at, token));
        self.timers.insert(token, (at, timer));
        Ok(())
    }

    pub(crate) fn remove(&mut self, token: u64) {
        if let Some((at, _)) = self.timers.remove(&token) {
            self.due.remove(&(at, token));
        }
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The one that has been due for longest.
    pub(crate) fn due(&self, now: Instant) -> Option<u64> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, token)| *token)
    }

    /// Takes what a due timer does: it is gone, or set to its next time.
    pub(crate) fn fire(&mut self, token: u64, now: Instant) -> Option<Fired> {
        let (at, timer) = self.timers.get_mut(&token)?;
        let due = *at;
        let fired = match timer {
            Timer::Sleep => Fired::Wake,
            Timer::Call { function, arguments, every, is_running } => {
                let call = Fired::Call { function: function.clone(), arguments: arguments.clone() };
                if let Some(every) = every {
                    // A timer that is behind does not catch up.
                    *at = (due + *every).max(now + SHORTEST);
                    self.due.remove(&(due, token));
                    self.due.insert((*at, token));
                    return (!std::mem::replace(is_running, true)).then_some(call);
                }
                call
            }
        };
        self.remove(token);
        Some(fired)
    }

    /// A call by a timer has ended.
    pub(crate) fn ended(&mut self, token: u64) {
        if let Some((_, Timer::Call { is_running, .. })) = self.timers.get_mut(&token) {
            *is_running = false;
        }
    }
}

/// What a timer does now.
pub(crate) enum Fired {
    Wake,
    Call { function: Function, arguments: Option<Table> },
}

/// The values of a table that `table.pack` has made.
pub(crate) fn unpacked(table: Option<Table>) -> Result<MultiValue> {
    let Some(table) = table else { return Ok(MultiValue::new()) };
    let count: i64 = table.raw_get("n")?;
    (1..=count).map(|index| table.raw_get::<Value>(index)).collect()
}

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
    Ok(Duration::from_secs_f64((milliseconds / 1000.0).clamp(0.0, LONGEST.as_secs_f64())).max(SHORTEST))
}

/// The functions behind `setInterval`, `setTimeout`, `clearInterval` and `sleep`.
pub(crate) fn register(lua: &Lua, state: &Rc<State>, native: &Table) -> Result<()> {
    let shared = Rc::clone(state);
    native.raw_set(
        "timer",
        lua.create_function(move |_, (again, function, time, arguments): (bool, Value, Value, Option<Table>)| {
            let Value::Function(function) = function else {
                return Err(mlua::Error::runtime(format!("a timer calls a function, not a {}", function.type_name())));
            };
            shared.must_be_live()?;
            let (period, token) = (duration(&time)?, shared.world.token());
            let timer = Timer::Call { function, arguments, every: again.then_some(period), is_running: false };
            shared.timers.borrow_mut().add(token, shared.world.now.get() + period, timer)?;
            Ok(token)
        })?,
    )?;

    let shared = Rc::clone(state);
    native.raw_set(
        "clear_timer",
        lua.create_function(move |_, token: Value| {
            // As in ActionScript, what is no timer is no error.
            if let Value::Integer(token) = token {
                let mut timers = shared.timers.borrow_mut();
                let token = token.unsigned_abs();
                if matches!(timers.timers.get(&token), Some((_, Timer::Call { .. }))) {
                    timers.remove(token);
                }
            }
            Ok(())
        })?,
    )?;

    let shared = Rc::clone(state);
    native.raw_set(
        "sleep",
        lua.create_function(move |_, time: Value| {
            shared.must_be_live()?;
            let token = shared.world.token();
            let at = shared.world.now.get() + duration(&time)?;
            shared.timers.borrow_mut().add(token, at, Timer::Sleep)?;
            Ok(token)
        })?,
    )
}
