//! Timers, and handlers that sleep.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use mlua::{Function, MultiValue, Result, Table, Value};

/// How many timers and sleeping handlers there may be.
const MAX_TIMERS: usize = 16_384;
/// The shortest period: one script's timer must not keep its thread busy.
pub(crate) const MIN_PERIOD: Duration = Duration::from_millis(1);
/// The longest: some 24 days, as in ActionScript.
pub(crate) const MAX_PERIOD: Duration = Duration::from_millis(i32::MAX as u64);

/// What happens when a timer is due.
pub(crate) enum Timer {
    /// A handler that sleeps is resumed.
    Sleep,
    /// A function is called.
    Call {
        function: Function,
        /// The arguments, as `table.pack` stores them.
        arguments: Option<Table>,
        /// Calls it again after so long.
        every: Option<Duration>,
        /// Whether the last call still waits for something: then the next call is left out.
        is_running: bool,
    },
}

/// The timers of a VM, by token.
#[derive(Default)]
pub(crate) struct Timers {
    timers: HashMap<u64, (Instant, Timer)>,
    due: BTreeSet<(Instant, u64)>,
}

impl Timers {
    pub(crate) fn add(&mut self, token: u64, at: Instant, timer: Timer) -> Result<()> {
        if self.timers.len() >= MAX_TIMERS {
            return Err(mlua::Error::runtime(format!(
                "too many timers: there may be {MAX_TIMERS} timers and sleeping handlers"
            )));
        }
        self.due.insert((at, token));
        self.timers.insert(token, (at, timer));
        Ok(())
    }

    fn remove(&mut self, token: u64) {
        if let Some((at, _)) = self.timers.remove(&token) {
            self.due.remove(&(at, token));
        }
    }

    /// Removes a timer that calls a function; a handler that sleeps stays.
    pub(crate) fn clear(&mut self, token: u64) {
        if matches!(self.timers.get(&token), Some((_, Timer::Call { .. }))) {
            self.remove(token);
        }
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The timer that has been due for longest.
    pub(crate) fn due(&self, now: Instant) -> Option<u64> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, token)| *token)
    }

    /// Takes a due timer out, or sets it to its next time. Gives back what is to be done.
    pub(crate) fn fire(&mut self, token: u64, now: Instant) -> Option<Fired> {
        let (at, timer) = self.timers.get_mut(&token)?;
        let due = *at;
        let fired = match timer {
            Timer::Sleep => Fired::Wake,
            Timer::Call { function, arguments, every, is_running } => {
                let call = Fired::Call { function: function.clone(), arguments: arguments.clone() };
                if let Some(every) = every {
                    // A timer that is behind does not catch up.
                    *at = (due + *every).max(now + MIN_PERIOD);
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

/// What a due timer does.
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
