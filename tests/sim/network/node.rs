//! A node: an endpoint, its addresses, and the driver around it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rtmfp::flow::{FlowEvent, RecvFlowId};
use rtmfp::{Config, Endpoint, Event, KeyingDone, Lookup, Origin, SessionCounts, SessionId, TaggedAddress, Transmit};

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
        }
    }

    /// Another endpoint goes on with the sessions, as another process would: by way of the bytes of the state.
    pub(crate) fn take_over(&mut self, now: Instant, seed: [u8; 32]) {
        let state = postcard::to_stdvec(&self.endpoint.hand_over(now)).expect("a state can be written");
        let state = postcard::from_bytes(&state).expect("what was written can be read");
        let config = Config { sessions_by_prefix: SessionCounts::default(), ..self.config.clone() };
        self.endpoint = Endpoint::new(now, config.clone(), seed);
        self.config = config;
        self.endpoint.take_over(now, now, state, Some).expect("the state of an endpoint like this one");
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
