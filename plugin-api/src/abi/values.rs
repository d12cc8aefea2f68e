//! What passes through the tables.

use core::ffi::c_void;

/// The major version of the ABI that this header describes. Plugins and hosts of different major versions refuse each other.
pub const INTROD_ABI_MAJOR: u32 = 1;
/// The minor version: raised when something is added.
pub const INTROD_ABI_MINOR: u32 = 1;

/// Done; or, as a verdict, the same as INTROD_CONTINUE.
pub const INTROD_OK: i32 = 0;
/// Verdict: whoever is next decides: the next plugin, then the script, then the server itself. For a connect: this plugin has
/// nothing against it.
pub const INTROD_CONTINUE: i32 = 0;
/// Verdict on a lookup: the asker is told to try `addresses`. On a connect: the client is told to connect to `uri` instead. On
/// a lookup in a registry: the peer is at `addresses`.
pub const INTROD_REDIRECT: i32 = 1;
/// Verdict on a lookup: the asker and the peer `peer`, which is connected to this server, are introduced to each other, whoever
/// was looked for. If no such peer is connected, nobody answers, as for any unknown peer.
pub const INTROD_INTRODUCE: i32 = 2;
/// Verdict on a lookup: no. Nothing is sent, and it is counted in rtmfp_lookups_denied.
pub const INTROD_DENY: i32 = 3;
/// Verdict on a lookup: nothing is sent.
pub const INTROD_IGNORE: i32 = 4;
/// Verdict: it comes later, by the host's `complete` with the token that `defer` has given.
pub const INTROD_PENDING: i32 = 5;
/// Verdict on a connect: the client is turned away with `text`.
pub const INTROD_REJECT: i32 = 6;
/// Verdict of a registry: nobody knows the peer.
pub const INTROD_NOT_FOUND: i32 = 7;
/// Verdict on a group join: this plugin has done what there was to do. Neither a script nor the server does more.
pub const INTROD_HANDLED: i32 = 8;

/// It failed. As the answer of a callback: what the configuration's `OnFailure` says happens.
pub const INTROD_E_FAILED: i32 = -1;
/// What was given makes no sense: a null pointer, a text that is not UTF-8, a verdict that does not belong.
pub const INTROD_E_ARGUMENT: i32 = -2;
/// The token is not valid: it has been completed, its time is over, whoever asked is gone, or it never was one.
pub const INTROD_E_TOKEN: i32 = -3;
/// A panic or an exception was caught. The instance is in an unknown state, and is not called any more.
pub const INTROD_E_PANIC: i32 = -4;
/// It does not exist here.
pub const INTROD_E_UNSUPPORTED: i32 = -5;
/// There is no room.
pub const INTROD_E_FULL: i32 = -6;
/// Whom it concerns is gone.
pub const INTROD_E_GONE: i32 = -7;
/// What it takes cannot be reached at present.
pub const INTROD_E_UNAVAILABLE: i32 = -8;

/// So many bytes at that address.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_bytes {
    /// The first; may be null if there are none.
    pub ptr: *const u8,
    /// How many.
    pub len: usize,
}

/// The id of a peer: the SHA-256 digest of its certificate, which clients show as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct introd_peer_id {
    /// Its bytes.
    pub bytes: [u8; 32],
}

/// An address of nobody knows where from.
pub const INTROD_ORIGIN_UNSPECIFIED: u8 = 0;
/// An address that a peer says it has.
pub const INTROD_ORIGIN_REPORTED: u8 = 1;
/// An address that a peer's packets came from.
pub const INTROD_ORIGIN_OBSERVED: u8 = 2;
/// The address of a server that can be asked again.
pub const INTROD_ORIGIN_RELAY: u8 = 3;

/// An Internet address with a UDP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct introd_address {
    /// The IP address in network order. Of an IPv4 address these are the first four bytes, and the rest is zero.
    pub ip: [u8; 16],
    /// The port, as a number.
    pub port: u16,
    /// 4 or 6.
    pub family: u8,
    /// How it is known: one of INTROD_ORIGIN.
    pub origin: u8,
}

/// Names something that is still to be answered, completed or stopped. 0 is none. A token is never used again.
pub type introd_token = u64;

/// A client: a connection of a peer. The same peer may come back as another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct introd_client {
    /// Names the connection. 0 is none.
    pub id: u64,
    /// The peer.
    pub peer: introd_peer_id,
}

/// Where an answer goes to. Only the host knows what is in it. Valid until the callback that was given it returns.
#[repr(C)]
pub struct introd_answer {
    _private: [u8; 0],
}

/// A verdict with what belongs to it. Fields that do not belong to its kind are ignored, and should be zero.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_verdict {
    /// sizeof(introd_verdict)
    pub struct_size: u32,
    /// One of the verdicts, or an error.
    pub kind: i32,
    /// INTROD_REDIRECT of a lookup: where to try, the best first. The host sends 16 of them at most. An empty list is an error.
    pub addresses: *const introd_address,
    /// How many.
    pub address_count: usize,
    /// INTROD_INTRODUCE: whom.
    pub peer: *const introd_peer_id,
    /// INTROD_REJECT: what the client is told; up to 1024 bytes. An error: why, for the log.
    pub text: introd_bytes,
    /// INTROD_REDIRECT of a connect: where the client should connect to instead, up to 1024 bytes.
    pub uri: introd_bytes,
}

/// The lookup names the peer it is for in `target`. One that does not is for an endpoint discriminator of another kind.
pub const INTROD_LOOKUP_HAS_TARGET: u32 = 1;
/// The asker is a client of this server: `asker` is set.
pub const INTROD_LOOKUP_HAS_ASKER: u32 = 2;
/// The target is connected to this server.
pub const INTROD_LOOKUP_TARGET_IS_LOCAL: u32 = 4;
/// Since 1.1. The application is that of the target. That of the asker, if it has one, would have the two introduced, and this one is
/// asked besides: a no of either is a no.
pub const INTROD_LOOKUP_FOR_TARGET: u32 = 8;
/// Since 1.1. The same instance of the plugin has just been asked about this lookup for the asker's application: what counts lookups
/// counts this one no more.
pub const INTROD_LOOKUP_AGAIN: u32 = 16;

/// Somebody looks for a peer.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_lookup {
    /// sizeof(introd_lookup) at the host
    pub struct_size: u32,
    /// Some of INTROD_LOOKUP.
    pub flags: u32,
    /// Who is looked for, if INTROD_LOOKUP_HAS_TARGET.
    pub target: introd_peer_id,
    /// Who looks, if INTROD_LOOKUP_HAS_ASKER. Anybody can look for peers without being a client.
    pub asker: introd_client,
    /// Where the lookup came from. Its sender need not be there: addresses can be forged.
    pub initiator: introd_address,
    /// The number of the server's interface at which it came in.
    pub interface_id: u32,
    /// The tag of the lookup, which its answer repeats.
    pub tag: introd_bytes,
    /// The whole endpoint discriminator (RFC 7425 section 4.4.2.1).
    pub epd: introd_bytes,
    /// The application that the plugin is asked for: with INTROD_LOOKUP_FOR_TARGET that of the target, else that of the asker, or that
    /// of the target where the asker has none, or the default one.
    pub application: introd_bytes,
    /// The instance of the application; empty if there is none.
    pub instance: introd_bytes,
    /// Since 1.1. The application that the asker is a client of; empty if it is no client.
    pub asker_application: introd_bytes,
    /// Since 1.1. The instance of that application.
    pub asker_instance: introd_bytes,
}

/// A client wants to connect.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_connect {
    /// sizeof(introd_connect) at the host
    pub struct_size: u32,
    /// How many `arguments`.
    pub argument_count: u32,
    /// The client.
    pub client: introd_client,
    /// Where its packets come from. It is there: the handshake has shown it.
    pub far_address: introd_address,
    /// The address of the server that it reached.
    pub near_address: introd_address,
    /// The client's nonce of this session (RFC 7425 section 4.6.5).
    pub far_nonce: [u8; 32],
    /// The server's.
    pub near_nonce: [u8; 32],
    /// The application that it wants.
    pub application: introd_bytes,
    /// The instance of the application.
    pub instance: introd_bytes,
    /// tcUrl, as it came.
    pub uri: introd_bytes,
    /// The query of the URI, without the question mark.
    pub query: introd_bytes,
    /// flashVer: the client's platform and version.
    pub agent: introd_bytes,
    /// swfUrl: where the client's program came from.
    pub referrer: introd_bytes,
    /// pageUrl: the page that it is on.
    pub page_url: introd_bytes,
    /// What the client's program gave to connect() besides the URI: strings as they are, numbers and booleans as JavaScript
    /// writes them, everything else empty.
    pub arguments: *const introd_bytes,
}

/// A client is gone.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_disconnect {
    /// sizeof(introd_disconnect) at the host
    pub struct_size: u32,
    /// Nothing yet.
    pub reserved: u32,
    /// The client.
    pub client: introd_client,
    /// The application that it was in.
    pub application: introd_bytes,
    /// The instance of the application.
    pub instance: introd_bytes,
    /// Why, for people.
    pub reason: introd_bytes,
}

/// The client's packets come from another address than before, and it has been shown that it is there.
pub const INTROD_CHANGE_FAR_ADDRESS: u32 = 1;
/// The client says that it has other addresses than before.
pub const INTROD_CHANGE_REPORTED_ADDRESSES: u32 = 2;

/// A client's addresses have changed.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_address_change {
    /// sizeof(introd_address_change) at the host
    pub struct_size: u32,
    /// What has changed: some of INTROD_CHANGE.
    pub changed: u32,
    /// The client.
    pub client: introd_client,
    /// The application that it is in.
    pub application: introd_bytes,
    /// The instance of the application.
    pub instance: introd_bytes,
    /// Where its packets come from now.
    pub far_address: introd_address,
    /// How many `reported`.
    pub reported_count: u32,
    /// INTROD_CHANGE_REPORTED_ADDRESSES: all that it says it has.
    pub reported: *const introd_address,
}

/// What the host knows of a peer that is connected to it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_peer {
    /// sizeof(introd_peer), set by the plugin before the call
    pub struct_size: u32,
    /// How many addresses `reported` has room for, set by the plugin; the host sets how many it has put there.
    pub reported_count: u32,
    /// The client by which it is connected.
    pub client: introd_client,
    /// Where its packets come from.
    pub observed: introd_address,
    /// Room of the plugin's own for the addresses that the peer says it has; may be null if `reported_count` is 0.
    pub reported: *mut introd_address,
}

/// What a new instance of a plugin is told.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct introd_create {
    /// sizeof(introd_create) at the host
    pub struct_size: u32,
    /// Nothing yet.
    pub reserved: u32,
    /// The configuration: an XML document whose root is `<Config>`, as it stands in Application.xml, with attributes turned
    /// into elements and variables replaced. `<Config></Config>` if there is none.
    pub config: introd_bytes,
    /// The folder from which relative paths in the configuration count.
    pub root: introd_bytes,
}

/// An instance of a plugin: whatever its `create` has made. The host does not look into it.
pub type introd_instance = *mut c_void;
