//! The clients of an instance. They stay when the script is loaded anew.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rtmfp::PeerId;

use super::item::InboxItem;
use super::ledger::{KeptClient, Ledger};
use introd_policy::message::{ClientId, ClientInfo};

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It waits for an answer to its connect.
    Waiting,
    /// It is in.
    Accepted,
    /// It was turned away, or closed, and is not yet gone.
    Refused,
    /// It is gone.
    Gone,
}

/// A client.
pub(crate) struct RosterMember {
    pub(crate) id: ClientId,
    pub(crate) info: Arc<ClientInfo>,
    pub(crate) far_address: Cell<SocketAddr>,
    pub(crate) reported: RefCell<Vec<SocketAddr>>,
    pub(crate) phase: Cell<Phase>,
    /// The number of the request whether it may connect.
    pub(crate) request: Cell<u64>,
    /// Whether `onConnect` has yet to end.
    pub(crate) is_connecting: Cell<bool>,
    /// What happened to it since, before it was accepted; and later, until the script has heard of all that.
    pub(crate) deferred: RefCell<VecDeque<InboxItem>>,
    /// Whether the script hears of that, some of it in each turn.
    pub(crate) is_catching_up: Cell<bool>,
    /// Its groups: membership and digest.
    pub(crate) groups: RefCell<Vec<(u64, [u8; 32])>>,
    /// The tokens of what it was asked and has not answered.
    pub(crate) asked: RefCell<Vec<u64>>,
    /// Whether the script's machine finds it by its peer id without asking the host.
    pub(crate) is_found: Cell<bool>,
    /// Whether the script has heard of it, and so hears of its end.
    pub(crate) is_known: Cell<bool>,
    /// Its place in [`Roster::at`].
    place: Cell<usize>,
}

impl RosterMember {
    pub(crate) fn is_accepted(&self) -> bool {
        self.phase.get() == Phase::Accepted
    }
}

/// The clients, also those that wait, by id; and those that are in, in no particular order.
#[derive(Default)]
pub(crate) struct Roster {
    members: HashMap<ClientId, Rc<RosterMember>>,
    accepted: Vec<Rc<RosterMember>>,
    by_peer: HashMap<PeerId, Rc<RosterMember>>,
    /// What is kept of them for the case that this thread stands still.
    ledger: Arc<Ledger>,
}

impl Roster {
    /// The clients that a ledger knows.
    pub(crate) fn of(ledger: &Arc<Ledger>) -> Self {
        let mut roster = Self { ledger: Arc::clone(ledger), ..Self::default() };
        for (id, kept) in ledger.all() {
            let Some(member) = roster.insert_from_ledger(id) else { continue };
            if kept.is_accepted {
                member.is_known.set(true);
                roster.accept(&member);
            } else {
                // Its connect was answered while nobody was there to decide.
                member.phase.set(Phase::Refused);
            }
        }
        roster
    }

    pub(crate) fn get(&self, id: ClientId) -> Option<Rc<RosterMember>> {
        self.members.get(&id).cloned()
    }

    /// A client that is in, by its peer id.
    pub(crate) fn by_peer(&self, peer: &PeerId) -> Option<Rc<RosterMember>> {
        self.by_peer.get(peer).cloned()
    }

    /// A client that is in, by number, counted from 0.
    pub(crate) fn at(&self, place: usize) -> Option<Rc<RosterMember>> {
        self.accepted.get(place).cloned()
    }

    /// How many are in.
    pub(crate) fn len(&self) -> usize {
        self.accepted.len()
    }

    /// Those who are in.
    pub(crate) fn accepted(&self) -> Vec<Rc<RosterMember>> {
        self.accepted.clone()
    }

    /// A client wants to connect.
    pub(crate) fn insert(&mut self, id: ClientId, info: ClientInfo) -> Rc<RosterMember> {
        let info = Arc::new(info);
        self.ledger.insert(id, KeptClient::of(&info));
        self.insert_as(id, info)
    }

    /// A client that was accepted while no script ran: what the ledger has of it.
    pub(crate) fn insert_from_ledger(&mut self, id: ClientId) -> Option<Rc<RosterMember>> {
        let kept = self.ledger.get(id)?;
        let member = self.insert_as(id, Arc::clone(&kept.info));
        member.far_address.set(kept.far_address);
        *member.reported.borrow_mut() = kept.reported;
        *member.groups.borrow_mut() = kept.groups;
        Some(member)
    }

    fn insert_as(&mut self, id: ClientId, info: Arc<ClientInfo>) -> Rc<RosterMember> {
        let member = Rc::new(RosterMember {
            id,
            far_address: Cell::new(info.far_address),
            info,
            reported: RefCell::default(),
            phase: Cell::new(Phase::Waiting),
            request: Cell::new(0),
            is_connecting: Cell::new(false),
            deferred: RefCell::default(),
            is_catching_up: Cell::new(false),
            groups: RefCell::default(),
            asked: RefCell::default(),
            is_found: Cell::new(false),
            is_known: Cell::new(false),
            place: Cell::new(usize::MAX),
        });
        if let Some(old) = self.members.insert(id, Rc::clone(&member)) {
            self.take_out(&old);
        }
        member
    }

    /// A client is let in.
    pub(crate) fn accept(&mut self, member: &Rc<RosterMember>) {
        member.phase.set(Phase::Accepted);
        self.ledger.change(member.id, |kept| kept.is_accepted = true);
        member.place.set(self.accepted.len());
        self.accepted.push(Rc::clone(member));
        // A peer that comes back before its old session has ended counts from its new one.
        self.by_peer.insert(member.info.far_id, Rc::clone(member));
    }

    /// A client is gone.
    pub(crate) fn remove(&mut self, id: ClientId) -> Option<Rc<RosterMember>> {
        self.ledger.remove(id);
        let member = self.members.remove(&id)?;
        self.take_out(&member);
        Some(member)
    }

    fn take_out(&mut self, member: &Rc<RosterMember>) {
        member.phase.set(Phase::Gone);
        let place = member.place.replace(usize::MAX);
        if place < self.accepted.len() {
            self.accepted.swap_remove(place);
            if let Some(moved) = self.accepted.get(place) {
                moved.place.set(place);
            }
        }
        if self.by_peer.get(&member.info.far_id).is_some_and(|known| known.id == member.id) {
            self.by_peer.remove(&member.info.far_id);
        }
    }
}
