//! The settings of an endpoint.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::{CookieJar, HmacPreference, Identity, Preferences, SequencePreference, Signing};
use crate::datagram_size::DEFAULT_MAX_DATAGRAM;
use crate::flow::FlowConfig;
use crate::prefix_counts::SessionCounts;
use crate::token_bucket::Rate;

/// The settings of an [`Endpoint`](crate::Endpoint).
#[derive(Clone)]
pub struct Config {
    /// The identities of this endpoint. It initiates sessions with the first; each answers the hellos that select it.
    pub identities: Vec<Arc<Identity>>,
    /// Which of several endpoints behind one port this is: it stands in the session ids that it gives out. Below
    /// [`MAX_PREFIXES`](crate::MAX_PREFIXES).
    pub session_prefix: u8,
    /// The most sessions, opening ones included.
    pub max_sessions: usize,
    /// The most sessions that one network may have begun and not ended, half-open ones included; a keying beyond it is dropped.
    pub max_sessions_per_prefix: usize,
    /// Where these sessions are counted: endpoints behind one port share one of these.
    pub sessions_by_prefix: SessionCounts,
    /// The most bytes that all sessions together may hold of messages, both ways. Beyond it, sessions are closed, those that hold
    /// most first, of the network that holds most.
    pub max_buffered: usize,
    /// The most [`KeyingJob`](crate::KeyingJob)s out at a time. Beyond it, initiators' keyings are dropped; they repeat them. One
    /// network may have a quarter of them, and one that has none out may have one even when all are, up to twice as many in all:
    /// then the driver has to give some up, of those that have the most ([`KeyingJob::refuse`](crate::KeyingJob::refuse)).
    pub max_keying_jobs: usize,
    /// What to do with a forwarded hello (RFC 7016 §3.5.1.1.2).
    pub forwarded_hello: ForwardedHello,
    /// Which peers' forwarded hellos are answered.
    pub forwarders: Forwarders,
    /// What to ask for and to offer about HMACs and session sequence numbers (RFC 7425 §4.5.2.4, §4.5.2.5), and whether to emit
    /// an [`Event::Keys`](crate::Event::Keys) for each session: for recordings only, as the keys open everything.
    pub keying: Preferences,
    /// What the signatures of keyings prove, and have to prove (RFC 7425 §4.3.5).
    pub signing: Arc<Signing>,
    /// The largest UDP payload to send, in bytes. A session uses it only on a path that is known to carry it; see the crate's
    /// documentation, "Datagram sizes". Fragments become as long as [`FlowConfig::packet_payload`] allows.
    pub max_datagram: usize,
    /// A session that has been silent for this long is pinged.
    pub keepalive: Duration,
    /// A session that has been silent for this long is dead.
    pub silence_limit: Duration,
    /// A session on which a flow makes no progress for this long is closed, though the far end answers pings: something was sent on the
    /// flow and is not acknowledged, or waits while the far end has room for nothing. RFC 7016 sets no such limit, and so lets
    /// a far end keep a sender's messages in its memory for ever. `None`: as the RFC has it.
    pub unacknowledged_limit: Option<Duration>,
    /// A responder gives a session up if the initiator sends no packet under its keys within this time of its last keying:
    /// a client that opens sessions only to fill a server's memory has to keep sending. Never above [`Self::silence_limit`].
    pub first_packet_limit: Duration,
    /// The units of work that one session may make in a second: see [`Endpoint::charge`](crate::Endpoint::charge). Beyond it, its
    /// datagrams are dropped unread, and [`Event::Overspent`](crate::Event::Overspent) tells of it. `None`: no limit.
    pub max_work: Option<NonZeroU32>,
    /// How many hellos are forwarded to one session (RFC 7016 §3.5.1.5). `None`: all.
    pub max_forwards: Option<Rate>,
    /// The limits of flows.
    pub flow: Arc<FlowConfig>,
    /// Cookies shared by several endpoints behind one port; `None` for an endpoint alone.
    pub cookies: Option<CookieJar>,
}

/// What to do with a Forwarded IHello that selects this endpoint (RFC 7016 §3.5.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHello {
    /// Answer as if the hello had come directly: what a peer does.
    RespondHello,
    /// Answer with an Implied Redirect.
    ImpliedRedirect,
    /// Ignore it.
    Ignore,
}

/// Which peers' Forwarded IHellos are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarders {
    /// Those of every peer that there is a session with.
    Anybody,
    /// Those of endpoints that this end itself opened a session to. A server that answered its clients' would send packets to
    /// any address that a client names.
    Chosen,
}

impl Config {
    /// The settings of a server: it never demands what a client may not offer, and ignores the hellos that its clients
    /// forward.
    pub fn server(identities: Vec<Arc<Identity>>) -> Self {
        Self {
            identities,
            session_prefix: 0,
            max_sessions: 1 << 20,
            max_sessions_per_prefix: 2000,
            max_buffered: 512 << 20,
            sessions_by_prefix: SessionCounts::default(),
            max_keying_jobs: 1024,
            forwarded_hello: ForwardedHello::RespondHello,
            forwarders: Forwarders::Chosen,
            keying: Preferences::default(),
            signing: Arc::default(),
            max_datagram: DEFAULT_MAX_DATAGRAM,
            keepalive: Duration::from_secs(60),
            silence_limit: Duration::from_secs(120),
            unacknowledged_limit: Some(Duration::from_secs(120)),
            first_packet_limit: Duration::from_secs(20),
            max_work: None,
            max_forwards: None,
            flow: Arc::default(),
            cookies: None,
        }
    }

    /// The settings of a peer: it asks for HMAC and sequence numbers, takes what it gets, and answers forwarded hellos.
    pub fn peer(identity: Arc<Identity>) -> Self {
        Self {
            max_sessions: 1 << 16,
            forwarders: Forwarders::Anybody,
            keying: Preferences {
                hmac: HmacPreference { will_send_always: true, request: true, ..HmacPreference::default() },
                sequence: SequencePreference { will_send_always: true, request: true, ..SequencePreference::default() },
                log_keys: false,
            },
            keepalive: Duration::from_secs(15),
            silence_limit: Duration::from_secs(60),
            unacknowledged_limit: None,
            first_packet_limit: Duration::from_secs(60),
            ..Self::server(vec![identity])
        }
    }
}
