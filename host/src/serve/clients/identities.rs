//! Peer ids that several sessions show: which session holds the id and is found by lookups.
//!
//! The directory keeps the order ([`crate::introducer::directory`]); this file pings the sessions in doubt. A
//! holder whose id another session shows is pinged at once and then each [`PERIOD`]. If it answers, it keeps the id. If it has
//! not answered after [`PINGS`] pings, the id is passed on. If it answers later all the same, it gets its id back.

use std::net::SocketAddr;
use std::time::Duration;

use rtmfp::{PeerId, SessionId};

use super::doubts::Doubt;
use super::table::Clients;
use crate::introducer::{Departure, Dispute, Succession};
use crate::serve::mail::Mail;
use crate::serve::turn::{Turn, WorkerInfo};

/// The time between two pings.
const PERIOD: Duration = Duration::from_secs(1);
/// After this many pings without an answer, and one more period of silence, the session counts as dead. Pings are counted
/// rather than the time, so that a process that stood still itself reads what has arrived before it decides.
const PINGS: u8 = 3;

/// Tells the worker whose session holds an id now, so that the session gets its memberships in groups, and is pinged if
/// other sessions wait for the id.
pub(super) fn tell_holder(info: &WorkerInfo, peer: PeerId, succession: Succession) {
    let Succession { holder, is_contested, .. } = succession;
    info.send(holder, Mail::Holds { session: holder, peer, is_contested });
}

/// Has the worker of an id's holder ping it, because another session shows the id.
pub(super) fn contest(info: &WorkerInfo, peer: PeerId, holder: SessionId) {
    info.send(holder, Mail::Contest { session: holder, peer });
}

impl Clients {
    /// Pings the holder of an id, because another session shows the id.
    pub(in crate::serve) fn contested(&mut self, turn: &mut Turn<'_>, session: SessionId, peer: PeerId) {
        let now = turn.now;
        if self.peer(session) != Some(peer) {
            return;
        }
        let doubt = Doubt { peer, since: now, pings: 1, is_passed_over: false };
        match self.doubts.doubted.get_mut(&session) {
            // The session is being pinged already.
            Some(known) if !known.is_passed_over => return,
            Some(known) => *known = doubt,
            None => drop(self.doubts.doubted.insert(session, doubt)),
        }
        turn.endpoint.ping(now, session, &[]);
        self.doubts.look_again(now + PERIOD);
    }

    /// Handles that a session holds its id now: it replaces the earlier holder as a member of groups.
    pub(in crate::serve) fn holds(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        peer: PeerId,
        is_contested: bool,
    ) {
        self.enter_groups(turn, session, peer);
        if is_contested {
            self.contested(turn, session, peer);
        }
    }

    /// Goes on with ids that several sessions showed in another process: their holders are the members of groups and are pinged, as there, and a
    /// session that was passed over gets its id back if it lives.
    pub(in crate::serve) fn settle(&mut self, turn: &mut Turn<'_>, disputes: &[Dispute]) {
        for Dispute { peer, holder, passed_over } in disputes {
            if self.peer(*holder) == Some(*peer) {
                self.holds(turn, *holder, *peer, true);
            }
            for session in passed_over {
                if self.peer(*session) != Some(*peer) {
                    continue;
                }
                let doubt = Doubt { peer: *peer, since: turn.now, pings: PINGS, is_passed_over: true };
                self.doubts.doubted.insert(*session, doubt);
                self.doubts.look_again(turn.now + PERIOD);
            }
        }
    }

    /// Handles that a client is gone: its id may pass to another session.
    pub(super) fn give_up_id(&mut self, info: &WorkerInfo, peer: PeerId, session: SessionId, is_proven: bool) {
        self.doubts.doubted.remove(&session);
        match info.services.directory.remove(&peer, session) {
            Departure::Nothing => (),
            Departure::Vacant => info.services.announce(peer, session, is_proven),
            Departure::Passed(succession) => {
                self.pass(info, peer, (session, is_proven), None, succession, "its client is gone");
            }
        }
    }

    /// Pings the sessions in doubt again, and passes on the ids of sessions that do not answer.
    pub(super) fn check_doubts(&mut self, turn: &mut Turn<'_>) {
        let (now, services) = (turn.now, turn.services());
        if self.doubts.next.is_none_or(|next| next > now) {
            return;
        }
        let (mut heard, mut silent) = (Vec::new(), Vec::new());
        self.doubts.doubted.retain(|session, doubt| {
            let Some(info) = turn.endpoint.session(*session) else { return false };
            if info.heard > doubt.since {
                heard.push((*session, doubt.peer, doubt.is_passed_over));
                return false;
            }
            if !doubt.is_passed_over && doubt.pings < PINGS {
                doubt.pings += 1;
                turn.endpoint.ping(now, *session, &[]);
            } else if !doubt.is_passed_over {
                silent.push((*session, doubt.peer, info.far_address));
            }
            true
        });
        for (session, peer, is_passed_over) in heard {
            self.lives(turn.info, session, peer, is_passed_over);
        }
        for (session, peer, address) in silent {
            match services.directory.pass_over(&peer, session) {
                Some(succession) => {
                    if let Some(doubt) = self.doubts.doubted.get_mut(&session) {
                        doubt.is_passed_over = true;
                    }
                    self.pass(
                        turn.info,
                        peer,
                        self.proof(session),
                        Some(address),
                        succession,
                        "its client does not answer",
                    );
                }
                None => drop(self.doubts.doubted.remove(&session)),
            }
        }
        self.doubts.next = (!self.doubts.doubted.is_empty()).then(|| now + PERIOD);
    }

    /// Handles a session's answer to a ping.
    pub(super) fn answered(&mut self, info: &WorkerInfo, session: SessionId) {
        if let Some(doubt) = self.doubts.doubted.remove(&session) {
            self.lives(info, session, doubt.peer, doubt.is_passed_over);
        }
    }

    fn lives(&mut self, info: &WorkerInfo, session: SessionId, peer: PeerId, is_passed_over: bool) {
        if is_passed_over && let Some(succession) = info.services.directory.take_back(&peer, session) {
            self.pass(info, peer, self.proof(session), None, succession, "its first client lives after all");
        }
    }

    /// A session, and whether it has proven its id.
    fn proof(&self, session: SessionId) -> (SessionId, bool) {
        (session, self.clients.get(&session).is_some_and(|client| client.is_proven))
    }

    fn pass(
        &self,
        info: &WorkerInfo,
        peer: PeerId,
        (from, is_proven): (SessionId, bool),
        address: Option<SocketAddr>,
        succession: Succession,
        why: &'static str,
    ) {
        let Succession { holder, observed, .. } = succession;
        let from_address = address.map(tracing::field::display);
        tracing::info!(%peer, from = %from, from_address, to = %holder, to_address = %observed, why, "peer id passed on");
        info.services.announce(peer, holder, is_proven);
        tell_holder(info, peer, succession);
    }
}

#[cfg(test)]
mod tests;
