//! RTMFP, the Secure Real-Time Media Flow Protocol (RFC 7016), with the Flash cryptography profile (RFC 7425 §4): the engine on which
//! the server `introd`, its client and its tests run. An [`Endpoint`] is initiator, responder and introducer at once.
//!
//! It must not know sockets, a clock, threads or a runtime, nor anything that messages or groups mean: datagrams and the time come in,
//! datagrams, events and the time of the next wake-up go out. The code that does the rest and calls the endpoint is its *driver*.
//!
//! Begin with the loop below and the example, then read the pages of [`guide`] in order; in the source, begin with `endpoint`.
//!
//! RTMFP carries messages over UDP between two ends that have certificates, encrypted, on any number of independent flows, in order
//! or not, reliably or only for as long as a message is of use. A session survives a change of address, and an endpoint that both ends
//! know can introduce them to each other through their NATs. All randomness of an endpoint follows from one seed: the same calls with
//! the same seed are the same run, byte by byte.
//!
//! # One mutation, then drain
//!
//! Everything that changes an endpoint ([`handle_datagram`](Endpoint::handle_datagram), [`handle_timeout`](Endpoint::handle_timeout),
//! [`keying_done`](Endpoint::keying_done), [`open`](Endpoint::open), [`send`](Endpoint::send) and so on) only notes what is to be
//! done. After it, the endpoint has to be drained. A driver's loop has six steps:
//!
//! 1. wait for a datagram, for the time that step 6 named, or for a request of the application;
//! 2. hand it to the endpoint, with the time (several datagrams at once if several are there);
//! 3. [`poll_event`](Endpoint::poll_event) until there is none;
//! 4. answer the events: run each [`KeyingJob`] and hand back what it returns, and give the others to the application. Its requests
//!    may make new events, so go on until there are none;
//! 5. [`poll_transmit`](Endpoint::poll_transmit) until there is nothing: send each datagram;
//! 6. ask [`poll_timeout`](Endpoint::poll_timeout) when to call [`handle_timeout`](Endpoint::handle_timeout), and begin again.
//!
//! # A client and a server in memory
//!
//! ```
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use rand_core::SeedableRng;
//! use rtmfp::crypto::{Epd, Group, Identity};
//! use rtmfp::flow::{Delivery, FlowEvent, FlowOptions};
//! use rtmfp::{Config, Endpoint, Event, InterfaceId};
//!
//! // In a real program, randomness comes from the operating system.
//! let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
//! let mut identity = || Arc::new(Identity::ephemeral(&[Group::Modp2], None, true, &mut rng));
//! let now = Instant::now();
//! let server = Endpoint::new(now, Config::server(vec![identity()]), [1; 32]);
//! let mut client = Endpoint::new(now, Config::peer(identity()), [2; 32]);
//! let addresses: [SocketAddr; 2] = ["192.0.2.1:1935".parse()?, "198.51.100.2:50000".parse()?];
//!
//! // The client wants a session with an endpoint that serves this URI, and tries one address.
//! let wanted = Epd::ancillary("rtmfp://192.0.2.1/hello");
//! client.open(now, wanted, &[(InterfaceId(0), addresses[0])]).expect("there is room");
//!
//! let mut ends = [server, client];
//! let mut heard = Vec::new();
//! for round in 0..20 {
//!     let (here, there) = (round % 2, (round + 1) % 2);
//!     while let Some(event) = ends[here].poll_event() {
//!         match event {
//!             Event::Keying(job) => ends[here].keying_done(now, job.run()),
//!             Event::Opened { session, is_initiator: true } => {
//!                 let flow = ends[here].open_flow(now, session, b"greeting", FlowOptions::default())?;
//!                 ends[here].send(now, session, flow, b"hello", Delivery::default())?;
//!             }
//!             Event::Flow { event: FlowEvent::Message { data, .. }, .. } => heard.push(data),
//!             _ => (),
//!         }
//!     }
//!     let mut datagram = Vec::new();
//!     while ends[here].poll_transmit(now, &mut datagram).is_some() {
//!         ends[there].handle_datagram(now, InterfaceId(0), addresses[here], &mut datagram);
//!         datagram.clear();
//!     }
//! }
//! assert_eq!(heard, [b"hello"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/hello.rs` is the same over UDP sockets, in less than eighty lines.
//!
//! # The pages, in order
//!
//! - [`guide::identities`]: certificates, peer ids, and how an endpoint says which one it wants;
//! - [`guide::sessions`]: opening, keying, moving, closing, and what floods cost;
//! - [`guide::flows`]: messages, how long to try to deliver them, and the bounds on what a far end can make this end hold;
//! - [`guide::introductions`]: lookups, redirects and forwarded hellos;
//! - `CONFORMANCE.md` beside this crate: each rule of the RFCs, where it is in the code, and which test shows it.
//!
//! # Datagram sizes
//!
//! A session finds out how long the datagrams are that its path carries (RFC 7016 §3.5.4.3). It begins with [`MIN_DATAGRAM`], 548 bytes of
//! UDP payload, which every path is taken to carry. When a flow first has more to say than such a packet holds, the session probes for
//! [`Config::max_datagram`], 1192 bytes unless set otherwise. On nearly all paths that is answered, and the largest size used, after one
//! round trip; on the others a search finds the size within some seconds, while flows go on in shorter packets. A session whose messages
//! are short sends no probe. A path that carries less than the largest size is searched again after ten minutes.
//!
//! - A path that becomes narrower is noticed by its losses. What was cut for the wider path cannot be cut again: it goes in packet fragments
//!   (§3.4), which this implementation takes in sessions as well as at startup. A far end that does not take them lets the flow stand still,
//!   and [`Config::unacknowledged_limit`] ends the session.
//! - When the far end has moved, its session begins anew with the least size.
//! - A far end that answers no probe gets the largest size, and the least one for a minute when that gets lost again and again.
//! - Startup packets come before any session. Those of ends whose certificates have static keys in several groups may be as long as 1300
//!   bytes: they go whole at first, in packet fragments that a narrow path carries when they are repeated, and so on by turns, because
//!   there are implementations that know no packet fragments. A startup packet that four fragments do not hold is not sent. The answer of
//!   a responder to a keying is never fragmented; it takes some 550 bytes in group 16, and less in others.
//! - Control chunks that are longer than the present size, such as replies to long pings, are sent all the same, up to `max_datagram`.
//!
//! The driver's sockets have to send datagrams unfragmented or not at all, else probes arrive in IP fragments, and so
//! seem to show that the path carries more than it does. Datagrams that come in may have any length.
mod config;
pub mod congestion;
mod counters;
pub mod crypto;
mod datagram_size;
mod endpoint;
mod event;
mod fixed_table;
pub mod flow;
mod greeting;
pub mod guide;
pub mod handover;
mod moment;
mod network_prefix;
mod outbox;
mod prefix_counts;
mod session;
mod session_id;
mod startup;
#[cfg(test)]
mod test_clock;
mod token_bucket;
mod transmit;
pub mod wire;

pub use config::{Config, ForwardedHello, Forwarders};
pub use counters::Counters;
pub use crypto::PeerId;
pub use datagram_size::{DEFAULT_MAX_DATAGRAM, MIN_DATAGRAM};
pub use endpoint::{Endpoint, PreparedSession, SessionInfo};
pub use event::{CloseReason, Deny, Event, Lookup, OpenFailure, Refusal};
pub use greeting::Greeting;
pub use moment::Moment;
pub use network_prefix::{NetworkPrefix, is_private};
pub use prefix_counts::SessionCounts;
pub use session_id::{MAX_PREFIXES, MAX_SLOTS, SessionId, prefix_of};
pub use startup::keying_job::{KeyingDone, KeyingJob};
pub use startup::revealed_keys::RevealedKeys;
pub use token_bucket::{Rate, TokenBucket};
pub use transmit::{InterfaceId, Transmit};
pub use wire::{Origin, TaggedAddress};
