//! What the host offers.

use core::ffi::{c_char, c_void};

use super::values::{
    introd_address, introd_answer, introd_bytes, introd_client, introd_peer, introd_peer_id, introd_token,
    introd_verdict,
};

/// What the host offers to one instance of a plugin. Valid from the call that it comes with until the process ends. All its
/// functions may be called from any thread at any time, within callbacks and outside them, and do not block.
#[repr(C)]
pub struct introd_host {
    /// sizeof(introd_host) at the host
    pub struct_size: u32,
    /// INTROD_ABI_MAJOR at the host
    pub abi_major: u32,
    /// INTROD_ABI_MINOR at the host
    pub abi_minor: u32,
    /// Nothing yet.
    pub reserved: u32,
    /// The host's own.
    pub context: *mut c_void,
    /// What the host is called.
    pub name: introd_bytes,
    /// Its version.
    pub version: introd_bytes,
    /// Says what the answer of the running callback is, for verdicts that need more than their number. Copies the verdict.
    /// Returns its kind, so that a callback can end with `return host->answer(host, answer, &verdict);`, or INTROD_E_ARGUMENT.
    /// Only in the callback that was given `answer`, in its thread.
    pub answer: Option<
        unsafe extern "C" fn(
            host: *const introd_host,
            answer: *mut introd_answer,
            verdict: *const introd_verdict,
        ) -> i32,
    >,
    /// Takes a token for the running callback, which then returns INTROD_PENDING. Whoever has the token may call `complete`
    /// at once, even before the callback has returned. 0 if there is none: the callback is not one that may be pending, has
    /// taken one already, or too much is pending. Only in the callback that was given `answer`, in its thread.
    pub defer: Option<unsafe extern "C" fn(host: *const introd_host, answer: *mut introd_answer) -> introd_token>,
    /// Gives the verdict that a callback has left pending. Copies the verdict. The first call for a token counts: INTROD_OK.
    /// Afterwards, and when nobody waits any more, INTROD_E_TOKEN: this does no harm, and is bound to happen when a verdict and
    /// its deadline meet. INTROD_E_ARGUMENT if the verdict makes no sense: the token stays.
    pub complete: Option<
        unsafe extern "C" fn(host: *const introd_host, token: introd_token, verdict: *const introd_verdict) -> i32,
    >,
    /// What is known of a peer that is connected to this server: INTROD_OK, or INTROD_NOT_FOUND.
    pub find_peer: Option<
        unsafe extern "C" fn(host: *const introd_host, id: *const introd_peer_id, peer: *mut introd_peer) -> i32,
    >,
    /// Has a peer that is connected to this server told of somebody who looks for it, so that it opens its NAT to them. This is
    /// one half of an introduction; INTROD_REDIRECT is the other. INTROD_OK if it is on its way, INTROD_NOT_FOUND, or
    /// INTROD_E_FULL. `tag` is that of the lookup.
    pub introduce: Option<
        unsafe extern "C" fn(
            host: *const introd_host,
            target: *const introd_peer_id,
            initiator: *const introd_address,
            tag: introd_bytes,
        ) -> i32,
    >,
    /// Closes a client's connection. INTROD_OK if that is on its way: if the client is gone by then, nothing happens. Or
    /// INTROD_E_FULL.
    pub disconnect: Option<unsafe extern "C" fn(host: *const introd_host, client: *const introd_client) -> i32>,
    /// A table of further functions, `introd_host_log` for INTROD_EXT_LOG and so on; null if the host has none of that name.
    /// Valid until the process ends. `id` is terminated by a zero.
    pub get_extension: Option<unsafe extern "C" fn(host: *const introd_host, id: *const c_char) -> *const c_void>,
}
