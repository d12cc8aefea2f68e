//! The host's functions, which plugins call.

use core::ffi::{c_char, c_void};

use super::values::{
    introd_address, introd_answer, introd_bytes, introd_client, introd_peer, introd_peer_id, introd_token,
    introd_verdict,
};

/// The functions of the host, as one instance of a plugin may call them. Valid from the call that passes it until the process ends;
/// when the instance has been destroyed, its functions do nothing and return an error. No function of this table blocks.
#[repr(C)]
pub struct introd_host {
    /// sizeof(introd_host) at the host
    pub struct_size: u32,
    /// INTROD_ABI_MAJOR at the host
    pub abi_major: u32,
    /// INTROD_ABI_MINOR at the host
    pub abi_minor: u32,
    /// Unused.
    pub reserved: u32,
    /// For the host's own use.
    pub context: *mut c_void,
    /// The name of the host program.
    pub name: introd_bytes,
    /// The version of the host program.
    pub version: introd_bytes,
    /// Sets the answer of the running callback: needed for verdicts with details, and for errors with a reason. The callback must
    /// return the same verdict. The host copies the verdict. Returns the kind of the verdict, so that a callback can end with
    /// `return host->answer(host, answer, &verdict);`, or INTROD_E_ARGUMENT if the verdict does not fit the callback.
    ///
    /// Thread: the thread of the callback that received `answer`, before that callback returns.
    pub answer: Option<
        unsafe extern "C" fn(
            host: *const introd_host,
            answer: *mut introd_answer,
            verdict: *const introd_verdict,
        ) -> i32,
    >,
    /// Takes a token for the running callback, which must then return INTROD_PENDING. Any thread may call `complete` with the token
    /// at once, even before the callback has returned. Returns 0, which is no token, if the callback cannot be pending or has a token
    /// already, or if too many verdicts are pending.
    ///
    /// Thread: the thread of the callback that received `answer`, before that callback returns.
    pub defer: Option<unsafe extern "C" fn(host: *const introd_host, answer: *mut introd_answer) -> introd_token>,
    /// Gives the verdict that a callback has left pending. The host copies the verdict. Returns INTROD_OK for the first call with a
    /// token. Returns INTROD_E_TOKEN for later calls, and once the deadline has passed or the asker is gone; that does no harm, and
    /// happens whenever a verdict comes just after its deadline. Returns INTROD_E_ARGUMENT if the verdict does not fit the callback;
    /// the token then stays valid.
    ///
    /// Thread: any, at any time.
    pub complete: Option<
        unsafe extern "C" fn(host: *const introd_host, token: introd_token, verdict: *const introd_verdict) -> i32,
    >,
    /// Fills in `peer` with what is known about a peer that is connected to this server. Returns INTROD_OK; INTROD_NOT_FOUND if the
    /// peer is not connected here; or INTROD_E_ARGUMENT.
    ///
    /// Thread: any, at any time.
    pub find_peer: Option<
        unsafe extern "C" fn(host: *const introd_host, id: *const introd_peer_id, peer: *mut introd_peer) -> i32,
    >,
    /// Tells the peer `target`, which is connected to this server, that an asker at the address `initiator` looks for it, so that it
    /// opens its NAT to that address. This is one half of an introduction; the other half is the verdict INTROD_REDIRECT with the
    /// target's addresses. `tag` is the tag of the lookup. No plugin and no script is asked about it. Returns INTROD_OK if the message
    /// is queued, INTROD_NOT_FOUND if the target is not connected here, INTROD_E_FULL, or INTROD_E_ARGUMENT.
    ///
    /// Thread: any, at any time.
    pub introduce: Option<
        unsafe extern "C" fn(
            host: *const introd_host,
            target: *const introd_peer_id,
            initiator: *const introd_address,
            tag: introd_bytes,
        ) -> i32,
    >,
    /// Closes a client's connection. Returns INTROD_OK if the request is queued (a client that is gone by then is no error),
    /// INTROD_E_FULL, or INTROD_E_ARGUMENT.
    ///
    /// Thread: any, at any time.
    pub disconnect: Option<unsafe extern "C" fn(host: *const introd_host, client: *const introd_client) -> i32>,
    /// Returns the function table of an extension: for INTROD_EXT_LOG an `introd_host_log`, and so on. Returns null if the host does
    /// not have the extension. `id` ends with a zero byte. The table is valid until the process ends.
    ///
    /// Thread: any, at any time.
    pub get_extension: Option<unsafe extern "C" fn(host: *const introd_host, id: *const c_char) -> *const c_void>,
}
