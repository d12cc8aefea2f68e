//! What an endpoint counts.

/// Totals since the endpoint was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams taken in.
    pub datagrams: u64,
    /// Dropped: too short, or not what RFC 7016 §2 describes. Single chunks count here too.
    pub malformed: u64,
    /// Chunks ignored because they have no place where they stood, or are unknown.
    pub ignored: u64,
    /// Dropped: wrong key, or altered on the way.
    pub unverified: u64,
    /// Dropped: seen before in the session.
    pub duplicates: u64,
    /// Dropped: for a session that is not here.
    pub unknown_session: u64,
    /// Hellos answered.
    pub hellos: u64,
    /// Dropped: too short to earn the answer, even with what came from the same network within the last seconds.
    pub unearned: u64,
    /// Hellos that select none of the endpoint's identities.
    pub lookups: u64,
    /// Hellos for this endpoint that were turned away ([`Greeting::TurnAway`](crate::Greeting::TurnAway)), and keyings that would have needed
    /// another cookie meanwhile.
    pub turned_away: u64,
    /// Hellos for this endpoint that were not answered because a keying that followed would have found no room.
    pub deferred_hellos: u64,
    /// Keyings dropped because their cookie was not made here, or is too old.
    pub bad_cookies: u64,
    /// Keyings whose cookie was given to another address, answered with a Cookie Change.
    pub cookie_changes: u64,
    /// Keyings that came again.
    pub repeated_keyings: u64,
    /// Keyings dropped because an open session has their address (RFC 7016 §3.5.1.1.2, point 2.2).
    pub address_taken: u64,
    /// Keyings dropped because too many are being worked on, or too many sessions are open.
    pub overload: u64,
    /// Keyings dropped because their network has its share of sessions or of keyings that are being worked on.
    pub over_share: u64,
    /// Keyings that did not lead to keys.
    pub failed_keyings: u64,
    /// Sessions that opened, either way.
    pub sessions_opened: u64,
    /// Sessions closed because all together held more than [`Config::max_buffered`](crate::Config::max_buffered) of messages.
    pub cut: u64,
    /// Dropped unread: their session had used up its share of work ([`Config::max_work`](crate::Config::max_work)).
    pub over_budget: u64,
    /// Hellos not forwarded because their target was sent too many ([`Config::max_forwards`](crate::Config::max_forwards)).
    pub forwards_denied: u64,
    /// Pings sent to find out how long the datagrams are that a session's path carries (RFC 7016 §3.5.4.3).
    pub path_probes: u64,
    /// Sessions whose path was found to carry less than before.
    pub path_narrowed: u64,
    /// Packets of sessions sent in pieces, because they hold a fragment that is too long for the path.
    pub oversized_packets: u64,
    /// Datagrams dropped on the way out, because the driver did not drain.
    pub outbox_full: u64,
}
