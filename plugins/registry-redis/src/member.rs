//! An element of the sorted set that Redis holds for a group: one member, at one server.
//!
//! | bytes | meaning |
//! |---|---|
//! | 32 | the position on the group's ring |
//! | 32 | the peer ID |
//! | 8 | the epoch of the server |
//! | the rest | the server's name |
//!
//! All elements have the same score, so that Redis keeps them in the order of the ring. A member counts while the key of its server holds
//! the epoch, like the entry of a peer.

use std::sync::Arc;

use introd_plugin::{PeerId, RingPosition};

use crate::entry::Epoch;

/// A member of a group, at one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) position: RingPosition,
    pub(crate) peer: PeerId,
    pub(crate) epoch: Epoch,
    pub(crate) server: Arc<[u8]>,
}

/// A server that was dead when Redis was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DeadServer {
    pub(crate) server: Arc<[u8]>,
    pub(crate) epoch: Epoch,
}

/// The element of a member.
pub(crate) fn encode(position: RingPosition, peer: &PeerId, epoch: Epoch, server: &str) -> Vec<u8> {
    [&position.0[..], &peer.0, &epoch.0, server.as_bytes()].concat()
}

impl Member {
    /// Reads an element; `None` if it is too short.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (position, bytes) = bytes.split_first_chunk::<32>()?;
        let (peer, bytes) = bytes.split_first_chunk::<32>()?;
        let (epoch, server) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            position: RingPosition(*position),
            peer: PeerId(*peer),
            epoch: Epoch(*epoch),
            server: server.into(),
        })
    }

    /// Its element.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [&self.position.0[..], &self.peer.0, &self.epoch.0, &self.server].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_as_they_are_written_and_keep_the_order_of_the_ring() {
        let element = |position: u8| encode(RingPosition([position; 32]), &PeerId([9; 32]), Epoch([7; 8]), "server");
        let member = Member::decode(&element(5)).unwrap();
        assert_eq!((member.position, member.peer), (RingPosition([5; 32]), PeerId([9; 32])));
        assert_eq!((member.epoch, &member.server[..]), (Epoch([7; 8]), &b"server"[..]));
        assert_eq!(member.encode(), element(5));
        assert!(element(0) < element(1) && element(127) < element(128));
        for len in 0..72 {
            assert_eq!(Member::decode(&element(5)[..len]), None, "{len}");
        }
    }
}
