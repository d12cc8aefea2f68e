//! Ticks: each thread that runs scripts is interrupted once in [`EVERY`] of its CPU time, by a signal of its own timer. A thread that does nothing
//! has none.

use std::cell::OnceCell;
use std::ffi::c_int;
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::timer::Timer;

/// How much CPU time is between two ticks. The kernel may be late by one of its own, which are up to 10 ms apart.
const EVERY: Duration = Duration::from_millis(5);

/// What a process ignores if it does not ask for it: that the size of its terminal has changed. A server has none, and another tick does no harm.
/// Not SIGURG, which the runtime of Go takes, also in a plugin.
const SIGNAL: Signal = Signal::SIGWINCH;

thread_local! {
    /// The timer of this thread, once it was asked for; `None` if it cannot be had.
    static TIMER: OnceCell<Option<Timer>> = const { OnceCell::new() };
}

/// What each tick does.
static ON_TICK: OnceLock<fn()> = OnceLock::new();

extern "C" fn handle(_: c_int) {
    if let Some(on_tick) = ON_TICK.get() {
        on_tick();
    }
}

/// Has this thread interrupted by `on_tick`, a function that a signal may call at any time: it may touch atomic values and little else. All callers
/// give the same one. False if the system gives no such timer; the log says so.
pub(super) fn start(on_tick: fn()) -> bool {
    ON_TICK.get_or_init(|| on_tick);
    let begun = take_signal().and_then(|()| {
        // The signal may have been blocked by whoever started this process.
        SigSet::from(SIGNAL).thread_unblock()
    });
    TIMER.with(|own| own.get_or_init(|| begun.and_then(|()| timer()).inspect_err(say).ok()).is_some())
}

/// Whether this thread has ticks.
pub(super) fn are_there() -> bool {
    TIMER.with(|timer| timer.get().is_some_and(Option::is_some))
}

fn say(error: &Errno) {
    static IS_SAID: OnceLock<()> = OnceLock::new();
    IS_SAID.get_or_init(|| {
        tracing::warn!(
            %error,
            "the system gives a script's thread no timer of its CPU time: the time limit of scripts is kept by counting their instructions, \
             which makes them slower"
        );
    });
}

/// Handles the signal here, also if a plugin that was loaded since has taken it.
fn take_signal() -> Result<(), Errno> {
    static IS_TAKEN: OnceLock<()> = OnceLock::new();
    // Not on an alternate stack, on which callgrind loses its way: timers send the signal to threads of scripts, and terminals to the main one.
    let own = SigAction::new(SigHandler::Handler(handle), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing that a signal may not do.
    let before = unsafe { sigaction(SIGNAL, &own) }?;
    let is_known = IS_TAKEN.set(()).is_err();
    let is_of_another = match before.handler() {
        SigHandler::Handler(before) => !std::ptr::fn_addr_eq(before, handle as extern "C" fn(c_int)),
        SigHandler::SigAction(_) => true,
        SigHandler::SigDfl | SigHandler::SigIgn => is_known,
    };
    if is_of_another {
        tracing::warn!(
            "a plugin has taken the signal {SIGNAL}, by which the time limit of scripts is kept: it is taken back"
        );
    }
    Ok(())
}

/// A timer that sends the signal to this thread, and runs.
#[cfg(target_env = "gnu")]
fn timer() -> Result<Timer, Errno> {
    use nix::sys::signal::{SigEvent, SigevNotify};
    use nix::sys::timer::{Expiration, TimerSetTimeFlags};

    let thread_id = rustix::thread::gettid().as_raw_nonzero().get();
    let event = SigEvent::new(SigevNotify::SigevThreadId { signal: SIGNAL, thread_id, si_value: 0 });
    let mut timer = Timer::new(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID, event)?;
    timer.set(Expiration::Interval(EVERY.into()), TimerSetTimeFlags::empty())?;
    Ok(timer)
}

/// With other C libraries than glibc, nix has no timer that sends its signal to one thread.
#[cfg(not(target_env = "gnu"))]
fn timer() -> Result<Timer, Errno> {
    Err(Errno::ENOSYS)
}

/// Has this thread do without ticks, as if the system gave none.
#[cfg(test)]
pub(super) fn do_without() {
    TIMER.with(|timer| assert!(timer.set(None).is_ok(), "this thread has ticks already"));
}

/// Blocks the signal on this thread.
#[cfg(test)]
pub(super) fn block() {
    SigSet::from(SIGNAL).thread_block().unwrap();
}

/// Ignores the signal, as a plugin might.
#[cfg(test)]
pub(super) fn lose() {
    let ignored = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is called.
    unsafe { sigaction(SIGNAL, &ignored) }.unwrap();
}
