//! What a member's driver reports, and what its owner asks of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::wire::Malformed;
use rtmfp::{PeerId, Rate};

use super::flow_type;
use super::link::{Link, Phase, SessionFacts};
use super::message::ControlMessage;
use super::output::{Output, Refusal};
use super::posting::{KeyMessage, PostingId};
use super::state::Member;
use crate::channel::{self, Received};

/// How many control messages one peer may send. A member sends two or three at first, and then one in some seconds.
const CONTROL_RATE: Rate = Rate { burst: 32, per_second: 2 };

impl Member {
    /// A connection to a server at this address is open, through which others can be introduced to this peer. Joins the group there
    /// (WIRE.md §2.1). This is for groups whose server channel is enabled; for others, only set the address with
    /// [`Member::set_server`].
    pub fn on_server_connected(&mut self, server: SocketAddr) {
        self.set_server(Some(server));
        self.outputs.push_back(Output::SendToServer(channel::join(&self.group)));
    }

    /// Sets the address of this peer's introducer, which is named to others.
    pub fn set_server(&mut self, server: Option<SocketAddr>) {
        self.server = server;
    }

    /// The server has sent a message, in return to the flow of the join.
    ///
    /// # Errors
    /// If the message is malformed. Nothing has changed then.
    pub fn on_server_message(&mut self, now: Instant, message: &[u8]) -> Result<(), Malformed> {
        match channel::read_hint(message)? {
            Received::Hint(peer) => self.add_member_hint(now, peer),
            Received::Unknown(_) => {}
        }
        Ok(())
    }

    /// `NetGroup.addMemberHint`: this peer is a member. While there are few neighbours, it is connected to at once; otherwise, if upkeep
    /// finds that it is wanted.
    pub fn add_member_hint(&mut self, now: Instant, peer: PeerId) {
        if peer == self.near {
            return;
        }
        self.hear(now, peer, now, &[]);
        if self.links.values().filter(|link| link.is_active()).count() < self.target {
            self.connect_to(now, peer);
        }
    }

    /// `NetGroup.addNeighbor`: connects to this member now.
    pub fn add_neighbor(&mut self, now: Instant, peer: PeerId) {
        if peer != self.near {
            self.hear(now, peer, now, &[]);
            self.connect_to(now, peer);
        }
    }

    /// Sets whether this peer stays a neighbour whatever upkeep finds, and is connected to again when it is lost. Members that
    /// `addPermanentNeighborByName` finds by the names of their endpoints are set when their IDs are known.
    pub fn set_permanent(&mut self, now: Instant, peer: PeerId, permanent: bool) {
        if !permanent {
            self.permanent.remove(&peer);
        } else if peer != self.near {
            self.permanent.insert(peer);
            self.add_neighbor(now, peer);
        }
    }

    /// A session with a peer is open. Unless this member asked for it with [`Output::Connect`], it sends nothing before the peer does, so
    /// that sessions which serve something else may be reported as well.
    pub fn on_session(&mut self, now: Instant, session: SessionFacts) {
        if session.peer == self.near || !self.accept_session(now, session) {
            return;
        }
        if let Some(rtt) = session.rtt {
            self.known.set_rtt(&session.peer, rtt);
        }
        if self.links.get(&session.peer).is_some_and(|link| link.phase == Phase::Opening) {
            self.ask_admission(now, session.peer);
        }
    }

    /// A session that [`Output::Connect`] asked for did not open.
    pub fn on_open_failed(&mut self, now: Instant, peer: PeerId) {
        if self.links.get(&peer).is_some_and(|link| link.phase == Phase::Opening) {
            self.links.remove(&peer);
            self.known.failed(&peer, now);
            self.soon(now);
        }
    }

    /// A session is closed.
    pub fn on_session_closed(&mut self, now: Instant, peer: PeerId) {
        let Some(link) = self.links.remove(&peer) else { return };
        if link.phase == Phase::Neighbor {
            self.lost(now, peer);
        }
        // A peer that is gone should not be tried again at once, nor be named to others.
        self.known.failed(&peer, now);
        self.soon(now);
    }

    /// A peer has moved to another address.
    pub fn on_address(&mut self, now: Instant, peer: &PeerId, address: SocketAddr) {
        let Some(link) = self.links.get_mut(peer) else { return };
        link.far_address = Some(address);
        if link.phase == Phase::Neighbor {
            self.heard_directly(now, *peer, Some(address));
        }
    }

    /// The smoothed round trip time to a peer is known.
    pub fn on_rtt(&mut self, peer: &PeerId, rtt: Duration) {
        self.known.set_rtt(peer, rtt);
    }

    /// A peer has sent a message on one of this group's flows.
    pub fn on_message(&mut self, now: Instant, peer: PeerId, flow_type: u8, message: &[u8]) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let phase = link.phase;
        if flow_type == flow_type::CONTROL {
            let at = now.saturating_duration_since(link.epoch);
            if !link.control.take(at, CONTROL_RATE, 1) {
                self.counters.control_dropped += 1;
                return;
            }
        }
        let read = match flow_type {
            flow_type::CONTROL => {
                ControlMessage::read(message).map(|message| self.on_control(now, peer, phase, message))
            }
            _ if phase != Phase::Neighbor => return,
            flow_type::POSTING_KEY => KeyMessage::read(message).map(|message| self.on_posting_key(now, peer, message)),
            flow_type::POSTING => {
                self.on_posting(now, peer, message);
                Ok(())
            }
            flow_type::DIRECTED => {
                self.on_directed(now, peer, message);
                Ok(())
            }
            // Streams of groups are not played here.
            _ => return,
        };
        if read.is_err() {
            self.refuse(now, peer, Refusal::Malformed);
        }
    }

    fn on_control(&mut self, now: Instant, peer: PeerId, phase: Phase, message: ControlMessage) {
        match (message, phase) {
            (ControlMessage::Connect(connect), _) => self.on_connect(now, peer, connect),
            (ControlMessage::Begin { .. }, Phase::Neighbor) => self.answer_with_report(now, peer),
            (ControlMessage::Report(report), Phase::Neighbor) => self.on_report(now, peer, report),
            (ControlMessage::Member(member), Phase::Neighbor) => self.add_member_hint(now, member),
            (ControlMessage::AskClose, Phase::Neighbor) => self.on_ask_close(now, peer),
            _ => {}
        }
    }

    /// A peer has closed its flow of this type, or rejected this end's.
    pub fn on_flow_closed(&mut self, now: Instant, peer: PeerId, flow_type: u8) {
        if flow_type == flow_type::CONTROL && self.links.get(&peer).is_some_and(Link::is_active) {
            // One that refuses admission, perhaps because it is not in the group, is not asked again at once.
            if self.links.get(&peer).is_some_and(|link| link.phase == Phase::Asked) {
                self.known.failed(&peer, now);
            }
            self.release(now, peer);
            self.soon(now);
        }
    }

    /// `NetGroup.post`: sends a posting, one AMF value, to all members. `None` if it is too long, or has been posted before.
    pub fn post(&mut self, value: &[u8]) -> Option<PostingId> {
        let id = self.postings.add(value)?;
        self.announce(id, None);
        Some(id)
    }

    /// Leaves the group: releases all neighbours. The owner leaves at the server by closing the flow to it.
    pub fn leave(&mut self, now: Instant) {
        let active: Vec<_> = self.links.iter().filter(|(_, link)| link.is_active()).map(|(peer, _)| *peer).collect();
        for peer in active {
            self.release(now, peer);
        }
    }
}
