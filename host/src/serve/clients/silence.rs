//! Clients that have been silent for long: they may be gone without closing, or be at another server.
//!
//! Each client has been told how long it may be silent ([`ClientTurn::advise_keepalive`](super::client_turn::ClientTurn)). After that time
//! it is pinged; after two it counts as silent. It stays connected until the endpoint gives it up, but lookups of it are redirected to
//! another server if the registry finds it there, and newcomers to its groups are told of other members first. Each client is
//! checked about once in an interval, whatever it does.
//!
//! Where servers share a registry, a lookup does not wait for that: a client that is looked up and has sent nothing for
//! [`FRESH`] is pinged at once, and counts as silent if [`PROBES`] pings, [`PROBE_PERIOD`] apart, stay without an answer.

use std::time::Duration;

use rtmfp::SessionId;

use super::client_silence::{ClientSilence, Stage};
use super::table::Clients;
use crate::serve::turn::{Turn, WorkerInfo};

/// The shortest time between two checks of a client.
const POLL: Duration = Duration::from_secs(2);

/// A client that has sent something within this time is not pinged when it is looked up.
const FRESH: Duration = Duration::from_secs(5);
/// After this many pings without an answer, and one more period of silence, a client that is looked up counts as silent.
/// Pings are counted rather than the time, so that a process that stood still itself reads what has arrived before it decides.
const PROBES: u8 = 3;
/// The time between two of these pings. Three of them take two seconds, in which the asker repeats its lookup once or twice.
const PROBE_PERIOD: Duration = Duration::from_millis(700);

impl Clients {
    /// Checks the clients that are due.
    pub(super) fn check_silence(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        let silence_limit = turn.services().applications.config().default_adaptor.rtmfp.dead_peer_timeout;
        while let Some((at, session)) = self.agenda.silence.take_due(now) {
            let (Some(client), Some(info)) = (self.clients.get_mut(&session), turn.endpoint.session(session)) else {
                continue;
            };
            let silent_for = now.saturating_duration_since(info.heard);
            let (interval, limit) = client.silence.intervals(silence_limit);
            let ClientSilence { stage: was, probes, .. } = client.silence;
            // Whether a packet has come since the last check, which was `period` before this one was due.
            let spoke = |period: Duration| info.heard + period >= at;
            let heard = (Stage::Heard, (info.heard + interval).max(now + POLL.min(interval)));
            client.silence.probes = 0;
            let (stage, due) = if was == Stage::Silent {
                if spoke(POLL) {
                    heard
                } else {
                    // A client whose answers were lost soon sends again; checking a client that is gone costs little.
                    client.silence.probes = probes.saturating_add(1);
                    if client.silence.probes.is_power_of_two() {
                        turn.endpoint.ping(now, session, &[]);
                    }
                    (Stage::Silent, now + POLL)
                }
            } else if probes > 0 {
                if spoke(PROBE_PERIOD) {
                    heard
                } else if probes < PROBES {
                    turn.endpoint.ping(now, session, &[]);
                    client.silence.probes = probes + 1;
                    (Stage::Asked, now + PROBE_PERIOD)
                } else {
                    (Stage::Silent, now + POLL)
                }
            } else if silent_for < interval {
                (Stage::Heard, info.heard + interval)
            } else if was == Stage::Heard {
                turn.endpoint.ping(now, session, &[]);
                // The client gets time to answer, even if it was this process that stood still.
                (Stage::Asked, (info.heard + limit).max(now + POLL))
            } else if silent_for < limit {
                turn.endpoint.ping(now, session, &[]);
                (was, (info.heard + limit).max(now + POLL.min(interval)))
            } else {
                (Stage::Silent, now + POLL)
            };
            client.silence.stage = stage;
            client.silence.due = Some(due.into());
            self.agenda.silence.insert(due, session);
            if (was == Stage::Silent) != (stage == Stage::Silent) {
                self.note_silence(turn.info, session, stage == Stage::Silent);
            }
        }
    }

    /// Pings a client to which an asker is redirected, unless the client has sent something recently.
    pub(in crate::serve) fn looked_up(&mut self, turn: &mut Turn<'_>, session: SessionId) {
        let now = turn.now;
        // Without a registry, the peer could not be found at another server.
        if turn.services().announcer.is_none()
            || turn.endpoint.heard(session).is_none_or(|heard| now.saturating_duration_since(heard) < FRESH)
        {
            return;
        }
        let Some(silence) = self.clients.get_mut(&session).map(|client| &mut client.silence) else { return };
        let Some(due) = silence.due.filter(|_| silence.probes == 0 && silence.stage != Stage::Silent) else { return };
        turn.endpoint.ping(now, session, &[]);
        let next = now + PROBE_PERIOD;
        *silence = ClientSilence { due: Some(next.into()), stage: Stage::Asked, probes: 1, ..*silence };
        self.agenda.silence.remove(due.instant(), session);
        self.agenda.silence.insert(next, session);
    }

    /// Notes that a client has answered a ping.
    pub(super) fn spoke(&mut self, info: &WorkerInfo, session: SessionId) {
        let Some(silence) = self.clients.get_mut(&session).map(|client| &mut client.silence) else { return };
        silence.probes = 0;
        if std::mem::replace(&mut silence.stage, Stage::Heard) == Stage::Silent {
            self.note_silence(info, session, false);
        }
    }

    fn note_silence(&self, info: &WorkerInfo, session: SessionId, is_silent: bool) {
        let Some(client) = self.clients.get(&session) else { return };
        let Some((peer, _)) = &client.place else { return };
        tracing::debug!(%session, %peer, is_silent, "client has become silent, or sends again");
        info.services.directory.set_silent(peer, session, is_silent);
        // Other servers give the entry of this one less weight, or full weight again.
        if info.services.directory.lookup(peer).is_some_and(|holder| holder.owner == session) {
            info.services.announce(*peer, session, client.is_proven);
        }
        let Some(groups) = &client.groups else { return };
        info.services.groups.set_silent(peer, session, is_silent);
        // Members of other servers are not told of one that may be gone.
        if let Some(shared) = &info.services.shared_groups {
            for membership in groups.memberships.iter().filter(|membership| membership.is_built_in) {
                shared.changed(membership.key, membership.group, *peer, true);
            }
        }
    }

    /// Forgets a client that is gone.
    pub(super) fn forget_silence(&mut self, session: SessionId) {
        if let Some(due) = self.clients.get_mut(&session).and_then(|client| client.silence.due.take()) {
            self.agenda.silence.remove(due.instant(), session);
        }
    }
}

#[cfg(test)]
mod tests;
