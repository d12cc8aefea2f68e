//! The extension `introd.registry/1`: the registry of peers that several servers share.

use core::ffi::c_void;
use std::ffi::CStr;

use super::host::introd_host;
use super::values::{
    introd_address, introd_answer, introd_bytes, introd_client, introd_create, introd_instance, introd_peer_id,
};

/// Extension: the plugin is the registry of peers that several servers share. The plugin's table is `introd_plugin_registry`, the
/// host's is `introd_host_registry`.
pub const INTROD_EXT_REGISTRY: &CStr = c"introd.registry/1";

/// Capability of a registry: it reports changes that other servers make, by `introd_host_registry.changed`.
pub const INTROD_REGISTRY_CHANGES: u32 = 1;

/// Since 1.1. Flag of a publication: the client has proven that the peer ID is its own, by a certificate with a static
/// Diffie-Hellman key. Without this flag another client may have copied the certificate: such a client should not replace a peer
/// that another server has published.
pub const INTROD_PUBLICATION_PROVEN: u32 = 1;

/// Since 1.1. Flag of a publication: the client has not answered a ping and may be gone. The entry of another server for the same
/// peer takes precedence.
pub const INTROD_PUBLICATION_SILENT: u32 = 2;

/// Since 1.1. The addresses of a peer, and the state of the session by which it is connected to this server.
#[repr(C)]
pub struct introd_publication {
    /// sizeof(introd_publication) at the host
    pub struct_size: u32,
    /// A combination of INTROD_PUBLICATION_*.
    pub flags: u32,
    /// The peer, and its connection to this server.
    pub client: introd_client,
    /// The addresses at which the peer can be reached.
    pub addresses: *const introd_address,
    /// The number of `addresses`. If it is 0, the addresses published before still hold and only `flags` or `client` may have changed;
    /// nothing is to be done for a peer that has not been published.
    pub address_count: usize,
}

/// Since 1.2. Flag of a server that shares the registry: it is the server that has this plugin.
pub const INTROD_SERVER_SELF: u32 = 1;

/// Since 1.2. Flag of a server that shares the registry: it is alive, so that its peers are found. Without this flag it has died, or
/// cannot reach the registry.
pub const INTROD_SERVER_ALIVE: u32 = 2;

/// Since 1.2. A server that shares the registry.
#[repr(C)]
pub struct introd_registry_server {
    /// sizeof(introd_registry_server) at the plugin
    pub struct_size: u32,
    /// A combination of INTROD_SERVER_*.
    pub flags: u32,
    /// Its name in the registry, in UTF-8. The host shows the first 256 bytes.
    pub name: introd_bytes,
}

/// The plugin's functions for INTROD_EXT_REGISTRY. The host calls them for its own peers, for lookups of peers that it does not know,
/// and for the `registry` object of scripts.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct introd_plugin_registry {
    /// sizeof(introd_plugin_registry) at the plugin
    pub struct_size: u32,
    /// A combination of INTROD_REGISTRY_*.
    pub capabilities: u32,
    /// Publishes the addresses of a peer of this server; they replace those published before. Returns INTROD_OK when the plugin has
    /// accepted them, though other servers may see them only later; or INTROD_E_FULL or INTROD_E_UNAVAILABLE.
    ///
    /// Thread: any thread of the server, several at the same time. It must not block.
    pub publish: Option<
        unsafe extern "C" fn(
            instance: introd_instance,
            peer: *const introd_peer_id,
            addresses: *const introd_address,
            address_count: usize,
        ) -> i32,
    >,
    /// Withdraws what this server has published about a peer. Returns INTROD_OK, also if there was nothing to withdraw.
    ///
    /// Thread: any thread of the server, several at the same time. It must not block.
    pub withdraw: Option<unsafe extern "C" fn(instance: introd_instance, peer: *const introd_peer_id) -> i32>,
    /// Looks a peer up. Verdicts: INTROD_REDIRECT with the peer's addresses by `host->answer`, INTROD_NOT_FOUND, INTROD_PENDING, or an
    /// error.
    ///
    /// Thread: any thread of the server, several at the same time. It must not block.
    pub lookup: Option<
        unsafe extern "C" fn(instance: introd_instance, peer: *const introd_peer_id, answer: *mut introd_answer) -> i32,
    >,
    /// Since 1.1. Does what `publish` does, and also tells the state of the peer's session. If it is null the host calls `publish`
    /// instead, except for sessions with INTROD_PUBLICATION_SILENT. What a script publishes about a peer that is not its own client comes
    /// by `publish` in any case.
    ///
    /// Thread: any thread of the server, several at the same time. It must not block.
    pub publish_session:
        Option<unsafe extern "C" fn(instance: introd_instance, publication: *const introd_publication) -> i32>,
    /// Since 1.1. The server has read its configuration again; `create` has what `PeerRegistry/Plugin/Config` holds now, whether that
    /// has changed or not. A password that has changed takes effect by this, and files that the settings name can be read again.
    /// What the registry holds must not be lost. Returns INTROD_OK if these settings are in force, INTROD_E_UNSUPPORTED if some take
    /// effect at the next start of the server only, or another error, with the reason by `host->answer`, if the earlier settings stay.
    /// If it is null, changes take effect at the next start.
    ///
    /// Thread: a thread that serves no clients. It may block.
    pub reconfigure: Option<
        unsafe extern "C" fn(
            instance: introd_instance,
            create: *const introd_create,
            answer: *mut introd_answer,
        ) -> i32,
    >,
    /// Since 1.2. Tells which servers share the registry, as far as the plugin knows without asking anyone: it calls `each` for one after
    /// the other, with `context`, during this call. The host shows the first 1000 to administrators. Returns INTROD_OK, or
    /// INTROD_E_UNAVAILABLE if it does not know at present. If it is null, nobody is told of the servers.
    ///
    /// Thread: any thread of the server, several at the same time. It must not block.
    pub servers: Option<
        unsafe extern "C" fn(
            instance: introd_instance,
            context: *mut c_void,
            each: Option<unsafe extern "C" fn(context: *mut c_void, server: *const introd_registry_server)>,
        ) -> i32,
    >,
    /// Since 1.4. Another process is to take over from this server (`introd run --takeover`). The plugin calls `take` once, with `context`,
    /// during this call, with what its instance in that process is to go on with, so that what this server has published can stay valid. The
    /// host calls it twice: when the other process prepares, whose instance gets the state by `introd_create.handed_over`, and when this
    /// server stands still, for `took_over`. After each of them the takeover may fail, and this server go on. A state of more than 256 MiB is
    /// none. Returns INTROD_OK. If it is null, or does not call `take`, the instance in the other process begins as any other does.
    ///
    /// Thread: a thread that serves no clients. The server stands still at the second call: it should not block.
    pub hand_over: Option<
        unsafe extern "C" fn(
            instance: introd_instance,
            context: *mut c_void,
            take: Option<unsafe extern "C" fn(context: *mut c_void, state: introd_bytes)>,
        ) -> i32,
    >,
    /// Since 1.4. This server serves now, in the place of the process whose instance has given `state` by `hand_over` at last. The host has
    /// published the peers that came over, or does so soon. Until this call, the host withdraws nothing at this instance: peers that have gone
    /// meanwhile follow after it. If the takeover fails, it does not call `destroy`: what is published is the other process's own. Returns
    /// INTROD_OK.
    ///
    /// Thread: a thread that serves no clients. Clients wait: it should not block.
    pub took_over: Option<unsafe extern "C" fn(instance: introd_instance, state: introd_bytes) -> i32>,
    /// Since 1.4. Another process has taken over, and its instance goes on with what `hand_over` has given: it publishes all peers that are
    /// still connected. The plugin finishes what is due, such as withdrawals of peers that have gone, and withdraws nothing else. This is the
    /// last call: the process ends soon after, without `destroy`. Returns INTROD_OK.
    ///
    /// Thread: a thread that serves no clients. It may block for two seconds.
    pub handed_over: Option<unsafe extern "C" fn(instance: introd_instance) -> i32>,
}

/// The host's functions for INTROD_EXT_REGISTRY.
#[repr(C)]
pub struct introd_host_registry {
    /// sizeof(introd_host_registry) at the host
    pub struct_size: u32,
    /// Unused.
    pub reserved: u32,
    /// Tells the host that another server has published these addresses of a peer, or has withdrawn the peer if there are none.
    /// The host does nothing with it so far: it remembers no answer of a registry for longer than 250 ms.
    ///
    /// Thread: any, at any time.
    pub changed: Option<
        unsafe extern "C" fn(
            host: *const introd_host,
            peer: *const introd_peer_id,
            addresses: *const introd_address,
            address_count: usize,
        ),
    >,
}
