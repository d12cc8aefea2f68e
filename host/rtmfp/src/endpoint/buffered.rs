//! The bound on what all sessions together hold of messages, and which sessions are closed when they exceed it.

use std::collections::{BinaryHeap, HashMap};
use std::time::Instant;

use super::occupant::Occupant;
use super::state::Endpoint;
use crate::event::CloseReason;
use crate::network_prefix::NetworkPrefix;
use crate::session_id::SessionId;

/// When there is too much, room is made for this part of all, so that it need not be done for every message.
const ROOM: usize = 8;

impl Endpoint {
    /// Bytes that the sessions hold: messages not acknowledged, parts of messages, and messages that wait for the application.
    pub fn bytes_buffered(&self) -> usize {
        self.buffered
    }

    /// Closes sessions until those that are left hold less than they may: of the network that holds most, the one that holds most,
    /// again and again.
    pub(super) fn make_room(&mut self, now: Instant) {
        let max = self.config.max_buffered;
        if self.buffered <= max || self.is_making_room {
            return;
        }
        self.is_making_room = true;
        let mut networks: HashMap<NetworkPrefix, (usize, Vec<(usize, SessionId)>)> = HashMap::new();
        for (id, occupant) in self.slots.iter() {
            if let Occupant::Session(session) = occupant
                && session.buffered > 0
            {
                let (sum, sessions) = networks.entry(NetworkPrefix::of(session.transmit().to.ip())).or_default();
                *sum += session.buffered;
                sessions.push((session.buffered, id));
            }
        }
        networks.values_mut().for_each(|(_, sessions)| sessions.sort_unstable());
        let mut heaviest: BinaryHeap<(usize, NetworkPrefix)> =
            networks.iter().map(|(network, (sum, _))| (*sum, *network)).collect();
        while self.buffered > max - max / ROOM
            && let Some((sum, network)) = heaviest.pop()
        {
            let Some((held, id)) = networks.get_mut(&network).and_then(|(_, sessions)| sessions.pop()) else {
                continue;
            };
            self.with_session(now, id, |session, context| session.close_because(context, CloseReason::Buffers));
            self.counters.cut += 1;
            heaviest.push((sum.saturating_sub(held), network));
        }
        self.is_making_room = false;
    }
}
