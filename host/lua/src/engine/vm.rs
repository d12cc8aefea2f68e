//! A Lua VM: it starts handlers as coroutines, keeps those that wait, and holds each to the limits.
//!
//! A handler is called for a purpose, which the VM keeps for its caller until the handler has ended.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use mlua::state::{GcGenParams, GcMode};
use mlua::{Function, IntoLuaMulti, Lua, LuaOptions, MultiValue, Result, StdLib, Table, Thread, Value};

use super::failure::Failure;
use super::handler_count::HandlerCount;
use super::memory::Meter;
use super::natives;
use super::vm_context::VmContext;

/// How many handlers may wait at a time.
const MAX_WAITING: usize = 16_384;
/// How much garbage there may be before it is collected, in per cent of what was in use after the last time. Lua's own value is 20, with which
/// handlers that leave little behind pay more for collections than they cost otherwise.
const GARBAGE: i32 = 50;
/// How many coroutines are kept for the next handlers.
const MAX_IDLE: usize = 64;

/// The parts of the engine that are written in Lua; they run in each new VM before the script.
const PRELUDE: [&str; 2] = [include_str!("prelude/handlers.lua"), include_str!("prelude/standard.lua")];

/// A VM with its handlers.
pub(crate) struct Vm<P> {
    // Declared before `lua`, to which their values belong, so that they are dropped first.
    waiting: RefCell<HashMap<u64, Task<P>>>,
    /// Coroutines that have served a handler and can serve another.
    idle: RefCell<Vec<Thread>>,
    serve: Function,
    /// A waiting handler is resumed with this when it is to end.
    close: Table,
    /// A handler that waits for something yields this.
    wait: Table,
    /// When this many bytes are in use after a handler, garbage is collected.
    collect_at: Cell<usize>,
    /// The largest number of bytes that have been in use; and the same since bytes were last counted as freed.
    max_used: Cell<usize>,
    peak: Cell<usize>,
    /// Bytes that were freed since the last [`Self::take_freed`].
    freed: Cell<usize>,
    handlers: Rc<HandlerCount>,
    pub(crate) context: Rc<VmContext>,
    pub(crate) lua: Lua,
    /// Dropped after `lua`, whose memory is in use until then.
    meter: Meter,
}

/// A handler that runs or waits.
struct Task<P> {
    thread: Thread,
    /// `None` for one that the prelude calls.
    handler: Option<Function>,
    purpose: P,
    /// How long it had run when it last waited; `None` if it has not waited yet.
    used: Option<Duration>,
}

/// How far a handler got.
pub(crate) enum Progress<P> {
    /// It waits for something.
    Waits,
    /// It has ended.
    Ended(P, std::result::Result<MultiValue, Failure>),
}

impl<P> Vm<P> {
    /// A VM without a script, and the table of what the host gives the preludes: the caller adds to it, and calls [`Self::limit`] when
    /// its own prelude has run.
    pub(crate) fn new(
        context: impl FnOnce(&Lua) -> Result<VmContext>,
        handlers: Rc<HandlerCount>,
        meter: Meter,
    ) -> Result<(Self, Table)> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::UTF8 | StdLib::COROUTINE;
        // This keeps Lua's own pcall: a handler can wait inside it, but not inside mlua's.
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(true))?;
        // Most of what handlers make is garbage when they end.
        lua.gc_set_mode(GcMode::Generational(GcGenParams::default().minor_multiplier(GARBAGE)));
        let context = Rc::new(context(&lua)?);
        let close = lua.create_table()?;
        let wait = lua.create_table()?;
        let native = natives::install(&lua, &context)?;
        for part in PRELUDE {
            lua.load(part).set_name("=introd").call::<()>((&native, &wait, &close))?;
        }
        let vm = Self {
            waiting: RefCell::default(),
            idle: RefCell::default(),
            serve: native.get("serve")?,
            close,
            wait,
            collect_at: Cell::new(context.budget.memory() / 2),
            max_used: Cell::new(0),
            peak: Cell::new(0),
            freed: Cell::new(0),
            handlers,
            context,
            lua,
            meter,
        };
        Ok((vm, native))
    }

    /// Holds what runs from now on to the limits.
    pub(crate) fn limit(&self) -> Result<()> {
        self.context.budget.install(&self.lua)
    }

    /// Runs a chunk that may not wait.
    pub(crate) fn run_now(&self, purpose: P, chunk: &Function) -> std::result::Result<MultiValue, Failure> {
        match self.start(purpose, chunk, MultiValue::new()) {
            Progress::Ended(_, result) => result,
            // Functions that wait are not available before the start.
            Progress::Waits => Err(Failure {
                message: "a script cannot wait while it is being loaded: wait in application.onAppStart or later"
                    .to_owned(),
                ..Failure::default()
            }),
        }
    }

    /// Calls a handler.
    pub(crate) fn start(&self, purpose: P, handler: &Function, arguments: MultiValue) -> Progress<P> {
        self.start_with(purpose, Some(handler.clone()), (handler, arguments))
    }

    /// The same for a function of the prelude, called by the prelude's `serve` with these arguments.
    pub(crate) fn start_with(
        &self,
        purpose: P,
        handler: Option<Function>,
        arguments: impl IntoLuaMulti,
    ) -> Progress<P> {
        let idle = self.idle.borrow_mut().pop();
        let thread = match idle.map_or_else(|| self.lua.create_thread(self.serve.clone()), Ok) {
            Ok(thread) => thread,
            Err(error) => return Progress::Ended(purpose, Err(Failure::from(&error))),
        };
        self.resume(Task { thread, handler, purpose, used: None }, arguments)
    }

    /// Resumes the handler that waits with this token. `None` if there is none.
    pub(crate) fn wake(&self, token: u64, results: MultiValue) -> Option<Progress<P>> {
        let task = self.waiting.borrow_mut().remove(&token)?;
        self.context.is_crowded.set(false);
        Some(self.resume(task, results))
    }

    fn resume(&self, task: Task<P>, arguments: impl IntoLuaMulti) -> Progress<P> {
        let progress = self.go_on(task, arguments);
        self.tidy();
        progress
    }

    /// Frees what a handler that took much memory leaves behind: Lua by itself would keep it until the script takes as much again.
    fn tidy(&self) {
        let mut used = self.lua.used_memory();
        if used > self.peak.get() {
            self.peak.set(used);
            self.max_used.set(self.max_used.get().max(used));
        }
        if used >= self.collect_at.get() {
            // An error could only come from a finalizer, and there are none.
            let _ = self.lua.gc_collect();
            used = self.lua.used_memory();
            self.collect_at.set((self.context.budget.memory() / 2).max(used.saturating_mul(3)));
        }
        self.meter.say(used + self.context.marks.host_memory.bytes());
        if used < self.peak.get() / 2 {
            let freed = self.peak.replace(used) - used;
            self.freed.set(self.freed.get().saturating_add(freed));
        }
    }

    /// How many bytes handlers have left free since the last call.
    pub(crate) fn take_freed(&self) -> usize {
        self.freed.take()
    }

    /// The largest number of bytes that were in use at a time: so many may be left free in many small pieces when the VM ends.
    pub(crate) fn max_used(&self) -> usize {
        self.max_used.get()
    }

    fn go_on(&self, task: Task<P>, arguments: impl IntoLuaMulti) -> Progress<P> {
        let budget = &self.context.budget;
        self.context.failure.take();
        self.handlers.handler_begins();
        let is_due = match task.used {
            Some(used) => budget.resume(used),
            None => {
                budget.begin();
                false
            }
        };
        let outcome =
            introd_interrupt::during(&task.thread, is_due, || task.thread.resume::<(Value, MultiValue)>(arguments));
        let (ran, is_over) = budget.stop();
        let (first, results) = match outcome {
            Ok(results) => results,
            Err(error) => {
                let failure = self.context.failure.take().unwrap_or_else(|| Failure::from(&error));
                return Progress::Ended(task.purpose, Err(self.blamed(failure, is_over, task.handler.as_ref())));
            }
        };
        let is_ok = match first {
            // The handler has ended, and its coroutine waits for the next.
            Value::Boolean(is_ok) => {
                let mut idle = self.idle.borrow_mut();
                if idle.len() < MAX_IDLE {
                    idle.push(task.thread);
                }
                is_ok
            }
            // Its time was over where it stood: it is not resumed.
            _ if is_over => false,
            first => {
                return self.suspend(Task { used: Some(task.used.unwrap_or_default() + ran), ..task }, &first, results);
            }
        };
        if is_ok && !is_over {
            return Progress::Ended(task.purpose, Ok(results));
        }
        let place = self.context.failure.take().or_else(|| budget.take_place());
        let failure = place.unwrap_or_else(|| match results.front() {
            Some(value) if !is_ok => Failure::of(value),
            _ => Failure::default(),
        });
        Progress::Ended(task.purpose, Err(self.blamed(failure, is_over, task.handler.as_ref())))
    }

    /// A failure with its place. If the handler's time is over, the failure says so, whatever else went wrong.
    fn blamed(&self, failure: Failure, is_over: bool, handler: Option<&Function>) -> Failure {
        let failure = match handler {
            Some(handler) => failure.or_at(handler),
            None => failure,
        };
        if is_over {
            Failure { message: Failure::from(&self.context.budget.error()).message, ..failure }
        } else {
            failure
        }
    }

    fn suspend(&self, task: Task<P>, first: &Value, mut results: MultiValue) -> Progress<P> {
        let is_wait = matches!(first, Value::Table(mark) if *mark == self.wait);
        match results.pop_front() {
            Some(Value::Integer(token)) if is_wait => {
                let mut waiting = self.waiting.borrow_mut();
                waiting.insert(token.unsigned_abs(), task);
                self.context.is_crowded.set(waiting.len() >= MAX_WAITING);
                Progress::Waits
            }
            // The prelude lets no other value out.
            _ => {
                self.close(&task, Duration::ZERO);
                let message = "a handler cannot yield to the host; to wait, use sleep".to_owned();
                Progress::Ended(task.purpose, Err(Failure { message, ..Failure::default() }))
            }
        }
    }

    /// Ends the waiting handlers that have such a purpose. All together have the time of one handler to close their variables: the
    /// thread waits for them. Gives back whether there were any.
    pub(crate) fn cancel(&self, is_meant: impl Fn(&P) -> bool) -> bool {
        let meant: Vec<Task<P>> =
            self.waiting.borrow_mut().extract_if(|_, task| is_meant(&task.purpose)).map(|(_, task)| task).collect();
        let mut used = Duration::ZERO;
        for task in &meant {
            used += self.close(task, used);
        }
        !meant.is_empty()
    }

    /// Closes the variables of a handler that waits. So much of a handler's time is used already. Gives back how long it took.
    fn close(&self, task: &Task<P>, used: Duration) -> Duration {
        let budget = &self.context.budget;
        self.handlers.handler_begins();
        // Nothing is closed when the time is over.
        if !budget.resume(task.used.unwrap_or_default().max(used)) {
            // Variables that are to be closed are closed, as long as that does not wait; errors in it are ignored.
            let _ = introd_interrupt::during(&task.thread, false, || task.thread.resume::<MultiValue>(&self.close));
        }
        budget.stop().0
    }

    /// Adds to the time that the waiting handlers have run. Gives back how long they have run now.
    #[cfg(test)]
    pub(crate) fn age(&self, by: Duration) -> Vec<Duration> {
        let mut waiting = self.waiting.borrow_mut();
        waiting.values_mut().for_each(|task| task.used = Some(task.used.unwrap_or_default() + by));
        waiting.values().filter_map(|task| task.used).collect()
    }

    /// How many coroutines are kept for the next handlers.
    #[cfg(test)]
    pub(crate) fn idle(&self) -> usize {
        self.idle.borrow().len()
    }

    /// How many handlers wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }
}
