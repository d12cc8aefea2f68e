//! A node: an endpoint, its addresses, and the driver around it.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rtmfp::flow::{FlowEvent, RecvFlowId};
use rtmfp::handover::{Clock, EndpointState};
use rtmfp::{
    Config, Endpoint, Event, KeyingDone, Lookup, Origin, PreparedSession, SessionCounts, SessionId, TaggedAddress,
    Transmit,
};

use super::identities;
use super::nat::Nat;

/// An endpoint that has more to say than this after one datagram will never stop.
const MAX_DRAIN: usize = 100_000;

/// How a node answers a lookup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// Tells the asker where the target is.
    pub(crate) redirects: bool,
    /// Forwards the hello to the target.
    pub(crate) forwards: bool,
}

impl Introduction {
    pub(crate) const FULL: Self = Self { redirects: true, forwards: true };
}

/// A message that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) session: SessionId,
    pub(crate) flow: RecvFlowId,
    pub(crate) data: Vec<u8>,
}

pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    config: Config,
    /// By interface.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) nat: Option<Nat>,
    /// Destinations that are reached by another interface than the engine asked for.
    pub(crate) routes: Vec<(IpAddr, usize)>,
    pub(crate) introduction: Introduction,
    /// Where an introducer says that others are, besides where it sees them.
    pub(crate) extra_addresses: Vec<SocketAddr>,
    /// How long a key computation takes at most; none at all if zero.
    pub(crate) keying_delay: Duration,
    /// A dead node takes nothing in and puts nothing out.
    pub(crate) is_dead: bool,
    /// Everything that happened, keying jobs and messages apart.
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) messages: Vec<Message>,
    pub(crate) keying_jobs: usize,
    /// When the endpoint wants to be woken.
    pub(crate) wake: Option<Instant>,
    heir: Option<Box<Heir>>,
}

/// An endpoint that will go on with the sessions of another.
pub(crate) struct Heir {
    endpoint: Endpoint,
    config: Config,
    /// The time from which the times in the records count.
    then: Instant,
    /// The sessions that there are.
    all: Vec<u32>,
    /// The sessions that it was told of, as they were then.
    prepared: HashMap<u32, PreparedSession>,
}

fn by_way_of_bytes(state: &EndpointState) -> EndpointState {
    let bytes = postcard::to_stdvec(state).expect("a state can be written");
    postcard::from_bytes(&bytes).expect("what was written can be read")
}

/// What came out of an endpoint.
#[derive(Default)]
pub(crate) struct Drained {
    pub(crate) datagrams: Vec<(Transmit, Vec<u8>)>,
    /// Finished key computations, to be handed in after the node's keying delay.
    pub(crate) keyed: Vec<KeyingDone>,
    /// The lookups that were answered, for a relay to count.
    pub(crate) lookups: Vec<Lookup>,
}

impl Node {
    pub(crate) fn new(
        now: Instant,
        config: Config,
        seed: [u8; 32],
        addresses: Vec<SocketAddr>,
        nat: Option<Nat>,
    ) -> Self {
        Self {
            endpoint: Endpoint::new(now, config.clone(), seed),
            config,
            addresses,
            nat,
            routes: Vec::new(),
            introduction: Introduction::default(),
            extra_addresses: Vec::new(),
            keying_delay: Duration::ZERO,
            is_dead: false,
            events: Vec::new(),
            messages: Vec::new(),
            keying_jobs: 0,
            wake: None,
            heir: None,
        }
    }

    /// Another endpoint is told of the sessions as they are now, and may go on with them later.
    pub(crate) fn copy(&mut self, now: Instant, seed: [u8; 32]) -> &mut Heir {
        let heir = self.heir.get_or_insert_with(|| {
            let config = Config { sessions_by_prefix: SessionCounts::default(), ..self.config.clone() };
            let endpoint = Endpoint::new(now, config.clone(), seed);
            Box::new(Heir { endpoint, config, then: now, all: Vec::new(), prepared: HashMap::new() })
        });
        let (clock, places) = (Clock::new(heir.then), 0..self.endpoint.places());
        let is_known = |id| heir.prepared.contains_key(&id);
        let changes: Vec<_> = self.endpoint.session_changes(clock, places, is_known).collect();
        heir.all = changes.iter().map(|(id, _)| *id).collect();
        let records = changes.into_iter().filter_map(|(_, record)| record).collect();
        let state = by_way_of_bytes(&EndpointState::of_sessions(0, records));
        let sessions = heir.endpoint.prepare(heir.then, state, Some).expect("sessions like this endpoint's");
        heir.prepared.extend(sessions.into_iter().map(|session| (session.id().get(), session)));
        heir
    }

    /// Another endpoint goes on with the sessions, as another process would: by way of the bytes of the state, of which it may have a part
    /// already.
    pub(crate) fn take_over(&mut self, now: Instant, seed: [u8; 32]) {
        self.copy(now, seed);
        let heir = *self.heir.take().expect("it was made just now");
        let Heir { mut endpoint, config, then, all, mut prepared } = heir;
        let sessions = all.iter().filter_map(|id| prepared.remove(id)).collect();
        let table = by_way_of_bytes(&self.endpoint.hand_over_table(Clock::new(then)));
        endpoint.take_over(now, then, table, sessions, Some).expect("the state of an endpoint like this one");
        (self.endpoint, self.config) = (endpoint, config);
    }

    /// The interface that packets to `to` leave by.
    pub(crate) fn interface(&self, transmit: Transmit) -> usize {
        let route = self.routes.iter().find(|(ip, _)| *ip == transmit.to.ip());
        route.map_or(transmit.interface.0 as usize, |(_, interface)| *interface)
    }

    /// Polls the endpoint until it has nothing left.
    pub(crate) fn drain(&mut self, now: Instant) -> Drained {
        let mut drained = Drained::default();
        let mut lookups = VecDeque::new();
        for _ in 0..MAX_DRAIN {
            if let Some(event) = self.endpoint.poll_event() {
                match event {
                    Event::Keying(job) => {
                        self.keying_jobs += 1;
                        let pair =
                            job.wants_key_pair().map(|group| identities::key_pair(group, self.keying_jobs as u64));
                        let done = job.with_key_pair(pair).run();
                        if self.keying_delay.is_zero() {
                            self.endpoint.keying_done(now, done);
                        } else {
                            drained.keyed.push(done);
                        }
                    }
                    Event::Lookup(lookup) => {
                        lookups.push_back(lookup.clone());
                        self.events.push((now, Event::Lookup(lookup)));
                    }
                    Event::Flow { session, event: FlowEvent::Message { flow, data, .. } } => {
                        self.messages.push(Message { session, flow, data });
                    }
                    event => self.events.push((now, event)),
                }
            } else if let Some(lookup) = lookups.pop_front() {
                self.introduce(now, &lookup);
                drained.lookups.push(lookup);
            } else {
                let mut datagram = Vec::new();
                let Some(transmit) = self.endpoint.poll_transmit(now, &mut datagram) else {
                    self.wake = self.endpoint.poll_timeout();
                    return drained;
                };
                drained.datagrams.push((transmit, datagram));
            }
        }
        panic!("an endpoint does not come to rest");
    }

    /// Plays the introducer.
    fn introduce(&mut self, now: Instant, lookup: &Lookup) {
        let Some(target) = lookup.target.and_then(|peer| self.endpoint.session_of(&peer)) else { return };
        if self.introduction.redirects
            && let Some(info) = self.endpoint.session(target)
        {
            let mut addresses = vec![TaggedAddress::new(info.far_address, Origin::Observed)];
            addresses.extend(self.extra_addresses.iter().map(|extra| TaggedAddress::new(*extra, Origin::Reported)));
            self.endpoint.redirect(lookup, &addresses);
        }
        if self.introduction.forwards {
            let forwarded = self.endpoint.forward(now, target, lookup);
            assert_eq!(forwarded, Ok(()));
        }
    }
}
