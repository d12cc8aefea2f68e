//! The values that pass through the function tables.

use core::ffi::c_void;

/// The major version of the ABI that this header describes. A host and a plugin of different major versions refuse each other.
pub const INTROD_ABI_MAJOR: u32 = 1;
/// The minor version of the ABI that this header describes. It is raised whenever something is added.
pub const INTROD_ABI_MINOR: u32 = 4;

/// Success. As a verdict it is the same as INTROD_CONTINUE.
pub const INTROD_OK: i32 = 0;
/// Verdict on a lookup, a connect or a group join: this plugin leaves the decision to the next plugin, then to the script, then
/// to the server itself. On a connect it means that this plugin accepts the client.
pub const INTROD_CONTINUE: i32 = 0;
/// Verdict on a lookup: tell the asker to try `addresses`. Verdict on a connect: tell the client to connect to `uri` instead.
/// Verdict of a registry: the peer can be reached at `addresses`. Give it by `host->answer` or `host->complete`.
pub const INTROD_REDIRECT: i32 = 1;
/// Verdict on a lookup: introduce the asker and the peer `peer` to each other. `peer` may be another peer than the one that was
/// looked for. If it is not connected to this server, the asker gets no answer, as for any unknown peer. Give it by
/// `host->answer` or `host->complete`.
pub const INTROD_INTRODUCE: i32 = 2;
/// Verdict on a lookup: refuse it. The asker gets no answer, and the refusal is counted in rtmfp_lookups_denied.
pub const INTROD_DENY: i32 = 3;
/// Verdict on a lookup: the asker gets no answer, and no refusal is counted.
pub const INTROD_IGNORE: i32 = 4;
/// The verdict comes later: the callback has taken a token by `host->defer`, and the plugin will call `host->complete` with it.
pub const INTROD_PENDING: i32 = 5;
/// Verdict on a connect: reject the client; `text` says why. Give it by `host->answer` or `host->complete`.
pub const INTROD_REJECT: i32 = 6;
/// Verdict of a registry: no server has published the peer. Result of a host's function: no such peer is connected.
pub const INTROD_NOT_FOUND: i32 = 7;
/// Verdict on a group join: this plugin has named all members that are to be named. No other plugin, no script, and not the
/// server itself, names any more.
pub const INTROD_HANDLED: i32 = 8;
/// Since 1.1. Verdict of a registry of groups: the members are `members`, which may be none. Give it by `host->answer` or
/// `host->complete`.
pub const INTROD_MEMBERS: i32 = 9;
/// Since 1.3. Verdict on a lookup: introduce the asker and a peer to each other, with a relay: if the two do not reach each other, the
/// server passes their datagrams on. This is the wish and the permission of the application that is asked, whatever its setting
/// RTMFP/Relay says. If the other side is a client of another application, that one must permit a relay, too, by its setting or its own
/// policy. Without a relay, for want of that, of ports or of room, the two are introduced all the same. If the peer that was looked for is
/// not connected to this server, the asker is sent to the server that has it, and the policies there decide about relays. To set
/// limits, or to name the peer, give the verdict by `host->answer` or `host->complete`.
pub const INTROD_RELAY: i32 = 10;

/// The function failed. As the result of `lookup` or `connect`: `Policy/OnFailure` of the configuration decides instead.
pub const INTROD_E_FAILED: i32 = -1;
/// An argument is invalid: a null pointer, a text that is not UTF-8, or a verdict that does not fit the request.
pub const INTROD_E_ARGUMENT: i32 = -2;
/// The token is not valid: it has been completed already, its deadline has passed, the asker is gone, or it was never issued.
pub const INTROD_E_TOKEN: i32 = -3;
/// A panic or an exception was caught. The state of the instance is unknown, and the host never calls it again.
pub const INTROD_E_PANIC: i32 = -4;
/// The host or the plugin has no such function.
pub const INTROD_E_UNSUPPORTED: i32 = -5;
/// A queue is full, or a limit is reached.
pub const INTROD_E_FULL: i32 = -6;
/// The client, peer or plugin that the call is about is gone.
pub const INTROD_E_GONE: i32 = -7;
/// Something that the function needs, such as a database, cannot be reached at present.
pub const INTROD_E_UNAVAILABLE: i32 = -8;

/// A run of bytes. It is a view: the side that made it keeps the memory.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_bytes {
    /// The first byte. May be null if `len` is 0.
    pub ptr: *const u8,
    /// The number of bytes.
    pub len: usize,
}

/// The ID of a peer: the SHA-256 digest of its certificate. Clients write it as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct introd_peer_id {
    /// The digest.
    pub bytes: [u8; 32],
}

/// Nothing is known about where the address comes from. Some clients take a redirect to such an address as "the peer is gone".
pub const INTROD_ORIGIN_UNSPECIFIED: u8 = 0;
/// The peer itself has reported this address.
pub const INTROD_ORIGIN_REPORTED: u8 = 1;
/// The peer's packets came from this address.
pub const INTROD_ORIGIN_OBSERVED: u8 = 2;
/// A server has this address. An asker that is redirected there repeats its lookup at that server.
pub const INTROD_ORIGIN_RELAY: u8 = 3;

/// An Internet address with a UDP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct introd_address {
    /// The IP address in network order. An IPv4 address takes the first four bytes, and the rest is zero.
    pub ip: [u8; 16],
    /// The UDP port, in the byte order of the machine.
    pub port: u16,
    /// 4 for IPv4, or 6 for IPv6.
    pub family: u8,
    /// How the address became known: one of INTROD_ORIGIN_*.
    pub origin: u8,
}

/// Identifies a pending verdict or a timer. 0 is no token. No token is issued twice.
pub type introd_token = u64;

/// A client: one connection of a peer. A peer that reconnects is another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct introd_client {
    /// Identifies the connection. 0 is no connection.
    pub id: u64,
    /// The peer that is connected.
    pub peer: introd_peer_id,
}

/// The place for the answer of a callback. Its content is the host's. Valid until the callback that received it returns.
#[repr(C)]
pub struct introd_answer {
    _private: [u8; 0],
}

/// A verdict with its details. Fields that its kind does not use are ignored, and should be zero.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_verdict {
    /// sizeof(introd_verdict)
    pub struct_size: u32,
    /// One of the verdicts, or one of the errors INTROD_E_*.
    pub kind: i32,
    /// INTROD_REDIRECT on a lookup or of a registry: the addresses to try, the best first. The host uses the first 16. An empty list
    /// is invalid.
    pub addresses: *const introd_address,
    /// The number of `addresses`.
    pub address_count: usize,
    /// INTROD_INTRODUCE: the peer that the asker is introduced to. Since 1.3. INTROD_RELAY: the same, which must be connected to this
    /// server; null for the peer that was looked for.
    pub peer: *const introd_peer_id,
    /// INTROD_REJECT: the reason that the client receives. An error: the reason that is logged. The host cuts it off after 1024 bytes.
    pub text: introd_bytes,
    /// INTROD_REDIRECT on a connect: the URI that the client should connect to instead, of 1024 bytes at most.
    pub uri: introd_bytes,
    /// Since 1.1. INTROD_MEMBERS: the peers, the nearest neighbours first. The host uses the first 64.
    pub members: *const introd_peer_id,
    /// Since 1.1. The number of `members`.
    pub member_count: usize,
    /// Since 1.3. INTROD_RELAY: how many bytes of UDP payload the relay passes on in a second, both directions together; 0 leaves that to
    /// the settings. The smallest of all limits that policies and settings name holds.
    pub relay_bytes_per_second: u64,
    /// Since 1.3. INTROD_RELAY: how long the relay lasts at most, in milliseconds from the moment when it is made; 0 leaves that to the
    /// settings.
    pub relay_lifetime_ms: u64,
}

/// Flag of a lookup: the asker looks for a peer ID, which is in `target`. Without this flag its endpoint discriminator is of another
/// kind; see `epd`.
pub const INTROD_LOOKUP_HAS_TARGET: u32 = 1;
/// Flag of a lookup: the asker is a client of this server, and `asker` is set.
pub const INTROD_LOOKUP_HAS_ASKER: u32 = 2;
/// Flag of a lookup: the target is connected to this server.
pub const INTROD_LOOKUP_TARGET_IS_LOCAL: u32 = 4;
/// Since 1.1. Flag of a lookup: the plugin decides for the target's application. The asker's application, if there is one, has agreed
/// already. Both must agree: if either refuses, the two are not introduced.
pub const INTROD_LOOKUP_FOR_TARGET: u32 = 8;
/// Since 1.1. Flag of a lookup: the same instance of the plugin has just decided about this lookup for the asker's application. A
/// plugin that counts lookups should not count this call.
pub const INTROD_LOOKUP_AGAIN: u32 = 16;

/// A lookup: an asker wants to reach a peer, and asks this server where the peer is.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_lookup {
    /// sizeof(introd_lookup) at the host
    pub struct_size: u32,
    /// A combination of INTROD_LOOKUP_*.
    pub flags: u32,
    /// The peer that is looked for; set if INTROD_LOOKUP_HAS_TARGET is.
    pub target: introd_peer_id,
    /// The client that looks; set if INTROD_LOOKUP_HAS_ASKER is. An asker need not be a client of this server.
    pub asker: introd_client,
    /// The address that the lookup came from. It is not proven: the source address of a packet can be forged.
    pub initiator: introd_address,
    /// The number of the server's interface that received the lookup.
    pub interface_id: u32,
    /// The tag of the lookup, which the answer to the asker repeats.
    pub tag: introd_bytes,
    /// The endpoint discriminator as the asker sent it (RFC 7425 section 4.4.2.1).
    pub epd: introd_bytes,
    /// The application that the plugin decides for. With INTROD_LOOKUP_FOR_TARGET it is the target's; else the asker's; if the asker
    /// has none, the target's; if that has none, the default application.
    pub application: introd_bytes,
    /// The instance of `application`; empty if there is none.
    pub instance: introd_bytes,
    /// Since 1.1. The application that the asker is connected to; empty if the asker is not a client of this server.
    pub asker_application: introd_bytes,
    /// Since 1.1. The instance of `asker_application`.
    pub asker_instance: introd_bytes,
    /// Since 1.2. How many times the asker has made this lookup, with this time: 1 if it does not repeat an earlier one. Askers
    /// repeat a lookup, with the same tag, until the peer answers. It is 1, too, if the host follows too many lookups to know.
    pub attempt: u32,
    /// Unused.
    pub reserved: u32,
}

/// A client wants to connect.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_connect {
    /// sizeof(introd_connect) at the host
    pub struct_size: u32,
    /// The number of `arguments`.
    pub argument_count: u32,
    /// The client that wants to connect.
    pub client: introd_client,
    /// The address that the client's packets come from. The handshake has proven that the client receives packets there.
    pub far_address: introd_address,
    /// The server's address that the client connected to.
    pub near_address: introd_address,
    /// The client's nonce of this session (RFC 7425 section 4.6.5).
    pub far_nonce: [u8; 32],
    /// The server's nonce of this session.
    pub near_nonce: [u8; 32],
    /// The application that the client wants to connect to.
    pub application: introd_bytes,
    /// The instance of the application.
    pub instance: introd_bytes,
    /// The client's tcUrl, unchanged.
    pub uri: introd_bytes,
    /// The query of `uri`, without the question mark.
    pub query: introd_bytes,
    /// The client's flashVer: its platform and version.
    pub agent: introd_bytes,
    /// The client's swfUrl: where its program was loaded from.
    pub referrer: introd_bytes,
    /// The client's pageUrl: the web page that its program runs in.
    pub page_url: introd_bytes,
    /// The arguments that the client's program passed to connect() after the URI: strings unchanged, numbers and booleans as
    /// JavaScript writes them, and an empty text for everything else.
    pub arguments: *const introd_bytes,
}

/// A client has disconnected.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_disconnect {
    /// sizeof(introd_disconnect) at the host
    pub struct_size: u32,
    /// Unused.
    pub reserved: u32,
    /// The client that has disconnected.
    pub client: introd_client,
    /// The application that the client was connected to.
    pub application: introd_bytes,
    /// The instance of the application.
    pub instance: introd_bytes,
    /// Why the client disconnected, as a text for people to read.
    pub reason: introd_bytes,
}

/// Flag of an address change: the client's packets come from another address, and the client has proven that it receives there.
pub const INTROD_CHANGE_FAR_ADDRESS: u32 = 1;
/// Flag of an address change: the client reports other addresses than before.
pub const INTROD_CHANGE_REPORTED_ADDRESSES: u32 = 2;

/// A client's addresses have changed.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_address_change {
    /// sizeof(introd_address_change) at the host
    pub struct_size: u32,
    /// What has changed: a combination of INTROD_CHANGE_*.
    pub changed: u32,
    /// The client whose addresses have changed.
    pub client: introd_client,
    /// The application that the client is connected to.
    pub application: introd_bytes,
    /// The instance of the application.
    pub instance: introd_bytes,
    /// The address that the client's packets come from now.
    pub far_address: introd_address,
    /// The number of `reported`.
    pub reported_count: u32,
    /// All addresses that the client reports now; set if INTROD_CHANGE_REPORTED_ADDRESSES is.
    pub reported: *const introd_address,
}

/// What the host knows about a peer that is connected to this server.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_peer {
    /// sizeof(introd_peer); the plugin sets it before the call
    pub struct_size: u32,
    /// The plugin sets how many addresses `reported` has room for. The host sets how many it has written there.
    pub reported_count: u32,
    /// The connection of the peer.
    pub client: introd_client,
    /// The address that the peer's packets come from.
    pub observed: introd_address,
    /// Memory of the plugin for the addresses that the peer reports. May be null if `reported_count` is 0.
    pub reported: *mut introd_address,
}

/// The configuration of a new instance of a plugin.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_create {
    /// sizeof(introd_create) at the host
    pub struct_size: u32,
    /// Unused.
    pub reserved: u32,
    /// The `<Config>` element of Application.xml or Server.xml as an XML document. Attributes have become elements, and variables have
    /// been replaced. `<Config></Config>` if the configuration has no such element.
    pub config: introd_bytes,
    /// The folder that relative paths in the configuration are relative to.
    pub root: introd_bytes,
    /// Since 1.4. For a registry of a server that takes over from another process: what the registry of that process has given by
    /// `introd_plugin_registry.hand_over`. Otherwise it is empty. The other process goes on serving until this one has begun to, and may go
    /// on for good if this one fails.
    pub handed_over: introd_bytes,
}

/// An instance of a plugin: the pointer that `create` has stored. The host only passes it on to the plugin's functions.
pub type introd_instance = *mut c_void;
