//! The types of groupspec options.
//!
//! There is no public specification (WIRE.md §1.3). The numbers come from three published groupspecs that Flash made
//! (`G:027f0201010103010c050e74657374011b00` and `G:027f02010101000103010c050e74657374011b00` in librtmfp's documentation and
//! test script, and `G:010101020103 2105…010d040e616e73011b00` in theintencity/rtmplite#67), and from that last thread, which
//! names the first four. Numbers are *established*, *not established*, or introd's own, and
//! [`GroupSpecifier::unestablished`](super::GroupSpecifier::unestablished) names the properties of a group whose numbers are not established.

/// `routingEnabled`, no value. Established.
pub const ROUTING: u64 = 0x00;
/// `multicastEnabled`, no value. Established.
pub const MULTICAST: u64 = 0x01;
/// `objectReplicationEnabled`, no value. Established.
pub const OBJECT_REPLICATION: u64 = 0x02;
/// `postingEnabled`, no value. Established.
pub const POSTING: u64 = 0x03;
/// The group's name in UTF-8. Established.
pub const NAME: u64 = 0x0e;
/// The version of the groupspec: one byte. Established.
pub const VERSION: u64 = 0x7f;

/// *Not established*: taken for the hash of the publishing password, since one sample has 32 bytes here. It is not known how Flash
/// makes the hash: introd and Flash make different ones of the same password.
pub const PUBLISH_PASSWORD: u64 = 0x05;
/// *Not established*: `ipMulticastMemberUpdatesEnabled` or one of the two flags below, no value.
pub const IP_MULTICAST_MEMBER_UPDATES: u64 = 0x0c;
/// *Not established*: `peerToPeerDisabled`, or the flag above or below, no value.
pub const PEER_TO_PEER_DISABLED: u64 = 0x0d;
/// *Not established*: `serverChannelEnabled`, no value. All samples have it, and all were made for groups with a server.
pub const SERVER_CHANNEL: u64 = 0x1b;

/// introd's own: the hash of the posting password (32 bytes). Flash's number is unknown.
pub const POSTING_PASSWORD: u64 = 0x60;
/// introd's own: 32 random bytes that make the group unique. Flash's number is unknown.
pub const UNIQUE: u64 = 0x61;
/// introd's own, after the canonical part: the ID of a bootstrap peer.
pub const BOOTSTRAP_PEER: u64 = 0x62;
/// introd's own, after the canonical part: an IP multicast address (RFC 7016 §2.1.5), and after it the IP address of the source, if there is
/// one.
pub const IP_MULTICAST_ADDRESS: u64 = 0x63;
/// introd's own, after the canonical part: the posting password and its salt.
pub const POSTING_AUTHORIZATION: u64 = 0x64;
/// introd's own, after the canonical part: the publishing password and its salt.
pub const PUBLISH_AUTHORIZATION: u64 = 0x65;
