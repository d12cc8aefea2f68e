//! Meeting a peer: introduction by the server, a session, a message and its answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::crypto::Epd;
use rtmfp::flow::{Delivery, FlowEvent, FlowOptions, SendFlowId};
use rtmfp::{Event, OpenFailure, Origin, PeerId, SessionId, TaggedAddress};

use super::publishing::{ANSWER, GREETING};
use crate::connection::{Client, list, within};
use crate::failure::{Failure, Step};
use introd_flash::amf::{Limits, Value};
use introd_flash::client::{Incoming, read};
use introd_flash::command::Encoding;
use introd_flash::peer;

/// How the peer took the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It sent it back.
    Echoed,
    /// It rejected the flow: it is no `introd probe`.
    Rejected,
}

/// A peer that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The session with it.
    pub session: SessionId,
    /// Where it is.
    pub address: SocketAddr,
    /// From the first hello to the open session.
    pub took: Duration,
    /// The addresses that the server named. It may be empty: a target behind a friendly NAT can be the first to speak.
    pub redirects: Vec<SocketAddr>,
}

const UNKNOWN_CHECK: &str = "the peer id, and that the peer is connected to this very server (introd probe --stay is a peer to \
                             try with)";
const UNREACHABLE_CHECK: &str = "firewalls and NATs between the two peers: a hole can be punched only if at least one of the \
                                 NATs gives a socket the same outside port for every destination. Some peers take only others \
                                 like themselves: introd probe --flash is to others what a Flash Player is";
const NATS_CHECK: &str = "that neither NAT is symmetric, by a look at its settings or by trying each peer with one on an open \
                          address: one of the two needs another network, a forwarded UDP port, or IPv6";
const MESSAGE_CHECK: &str = "firewalls between the two peers: the session opened, so some packets do pass";

impl Client {
    /// Has the server introduce the peer `id`, and opens a session with it.
    ///
    /// # Errors
    /// [`Step::Introduction`] with what is known of why.
    pub async fn meet(&mut self, id: PeerId, patience: Duration) -> Result<Meeting, Failure> {
        let failure = |problem: String| Failure::new(Step::Introduction, problem, UNKNOWN_CHECK);
        if id == self.id {
            return Err(failure("a peer cannot look itself up".to_owned()));
        }
        self.trail.clear();
        let started = Instant::now();
        // The server is asked on the session's own path: it knows the asker by that address.
        let server = self.peer.endpoint.session(self.session);
        let server = server.ok_or_else(|| failure("the connection to the server has ended".to_owned()))?;
        let candidates = [(server.interface, server.far_address)];
        let opening = self.peer.endpoint.open(started, Epd::fingerprint(id).to_vec(), &candidates);
        let opening = opening.ok_or_else(|| failure("no room for a session".to_owned()))?;
        let opened = match within(patience, self.opened(opening, id)).await {
            Some(result) => result,
            None => {
                self.peer.endpoint.close(Instant::now(), opening);
                Err(OpenFailure::NoAnswer.to_string())
            }
        };
        let seen = self.trail.seen();
        let mut redirects: Vec<SocketAddr> = Vec::new();
        for redirect in &seen.redirects {
            // Some servers name an address once as observed and once as reported.
            if !redirects.contains(&redirect.address) {
                redirects.push(redirect.address);
            }
        }
        let info = opened.as_ref().ok().and_then(|session| self.peer.endpoint.session(*session));
        match (opened, info) {
            (Ok(session), Some(info)) => {
                Ok(Meeting { session, address: info.far_address, took: started.elapsed(), redirects })
            }
            (Ok(_), None) => Err(failure("the session with the peer ended at once".to_owned())),
            (Err(_), _) if redirects.is_empty() && seen.answered.is_empty() => {
                Err(failure(format!("{} did not introduce peer {id}", server.far_address)))
            }
            (Err(why), _) => {
                let named = list(&redirects);
                let target = if seen.answered.is_empty() { target_behind_nat(&seen.redirects) } else { None };
                // Where only packets of one direction are lost, a NAT is not what stands between.
                let (Some(true), Some(seen), Some(other)) = (self.welcome.nat(), self.welcome.seen, target) else {
                    let problem = format!("the server named {named}, but: {why}");
                    return Err(Failure::new(Step::Introduction, problem, UNREACHABLE_CHECK));
                };
                let problem = format!(
                    "both peers are behind NATs, and nothing that the one sent got through to the other. The server sees this \
                     peer at {seen} and the other at {other}, but at least one of the two NATs seems to take another outside \
                     port for each destination (a symmetric NAT), so that nobody can know the port to send to, and the \
                     other NAT lets in only what it expects. No server can introduce these two to each other ({why}; the \
                     server named {named})"
                );
                Err(Failure::new(Step::Introduction, problem, NATS_CHECK))
            }
        }
    }

    async fn opened(&mut self, opening: SessionId, id: PeerId) -> Result<SessionId, String> {
        loop {
            match self.next().await.map_err(|error| error.to_string())? {
                // The peer may be opening a session with this end at the same time: whichever opens will do.
                Event::Opened { session, .. } if self.peer.endpoint.session_of(&id) == Some(session) => {
                    return Ok(session);
                }
                Event::OpenFailed { session, reason } if session == opening => match reason {
                    OpenFailure::Duplicate(existing) if self.peer.endpoint.session(existing).is_some() => {
                        return Ok(existing);
                    }
                    // The other session is not open yet.
                    OpenFailure::Duplicate(_) => (),
                    reason => return Err(reason.to_string()),
                },
                Event::Closed { session, reason } if session == self.session => {
                    return Err(format!("the connection to the server ended: {reason}"));
                }
                _ => (),
            }
        }
    }

    /// Sends a message directly to the peer of `session`, and waits for the answer.
    ///
    /// # Errors
    /// [`Step::Message`] if the session ends, or no answer comes.
    pub async fn greet(&mut self, session: SessionId, patience: Duration) -> Result<Answer, Failure> {
        let failure = |problem: String| Failure::new(Step::Message, problem, MESSAGE_CHECK);
        let text = nonce().map_err(&failure)?;
        let flow = self.send_greeting(session, &text).map_err(&failure)?;
        let answer = within(patience, self.answer(session, flow, &text)).await;
        let _ = self.peer.endpoint.with_flows(Instant::now(), session, |flows| flows.close(flow));
        match answer {
            Some(result) => result.map_err(failure),
            None => Err(failure(format!("the peer did not answer within {} s", patience.as_secs_f64()))),
        }
    }

    fn send_greeting(&mut self, session: SessionId, text: &str) -> Result<SendFlowId, String> {
        let play = peer::play(GREETING).map_err(|error| error.to_string())?;
        let greeting = peer::data(GREETING, &[text.into()], Encoding::Amf0, 0).map_err(|error| error.to_string())?;
        let (now, endpoint) = (Instant::now(), &mut self.peer.endpoint);
        let flow = endpoint
            .open_flow(now, session, &peer::metadata(peer::FIRST_STREAM), FlowOptions::default())
            .map_err(|error| error.to_string())?;
        for message in [play, greeting] {
            endpoint.send(now, session, flow, message, Delivery::default()).map_err(|error| error.to_string())?;
        }
        Ok(flow)
    }

    async fn answer(&mut self, session: SessionId, flow: SendFlowId, text: &str) -> Result<Answer, String> {
        let mut answering = None;
        loop {
            match self.next().await.map_err(|error| error.to_string())? {
                Event::Closed { session: closed, reason } if closed == session => {
                    return Err(format!("the session with the peer ended: {reason}"));
                }
                Event::Flow { session: of, event } if of == session => match event {
                    FlowEvent::Opened { flow: incoming, return_of: Some(sent), .. } if sent == flow => {
                        answering = Some(incoming);
                    }
                    FlowEvent::Rejected { flow: rejected, .. } if rejected == flow => return Ok(Answer::Rejected),
                    FlowEvent::Message { flow: incoming, data, .. }
                        if answering == Some(incoming) && is_answer(&data, text) =>
                    {
                        return Ok(Answer::Echoed);
                    }
                    _ => (),
                },
                _ => (),
            }
        }
    }
}

/// Where the target is seen, if that is the outside of a NAT: it reports another address of the same family. `None` if not, or
/// if the redirects do not say.
fn target_behind_nat(redirects: &[TaggedAddress]) -> Option<SocketAddr> {
    let seen = redirects.iter().find(|redirect| redirect.origin == Origin::Observed)?.address;
    let mut own = redirects.iter().filter(|redirect| redirect.origin == Origin::Reported).map(|own| own.address.ip());
    own.any(|own| own != seen.ip() && own.is_ipv4() == seen.is_ipv4()).then_some(seen)
}

fn is_answer(message: &[u8], text: &str) -> bool {
    match read(message, Limits::default()) {
        Ok(Incoming::Data(values)) => {
            matches!(&values[..], [Value::String(handler), Value::String(echo), ..] if handler == ANSWER && echo == text)
        }
        _ => false,
    }
}

/// A text that no earlier message had.
fn nonce() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(hex::encode(bytes))
}
