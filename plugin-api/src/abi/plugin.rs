//! What a plugin offers.

use core::ffi::{c_char, c_void};

use super::host::introd_host;
use super::values::{
    introd_address_change, introd_answer, introd_bytes, introd_connect, introd_create, introd_disconnect,
    introd_instance, introd_lookup, introd_token,
};

/// What a plugin offers. It is the same for all its instances, and valid until the process ends: libraries are never unloaded.
///
/// An instance is made for each plugin element of the configuration that differs from others, and serves all applications
/// that have it. Its life: `create`; then any of the others, from any thread, at the same time; at last `destroy`, when no
/// other callback runs and none will. After a reload of the configuration a new instance may be made before the old one's end.
/// An instance that fails with INTROD_E_PANIC is never called again, not even for `destroy`.
///
/// Functions that a plugin does not need are null, except `create` and `destroy`. Where no verdicts are listed, a function returns
/// INTROD_OK, or an error, which is logged.
#[repr(C)]
pub struct introd_plugin {
    /// sizeof(introd_plugin) at the plugin
    pub struct_size: u32,
    /// INTROD_ABI_MAJOR at the plugin
    pub abi_major: u32,
    /// INTROD_ABI_MINOR at the plugin
    pub abi_minor: u32,
    /// Zero.
    pub reserved: u32,
    /// What the plugin is called, in log and metrics: letters, digits, `-` and `_`, up to 64 of them.
    pub name: introd_bytes,
    /// Its version.
    pub version: introd_bytes,
    /// What it does, in a sentence.
    pub description: introd_bytes,
    /// Makes an instance and puts it into `instance`; returns INTROD_OK. On an error the applications that name the
    /// plugin turn clients away, or stay as they are; `host->answer` with the error and a text says why. May block: it comes at the
    /// start and at reloads.
    pub create: Option<
        unsafe extern "C" fn(
            host: *const introd_host,
            create: *const introd_create,
            answer: *mut introd_answer,
            instance: *mut introd_instance,
        ) -> i32,
    >,
    /// Ends an instance: when it returns, no thread of the instance runs any more. Tokens that are still open get INTROD_E_TOKEN
    /// from then on. May block, for a short time.
    pub destroy: Option<unsafe extern "C" fn(instance: introd_instance) -> i32>,
    /// A client wants to connect. Verdicts: INTROD_CONTINUE, INTROD_REJECT, INTROD_REDIRECT, INTROD_PENDING.
    pub connect: Option<
        unsafe extern "C" fn(
            instance: introd_instance,
            connect: *const introd_connect,
            answer: *mut introd_answer,
        ) -> i32,
    >,
    /// A client is gone, accepted or not: comes once for each client whose connect this instance was asked about, as the last
    /// that it is told of the client. An instance that was made while the client was there is told, too.
    pub disconnect:
        Option<unsafe extern "C" fn(instance: introd_instance, disconnect: *const introd_disconnect) -> i32>,
    /// The addresses of a client that has been accepted have changed.
    pub addresses_changed:
        Option<unsafe extern "C" fn(instance: introd_instance, change: *const introd_address_change) -> i32>,
    /// Somebody looks for a peer. Verdicts: INTROD_CONTINUE, INTROD_REDIRECT, INTROD_INTRODUCE, INTROD_DENY, INTROD_IGNORE,
    /// INTROD_PENDING.
    pub lookup: Option<
        unsafe extern "C" fn(
            instance: introd_instance,
            lookup: *const introd_lookup,
            answer: *mut introd_answer,
        ) -> i32,
    >,
    /// Nobody waits for the token any more: its time is over, or whoever asked is gone. From now on `complete` returns
    /// INTROD_E_TOKEN for it. A plugin that keeps something for its tokens lets go of it here.
    pub cancel: Option<unsafe extern "C" fn(instance: introd_instance, token: introd_token) -> i32>,
    /// A table of further functions that the plugin offers, `introd_plugin_registry` for INTROD_EXT_REGISTRY and so on; null if
    /// it has none of that name. Called before any instance is made. `id` is terminated by a zero.
    pub get_extension: Option<unsafe extern "C" fn(id: *const c_char) -> *const c_void>,
}

/// The one function that a plugin's library exports, under the name `introd_plugin_entry_v1`: returns its table, or null if it
/// does not want to work with this host. Called once for each loading of the library, before everything else. Of the host's
/// table only the sizes, the versions and the names are of use here: there is no instance yet.
pub type introd_plugin_entry = unsafe extern "C" fn(host: *const introd_host) -> *const introd_plugin;
