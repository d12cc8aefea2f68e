//! What a VM knows of the lookups about which its script is asked.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use rtmfp::PeerId;
use smallvec::SmallVec;

use super::client_objects::number_of;
use crate::instance::open_requests::{OpenRequest, OpenRequests};
use crate::instance::roster::RosterMember;
use introd_policy::message::PeerLookup;

/// The facts of a lookup of which the prelude makes an event.
pub(crate) struct LookupFacts {
    pub(super) target: Option<PeerId>,
    pub(super) initiator: SocketAddr,
    pub(super) tag: SmallVec<[u8; 16]>,
    /// How many times the asker has asked, with this time.
    pub(super) attempt: u32,
    pub(super) interface: i64,
    pub(super) asker: Option<i64>,
    /// The asker's application and instance, if it is a client of another one.
    pub(super) application: Option<Box<str>>,
}

impl LookupFacts {
    pub(crate) fn of(lookup: &PeerLookup) -> Self {
        Self {
            target: lookup.target,
            initiator: lookup.initiator,
            // To clone it would copy byte by byte.
            tag: SmallVec::from_slice(&lookup.tag),
            attempt: lookup.attempt,
            interface: i64::from(lookup.interface.0),
            asker: lookup.asker.map(number_of),
            application: lookup.proposal.as_ref().and_then(|proposal| proposal.initiator_application.clone()),
        }
    }

    /// The facts of the lookup of that number, about which the script is asked now. `None` if it has been answered meanwhile.
    pub(crate) fn begin(requests: &OpenRequests, number: u64) -> Option<Self> {
        let facts = requests.begin(number, |request| match request {
            OpenRequest::Lookup(lookup) => Some(Self::of(lookup)),
            _ => None,
        });
        facts.flatten()
    }
}

/// The lookup whose event was made last.
pub(crate) struct LatestLookup {
    /// The number of the open request. It may be answered by now.
    pub(super) number: u64,
    pub(super) target: Option<PeerId>,
    /// The target, if it was a client of the instance then.
    pub(super) client: Option<Rc<RosterMember>>,
    /// Whether the prelude was given the target's object.
    is_found: bool,
    pub(super) initiator: SocketAddr,
    pub(super) tag: SmallVec<[u8; 16]>,
}

impl LatestLookup {
    pub(super) fn new(number: u64, facts: LookupFacts, client: Option<Rc<RosterMember>>, is_found: bool) -> Self {
        let LookupFacts { target, initiator, tag, .. } = facts;
        Self { number, target, client, is_found, initiator, tag }
    }

    /// The target, if the prelude was given its object.
    pub(super) fn found(&self) -> Option<&RosterMember> {
        self.client.as_deref().filter(|_| self.is_found)
    }
}

/// The coroutine that asks the script about one lookup after the other, as long as the host has more.
///
/// It keeps the number of the lookup that it is about: another coroutine may go on while a handler waits.
#[derive(Default)]
pub(crate) struct LookupRun {
    pub(super) running: RefCell<Option<Rc<Cell<u64>>>>,
    /// The lookup with which it begins, until it asks.
    pub(super) first: RefCell<Option<LookupFacts>>,
}

impl LookupRun {
    /// A coroutine begins with the lookup of that number. Gives back where it keeps the number.
    pub(super) fn begin(&self, number: u64, facts: LookupFacts) -> Rc<Cell<u64>> {
        *self.first.borrow_mut() = Some(facts);
        let about = Rc::new(Cell::new(number));
        *self.running.borrow_mut() = Some(Rc::clone(&about));
        about
    }

    /// The coroutine has ended or waits: when it is resumed, it takes no more lookups.
    pub(super) fn end(&self) {
        self.running.take();
        self.first.take();
    }
}
