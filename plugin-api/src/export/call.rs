//! From C to the methods of a plugin, and back: panics stop here, and replies become verdicts.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::abi::{self, introd_answer, introd_instance};
use crate::completion::Reply;
use crate::host::{Host, Level};
use crate::plugin::Plugin;
use crate::raw::raw;
use crate::verdict::{AnyVerdict, of_kind};

/// What an `introd_instance` points to.
pub(super) struct PluginInstance<P> {
    pub(super) plugin: P,
    pub(super) host: Host,
}

/// The text of a panic.
fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

/// Runs `work`. A panic in it is logged, and becomes INTROD_E_PANIC.
pub(super) fn guarded(host: Host, work: impl FnOnce() -> i32) -> i32 {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(status) => status,
        Err(payload) => {
            host.log(Level::Error, &format!("panicked: {}", panic_text(&*payload)));
            // The payload is never dropped: its destructor might panic, too.
            std::mem::forget(payload);
            abi::INTROD_E_PANIC
        }
    }
}

/// Runs `work` with an instance.
///
/// # Safety
/// `instance` was made by the plugin's `create` for the same `P`, and has not been destroyed.
pub(super) unsafe fn with<P: Plugin>(instance: introd_instance, work: impl FnOnce(&P, Host) -> i32) -> i32 {
    // SAFETY: the caller says so. The instance is `Sync`, and only shared here.
    let Some(instance) = (unsafe { instance.cast::<PluginInstance<P>>().as_ref() }) else {
        return abi::INTROD_E_ARGUMENT;
    };
    guarded(instance.host, || work(&instance.plugin, instance.host))
}

/// Hands the reply of a callback over to the host, and returns the callback's result.
pub(super) fn hand_over<V: AnyVerdict>(host: Host, answer: *mut introd_answer, reply: Reply<V>) -> i32 {
    match reply {
        Reply::Now(verdict) => {
            let verdict = verdict.for_host(host.abi_minor());
            verdict.simple().unwrap_or_else(|| verdict.with_raw(|verdict| host.answer(answer, verdict)))
        }
        Reply::Later(_) => abi::INTROD_PENDING,
        Reply::Failed(reason) => failed(host, answer, &reason),
    }
}

/// Tells the host why a callback has failed, and returns the callback's result.
pub(super) fn failed(host: Host, answer: *mut introd_answer, reason: &str) -> i32 {
    let verdict = abi::introd_verdict { text: raw(reason.as_bytes()), ..of_kind(abi::INTROD_E_FAILED) };
    host.answer(answer, &verdict);
    abi::INTROD_E_FAILED
}
