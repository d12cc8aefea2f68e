//! Crashes: a last line on standard error names the plugin whose call was under way.
//!
//! [`during`] notes for each thread which plugin it calls. [`install`] puts a signal handler in front of the one that is there: it writes
//! the line, restores the earlier handlers, and lets the signal come again. So the process ends as it would without the line: with the same
//! status and the same core dump. A handler may interrupt any code, so it takes no lock and no memory.
//!
//! Each thread of the standard library has an alternate stack for signals, so that an overflow of the stack is named, too. Threads that
//! a plugin has started itself are in no call: a crash there is not named.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};
use std::sync::{Once, OnceLock};

use super::account::Callback;

/// The signals of a crash, with their names and what they mean as a rule.
const SIGNALS: [(c_int, &str, &str); 6] = [
    (libc::SIGSEGV, "SIGSEGV", "an access to memory that is not there"),
    (libc::SIGBUS, "SIGBUS", "an access to memory or to a mapped file that is not there"),
    (libc::SIGABRT, "SIGABRT", "it was aborted"),
    (libc::SIGILL, "SIGILL", "an instruction that is invalid"),
    (libc::SIGFPE, "SIGFPE", "an error in arithmetic, as a division by zero"),
    (libc::SIGTRAP, "SIGTRAP", "a trap"),
];

/// The handlers that were there before, in the order of [`SIGNALS`].
static EARLIER: [OnceLock<libc::sigaction>; SIGNALS.len()] = [const { OnceLock::new() }; SIGNALS.len()];

/// How long the line may wait for a full pipe. Then the process ends without it.
const WRITE_TIMEOUT_MS: c_int = 1000;

/// The longest line, in bytes. A pipe takes so much in one piece, or nothing.
const MAX_LINE: usize = 1024;

/// What a plugin is called for.
#[derive(Clone, Copy)]
pub(super) enum Stage {
    /// Its library is being loaded, and says what it offers.
    Load,
    /// A callback runs.
    Callback(Callback),
}

/// A call into a plugin's library, for as long as it lasts.
struct Call<'a> {
    /// The plugin and its file, in words.
    plugin: &'a str,
    stage: Stage,
}

thread_local! {
    /// The call that is under way on this thread.
    static CURRENT: Cell<*const Call<'static>> = const { Cell::new(ptr::null()) };
}

/// Ends the innermost call.
struct End {
    outer: *const Call<'static>,
}

impl Drop for End {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        CURRENT.set(self.outer);
    }
}

/// Calls into a library. If that crashes, the last line names `plugin`: the plugin and its file.
pub(super) fn during<R>(plugin: &str, stage: Stage, call: impl FnOnce() -> R) -> R {
    let own = Call { plugin, stage };
    let _end = End { outer: CURRENT.replace((&raw const own).cast()) };
    // The signal handler runs on this thread: the order of the compiler is all that counts.
    compiler_fence(Ordering::SeqCst);
    call()
}

/// Puts the handler in place, once.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        for ((signal, ..), earlier) in SIGNALS.iter().zip(&EARLIER) {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: `sigaction` fills in the action that is there; one of zeros is the default action. The handler that is installed
            // does only what a signal handler may do.
            unsafe {
                if libc::sigaction(*signal, ptr::null(), action.as_mut_ptr()) != 0 {
                    continue;
                }
                let before = action.assume_init();
                let mut own = before;
                own.sa_sigaction = on_crash as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
                own.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&raw mut own.sa_mask);
                if earlier.set(before).is_ok() {
                    libc::sigaction(*signal, &raw const own, ptr::null_mut());
                }
            }
        }
    });
}

extern "C" fn on_crash(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    let Some(index) = SIGNALS.iter().position(|(known, ..)| *known == signal) else { return };
    let (_, name, meaning) = SIGNALS[index];
    tell(name, meaning);
    // SAFETY: all functions may be called in a signal handler, and so may the reading of a lock that is set. The system gives the
    // information about the signal.
    unsafe {
        // An earlier handler may abort: to be called again inside it would take more than an alternate stack has on processors with large registers.
        for ((other, ..), earlier) in SIGNALS.iter().zip(&EARLIER) {
            if let Some(earlier) = earlier.get().filter(|_| *other != signal) {
                libc::sigaction(*other, earlier, ptr::null_mut());
            }
        }
        // A fault comes again when the handler returns. A signal that was sent, as by `abort`, does not.
        let is_sent = info.as_ref().is_none_or(|info| info.si_code <= 0);
        // The handler of the standard library for these two takes every signal for a fault that comes again.
        let is_lost = is_sent && matches!(signal, libc::SIGSEGV | libc::SIGBUS);
        match EARLIER[index].get().filter(|_| !is_lost) {
            Some(earlier) => libc::sigaction(signal, earlier, ptr::null_mut()),
            None => libc::signal(signal, libc::SIG_DFL) as c_int,
        };
        if is_sent {
            libc::raise(signal);
        }
    }
}

/// Writes the line, if this thread calls a plugin. Only the first crash of a process is told.
fn tell(signal: &str, meaning: &str) {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    let current = CURRENT.get();
    if current.is_null() || IS_TOLD.swap(true, Ordering::Relaxed) {
        return;
    }
    // SAFETY: the call is under way on this thread, which the handler has interrupted: its frame is there.
    let call = unsafe { &*current };
    let mut line = Line::new();
    let of_callback;
    let during: &[&str] = match call.stage {
        Stage::Load => &[" while it was loaded"],
        Stage::Callback(callback) => {
            of_callback = [" in its callback ", callback.name()];
            &of_callback
        }
    };
    line.push("introd: ");
    line.push(call.plugin);
    line.push(" has crashed");
    during.iter().for_each(|part| line.push(part));
    for part in [": ", signal, ", ", meaning, ". The process ends.\n"] {
        line.push(part);
    }
    let mut ready = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: both functions may be called in a signal handler, and the line is that long.
    unsafe {
        if libc::poll(&raw mut ready, 1, WRITE_TIMEOUT_MS) == 1 {
            libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.length);
        }
    }
}

/// A line that is put together without taking memory.
struct Line {
    bytes: [u8; MAX_LINE],
    length: usize,
}

impl Line {
    fn new() -> Self {
        Self { bytes: [0; MAX_LINE], length: 0 }
    }

    /// Adds a text. What has no room is cut off.
    fn push(&mut self, text: &str) {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let taken = text.len().min(room.len());
        for (to, from) in room.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        self.length += taken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current() -> Option<String> {
        // SAFETY: what is noted is under way.
        unsafe { CURRENT.get().as_ref() }.map(|call| call.plugin.to_owned())
    }

    #[test]
    fn a_thread_knows_the_innermost_call_that_is_under_way() {
        assert_eq!(current(), None);
        during("outer", Stage::Load, || {
            assert_eq!(current().as_deref(), Some("outer"));
            during("inner", Stage::Callback(Callback::Lookup), || assert_eq!(current().as_deref(), Some("inner")));
            assert_eq!(current().as_deref(), Some("outer"));
            std::thread::scope(|scope| {
                scope.spawn(|| assert_eq!(current(), None));
            });
        });
        let panicked = std::panic::catch_unwind(|| during("panics", Stage::Load, || panic!("the test demands it")));
        assert!(panicked.is_err() && current().is_none());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_off() {
        let mut line = Line::new();
        line.push("introd: ");
        line.push(&"x".repeat(2 * MAX_LINE));
        line.push("y");
        assert_eq!(line.length, MAX_LINE);
        assert!(line.bytes.starts_with(b"introd: xx") && line.bytes.ends_with(b"x"));
    }
}
