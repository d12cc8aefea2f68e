//! The sizes of datagrams, as bytes of UDP payload.

/// What every path is taken to carry: IPv4's 576 bytes less the headers of IP and UDP. Until a session knows what its path carries, and
/// on a path that carries no more, its packets are no longer than this.
pub const MIN_DATAGRAM: usize = 548;

/// What [`Config::max_datagram`](crate::Config::max_datagram) is unless it is set: as long as the datagrams of the other implementations,
/// and short enough for every path that carries IPv6, whose least MTU of 1280 leaves 1232.
pub const DEFAULT_MAX_DATAGRAM: usize = 1192;
