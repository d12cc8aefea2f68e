//! Meeting a peer: the server introduces it, and a session with it opens (RFC 7016 §3.5.1.4, §3.5.1.5).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::crypto::Epd;
use rtmfp::{Event, OpenFailure, Origin, PeerId, SessionId, TaggedAddress};

use crate::client::Client;
use crate::failure::{ClientFailure, ClientStep, list};
use crate::startup_observer::Observed;

/// A peer with which a session is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The session with the peer.
    pub session: SessionId,
    /// The peer's address.
    pub address: SocketAddr,
    /// The time from the first hello to the open session.
    pub took: Duration,
    /// The addresses to which the server redirected the client. There may be none: the peer can send first if its NAT does not
    /// filter by address.
    pub redirects: Vec<SocketAddr>,
}

const UNKNOWN_CHECK: &str = "the peer id; that the peer is connected to this very server (introd probe --stay is a peer to try with); \
                             and that no policy keeps the two apart: a script, a plugin or an access rule that denies a lookup \
                             leaves it without an answer, and the server's log says which";
const UNREACHABLE_CHECK: &str = "firewalls and NATs between the two peers: a hole can be punched only if at least one of the \
                                 NATs gives a socket the same outside port for every destination. Some peers take only others \
                                 like themselves: introd probe --flash is to others what a Flash Player is";
const NATS_CHECK: &str = "that neither NAT is symmetric, by a look at its settings or by trying each peer with one on an open \
                          address: one of the two needs another network, a forwarded UDP port, or IPv6";

impl Client {
    /// Asks the server to introduce the peer `id`, and opens a session with it.
    ///
    /// # Errors
    /// [`ClientStep::Introduction`], with the reason as far as it is known.
    pub async fn meet(&mut self, id: PeerId, timeout: Duration) -> Result<Meeting, ClientFailure> {
        let failure = |problem: String| ClientFailure::new(ClientStep::Introduction, problem, UNKNOWN_CHECK);
        if id == self.id() {
            return Err(failure("a peer cannot look itself up".to_owned()));
        }
        self.startup().clear();
        let started = Instant::now();
        // The lookup goes out by the path of the session with the server, which knows its client by that address.
        let session = self.session();
        let server = self.peer().endpoint.session(session);
        let server = server.ok_or_else(|| failure("the connection to the server has ended".to_owned()))?;
        let candidates = [(server.interface, server.far_address)];
        let opening = self.peer().endpoint.open(started, Epd::fingerprint(id).to_vec(), &candidates);
        let opening = opening.ok_or_else(|| failure("the endpoint has no room for a session".to_owned()))?;
        let opened = match tokio::time::timeout(timeout, self.peer_session(opening, id)).await {
            Ok(result) => result,
            Err(_) => {
                self.peer().endpoint.close(Instant::now(), opening);
                Err(OpenFailure::NoAnswer.to_string())
            }
        };
        let took = started.elapsed();
        let observed = self.startup().observed();
        let redirects = distinct(&observed.redirects);
        match opened {
            Ok(session) => {
                let info = self.peer().endpoint.session(session);
                let info = info.ok_or_else(|| failure("the session with the peer ended at once".to_owned()))?;
                Ok(Meeting { session, address: info.far_address, took, redirects })
            }
            Err(_) if redirects.is_empty() && observed.answered.is_empty() => {
                Err(failure(format!("{} did not introduce peer {id}", server.far_address)))
            }
            Err(reason) => Err(self.unreachable(&observed, &list(&redirects), &reason)),
        }
    }

    /// Waits for a session with the peer `id`: the one that this client is opening, or one that the peer opens at the same time.
    async fn peer_session(&mut self, opening: SessionId, id: PeerId) -> Result<SessionId, String> {
        loop {
            match self.next().await.map_err(|error| error.to_string())? {
                Event::Opened { session, .. } if self.peer().endpoint.session_of(&id) == Some(session) => {
                    return Ok(session);
                }
                Event::OpenFailed { session, reason } if session == opening => match reason {
                    OpenFailure::Duplicate(existing) if self.peer().endpoint.session(existing).is_some() => {
                        return Ok(existing);
                    }
                    // The other session is not open yet.
                    OpenFailure::Duplicate(_) => (),
                    reason => return Err(reason.to_string()),
                },
                Event::Closed { session, reason } if session == self.session() => {
                    return Err(format!("the connection to the server ended: {reason}"));
                }
                _ => (),
            }
        }
    }

    /// The failure to reach a peer that the server introduced.
    fn unreachable(&self, observed: &Observed, redirects: &str, reason: &str) -> ClientFailure {
        let target = if observed.answered.is_empty() { target_behind_nat(&observed.redirects) } else { None };
        let info = self.connect_info();
        // If packets are lost in one direction only, the NATs are not the reason.
        let (Some(true), Some(seen), Some(other)) = (info.nat(), info.seen, target) else {
            let problem = format!("the server named {redirects}, but: {reason}");
            return ClientFailure::new(ClientStep::Introduction, problem, UNREACHABLE_CHECK);
        };
        let problem = format!(
            "both peers are behind NATs, and no packet of either one reached the other. The server sees this peer at {seen} and \
             the other at {other}, but at least one of the two NATs seems to use another outside port for each destination (a \
             symmetric NAT), so that no peer can know the port to send to, and the other NAT drops packets that it does not \
             expect. No server can introduce these two to each other ({reason}; the server named {redirects})"
        );
        ClientFailure::new(ClientStep::Introduction, problem, NATS_CHECK)
    }
}

/// The addresses, each once: some servers name an address once as observed and once as reported.
fn distinct(redirects: &[TaggedAddress]) -> Vec<SocketAddr> {
    let mut distinct = Vec::new();
    for redirect in redirects {
        if !distinct.contains(&redirect.address) {
            distinct.push(redirect.address);
        }
    }
    distinct
}

/// The address at which the server sees the target, if the target is behind a NAT: then it reports another address of the same
/// family. `None` if it is not, or if the redirects do not tell.
fn target_behind_nat(redirects: &[TaggedAddress]) -> Option<SocketAddr> {
    let seen = redirects.iter().find(|redirect| redirect.origin == Origin::Observed)?.address;
    let mut own = redirects.iter().filter(|redirect| redirect.origin == Origin::Reported).map(|own| own.address.ip());
    own.any(|own| own != seen.ip() && own.is_ipv4() == seen.is_ipv4()).then_some(seen)
}
