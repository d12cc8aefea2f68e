//! Responder hellos that are longer than a narrow path carries, as those of certificates with static keys are.
//!
//! Such a hello is sent whole, in case the initiator does not know fragments. If the initiator asks again, it may not have come through:
//! the next one goes in fragments, and so on by turns. A responder keeps no state of a hello; these few bytes only choose between two
//! forms of one answer, and whoever makes them forgotten wins nothing.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::sealer::Width;

/// How many initiators are remembered, the last ones. Hellos are repeated within seconds.
const MAX_REMEMBERED: usize = 64;

/// Which initiators were sent a long hello, and for which path the last one was.
#[derive(Default)]
pub(crate) struct LongHellos(VecDeque<(SocketAddr, Width)>);

impl LongHellos {
    /// The path that the next hello to this initiator is meant for.
    pub(crate) fn next(&self, initiator: SocketAddr) -> Width {
        match self.0.iter().find(|(known, _)| *known == initiator) {
            Some((_, Width::Wide)) => Width::Narrow,
            _ => Width::Wide,
        }
    }

    /// One was sent.
    pub(crate) fn sent(&mut self, initiator: SocketAddr, width: Width) {
        self.0.retain(|(known, _)| *known != initiator);
        if self.0.len() >= MAX_REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((initiator, width));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn initiator(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn hellos_to_one_initiator_take_turns_and_no_more_than_some_are_remembered() {
        let mut hellos = LongHellos::default();
        let mut send = |port| {
            let width = hellos.next(initiator(port));
            hellos.sent(initiator(port), width);
            width
        };
        let widths = [1, 1, 2, 1, 2].map(&mut send);
        assert_eq!(widths, [Width::Wide, Width::Narrow, Width::Wide, Width::Wide, Width::Narrow]);
        (1000..2000).for_each(|port| _ = send(port));
        assert_eq!(hellos.0.len(), MAX_REMEMBERED);
        assert_eq!(hellos.next(initiator(2)), Width::Wide, "it is forgotten");
    }
}
