//! Turning initiators away: their hellos are redirected to other endpoints, or not answered (RFC 7016 §3.5.1.1.2, §2.3.5).

use std::sync::Arc;
use std::time::Instant;

use super::state::Endpoint;
use crate::greeting::Greeting;
use crate::transmit::Transmit;
use crate::wire::TaggedAddress;
use crate::wire::chunk::Redirect;

impl Endpoint {
    /// Sets how hellos that select this endpoint are answered from now on. Open sessions and lookups go on in either case.
    ///
    /// With [`Greeting::TurnAway`], a handshake under way goes on if its hello was answered before: the initiator's keying is taken for as
    /// long as its cookie is good, which is 95 seconds. An initiator whose address changes meanwhile gets no other cookie.
    pub fn set_greeting(&mut self, greeting: Greeting) {
        self.greeting = greeting;
    }

    /// Whether sessions open.
    pub(super) fn responds(&self) -> bool {
        self.greeting == Greeting::Respond
    }

    /// Answers a hello that selects this endpoint while it turns hellos away. As any hello, it earns less than three bytes for each of its
    /// own, and so as many of the addresses as fit, the first ones.
    pub(super) fn turn_away(&mut self, now: Instant, transmit: Transmit, tag: &[u8]) {
        self.counters.turned_away += 1;
        let Greeting::TurnAway(destinations) = &self.greeting else { return };
        let destinations = Arc::clone(destinations);
        // One that is too short for any address is answered when it has been repeated.
        let count = self.destinations_within(3 * self.received, tag, &destinations).max(1);
        let Some(destinations) = destinations.get(..count) else { return };
        let len = Redirect::payload_len(tag.len()) + destinations.iter().map(TaggedAddress::encoded_len).sum::<usize>();
        if !self.is_earned(now, transmit, self.startup_sealer.datagrams(len)) {
            return;
        }
        if !self.startup_sealer.push(&mut self.outbox, transmit, 0, |out| Redirect::put(tag, destinations, out)) {
            self.counters.outbox_full += 1;
        }
    }

    /// How many of these addresses, the first ones, a redirect holds whose datagram is shorter than `budget` bytes.
    pub(super) fn destinations_within(&self, budget: usize, tag: &[u8], destinations: &[TaggedAddress]) -> usize {
        let mut len = Redirect::payload_len(tag.len());
        let fits = |destination: &&TaggedAddress| {
            len += destination.encoded_len();
            self.startup_sealer.datagrams(len) < budget
        };
        destinations.iter().take_while(fits).count()
    }
}
