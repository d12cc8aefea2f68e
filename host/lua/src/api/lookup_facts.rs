//! What a VM knows of the lookups about which its script is asked.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use rtmfp::PeerId;
use smallvec::SmallVec;

use super::client_objects::number_of;
use crate::instance::open_requests::{OpenRequest, OpenRequests};
use crate::instance::roster::RosterMember;
use introd_policy::message::PeerLookup;

/// What an event says besides what it says of the [`LatestLookup`].
pub(crate) struct LookupFacts {
    /// How many times the asker has asked, with this time.
    pub(super) attempt: u32,
    pub(super) interface: i64,
    pub(super) asker: Option<i64>,
    /// The asker's application and instance, if it is a client of another one.
    pub(super) application: Option<Box<str>>,
}

/// The lookup whose event was made last.
pub(crate) struct LatestLookup {
    /// The number of the open request. It may be answered by now.
    pub(super) number: u64,
    pub(super) target: Option<PeerId>,
    /// The target, if it was a client of the instance then.
    pub(super) client: Option<Rc<RosterMember>>,
    /// Whether the prelude was given the target's object.
    pub(super) is_found: bool,
    pub(super) initiator: SocketAddr,
    pub(super) tag: SmallVec<[u8; 16]>,
}

impl Default for LatestLookup {
    /// Before the first lookup: that of a number which no request has.
    fn default() -> Self {
        let initiator = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Self { number: u64::MAX, target: None, client: None, is_found: false, initiator, tag: SmallVec::new() }
    }
}

impl LatestLookup {
    /// The script is asked now about the lookup of that number, which becomes the latest. `None` if it has been answered meanwhile.
    pub(super) fn begin(&mut self, requests: &OpenRequests, number: u64) -> Option<LookupFacts> {
        let facts = requests.begin(number, |request| match request {
            OpenRequest::Lookup(lookup) => Some(self.become_that_of(number, lookup)),
            _ => None,
        });
        facts.flatten()
    }

    fn become_that_of(&mut self, number: u64, lookup: &PeerLookup) -> LookupFacts {
        (self.number, self.target, self.initiator) = (number, lookup.target, lookup.initiator);
        (self.client, self.is_found) = (None, false);
        // To clone it would copy byte by byte.
        self.tag.clear();
        self.tag.extend_from_slice(&lookup.tag);
        LookupFacts {
            attempt: lookup.attempt,
            interface: i64::from(lookup.interface.0),
            asker: lookup.asker.map(number_of),
            application: lookup.proposal.as_ref().and_then(|proposal| proposal.initiator_application.clone()),
        }
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
    /// Whether it has yet to ask about the lookup with which it begins.
    pub(super) is_first: Cell<bool>,
}

impl LookupRun {
    /// A coroutine begins with the lookup of that number. Gives back where it keeps the number.
    pub(super) fn begin(&self, number: u64) -> Rc<Cell<u64>> {
        self.is_first.set(true);
        let about = Rc::new(Cell::new(number));
        *self.running.borrow_mut() = Some(Rc::clone(&about));
        about
    }

    /// The coroutine has ended or waits: when it is resumed, it takes no more lookups.
    pub(super) fn end(&self) {
        self.running.take();
        self.is_first.set(false);
    }
}
