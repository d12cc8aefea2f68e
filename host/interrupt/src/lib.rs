//! Stops a Lua script that runs, now and then, for a check: has its time come to an end? Lua can call a hook before each instruction, but every
//! instruction pays for that as long as a hook is set. So there is none, until a tick sets one, or the check itself does.
//!
//! Ticks are signals (`ticks.rs`). Lua allows a signal to set the hook of the coroutine that runs (`lua_sethook` in its `ldebug.c`), so this
//! follows a script from coroutine to coroutine: begin with [`install`], run what the host resumes inside [`during`], and give scripts
//! [`resume_function`] in place of Lua's own.
#![allow(unsafe_code)]

mod resume;
mod ticks;

use std::ffi::c_int;
use std::ptr::null_mut;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::Instant;

use mlua::ffi::{self, lua_State};
use mlua::{HookTriggers, Lua, Result, Thread, VmState};

pub use resume::resume_function;

/// Where the system gives no ticks the script is stopped after so many instructions, each of which may be a call that takes long.
const INSTRUCTIONS: c_int = 8;

thread_local! {
    /// The coroutine that runs on this thread; null if none does.
    static RUNNING: AtomicPtr<lua_State> = const { AtomicPtr::new(null_mut()) };
    /// Until then ticks of this thread do nothing, in nanoseconds of [`now`].
    static QUIET_UNTIL: AtomicU64 = const { AtomicU64::new(0) };
}

/// To set a hook takes longer the deeper calls are nested: up to tens of milliseconds, longer than it is to the next tick. So it is set again only
/// after so many times what it took.
const PAUSE: u64 = 10;

/// mlua's function that calls the check of a VM: one for all VMs.
static HOOK: OnceLock<ffi::lua_Hook> = OnceLock::new();

/// Has `check` called when the script of a VM is stopped. It calls [`release`] to let the script run on until the next tick; otherwise
/// it is called again before the next instruction.
///
/// # Errors
/// If the VM has no memory for it.
pub fn install(lua: &Lua, check: impl Fn(&Lua) -> Result<VmState> + 'static) -> Result<()> {
    let check = Rc::new(check);
    let own = Rc::clone(&check);
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(1), move |lua, _| own(lua))?;
    // SAFETY: the state is that of the coroutine that runs.
    unsafe {
        lua.exec_raw::<()>((), |state| {
            if let Some(hook) = ffi::lua_gethook(state) {
                HOOK.get_or_init(|| hook);
            }
        })?;
    }
    // A signal must not be the first to ask.
    now();
    // New coroutines begin so, and the one that runs goes on so.
    let between = if ticks::start(on_tick) {
        HookTriggers::new()
    } else {
        HookTriggers::new().every_nth_instruction(INSTRUCTIONS.unsigned_abs())
    };
    lua.set_global_hook(between, move |lua, _| check(lua))
}

/// Stops the coroutine that runs before its next instruction, and then before each until [`release`].
pub fn stop(lua: &Lua) {
    set(lua, 1);
    // The hook is set for good, in this coroutine.
    QUIET_UNTIL.with(|until| until.store(u64::MAX, Ordering::Relaxed));
}

/// Lets the coroutine that runs go on until the next tick.
pub fn release(lua: &Lua) {
    set(lua, if ticks::are_there() { 0 } else { INSTRUCTIONS });
}

/// Stops the coroutine that runs after each so many instructions: never, if that is 0.
fn set(lua: &Lua, instructions: c_int) {
    let state = lua.exec_raw_lua(|raw| raw.state());
    // To set it takes longer the deeper calls are nested: it is set only if that changes something.
    // SAFETY: the state is that of the coroutine that runs, and the hook is mlua's. None of these functions calls anything or allocates memory.
    unsafe {
        let is_so = (ffi::lua_gethookcount(state), ffi::lua_gethookmask(state)) == (instructions, mask(instructions));
        if !is_so {
            set_hook(state, instructions);
        }
    }
}

/// # Safety
/// The state is that of a coroutine that is alive, on this thread.
unsafe fn set_hook(state: *mut lua_State, instructions: c_int) {
    // SAFETY: the caller says so; a VM without a hook is left as it is.
    unsafe { ffi::lua_sethook(state, HOOK.get().copied(), mask(instructions), instructions) };
}

/// For which events the hook is called.
fn mask(instructions: c_int) -> c_int {
    if instructions == 0 { 0 } else { ffi::LUA_MASKCOUNT }
}

/// What a signal does: it stops the script of the thread that it has interrupted.
fn on_tick() {
    let running = RUNNING.with(|running| running.load(Ordering::Relaxed));
    let begin = now();
    QUIET_UNTIL.with(|until| {
        if !running.is_null() && begin >= until.load(Ordering::Relaxed) {
            // SAFETY: what is in `RUNNING` is alive, since it is taken out before the coroutine can end. Lua lets a signal set a hook at any time.
            unsafe { set_hook(running, 1) };
            let end = now();
            until.store(end + PAUSE * (end - begin), Ordering::Relaxed);
        }
    });
}

/// Nanoseconds since the first call.
fn now() -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGIN.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Runs a coroutine, which ticks can stop meanwhile. `is_due` says that it is to be stopped before its first instruction.
pub fn during<R>(coroutine: &Thread, is_due: bool, run: impl FnOnce() -> R) -> R {
    /// Puts back what ran before, also after a panic.
    struct Before(*mut lua_State);
    impl Drop for Before {
        fn drop(&mut self) {
            follow(self.0);
        }
    }
    if is_due {
        // SAFETY: the caller has the coroutine.
        unsafe { set_hook(coroutine.state(), 1) };
    }
    let _before = Before(follow(coroutine.state()));
    run()
}

/// From now on ticks stop this coroutine. Gives back which one they stopped before.
fn follow(coroutine: *mut lua_State) -> *mut lua_State {
    // It has calls of its own, and maybe no hook.
    QUIET_UNTIL.with(|until| until.store(0, Ordering::Relaxed));
    RUNNING.with(|running| {
        let before = running.load(Ordering::Relaxed);
        // Whoever sees it, a signal on this thread, also sees all that was done before.
        running.store(coroutine, Ordering::Release);
        before
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A VM that yields at the third stop. How often it was stopped.
    fn vm() -> (Lua, Rc<Cell<u32>>) {
        let (lua, stops) = (Lua::new(), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&stops);
        install(&lua, move |lua| {
            counted.set(counted.get() + 1);
            if counted.get() >= 3 {
                return Ok(VmState::Yield);
            }
            release(lua);
            Ok(VmState::Continue)
        })
        .unwrap();
        lua.globals().raw_set("resume", resume_function(&lua).unwrap()).unwrap();
        (lua, stops)
    }

    fn run(lua: &Lua, code: &str) -> mlua::thread::ThreadStatus {
        let thread = lua.create_thread(lua.load(code).into_function().unwrap()).unwrap();
        during(&thread, false, || thread.resume::<()>(())).unwrap();
        thread.status()
    }

    #[test]
    fn ticks_stop_a_script_and_it_goes_on() {
        let (lua, stops) = vm();
        assert_eq!(run(&lua, "while true do end"), mlua::thread::ThreadStatus::Resumable);
        assert_eq!(stops.get(), 3);
    }

    #[test]
    fn ticks_come_though_others_have_blocked_or_taken_their_signal() {
        std::thread::spawn(|| {
            ticks::block();
            for is_taken in [false, true] {
                if is_taken {
                    ticks::lose();
                }
                let (lua, stops) = vm();
                assert_eq!(run(&lua, "while true do end"), mlua::thread::ThreadStatus::Resumable);
                assert_eq!(stops.get(), 3);
            }
        })
        .join()
        .unwrap();
    }

    /// To mark all calls takes as long as some ticks, here or on slower machines.
    #[test]
    fn deeply_nested_calls_are_stopped() {
        let (lua, stops) = vm();
        let code = "local function f(n) if n == 0 then while true do end end return 1 + f(n - 1) end f(190000)";
        assert_eq!(run(&lua, code), mlua::thread::ThreadStatus::Resumable);
        assert_eq!(stops.get(), 3);
    }

    #[test]
    fn ticks_stop_the_coroutine_that_runs_and_then_the_one_around_it() {
        let (lua, stops) = vm();
        let code = "co = coroutine.create(function() while true do end end) ok = resume(co) n = 0 while n < 1e3 do n = n + 1 end";
        assert_eq!(run(&lua, code), mlua::thread::ThreadStatus::Finished);
        assert_eq!((stops.get(), lua.globals().raw_get::<u32>("n").unwrap()), (3, 1000));
        assert!(lua.globals().raw_get::<bool>("ok").unwrap());
        assert_eq!(run(&lua, "while true do end"), mlua::thread::ThreadStatus::Resumable);
        assert!(RUNNING.with(|running| running.load(Ordering::Relaxed)).is_null());
    }

    #[test]
    fn a_coroutine_that_is_due_is_stopped_before_it_does_anything() {
        let (lua, stops) = vm();
        stops.set(2);
        let thread = lua.create_thread(lua.load("begun = true").into_function().unwrap()).unwrap();
        during(&thread, true, || thread.resume::<()>(())).unwrap();
        assert_eq!((stops.get(), lua.globals().raw_get::<Option<bool>>("begun").unwrap()), (3, None));
    }

    #[test]
    fn without_ticks_instructions_are_counted() {
        std::thread::spawn(|| {
            ticks::do_without();
            let (lua, stops) = vm();
            let code = "co = coroutine.create(function() for i = 1, 1e9 do n = i end end) resume(co)";
            assert_eq!(run(&lua, code), mlua::thread::ThreadStatus::Finished);
            assert_eq!((stops.get(), lua.globals().raw_get::<u32>("n").unwrap() < 50), (3, true));
        })
        .join()
        .unwrap();
    }

    /// The results, as Lua's own `coroutine.resume` gives them.
    #[test]
    fn resume_is_that_of_lua() {
        let (lua, _) = vm();
        let code = "
            local function told(...)
                local all = {}
                for i = 1, select('#', ...) do all[i] = tostring((select(i, ...))) end
                return table.concat(all, ' ')
            end
            local function all(resume)
                local seen = {}
                local function note(...) seen[#seen + 1] = told(...) end
                local co = coroutine.create(function(...)
                    note('in', ...)
                    note('back', coroutine.yield(1, nil))
                    return 'end'
                end)
                note(resume(co, 'a', nil)) note(resume(co)) note(resume(co))
                local failing = coroutine.create(function() error('why', 0) end)
                note(resume(failing)) note(resume(failing))
                local own
                own = coroutine.create(function() note(resume(own)) end)
                resume(own)
                note(pcall(resume, 1)) note(pcall(resume, print))
                local many = {} for i = 1, 1e5 do many[i] = i end
                note(select('#', resume(coroutine.create(function(...) return ... end), table.unpack(many))))
                local function full(co, ...) return (select(2, resume(co))) end
                note(full(coroutine.create(function() return table.unpack(many, 1, 9e5) end), table.unpack(many, 1, 2e5)))
                return table.concat(seen, '|')
            end
            local own, count = all(coroutine.resume):gsub('coroutine.resume', 'resume')
            return own, count, all(resume)";
        let (own, _, ours): (String, u32, String) = lua.load(code).eval().unwrap();
        assert!(own.contains("true 1 nil") && own.contains("too many results to resume"), "{own}");
        assert_eq!(ours, own);
    }
}
