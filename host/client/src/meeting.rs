//! Meeting a peer: the server introduces it, and a session with it opens (RFC 7016 §3.5.1.4, §3.5.1.5).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use introd_flash::amf::Value;
use rtmfp::crypto::Epd;
use rtmfp::{Event, OpenFailure, Origin, PeerId, SessionId, TaggedAddress};

use crate::client::Client;
use crate::failure::{ClientFailure, ClientStep};
use crate::startup_observer::Observed;
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
    /// The addresses to which the server redirected the client. There may be none: the peer can send first if its NAT does not
    /// filter by address.
    pub redirects: Vec<SocketAddr>,
    /// Those of them that are other servers, where the client was to ask again.
    pub servers: Vec<SocketAddr>,
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
/// The method by which introd says which addresses are those of its relay.
const RELAY_ADDRESSES: &str = "introd.relayAddresses";
/// How long the answer of the server is waited for when a peer was not reached.
const RELAY_TIMEOUT: Duration = Duration::from_secs(2);

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
                let (address, servers) = (info.far_address, of_origin(&observed.redirects, Origin::Relay));
                Ok(Meeting { session, address, took, redirects: distinct(&observed.redirects), servers })
            }
            Err(_) if observed.redirects.is_empty() && observed.answered.is_empty() => {
                Err(failure(format!("{} did not introduce peer {id}", server.far_address)))
            }
            Err(reason) => Err(self.unreached(&observed, server.far_address, &reason).await),
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

    /// The way that the session of a meeting takes: the server says whether the peer's address is one of its relay.
    ///
    /// # Errors
    /// If the connection to the server ends, or the server does not answer before the timeout.
    pub async fn path(&mut self, meeting: &Meeting, timeout: Duration) -> Result<Option<Path>, ClientFailure> {
        let relays = self.relay_addresses(&[meeting.address], timeout).await?;
        Ok(path(meeting.address, !relays.is_empty(), &meeting.servers))
    }

    /// Which of these addresses the server says are those of its relay. A server that relays nothing does not know the question.
    async fn relay_addresses(
        &mut self,
        addresses: &[SocketAddr],
        timeout: Duration,
    ) -> Result<Vec<SocketAddr>, ClientFailure> {
        let named = addresses.iter().map(|address| address.to_string().into()).collect();
        let Ok(values) = self.call(RELAY_ADDRESSES, named, timeout).await? else { return Ok(Vec::new()) };
        let Some(Value::Array(relays)) = values.into_iter().next() else { return Ok(Vec::new()) };
        Ok(relays.iter().filter_map(|relay| relay.as_str()?.parse().ok()).collect())
    }

    /// Why a peer was not reached that the server introduced.
    async fn unreached(&mut self, observed: &Observed, server: SocketAddr, reason: &str) -> ClientFailure {
        let named = &observed.redirects[..];
        let servers = of_origin(named, Origin::Relay);
        let seen = of_origin(named, Origin::Observed);
        // Without the answer, the reason is found all the same, as if there were no relay.
        let relays = self.relay_addresses(&seen, RELAY_TIMEOUT).await.unwrap_or_default();
        let is_relay = |address: &SocketAddr| relays.contains(address) || path(*address, false, &servers).is_none();
        let relays: Vec<SocketAddr> = seen.iter().copied().filter(is_relay).collect();
        let info = self.connect_info();
        let facts = Facts {
            seen: info.seen,
            own: &info.reported,
            server,
            named,
            relays: &relays,
            is_answered: !observed.answered.is_empty(),
        };
        let (problem, check) = facts.explain(reason);
        ClientFailure::new(ClientStep::Introduction, problem, check)
    }
}

/// The way of a session with a peer that is at `address`. `servers` are other servers to which the client was redirected; one of them may relay,
/// and this client has no connection to ask it: then the way is not known if the address is that of the server.
fn path(address: SocketAddr, is_relay: bool, servers: &[SocketAddr]) -> Option<Path> {
    if is_relay {
        return Some(Path::Relayed);
    }
    let is_of_server = servers.iter().any(|server| server.ip().to_canonical() == address.ip().to_canonical());
    (!is_of_server).then_some(Path::Direct)
}

/// The addresses of that origin, each once.
fn of_origin(redirects: &[TaggedAddress], origin: Origin) -> Vec<SocketAddr> {
    distinct(&redirects.iter().copied().filter(|redirect| redirect.origin == origin).collect::<Vec<_>>())
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
    fn a_path_is_relayed_if_the_server_says_so_and_direct_unless_another_server_may_relay() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let other = [at("203.0.113.9:1935")];
        for (address, is_relay, servers, expected) in [
            ("203.0.113.1:19400", true, &[][..], Some(Path::Relayed)),
            ("203.0.113.1:19400", true, &other, Some(Path::Relayed)),
            ("203.0.113.1:5000", false, &[], Some(Path::Direct)),
            ("192.0.2.7:5000", false, &other, Some(Path::Direct)),
            ("203.0.113.9:19400", false, &other, None),
        ] {
            assert_eq!(path(at(address), is_relay, servers), expected, "{address}");
        }
    }
}
