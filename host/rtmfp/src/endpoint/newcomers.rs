//! Newcomers wait while the driver is behind: sessions that are open, and lookups, come first.

use super::state::Endpoint;

/// How many newcomers' packets are still taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewcomerShare {
    /// Hellos that select the endpoint.
    hellos: u32,
    /// Keyings of initiators.
    keyings: u32,
}

impl Endpoint {
    /// From now on, and until the next call, this endpoint takes no more than `most` hellos that select it, and no more than `most` keyings
    /// of initiators; `None`: all that come, which holds for a new endpoint. It drops the others, and initiators repeat them
    /// (RFC 7016 §3.5.1.1.1). Lookups and open sessions go on.
    ///
    /// A driver that cannot handle datagrams as fast as they come calls this before each batch. A share above 0 lets newcomers in,
    /// however long that lasts.
    pub fn limit_newcomers(&mut self, most: Option<u32>) {
        self.newcomers = most.map(|most| NewcomerShare { hellos: most, keyings: most });
    }

    /// Takes a hello's place among the newcomers. False if there is none, and the hello is to be dropped.
    pub(super) fn takes_hello(&mut self) -> bool {
        let is_taken = self.newcomers.as_mut().is_none_or(|share| take(&mut share.hellos));
        self.counters.deferred_hellos += u64::from(!is_taken);
        is_taken
    }

    /// The same for a keying.
    pub(super) fn takes_keying(&mut self) -> bool {
        let is_taken = self.newcomers.as_mut().is_none_or(|share| take(&mut share.keyings));
        self.counters.deferred_keyings += u64::from(!is_taken);
        is_taken
    }
}

fn take(places: &mut u32) -> bool {
    let left = places.checked_sub(1);
    *places = left.unwrap_or(0);
    left.is_some()
}
