//! The handle through which a plugin reaches its host.

use std::ffi::CStr;
use std::fmt;

use crate::abi;
use crate::raw::{function, text};

/// The host, as one instance of a plugin sees it.
///
/// All its functions may be called from any thread, at any time, and never block. A host that is older than this crate may lack some:
/// they do nothing then, and return [`HostError::Unsupported`](crate::HostError::Unsupported) where they return a result.
#[derive(Clone, Copy)]
pub struct Host(&'static abi::introd_host);

// SAFETY: the ABI demands that the host's table does not change and its functions can be called from any thread.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.version())
    }
}

impl Host {
    /// # Safety
    /// `host` is a host's table, valid until the process ends, whose functions keep the promises of the header.
    pub(crate) unsafe fn from_raw(host: *const abi::introd_host) -> Option<Self> {
        // SAFETY: the caller says so.
        unsafe { host.as_ref() }.map(Self)
    }

    /// The host's own table.
    pub(super) fn table(self) -> &'static abi::introd_host {
        self.0
    }

    /// The host's table of an extension, if the host has it. `T` must be the type that belongs to `id`.
    pub(super) fn extension<T>(self, id: &CStr) -> Option<&'static T> {
        let get_extension = function!(self.0, abi::introd_host, get_extension)?;
        // SAFETY: the name ends with a zero.
        let table = unsafe { get_extension(self.0, id.as_ptr()) };
        // SAFETY: the host's table of that name is of this type, and valid until the process ends.
        unsafe { table.cast::<T>().as_ref() }
    }

    /// The minor version of the host's ABI.
    pub(crate) fn abi_minor(self) -> u32 {
        self.0.abi_minor
    }

    /// The name of the host program.
    pub fn name(self) -> &'static str {
        // SAFETY: a host's table is valid until the process ends, and so are its texts.
        unsafe { text(self.0.name) }
    }

    /// The version of the host program.
    pub fn version(self) -> &'static str {
        // SAFETY: as above.
        unsafe { text(self.0.version) }
    }

    /// Sets the answer of the running callback.
    pub(crate) fn answer(self, answer: *mut abi::introd_answer, verdict: &abi::introd_verdict) -> i32 {
        match function!(self.0, abi::introd_host, answer) {
            // SAFETY: `answer` is that of the running callback, and the verdict is laid out for the duration of the call.
            Some(function) => unsafe { function(self.0, answer, verdict) },
            None => abi::INTROD_E_UNSUPPORTED,
        }
    }

    /// Takes a token for the running callback; `None` if the host has none to give.
    pub(crate) fn defer(self, answer: *mut abi::introd_answer) -> Option<u64> {
        let defer = function!(self.0, abi::introd_host, defer)?;
        // SAFETY: `answer` is that of the running callback.
        let token = unsafe { defer(self.0, answer) };
        (token != 0).then_some(token)
    }

    /// Gives the verdict that belongs to a token.
    pub(crate) fn complete(self, token: u64, verdict: &abi::introd_verdict) -> i32 {
        match function!(self.0, abi::introd_host, complete) {
            // SAFETY: the verdict is laid out for the duration of the call. Any token may be given.
            Some(complete) => unsafe { complete(self.0, token, verdict) },
            None => abi::INTROD_E_UNSUPPORTED,
        }
    }
}
