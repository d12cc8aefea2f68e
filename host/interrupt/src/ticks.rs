//! Ticks: each thread that runs scripts is interrupted once in [`EVERY`] of its CPU time, by a signal of its own timer. A thread that does nothing
//! has none.

use std::cell::OnceCell;
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::timer::Timer;

/// How much CPU time is between two ticks. The kernel may be late by one of its own, which are up to 10 ms apart.
const EVERY: Duration = Duration::from_millis(5);

/// What a process ignores if it does not ask for it, and hardly any asks. A plugin whose runtime takes it as well (Go's does) passes on those of
/// other threads than its own.
const SIGNAL: Signal = Signal::SIGURG;

thread_local! {
    /// The timer of this thread, once it was asked for; `None` if it cannot be had.
    static TIMER: OnceCell<Option<Timer>> = const { OnceCell::new() };
}

/// Has this thread interrupted by `on_tick`, a function that a signal may call at any time: it may touch atomic values and little else. All callers
/// give the same one. False if the system gives no such timer; the log says so.
pub(super) fn start(on_tick: fn()) -> bool {
    TIMER.with(|timer| timer.get_or_init(|| begin(on_tick).inspect_err(say).ok()).is_some())
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

fn begin(on_tick: fn()) -> Result<Timer, Errno> {
    static REGISTERED: OnceLock<Result<(), Errno>> = OnceLock::new();
    (*REGISTERED.get_or_init(|| {
        // SAFETY: whoever calls `start` gives a function that a signal may call at any time.
        let registered = unsafe { signal_hook_registry::register(SIGNAL as i32, on_tick) };
        registered.map(drop).map_err(|error| error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw))
    }))?;
    // It may have been blocked by whoever started this process.
    SigSet::from(SIGNAL).thread_unblock()?;
    timer()
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;

    static TICKS: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn a_thread_that_works_is_interrupted_even_if_the_signal_was_blocked() {
        std::thread::spawn(|| {
            SigSet::from(SIGNAL).thread_block().unwrap();
            assert!(start(crate::on_tick) && start(crate::on_tick));
            // SAFETY: the function adds to an atomic value.
            let counting = unsafe {
                signal_hook_registry::register(SIGNAL as i32, || {
                    TICKS.fetch_add(1, Ordering::Relaxed);
                })
            };
            let began = Instant::now();
            while TICKS.load(Ordering::Relaxed) < 3 {
                assert!(began.elapsed() < Duration::from_secs(60), "no tick came");
            }
            assert!(signal_hook_registry::unregister(counting.unwrap()));
        })
        .join()
        .unwrap();
    }
}
