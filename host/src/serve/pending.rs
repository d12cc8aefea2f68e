//! What waits for the verdicts of plugins, at one worker.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmfp::{Lookup, SessionId};

use super::worker::Asking;
use crate::apps::Seat;
use introd_native::{Chain, Instance};
use introd_policy::message::ClientInfo;

/// A lookup whose answer is pending at one of the plugins.
pub(super) struct WaitingLookup {
    pub(super) lookup: Lookup,
    pub(super) asking: Asking,
    /// The plugin's place among those that are asked.
    pub(super) index: usize,
}

/// A connect whose answer is.
pub(super) struct WaitingConnect {
    pub(super) session: SessionId,
    pub(super) seat: Seat,
    pub(super) info: Box<ClientInfo>,
    pub(super) chain: Chain,
    pub(super) index: usize,
}

/// Something that waits.
pub(super) enum Waiting {
    Lookup(Box<WaitingLookup>),
    Connect(Box<WaitingConnect>),
}

impl Waiting {
    /// The plugin that it waits for.
    pub(super) fn plugin(&self) -> Option<&Arc<Instance>> {
        match self {
            Self::Lookup(waiting) => waiting.asking.chain.get(waiting.index),
            Self::Connect(waiting) => waiting.chain.get(waiting.index),
        }
    }
}

/// All that waits, by token. There is no more of it than there are tokens.
#[derive(Default)]
pub(super) struct Pendings {
    waiting: HashMap<u64, (Instant, Waiting)>,
    deadlines: BTreeSet<(Instant, u64)>,
    connects: HashMap<SessionId, u64>,
}

impl Pendings {
    pub(super) fn insert(&mut self, now: Instant, patience: Duration, token: u64, waiting: Waiting) {
        let deadline = now + patience;
        if let Waiting::Connect(connect) = &waiting {
            self.connects.insert(connect.session, token);
        }
        self.deadlines.insert((deadline, token));
        self.waiting.insert(token, (deadline, waiting));
    }

    /// What waits under a token, which then does not any more.
    pub(super) fn take(&mut self, token: u64) -> Option<Waiting> {
        let (deadline, waiting) = self.waiting.remove(&token)?;
        self.deadlines.remove(&(deadline, token));
        if let Waiting::Connect(connect) = &waiting {
            self.connects.remove(&connect.session);
        }
        Some(waiting)
    }

    /// The connect of a session that is gone.
    pub(super) fn take_connect(&mut self, session: SessionId) -> Option<(u64, Box<WaitingConnect>)> {
        let token = *self.connects.get(&session)?;
        match self.take(token)? {
            Waiting::Connect(connect) => Some((token, connect)),
            Waiting::Lookup(_) => None,
        }
    }

    /// Nobody could take a verdict for so long: all wait longer.
    pub(super) fn stood_still(&mut self, stood: Duration) {
        self.waiting.values_mut().for_each(|(deadline, _)| *deadline += stood);
        let deadlines = std::mem::take(&mut self.deadlines);
        self.deadlines = deadlines.into_iter().map(|(deadline, token)| (deadline + stood, token)).collect();
    }

    /// When the next one has waited for long enough.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// One that has.
    pub(super) fn take_late(&mut self, now: Instant) -> Option<(u64, Waiting)> {
        let (_, token) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now)?;
        Some((token, self.take(token)?))
    }
}
