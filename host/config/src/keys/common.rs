//! What keys of several files share.

use crate::choices::Order;
use crate::numbers::{TimeOrNone, seconds_or_none};
use crate::words::{Words, words};

/// A day in seconds.
pub(super) const DAY: u64 = 86_400;

/// The highest number of clients, sessions or instances that a file may ask for.
pub(super) const MAX_CLIENTS: u64 = 100_000_000;

/// The highest rate in a second that a file may ask for.
pub(super) const MAX_RATE: u64 = 10_000_000;

pub(super) const fn order() -> Words<Order> {
    words(&[("Allow,Deny", Order::AllowDeny), ("Deny,Allow", Order::DenyAllow)], "Allow,Deny")
}

/// Whether to close idle clients, below the server: it may also leave the matter to the level above.
pub(super) const fn close_idle_clients() -> Words<Option<bool>> {
    words(&[("true", Some(true)), ("false", Some(false)), ("inherit", None)], "inherit")
}

/// How long a client may be idle, below the server: 0 leaves the matter to the level above.
pub(super) const fn max_idle_time() -> TimeOrNone {
    seconds_or_none(30 * DAY, 0)
}

/// What an `Allow` element is for, where it is about clients.
pub(super) const ALLOW: &str = "The addresses that may connect. Empty: all addresses if `Order` is `Allow,Deny`, none in particular if it is `Deny,Allow`; see the rules";
/// What a `Deny` element is for, where it is about clients.
pub(super) const DENY: &str = "The addresses that may not connect, unless `Order` says otherwise";
/// What an `Order` element is for.
pub(super) const ORDER: &str = "Which of the two lists has the last word; see the rules";
