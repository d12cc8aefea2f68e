//! Clients of whom nothing is heard: they may be gone without a word, or be at another server.
//!
//! Each client has been told how long it may say nothing ([`Acting::advise_keepalive`](super::acting::Acting)). After one such interval
//! it is pinged; after two it counts as silent. It stays connected until the endpoint gives it up, but those who look for it are sent to
//! where the registry has it, if it has it elsewhere, and newcomers to its groups are told of others first. Each client is looked
//! at about once in an interval, whatever it does.

use std::time::{Duration, Instant};

use rtmfp::{Endpoint, SessionId};

use super::{Client, Clients};

/// How often those who are expected to speak are looked at.
const POLL: Duration = Duration::from_secs(2);

/// How a client keeps its promise to speak.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence {
    /// When it is looked at next: its place in [`Clients::quiet`].
    pub(super) due: Option<Instant>,
    /// How long it may say nothing, in milliseconds.
    pub(super) interval: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Heard,
    Asked,
    Silent,
}

impl Client {
    /// After how much silence it is asked, and after how much more it counts as silent.
    fn intervals(&self, silence_limit: Duration) -> (Duration, Duration) {
        let interval = Duration::from_millis(self.silence.interval.into());
        // Where the endpoint gives up sooner than that, there must be time to find it elsewhere before.
        let limit = (2 * interval).min(silence_limit * 3 / 4);
        (interval.min(limit / 2), limit)
    }
}

impl Clients {
    /// Looks at the clients whose time it is.
    pub(super) fn check_silence(&mut self, now: Instant, endpoint: &mut Endpoint) {
        let silence_limit = self.services.applications.config().default_adaptor.rtmfp.dead_peer_timeout;
        while let Some((at, session)) = self.quiet.first().copied()
            && at <= now
        {
            self.quiet.pop_first();
            let (Some(client), Some(info)) = (self.clients.get_mut(&session), endpoint.session(session)) else {
                continue;
            };
            let silent_for = now.saturating_duration_since(info.heard);
            let (interval, limit) = client.intervals(silence_limit);
            let was = client.silence.stage;
            let (stage, due) = if silent_for < interval {
                (Stage::Heard, info.heard + interval)
            } else if was == Stage::Heard {
                endpoint.ping(now, session, &[]);
                // It has time to answer, even if it is this process that stood still.
                (Stage::Asked, (info.heard + limit).max(now + POLL))
            } else if silent_for < limit {
                endpoint.ping(now, session, &[]);
                (was, (info.heard + limit).max(now + POLL.min(interval)))
            } else {
                (Stage::Silent, now + POLL)
            };
            client.silence.stage = stage;
            client.silence.due = Some(due);
            self.quiet.insert((due, session));
            if (was == Stage::Silent) != (stage == Stage::Silent) {
                self.note_silence(session, stage == Stage::Silent);
            }
        }
    }

    fn note_silence(&self, session: SessionId, is_silent: bool) {
        let Some(client) = self.clients.get(&session) else { return };
        let Some((peer, seat)) = &client.place else { return };
        tracing::debug!(%session, %peer, is_silent, "client keeps silent, or speaks again");
        self.services.directory.set_silent(peer, session, is_silent);
        if client.groups.is_some() {
            seat.instance().with_groups(|all| all.set_silent(peer, session, is_silent));
        }
    }

    /// A client is gone.
    pub(super) fn forget_silence(&mut self, session: SessionId) {
        if let Some(due) = self.clients.get_mut(&session).and_then(|client| client.silence.due.take()) {
            self.quiet.remove(&(due, session));
        }
    }
}
