//! What happens in the network of tests, in the order of its times.

use std::collections::BTreeMap;
use std::time::Instant;

use introd_netgroup::GroupDigest;
use introd_policy::net_connection::{ConnectionEvent, GroupId};

use super::ground::EndpointId;
use super::membership::Posting;

/// Something that happens at a time.
pub(super) enum Happening {
    /// An endpoint's script is told of something.
    Tell { endpoint: EndpointId, event: ConnectionEvent },
    /// Two members have learned of each other.
    Meet { one: EndpointId, other: EndpointId, digest: GroupDigest },
    /// One end of a link has gone, or they do not reach each other.
    Part { one: EndpointId, other: EndpointId, digest: GroupDigest },
    /// A member tries to reach a permanent neighbour.
    Reach { endpoint: EndpointId, group: GroupId, name: String },
    /// A member announces itself on the local network, which is one and the same for all servers.
    Announce { endpoint: EndpointId, group: GroupId },
    /// A posting arrives.
    Posting { from: EndpointId, to: EndpointId, digest: GroupDigest, posting: Posting },
    /// A message to a neighbour arrives.
    Message { from: EndpointId, to: EndpointId, digest: GroupDigest, message: Vec<u8> },
}

/// What is yet to happen.
#[derive(Default)]
pub(super) struct Agenda {
    queue: BTreeMap<(Instant, u64), Happening>,
    last: u64,
}

impl Agenda {
    pub(super) fn add(&mut self, at: Instant, happening: Happening) {
        self.last += 1;
        self.queue.insert((at, self.last), happening);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the first that is due, with its time.
    pub(super) fn take(&mut self, now: Instant) -> Option<(Instant, Happening)> {
        self.next().filter(|at| *at <= now)?;
        self.queue.pop_first().map(|((at, _), happening)| (at, happening))
    }
}
