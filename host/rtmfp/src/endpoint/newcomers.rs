//! Newcomers wait while the driver is behind: sessions that are open, and lookups, come first.

use super::newcomer_share::NewcomerShare;
use super::state::Endpoint;

impl Endpoint {
    /// From now on, and until the next call, this endpoint takes no more than `most` hellos that select it, and no more than `most` keyings
    /// of initiators; `None`: all that come, which holds for a new endpoint. It drops the others, and initiators repeat them
    /// (RFC 7016 §3.5.1.1.1). Lookups and open sessions go on.
    ///
    /// A driver that cannot handle datagrams as fast as they come calls this before each batch. A share above 0 lets newcomers in,
    /// however long that lasts.
    pub fn limit_newcomers(&mut self, most: Option<u32>) {
        self.newcomers = most.map(NewcomerShare::new);
    }

    /// Takes a hello's place among the newcomers. False if there is none, and the hello is to be dropped.
    pub(super) fn takes_hello(&mut self) -> bool {
        let is_taken = self.newcomers.as_mut().is_none_or(NewcomerShare::take_hello);
        self.counters.deferred_hellos += u64::from(!is_taken);
        is_taken
    }

    /// The same for a keying.
    pub(super) fn takes_keying(&mut self) -> bool {
        let is_taken = self.newcomers.as_mut().is_none_or(NewcomerShare::take_keying);
        self.counters.deferred_keyings += u64::from(!is_taken);
        is_taken
    }
}
