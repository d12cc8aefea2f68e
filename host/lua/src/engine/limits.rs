//! The limits on a script: the time of each handler, and the memory of its VM.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{HookTriggers, Lua, LuaString, Result, Value, VmState};

use super::failure::Failure;

/// The stack of a thread that runs scripts: enough for the deepest recursion through the host that Lua allows, in any build.
pub(crate) const STACK: usize = 16 << 20;

/// How many instructions pass between two checks of the clock; to check more often would cost scripts that compute more than a
/// tenth of their speed. An instruction may be a call that copies or compares strings as long as the memory allows: when so many
/// instructions have taken [`SLOW`], the clock is checked more often, until they are quick again.
const INSTRUCTIONS: u32 = 250;
const SLOW: Duration = Duration::from_millis(5);
/// From this many bytes in use on, the clock is checked more often the more there are: one instruction may copy, compare or hash
/// longer strings.
const LARGE: usize = 4 << 20;
/// The same when nearly all memory is in use: each allocation may then collect garbage in all of it. Memory in use never makes the
/// checks more frequent than this.
const INSTRUCTIONS_WHEN_FULL: u32 = 8;

/// A text of up to this many bytes is short: one more than the memory allows does no harm.
const SHORT: usize = 64;

/// Makes a string of the script. A short one is made outside the limit on memory, where the VM needs no protection against errors, which would
/// cost more than the string; the next allocation of the script is held to the limit again.
///
/// # Errors
/// If a long one exceeds the limit.
pub(crate) fn text(lua: &Lua, bytes: &[u8]) -> Result<LuaString> {
    if bytes.len() > SHORT {
        return lua.create_string(bytes);
    }
    let limit = lua.set_memory_limit(0)?;
    let text = lua.create_string(bytes);
    lua.set_memory_limit(limit)?;
    text
}

/// The time that is left for the handler that runs, and the memory that the VM may use.
///
/// The clock is checked for the first time after some instructions of the handler, or before something that may take long: most
/// handlers have ended by then, and a check costs as much as they do.
pub(crate) struct Budget {
    time: Cell<Option<Duration>>,
    memory: Cell<usize>,
    /// How long the handler had run before it waited.
    used: Cell<Duration>,
    /// When the clock was first checked since the handler began or was resumed.
    started: Cell<Option<Instant>>,
    is_over: Cell<bool>,
    /// When the hook was last called since the handler began or was resumed.
    hooked: Cell<Option<Instant>>,
    /// After how many instructions the hook is to be called, by how long the last ones took.
    window: Cell<u32>,
    /// About how many bytes are in use.
    used_memory: Cell<usize>,
    /// With how many instructions the hook was set last.
    armed: Cell<u32>,
    /// The coroutine that was last told to yield because the time is over.
    left: Cell<Option<*const std::ffi::c_void>>,
    place: RefCell<Option<Failure>>,
}

/// How many instructions may pass between two checks of the clock with so many bytes in use.
fn max_instructions(used: usize) -> u32 {
    let times = u32::try_from(used / LARGE).unwrap_or(u32::MAX).max(1);
    (INSTRUCTIONS / times).max(INSTRUCTIONS_WHEN_FULL)
}

impl Budget {
    /// A budget of so much time for each handler (`None`: no limit), and so many bytes.
    pub(crate) fn new(time: Option<Duration>, memory: usize) -> Self {
        Self {
            time: Cell::new(time),
            memory: Cell::new(memory),
            used: Cell::default(),
            started: Cell::new(None),
            is_over: Cell::new(false),
            hooked: Cell::new(None),
            window: Cell::new(INSTRUCTIONS),
            used_memory: Cell::new(0),
            armed: Cell::new(INSTRUCTIONS),
            left: Cell::new(None),
            place: RefCell::default(),
        }
    }

    /// Bytes that the script may have.
    pub(crate) fn memory(&self) -> usize {
        self.memory.get()
    }

    /// A handler begins, or is resumed after it has run for so long.
    pub(crate) fn start(&self, used: Duration) {
        self.used.set(used);
        self.started.set(None);
        self.hooked.set(None);
        self.left.set(None);
        self.place.take();
        self.is_over.set(false);
    }

    /// The handler has ended, and another begins in the same coroutine. Gives back whether the clock was checked since the one before
    /// began: if not, that one was short. A handler that has run too long is followed by no other: see [`Self::has_ended_in_time`].
    pub(crate) fn start_next(&self) -> bool {
        self.used.set(Duration::ZERO);
        self.left.set(None);
        self.started.take().is_some()
    }

    /// Whether no check of the clock has found the handler's time to be over. This does not check it.
    pub(crate) fn has_ended_in_time(&self) -> bool {
        !self.is_over.get()
    }

    /// The handler ends or waits. Gives back how long it ran, and whether it ran too long.
    pub(crate) fn stop(&self) -> (Duration, bool) {
        let ran = self.started.take().map(|started| started.elapsed()).unwrap_or_default();
        (ran, self.is_over.replace(false))
    }

    /// Whether the handler's time is over. Once it is, it stays so until the handler ends.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.get() || self.time.get().is_some() && self.is_over_at(Instant::now())
    }

    /// The same, at a time that the caller has just read.
    fn is_over_at(&self, now: Instant) -> bool {
        if !self.is_over.get()
            && let Some(time) = self.time.get()
        {
            let started = self.started.get().unwrap_or(now);
            self.started.set(Some(started));
            self.is_over.set(self.used.get() + (now - started) >= time);
        }
        self.is_over.get()
    }

    /// The error that ends a handler whose time is over.
    pub(crate) fn error(&self) -> mlua::Error {
        let time = self.time.get().unwrap_or_default();
        mlua::Error::runtime(format!("this handler has run longer than {time:?}, which is all it may"))
    }

    /// Holds the VM to the budget.
    pub(crate) fn install(self: &Rc<Self>, lua: &Lua) -> Result<()> {
        lua.set_memory_limit(self.memory.get())?;
        self.arm(lua, INSTRUCTIONS)
    }

    /// Raises the error of a handler whose time is over. A script that catches it executes one instruction more, not hundreds.
    pub(crate) fn raise(self: &Rc<Self>, lua: &Lua) -> Result<()> {
        self.arm(lua, 1)?;
        Err(self.error())
    }

    /// Sets the hook to check the clock every so many instructions, in the running coroutine and in later ones.
    fn arm(self: &Rc<Self>, lua: &Lua, instructions: u32) -> Result<()> {
        self.armed.set(instructions);
        let budget = Rc::clone(self);
        let every = HookTriggers::new().every_nth_instruction(instructions);
        lua.set_global_hook(every, move |lua, _| {
            let now = Instant::now();
            if budget.is_over_at(now) {
                return budget.leave(lua);
            }
            budget.adapt_at(lua, now)?;
            Ok(VmState::Continue)
        })
    }

    /// Makes the handler yield where it is. It is never resumed, and its variables are not closed: an error raised by a hook would
    /// close them where no hook counts. Only inside a function of C or Rust, where a coroutine cannot yield, the hook raises an error;
    /// no function of a script is called there (`engine/prelude/standard.lua`).
    fn leave(self: &Rc<Self>, lua: &Lua) -> Result<VmState> {
        self.arm(lua, 1)?;
        self.place.borrow_mut().get_or_insert_with(|| Failure::here(lua, &Value::Nil));
        let thread = Some(lua.current_thread().to_pointer());
        if self.left.replace(thread) != thread {
            return Ok(VmState::Yield);
        }
        self.left.set(None);
        Err(self.error())
    }

    /// Where the handler was when its time was over, if the hook found it so.
    pub(crate) fn take_place(&self) -> Option<Failure> {
        self.place.take()
    }

    /// Sets the hook to be called more or less often, by how long the last instructions took and how much memory is in use.
    pub(crate) fn adapt(self: &Rc<Self>, lua: &Lua) -> Result<()> {
        self.adapt_at(lua, Instant::now())
    }

    fn adapt_at(self: &Rc<Self>, lua: &Lua, now: Instant) -> Result<()> {
        if self.time.get().is_none() {
            return Ok(());
        }
        let took = self.hooked.get().map(|hooked| now.saturating_duration_since(hooked));
        let window = self.window.get();
        if took.is_some_and(|took| took >= SLOW) {
            self.window.set((window / 8).max(1));
        } else if window < INSTRUCTIONS && took.is_some_and(|took| took < SLOW / 8) {
            self.window.set((window * 2).min(INSTRUCTIONS));
        }
        let used = lua.used_memory();
        if used.abs_diff(self.used_memory.get()) > self.used_memory.get() / 8 {
            self.used_memory.set(used);
        }
        // A VM that was full counts as full until it has become a good deal emptier.
        let full = if self.armed.get() <= INSTRUCTIONS_WHEN_FULL { 14 } else { 15 };
        let is_full = used > self.memory.get() / 16 * full;
        let limit = if is_full { INSTRUCTIONS_WHEN_FULL } else { max_instructions(self.used_memory.get()) };
        let wanted = self.window.get().min(limit);
        // To set the hook takes longer the deeper the calls are nested, so that it is set only when that changes something.
        if wanted != self.armed.get() {
            self.arm(lua, wanted)?;
        }
        self.hooked.set(Some(now));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A VM whose handlers have no time at all, with a function that raises the error which says so.
    fn vm() -> (Lua, Rc<Budget>) {
        let (lua, budget) = (Lua::new(), Rc::new(Budget::new(Some(Duration::ZERO), 64 << 20)));
        budget.install(&lua).unwrap();
        budget.start(Duration::ZERO);
        let own = Rc::clone(&budget);
        let raise = lua.create_function(move |lua, ()| own.raise(lua)).unwrap();
        lua.globals().raw_set("raise", raise).unwrap();
        (lua, budget)
    }

    /// Runs code in a coroutine, as handlers run. How often it has counted, and whether it yielded.
    fn counted(lua: &Lua, code: &str) -> (u32, bool) {
        let code = lua.load(format!("n = 0 {code}")).into_function().unwrap();
        let thread = lua.create_thread(code).unwrap();
        let has_yielded = thread.resume::<()>(()).is_ok() && thread.status() == mlua::thread::ThreadStatus::Resumable;
        (lua.globals().raw_get("n").unwrap(), has_yielded)
    }

    #[test]
    fn a_short_text_is_made_outside_the_limit_on_memory_which_holds_again_then() {
        let lua = Lua::new();
        let limit = lua.used_memory() + 1;
        lua.set_memory_limit(limit).unwrap();
        assert_eq!(text(&lua, &[b'x'; SHORT]).unwrap().as_bytes(), [b'x'; SHORT]);
        assert_eq!(lua.set_memory_limit(limit).unwrap(), limit);
        // More than a collection of garbage could free.
        assert!(text(&lua, &vec![b'x'; 1 << 20]).is_err());
    }

    #[test]
    fn time_that_was_used_before_a_handler_waited_counts_when_it_is_resumed() {
        let budget = Budget::new(Some(SECOND * 3600), 0);
        for (used, is_over) in [(Duration::ZERO, false), (SECOND * 3599, false), (SECOND * 3600, true)] {
            budget.start(used);
            assert_eq!(budget.is_over(), is_over, "{used:?}");
        }
        assert!(budget.stop().1 && !budget.stop().1, "it is told once");
        budget.start(SECOND * 3600);
        assert!(budget.is_over());
        budget.start(Duration::ZERO);
        assert!(!budget.is_over(), "the next handler has its own time");
        assert!(budget.started.get().is_some() && budget.stop().0 < SECOND * 3600);
        let unlimited = Budget::new(None, 0);
        unlimited.start(SECOND * 1_000_000);
        assert!(!unlimited.is_over());
    }

    #[test]
    fn a_handler_that_follows_another_has_its_own_time_and_a_short_one_is_told_from_others() {
        let budget = Budget::new(Some(SECOND * 3600), 0);
        budget.start(SECOND * 3599);
        assert!(!budget.start_next(), "the clock was not checked");
        assert!(!budget.is_over() && budget.start_next() && !budget.start_next());
        assert!(!budget.is_over() && budget.has_ended_in_time());
        budget.start(SECOND * 3600);
        assert!(budget.has_ended_in_time(), "nobody has checked");
        assert!(budget.is_over() && !budget.has_ended_in_time());
    }

    #[test]
    fn a_handler_that_catches_the_error_of_its_end_executes_one_instruction_more() {
        let (lua, _budget) = vm();
        assert_eq!(counted(&lua, "while true do pcall(raise) n = n + 1 end"), (0, true));
    }

    #[test]
    fn a_handler_yields_where_it_is_and_raises_only_where_it_cannot() {
        let (lua, budget) = vm();
        let (n, has_yielded) = counted(&lua, "while true do n = n + 1 end");
        assert!(has_yielded && (1..=INSTRUCTIONS).contains(&n), "{n}");
        // Inside a function of Rust the second check, one instruction later, raises.
        let call = lua.create_function(|_, function: mlua::Function| function.call::<()>(())).unwrap();
        lua.globals().raw_set("call", call).unwrap();
        budget.start(Duration::ZERO);
        lua.set_global_hook(HookTriggers::new().every_nth_instruction(INSTRUCTIONS), {
            let budget = Rc::clone(&budget);
            move |lua, _| budget.leave(lua)
        })
        .unwrap();
        let (m, has_yielded) = counted(&lua, "call(function() while true do n = n + 1 end end)");
        assert!(!has_yielded && m <= n, "{m} {n}");
    }

    #[test]
    fn the_clock_is_checked_more_often_the_more_memory_is_in_use() {
        for (used, instructions) in
            [(0, 250), (LARGE, 250), (2 * LARGE, 125), (25 * LARGE, 10), (32 * LARGE, 8), (usize::MAX, 8)]
        {
            assert_eq!(max_instructions(used), instructions, "{used}");
        }
        let lua = Lua::new();
        let ballast = lua.create_string(vec![b'x'; 1 << 20]).unwrap();
        let budget = Rc::new(Budget::new(Some(SECOND), 64 << 20));
        budget.adapt(&lua).unwrap();
        assert_eq!(budget.armed.get(), INSTRUCTIONS);
        budget.memory.set(lua.used_memory() + 1);
        budget.adapt(&lua).unwrap();
        assert_eq!(budget.armed.get(), INSTRUCTIONS_WHEN_FULL);
        drop(ballast);
        budget.memory.set(64 << 20);
        budget.adapt(&lua).unwrap();
        assert_eq!(budget.armed.get(), INSTRUCTIONS);
    }

    #[test]
    fn the_clock_is_checked_more_often_while_instructions_are_slow() {
        let (lua, budget) = (Lua::new(), Rc::new(Budget::new(Some(SECOND), 64 << 20)));
        let mut armed = Vec::new();
        for _ in 0..4 {
            budget.hooked.set(Instant::now().checked_sub(SLOW));
            budget.adapt(&lua).unwrap();
            armed.push(budget.armed.get());
        }
        assert_eq!(armed, [31, 3, 1, 1]);
        // They are quick again: how soon that is seen depends on this machine.
        while budget.armed.get() < INSTRUCTIONS {
            budget.hooked.set(Some(Instant::now()));
            budget.adapt(&lua).unwrap();
        }
    }
}
