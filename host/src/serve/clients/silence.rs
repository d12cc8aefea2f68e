//! Clients of whom nothing is heard: they may be gone without a word, or be at another server.
//!
//! Each client has been told how long it may say nothing ([`ClientTurn::advise_keepalive`](super::client_turn::ClientTurn)). After one such interval
//! it is pinged; after two it counts as silent. It stays connected until the endpoint gives it up, but those who look for it are sent to
//! where the registry has it, if it has it elsewhere, and newcomers to its groups are told of others first. Each client is looked
//! at about once in an interval, whatever it does.
//!
//! Where servers share a registry, a lookup does not wait for that: a client that somebody looks for and that has not been heard for
//! [`FRESH`] is pinged at once, and counts as silent if [`PROBES`] pings, [`PROBE_PERIOD`] apart, stay without an answer.

use std::time::Duration;

use rtmfp::SessionId;

use super::client_silence::{ClientSilence, Stage};
use super::table::Clients;
use crate::serve::turn::{Turn, WorkerInfo};

/// How often those who are expected to speak are looked at.
const POLL: Duration = Duration::from_secs(2);

/// A client that was heard within this time is there: it is not pinged because somebody looks for it.
const FRESH: Duration = Duration::from_secs(5);
/// So many pings without an answer, and the silence that follows the last of them for a period, make a client silent that somebody looks
/// for. They are counted rather than the time, so that a process that stood still itself reads what has come before it judges.
const PROBES: u8 = 3;
/// How far these pings are apart. Three of them take two seconds, in which whoever looks for the client asks once or twice more.
const PROBE_PERIOD: Duration = Duration::from_millis(700);

impl Clients {
    /// Looks at the clients whose time it is.
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
            // Whether a packet has come since the last look, which was `period` before this one was due.
            let spoke = |period: Duration| info.heard + period > at;
            let heard = (Stage::Heard, (info.heard + interval).max(now + POLL.min(interval)));
            client.silence.probes = 0;
            let (stage, due) = if was == Stage::Silent {
                if spoke(POLL) {
                    heard
                } else {
                    // One whose answers were lost is soon heard again; one that is gone costs little.
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
                // It has time to answer, even if it is this process that stood still.
                (Stage::Asked, (info.heard + limit).max(now + POLL))
            } else if silent_for < limit {
                turn.endpoint.ping(now, session, &[]);
                (was, (info.heard + limit).max(now + POLL.min(interval)))
            } else {
                (Stage::Silent, now + POLL)
            };
            client.silence.stage = stage;
            client.silence.due = Some(due);
            self.agenda.silence.insert(due, session);
            if (was == Stage::Silent) != (stage == Stage::Silent) {
                self.note_silence(turn.info, session, stage == Stage::Silent);
            }
        }
    }

    /// Somebody looks for this client, and is sent to it: it is asked for a sign of life, unless it has given one of late.
    pub(in crate::serve) fn looked_up(&mut self, turn: &mut Turn<'_>, session: SessionId) {
        let now = turn.now;
        // Without a registry there is nowhere else to look for it.
        if turn.services().announcer.is_none()
            || turn.endpoint.heard(session).is_none_or(|heard| now.saturating_duration_since(heard) < FRESH)
        {
            return;
        }
        let Some(silence) = self.clients.get_mut(&session).map(|client| &mut client.silence) else { return };
        let Some(due) = silence.due.filter(|_| silence.probes == 0 && silence.stage != Stage::Silent) else { return };
        turn.endpoint.ping(now, session, &[]);
        let next = now + PROBE_PERIOD;
        *silence = ClientSilence { due: Some(next), stage: Stage::Asked, probes: 1, ..*silence };
        self.agenda.silence.remove(due, session);
        self.agenda.silence.insert(next, session);
    }

    /// A client has answered a ping.
    pub(super) fn spoke(&mut self, info: &WorkerInfo, session: SessionId) {
        let Some(silence) = self.clients.get_mut(&session).map(|client| &mut client.silence) else { return };
        silence.probes = 0;
        if std::mem::replace(&mut silence.stage, Stage::Heard) == Stage::Silent {
            self.note_silence(info, session, false);
        }
    }

    fn note_silence(&self, info: &WorkerInfo, session: SessionId, is_silent: bool) {
        let Some(client) = self.clients.get(&session) else { return };
        let Some((peer, seat)) = &client.place else { return };
        tracing::debug!(%session, %peer, is_silent, "client keeps silent, or speaks again");
        info.services.directory.set_silent(peer, session, is_silent);
        // To other servers, one that hears of the peer counts before this one, or no longer.
        if info.services.directory.lookup(peer).is_some_and(|holder| holder.owner == session) {
            info.services.announce(*peer, session, client.is_proven);
        }
        if client.groups.is_some() {
            seat.instance().with_groups(|all| all.set_silent(peer, session, is_silent));
        }
    }

    /// A client is gone.
    pub(super) fn forget_silence(&mut self, session: SessionId) {
        if let Some(due) = self.clients.get_mut(&session).and_then(|client| client.silence.due.take()) {
            self.agenda.silence.remove(due, session);
        }
    }
}
