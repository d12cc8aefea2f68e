//! What is withdrawn soon after a takeover is withdrawn once more: a publication that the other process had sent when it ended may reach Redis
//! after the withdrawal, if Redis stood still meanwhile.

use introd_plugin::{GroupMember, PeerId};

/// After so many heartbeats Redis has read all that the other process had sent before it ended.
const HEARTBEATS: u8 = 3;
/// How many withdrawals are repeated at most.
const MAX: usize = 65_536;

/// The withdrawals since a takeover.
#[derive(Default)]
pub(crate) struct Echo {
    heartbeats_left: u8,
    peers: Vec<PeerId>,
    members: Vec<GroupMember>,
}

impl Echo {
    /// This process has taken over.
    pub(crate) fn begin(&mut self) {
        self.heartbeats_left = HEARTBEATS;
    }

    pub(crate) fn add_peer(&mut self, peer: PeerId) {
        if self.heartbeats_left > 0 && self.peers.len() < MAX {
            self.peers.push(peer);
        }
    }

    pub(crate) fn add_member(&mut self, member: GroupMember) {
        if self.heartbeats_left > 0 && self.members.len() < MAX {
            self.members.push(member);
        }
    }

    /// Redis has accepted a heartbeat. Gives what is to be withdrawn once more, at the right one.
    pub(crate) fn heartbeat(&mut self) -> (Vec<PeerId>, Vec<GroupMember>) {
        if self.heartbeats_left == 0 {
            return Default::default();
        }
        self.heartbeats_left -= 1;
        if self.heartbeats_left > 0 {
            return Default::default();
        }
        (std::mem::take(&mut self.peers), std::mem::take(&mut self.members))
    }
}

#[cfg(test)]
mod tests {
    use introd_plugin::{GroupId, RingPosition};

    use super::*;

    #[test]
    fn what_is_withdrawn_soon_after_a_takeover_comes_once_more_and_nothing_else() {
        let member = GroupMember { group: GroupId([1; 32]), peer: PeerId([2; 32]), position: RingPosition([3; 32]) };
        let mut echo = Echo::default();
        echo.add_peer(PeerId([1; 32]));
        assert_eq!(echo.heartbeat(), (vec![], vec![]), "there was no takeover");
        echo.begin();
        echo.add_peer(PeerId([2; 32]));
        for _ in 1..HEARTBEATS {
            assert_eq!(echo.heartbeat(), (vec![], vec![]));
        }
        echo.add_member(member);
        assert_eq!(echo.heartbeat(), (vec![PeerId([2; 32])], vec![member]));
        echo.add_peer(PeerId([3; 32]));
        assert_eq!(echo.heartbeat(), (vec![], vec![]));
    }
}
