//! Meeting a peer: the server introduces it, and a session with it opens (RFC 7016 §3.5.1.4, §3.5.1.5).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::crypto::Epd;
use rtmfp::{Event, OpenFailure, Origin, PeerId, SessionId, TaggedAddress};

use crate::client::Client;
use crate::failure::{ClientFailure, ClientStep};
use crate::unreachable::Facts;

/// A peer with which a session is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The session with the peer.
    pub session: SessionId,
    /// The peer's address.
    pub address: SocketAddr,
    /// The time from the first hello to the open session.
    pub took: Duration,
    /// The way that the session takes, if the server's redirects tell it.
    pub path: Option<Path>,
    /// The addresses to which the server redirected the client. There may be none: the peer can send first if its NAT does not
    /// filter by address.
    pub redirects: Vec<SocketAddr>,
}

/// The way that a session with a peer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// Packets go from one peer to the other.
    Direct,
    /// The server passes packets on (a relay).
    Relayed,
}

impl Path {
    /// The name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relayed => "relayed",
        }
    }
}

const UNKNOWN_CHECK: &str = "the peer id; that the peer is connected to this very server (introd probe --stay is a peer to try with); \
                             and that no policy keeps the two apart: a script, a plugin or an access rule that denies a lookup \
                             leaves it without an answer, and the server's log says which";
/// How long a session that is open waits for a redirect that tells its path.
const REDIRECT_TIMEOUT: Duration = Duration::from_secs(1);

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
        match opened {
            Ok(session) => {
                let info = self.peer().endpoint.session(session);
                let info = info.ok_or_else(|| failure("the session with the peer ended at once".to_owned()))?;
                let address = info.far_address;
                let path = self.path_to(address, server.far_address, REDIRECT_TIMEOUT).await;
                let redirects = distinct(&self.startup().observed().redirects);
                Ok(Meeting { session, address, took, path, redirects })
            }
            Err(_) if observed.redirects.is_empty() && observed.answered.is_empty() => {
                Err(failure(format!("{} did not introduce peer {id}", server.far_address)))
            }
            Err(reason) => {
                let info = self.connect_info();
                let (named, is_answered) = (&observed.redirects[..], !observed.answered.is_empty());
                let facts =
                    Facts { seen: info.seen, own: &info.reported, server: server.far_address, named, is_answered };
                let (problem, check) = facts.explain(&reason);
                Err(ClientFailure::new(ClientStep::Introduction, problem, check))
            }
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

    /// The way that a session with a peer takes. The redirect that tells it may come after the session has opened.
    async fn path_to(&mut self, address: SocketAddr, server: SocketAddr, timeout: Duration) -> Option<Path> {
        let deadline = Instant::now() + timeout;
        loop {
            let path = path(address, server, &self.startup().observed().redirects);
            if path.is_some() || !matches!(tokio::time::timeout_at(deadline.into(), self.next()).await, Ok(Ok(_))) {
                return path;
            }
        }
    }
}

/// The way of a session with a peer that is at `address`; `None` if these redirects of the server do not tell it.
fn path(address: SocketAddr, server: SocketAddr, redirects: &[TaggedAddress]) -> Option<Path> {
    let origins = || redirects.iter().filter(|redirect| redirect.address == address).map(|redirect| redirect.origin);
    if origins().any(|origin| origin == Origin::Relay) {
        return Some(Path::Relayed);
    }
    // A relay has an address of the server. A peer may have it, too, if it is on the same machine or behind the same NAT.
    let is_direct = origins().next().is_some() || address.ip().to_canonical() != server.ip().to_canonical();
    is_direct.then_some(Path::Direct)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_known_by_the_origin_of_its_address() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let server = at("203.0.113.1:1935");
        let named = |origin| vec![TaggedAddress::new(at("203.0.113.1:20000"), origin)];
        for (address, redirects, expected) in [
            ("203.0.113.1:20000", named(Origin::Relay), Some(Path::Relayed)),
            // A peer behind the server's own NAT.
            ("203.0.113.1:20000", named(Origin::Observed), Some(Path::Direct)),
            ("203.0.113.1:20000", named(Origin::Reported), Some(Path::Direct)),
            ("203.0.113.1:20001", named(Origin::Relay), None),
            ("203.0.113.1:20000", Vec::new(), None),
            // The port of a symmetric NAT is named by nobody.
            ("192.0.2.7:5000", named(Origin::Relay), Some(Path::Direct)),
            ("192.0.2.7:5000", Vec::new(), Some(Path::Direct)),
        ] {
            assert_eq!(path(at(address), server, &redirects), expected, "{address} {redirects:?}");
        }
    }
}
