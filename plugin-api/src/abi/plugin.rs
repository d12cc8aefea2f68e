//! A plugin's functions, which the host calls.

use core::ffi::{c_char, c_void};

use super::host::introd_host;
use super::values::{
    introd_address_change, introd_answer, introd_bytes, introd_connect, introd_create, introd_disconnect,
    introd_instance, introd_lookup, introd_token,
};

/// The functions of a plugin. All its instances share this table. It must stay valid until the process ends: the host never unloads a
/// library.
///
/// The host creates one instance for each distinct `<Plugin>` element of the configuration; applications with equal elements share it.
/// First the host calls `create`; then any of the other functions, from several threads at the same time; at last `destroy`, when no
/// other function runs and none will be called. After a reload of the configuration, the host may create the new instance before it
/// destroys the old one. After an instance has returned INTROD_E_PANIC the host never calls it again, not even `destroy`.
///
/// `create` and `destroy` are required; any other function may be null. A function for which no verdicts are listed returns INTROD_OK,
/// or an error, which the host logs.
#[repr(C)]
pub struct introd_plugin {
    /// sizeof(introd_plugin) at the plugin
    pub struct_size: u32,
    /// INTROD_ABI_MAJOR at the plugin
    pub abi_major: u32,
    /// INTROD_ABI_MINOR at the plugin
    pub abi_minor: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The plugin's name in the log and in metrics: up to 64 letters, digits, `-` and `_`.
    pub name: introd_bytes,
    /// The plugin's version.
    pub version: introd_bytes,
    /// What the plugin does, in a sentence.
    pub description: introd_bytes,
    /// Creates an instance, stores its pointer in `instance`, and returns INTROD_OK. `host` stays valid for the instance's life and
    /// beyond. To fail with a reason, call `host->answer` with an error and a text, and return that error. If it fails at the start
    /// of the server, the applications that name the plugin reject all clients and lookups; if it fails at a reload, they keep their
    /// old configuration.
    ///
    /// Thread: a thread that serves no clients. It may block.
    pub create: Option<
        unsafe extern "C" fn(
            host: *const introd_host,
            create: *const introd_create,
            answer: *mut introd_answer,
            instance: *mut introd_instance,
        ) -> i32,
    >,
    /// Destroys an instance and frees its memory. When it returns, no thread of the instance may be running. Tokens that are still
    /// pending are invalid from then on.
    ///
    /// Thread: a thread that serves no clients. It may block for a short time; timers of all plugins wait meanwhile.
    pub destroy: Option<unsafe extern "C" fn(instance: introd_instance) -> i32>,
    /// Decides whether a client may connect. Verdicts: INTROD_CONTINUE, INTROD_REJECT, INTROD_REDIRECT, INTROD_PENDING. An error
    /// takes `Policy/OnFailure` of the configuration.
    ///
    /// Thread: any worker thread, several at the same time. It must not block.
    pub connect: Option<
        unsafe extern "C" fn(
            instance: introd_instance,
            connect: *const introd_connect,
            answer: *mut introd_answer,
        ) -> i32,
    >,
    /// Tells the plugin that a client has disconnected, or was rejected. The host calls it once for each client whose `connect` this
    /// instance has decided, and makes no call about that client afterwards. An instance that was created while the client was
    /// connected receives the call as well.
    ///
    /// Thread: any worker thread, several at the same time. It must not block.
    pub disconnect:
        Option<unsafe extern "C" fn(instance: introd_instance, disconnect: *const introd_disconnect) -> i32>,
    /// Tells the plugin that the addresses of an accepted client have changed.
    ///
    /// Thread: any worker thread, several at the same time. It must not block.
    pub addresses_changed:
        Option<unsafe extern "C" fn(instance: introd_instance, change: *const introd_address_change) -> i32>,
    /// Decides about a lookup. Verdicts: INTROD_CONTINUE, INTROD_REDIRECT, INTROD_INTRODUCE, INTROD_RELAY, INTROD_DENY, INTROD_IGNORE,
    /// INTROD_PENDING. An error takes `Policy/OnFailure` of the configuration.
    ///
    /// Thread: any worker thread, several at the same time. It must not block.
    pub lookup: Option<
        unsafe extern "C" fn(
            instance: introd_instance,
            lookup: *const introd_lookup,
            answer: *mut introd_answer,
        ) -> i32,
    >,
    /// Tells the plugin that a verdict is no longer needed, because its deadline has passed or the asker is gone. From now on
    /// `host->complete` returns INTROD_E_TOKEN for this token. Free here whatever the plugin keeps for it.
    ///
    /// Thread: any thread of the server, several at the same time. It must not block.
    pub cancel: Option<unsafe extern "C" fn(instance: introd_instance, token: introd_token) -> i32>,
    /// Returns the plugin's function table of an extension: for INTROD_EXT_REGISTRY an `introd_plugin_registry`, and so on. Returns
    /// null if the plugin does not have the extension. `id` ends with a zero byte. The table must stay valid until the process ends.
    /// The host calls it before it creates any instance.
    ///
    /// Thread: a thread that serves no clients. It may block.
    pub get_extension: Option<unsafe extern "C" fn(id: *const c_char) -> *const c_void>,
}

/// The one function that a plugin's library exports, under the name `introd_plugin_entry_v1`. Returns the plugin's table, or null to
/// refuse this host. The host calls it once each time it loads the library, before any other function. There is no instance yet, so
/// that the plugin may only read the size, the versions and the name in the host's table.
///
/// Thread: a thread that serves no clients. It may block.
pub type introd_plugin_entry = unsafe extern "C" fn(host: *const introd_host) -> *const introd_plugin;
