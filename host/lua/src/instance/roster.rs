//! The clients of an instance. They stay when the script is reloaded.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::fast::RandomState;
use rtmfp::PeerId;

use super::item::InboxItem;
use super::ledger::Ledger;
use introd_flash::server::Publication;
use introd_policy::PeerIds;
use introd_policy::message::{ClientId, ClientInfo};

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It waits for an answer to its connect.
    Waiting,
    /// It is accepted.
    Accepted,
    /// It was rejected, or its connection is being closed.
    Refused,
    /// It has left.
    Gone,
}

/// A client of the instance.
pub(crate) struct RosterMember {
    pub(crate) id: ClientId,
    pub(crate) info: Arc<ClientInfo>,
    pub(crate) far_address: Cell<SocketAddr>,
    pub(crate) reported: RefCell<Vec<SocketAddr>>,
    pub(crate) phase: Cell<Phase>,
    /// The number of its connect among the open requests.
    pub(crate) request: Cell<u64>,
    /// Whether `onConnect` has yet to end.
    pub(crate) is_connecting: Cell<bool>,
    /// What has happened to it while its `onConnect` ran, and what happens later until the script has been told of all that.
    pub(crate) deferred: RefCell<VecDeque<InboxItem>>,
    /// Whether the script is being told of that, a part in each turn.
    pub(crate) is_catching_up: Cell<bool>,
    /// Its groups: the number of the membership, and the digest.
    pub(crate) groups: RefCell<Vec<(u64, [u8; 32])>>,
    /// What it publishes to the server, and about what it may publish the script has yet to decide.
    pub(crate) publications: RefCell<Vec<Publishing>>,
    /// Whether it was accepted because `onConnect` returned nothing.
    pub(crate) is_accepted_by_default: Cell<bool>,
    /// The tokens of the calls that it has not answered.
    pub(crate) asked: RefCell<Vec<u64>>,
    /// Whether the script's VM finds it by its peer id without asking the host.
    pub(crate) is_found: Cell<bool>,
    /// Whether the script, or one before it, has been told of it, and so is told when it leaves.
    is_known: Cell<bool>,
    /// Its place in [`Roster::at`].
    place: Cell<usize>,
}

/// A stream that a client publishes, or wants to.
pub(crate) struct Publishing {
    pub(crate) publication: Publication,
    /// Whether the script has allowed it.
    pub(crate) is_allowed: bool,
    /// Whether the client still wants it.
    pub(crate) is_wanted: bool,
}

impl RosterMember {
    pub(crate) fn is_known(&self) -> bool {
        self.is_known.get()
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.phase.get() == Phase::Accepted
    }
}

/// The clients of an instance: all by id, and the accepted ones in no particular order.
#[derive(Default)]
pub(crate) struct Roster {
    members: HashMap<ClientId, Rc<RosterMember>>,
    accepted: Vec<Rc<RosterMember>>,
    /// The accepted ones by peer ID: of several with the same one that which came last.
    by_peer: HashMap<PeerId, Rc<RosterMember>, RandomState>,
    /// All accepted ones of each peer ID that several have, in the order in which they were accepted.
    rivals: HashMap<PeerId, Vec<Rc<RosterMember>>>,
    /// Knows which of those has the ID.
    peer_ids: Option<Arc<dyn PeerIds>>,
    /// A copy for the case that this thread stands still.
    ledger: Arc<Ledger>,
}

impl Roster {
    /// The clients that a ledger knows.
    pub(crate) fn of(ledger: &Arc<Ledger>) -> Self {
        let mut roster = Self { ledger: Arc::clone(ledger), ..Self::default() };
        for (id, kept) in ledger.all() {
            let Some(member) = roster.insert_from_ledger(id) else { continue };
            if kept.is_accepted || kept.is_told {
                roster.know(&member);
            }
            if kept.is_accepted {
                roster.accept(&member);
            } else {
                // It was rejected by a script before this one, or while no script was there to decide.
                member.phase.set(Phase::Refused);
            }
        }
        roster
    }

    pub(crate) fn get(&self, id: ClientId) -> Option<Rc<RosterMember>> {
        self.members.get(&id).cloned()
    }

    /// The same, which asks there for the client that has a peer ID that several show.
    pub(crate) fn with_peer_ids(self, peer_ids: Option<Arc<dyn PeerIds>>) -> Self {
        Self { peer_ids, ..self }
    }

    /// An accepted client, by its peer ID: of several the one that lookups lead to, or else the one that came last.
    pub(crate) fn by_peer(&self, peer: &PeerId) -> Option<Rc<RosterMember>> {
        let holder = self.rivals.get(peer).and_then(|rivals| {
            let holder = self.peer_ids.as_ref()?.holder(peer)?;
            rivals.iter().find(|member| member.id.session == holder)
        });
        holder.or_else(|| self.by_peer.get(peer)).cloned()
    }

    /// Whether several accepted clients have that peer ID: which of them is found may change at any time.
    pub(crate) fn is_disputed(&self, peer: &PeerId) -> bool {
        self.rivals.contains_key(peer)
    }

    /// An accepted client, by number, counted from 0.
    pub(crate) fn at(&self, place: usize) -> Option<Rc<RosterMember>> {
        self.accepted.get(place).cloned()
    }

    /// How many clients are accepted.
    pub(crate) fn len(&self) -> usize {
        self.accepted.len()
    }

    /// The accepted clients.
    pub(crate) fn accepted(&self) -> Vec<Rc<RosterMember>> {
        self.accepted.clone()
    }

    /// All clients, in the order of their ids.
    pub(crate) fn all(&self) -> Vec<Rc<RosterMember>> {
        let mut all: Vec<_> = self.members.values().cloned().collect();
        all.sort_unstable_by_key(|member| member.id);
        all
    }

    /// A client asks to connect.
    pub(crate) fn insert(&mut self, id: ClientId, info: impl Into<Arc<ClientInfo>>) -> Rc<RosterMember> {
        let info = info.into();
        let is_told = self.ledger.connects(id, &info);
        let member = self.insert_as(id, info);
        member.is_known.set(is_told);
        member
    }

    /// A client that was accepted while no script ran: what the ledger has of it.
    pub(crate) fn insert_from_ledger(&mut self, id: ClientId) -> Option<Rc<RosterMember>> {
        let kept = self.ledger.get(id)?;
        let member = self.insert_as(id, Arc::clone(&kept.info));
        member.far_address.set(kept.far_address);
        *member.reported.borrow_mut() = kept.reported;
        *member.groups.borrow_mut() = kept.groups;
        let allowed = |publication| Publishing { publication, is_allowed: true, is_wanted: true };
        *member.publications.borrow_mut() = kept.publications.into_iter().map(allowed).collect();
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
            publications: RefCell::default(),
            is_accepted_by_default: Cell::new(false),
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

    /// The script is told of a client, and so will be told when it leaves.
    pub(crate) fn know(&self, member: &RosterMember) {
        member.is_known.set(true);
        self.ledger.change(member.id, |kept| kept.is_told = true);
    }

    /// What a client publishes has changed.
    pub(crate) fn note_publications(&self, member: &RosterMember) {
        let allowed = member
            .publications
            .borrow()
            .iter()
            .filter(|known| known.is_allowed)
            .map(|known| known.publication.clone())
            .collect();
        self.ledger.change(member.id, |kept| kept.publications = allowed);
    }

    /// A client is accepted.
    pub(crate) fn accept(&mut self, member: &Rc<RosterMember>) {
        member.phase.set(Phase::Accepted);
        self.ledger.change(member.id, |kept| kept.is_accepted = true);
        member.place.set(self.accepted.len());
        self.accepted.push(Rc::clone(member));
        let peer = member.info.far_id;
        if let Some(before) = self.by_peer.insert(peer, Rc::clone(member)).filter(|before| before.id != member.id) {
            self.rivals.entry(peer).or_insert_with(|| vec![before]).push(Rc::clone(member));
        }
    }

    /// A client has left.
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
        let peer = member.info.far_id;
        if let Some(rivals) = self.rivals.get_mut(&peer) {
            rivals.retain(|other| !Rc::ptr_eq(other, member));
            let last = rivals.last().cloned();
            if rivals.len() < 2 {
                self.rivals.remove(&peer);
            }
            self.by_peer.extend(last.map(|last| (peer, last)));
        } else if self.by_peer.get(&peer).is_some_and(|known| Rc::ptr_eq(known, member)) {
            self.by_peer.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rtmfp::SessionId;

    use super::*;

    fn client(number: u32) -> (ClientId, ClientInfo) {
        let (_, mut info) = crate::tests::a_client();
        info.far_id = PeerId([number as u8; 32]);
        (ClientId { worker: 0, session: SessionId::from_wire(number) }, info)
    }

    fn entered(roster: &mut Roster, number: u32) -> Rc<RosterMember> {
        let (id, info) = client(number);
        let member = roster.insert(id, info);
        roster.accept(&member);
        member
    }

    fn accepted(roster: &Roster) -> Vec<u32> {
        let mut numbers: Vec<u32> = roster.accepted().iter().map(|member| member.id.session.get()).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn who_has_left_is_found_in_no_way_and_the_others_in_every_way() {
        let mut roster = Roster::default();
        let members: Vec<_> = (1..=5).map(|number| entered(&mut roster, number)).collect();
        for leaving in [2, 1, 5] {
            let gone = roster.remove(client(leaving).0).unwrap();
            assert_eq!(gone.phase.get(), Phase::Gone);
            assert!(roster.get(gone.id).is_none() && roster.by_peer(&gone.info.far_id).is_none());
        }
        assert_eq!((roster.len(), accepted(&roster)), (2, vec![3, 4]));
        assert!(roster.remove(client(2).0).is_none());
        assert!([3, 4].into_iter().all(|number| roster.by_peer(&PeerId([number; 32])).is_some()));
        assert!(roster.at(1).is_some() && roster.at(2).is_none());
        assert_eq!(roster.ledger.all().len(), 2);
        assert!(members.iter().filter(|member| member.is_accepted()).count() == 2);
    }

    #[test]
    fn a_peer_that_comes_back_counts_from_its_new_session_also_when_the_old_one_ends() {
        let mut roster = Roster::default();
        let old = entered(&mut roster, 1);
        let (_, info) = client(1);
        let new = roster.insert(client(9).0, info);
        roster.accept(&new);
        assert!(roster.by_peer(&old.info.far_id).is_some_and(|found| found.id == new.id));
        roster.remove(old.id);
        assert!(roster.by_peer(&old.info.far_id).is_some_and(|found| found.id == new.id));
        assert!(!roster.is_disputed(&old.info.far_id));
        // One client that is entered twice is there once.
        let again = entered(&mut roster, 9);
        assert_eq!((roster.len(), new.phase.get(), again.is_accepted()), (1, Phase::Gone, true));
    }

    /// Says which session holds an ID.
    struct Holder(Mutex<Option<SessionId>>);

    impl PeerIds for Holder {
        fn holder(&self, _: &PeerId) -> Option<SessionId> {
            *self.0.lock().unwrap()
        }
    }

    #[test]
    fn of_several_clients_with_one_id_the_one_that_holds_it_is_found_and_then_one_that_is_left() {
        let holder = Arc::new(Holder(Mutex::new(None)));
        let mut roster = Roster::default().with_peer_ids(Some(Arc::clone(&holder) as _));
        let peer = client(1).1.far_id;
        let mut come = |number: u32| {
            let member = roster.insert(client(number).0, client(1).1);
            roster.accept(&member);
        };
        (1..=4).for_each(&mut come);
        let found = |roster: &Roster| roster.by_peer(&peer).map(|member| member.id.session.get());
        assert_eq!(found(&roster), Some(4), "nobody knows better");
        for holds in [1, 3, 2] {
            *holder.0.lock().unwrap() = Some(SessionId::from_wire(holds));
            assert_eq!(found(&roster), Some(holds));
        }
        // The holder is a client of another instance.
        *holder.0.lock().unwrap() = Some(SessionId::from_wire(77));
        assert_eq!(found(&roster), Some(4));
        for (leaves, left) in [(4, Some(3)), (2, Some(3)), (3, Some(1)), (1, None)] {
            assert_eq!(roster.is_disputed(&peer), roster.len() > 1);
            roster.remove(client(leaves).0);
            assert_eq!(found(&roster), left);
        }
        assert!(roster.rivals.is_empty() && roster.by_peer.is_empty());
    }

    #[test]
    fn a_successor_takes_over_the_clients_with_what_is_known_of_them() {
        let ledger = Arc::new(Ledger::default());
        let (first, second, third) = (client(1), client(2), client(3));
        {
            let mut roster = Roster::of(&ledger);
            entered(&mut roster, 1);
            roster.insert(second.0, second.1);
            let told = roster.insert(third.0, third.1);
            roster.know(&told);
        }
        let address: SocketAddr = "192.0.2.9:9".parse().unwrap();
        ledger.change(first.0, |kept| {
            (kept.far_address, kept.reported, kept.groups) = (address, vec![address], vec![(3, [7; 32])]);
        });
        let roster = Roster::of(&ledger);
        assert_eq!(accepted(&roster), [1]);
        let member = roster.get(first.0).unwrap();
        assert_eq!((member.far_address.get(), member.reported.take()), (address, vec![address]));
        assert_eq!((member.groups.take(), member.is_known()), (vec![(3, [7; 32])], true));
        // The other connect was answered while no script was there to decide.
        let refused = roster.get(second.0).unwrap();
        assert_eq!((refused.phase.get(), refused.is_known()), (Phase::Refused, false));
        // Of the third the script before was told: this one is told when it is gone.
        let refused = roster.get(third.0).unwrap();
        assert_eq!((refused.phase.get(), refused.is_known()), (Phase::Refused, true));
        assert!(roster.by_peer(&refused.info.far_id).is_none());
        drop(roster);
        let mut roster = Roster::of(&ledger);
        roster.remove(first.0);
        assert_eq!(ledger.all().len(), 2);
    }
}
