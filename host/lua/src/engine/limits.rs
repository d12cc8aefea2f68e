//! The limits on a script: the time of each handler, and the memory of its VM.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Lua, LuaString, Result, Value, VmState};

use super::failure::Failure;

/// The stack of a thread that runs scripts: enough for the deepest recursion through the host that Lua allows, in any build.
pub(crate) const STACK: usize = 16 << 20;

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
/// The clock of a handler starts when its script is first interrupted, some milliseconds after its begin at most, or when the host begins something for
/// it that may take long: most handlers have ended by then, and to read the clock costs more than some of them do.
pub(crate) struct Budget {
    time: Option<Duration>,
    memory: usize,
    /// How long the handler had run before it waited.
    used: Cell<Duration>,
    /// When the clock was first checked since the handler began or was resumed.
    started: Cell<Option<Instant>>,
    is_over: Cell<bool>,
    /// The coroutine that was last told to yield because the time is over.
    left: Cell<Option<*const std::ffi::c_void>>,
    place: RefCell<Option<Failure>>,
}

impl Budget {
    /// A budget of so much time for each handler (`None`: no limit), and so many bytes.
    pub(crate) fn new(time: Option<Duration>, memory: usize) -> Self {
        Self {
            time,
            memory,
            used: Cell::default(),
            started: Cell::new(None),
            is_over: Cell::new(false),
            left: Cell::new(None),
            place: RefCell::default(),
        }
    }

    /// Bytes that the script may have.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// A handler begins.
    pub(crate) fn begin(&self) {
        self.start(Duration::ZERO, None);
    }

    /// A handler goes on after it has run for so long. Gives back whether its time is over by now. Its clock starts at once, so that many short
    /// turns count as well.
    pub(crate) fn resume(&self, used: Duration) -> bool {
        self.start(used, Some(Instant::now()));
        self.is_over()
    }

    fn start(&self, used: Duration, at: Option<Instant>) {
        self.used.set(used);
        self.started.set(at);
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
        if !self.is_over.get() {
            let now = Instant::now();
            let started = self.started.get().unwrap_or(now);
            // Also without a limit: who asks whether the clock was checked is told of a handler that may have been long.
            self.started.set(Some(started));
            self.is_over.set(self.time.is_some_and(|time| self.used.get() + (now - started) >= time));
        }
        self.is_over.get()
    }

    /// The error that ends a handler whose time is over.
    pub(crate) fn error(&self) -> mlua::Error {
        let time = self.time.unwrap_or_default();
        mlua::Error::runtime(format!("this handler has run longer than {time:?}, which is all it may"))
    }

    /// Holds the VM to the budget.
    pub(crate) fn install(self: &Rc<Self>, lua: &Lua) -> Result<()> {
        lua.set_memory_limit(self.memory)?;
        let budget = Rc::clone(self);
        introd_interrupt::install(lua, move |lua| {
            if budget.is_over() {
                return budget.leave(lua);
            }
            introd_interrupt::release(lua);
            Ok(VmState::Continue)
        })
    }

    /// Raises the error of a handler whose time is over. A script that catches it executes one instruction more.
    pub(crate) fn raise(&self, lua: &Lua) -> Result<()> {
        introd_interrupt::stop(lua);
        Err(self.error())
    }

    /// Makes the handler yield where it is. It is never resumed, and its variables are not closed: an error raised by a hook would
    /// close them where no hook counts. Only inside a function of C or Rust, where a coroutine cannot yield, the hook raises an error;
    /// no function of a script is called there (`engine/prelude/standard.lua`).
    fn leave(&self, lua: &Lua) -> Result<VmState> {
        introd_interrupt::stop(lua);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A VM whose handlers have no time at all, with a function that raises the error which says so.
    fn vm() -> (Lua, Rc<Budget>) {
        let (lua, budget) = (Lua::new(), Rc::new(Budget::new(Some(Duration::ZERO), 64 << 20)));
        budget.install(&lua).unwrap();
        budget.begin();
        let own = Rc::clone(&budget);
        let raise = lua.create_function(move |lua, ()| own.raise(lua)).unwrap();
        lua.globals().raw_set("raise", raise).unwrap();
        (lua, budget)
    }

    /// Runs code in a coroutine, as handlers run. How often it has counted, and whether it yielded.
    fn counted(lua: &Lua, code: &str) -> (u32, bool) {
        let code = lua.load(format!("n = 0 {code}")).into_function().unwrap();
        let thread = lua.create_thread(code).unwrap();
        let has_yielded = introd_interrupt::during(&thread, false, || thread.resume::<()>(())).is_ok()
            && thread.status() == mlua::thread::ThreadStatus::Resumable;
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
            assert_eq!((budget.resume(used), budget.is_over()), (is_over, is_over), "{used:?}");
            assert!(budget.started.get().is_some());
        }
        assert!(budget.stop().1 && !budget.stop().1, "it is told once");
        assert!(budget.resume(SECOND * 3600));
        budget.begin();
        assert!(budget.started.get().is_none(), "nobody has asked yet");
        assert!(!budget.is_over(), "the next handler has its own time");
        assert!(budget.started.get().is_some() && budget.stop().0 < SECOND * 3600);
        let unlimited = Budget::new(None, 0);
        assert!(!unlimited.resume(SECOND * 1_000_000));
        unlimited.begin();
        assert!(!unlimited.is_over() && unlimited.start_next(), "it may have been long");
    }

    #[test]
    fn a_handler_that_follows_another_has_its_own_time_and_a_short_one_is_told_from_others() {
        let budget = Budget::new(Some(SECOND * 3600), 0);
        budget.begin();
        assert!(!budget.start_next(), "the clock was not checked");
        assert!(!budget.is_over() && budget.start_next() && !budget.start_next());
        assert!(!budget.is_over() && budget.has_ended_in_time());
        assert!(budget.resume(SECOND * 3600) && !budget.has_ended_in_time());
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
        assert!(has_yielded && n > 0, "{n}");
        // Inside a function of Rust the second check, one instruction later, raises.
        let call = lua.create_function(|_, function: mlua::Function| function.call::<()>(())).unwrap();
        lua.globals().raw_set("call", call).unwrap();
        budget.begin();
        let (_, has_yielded) = counted(&lua, "call(function() while true do n = n + 1 end end)");
        assert!(!has_yielded);
    }
}
