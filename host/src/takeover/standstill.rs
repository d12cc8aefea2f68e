//! The workers and the relay of a server stand still, and give their state to another process.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use introd_liveness::Pulse;
use tokio::sync::oneshot;

use super::channel::ChannelError;
use super::ending::Ending;
use super::estate::Estate;
use super::state::{RelayState, ServerState};
use super::worker_mail::{Patience, answer, tell};
use crate::apps::Applications;
use crate::introducer::Directory;
use crate::relay::Relay;
use crate::serve::{Copies, Fate, HandOver, HandedOver, Mail};

/// How long the workers stand still at most: after that they go on, whatever the new process does.
pub(super) const STANDSTILL: Duration = Duration::from_secs(10);

/// The workers and the relay, while they stand still. When this is dropped, they go on.
pub(super) struct Standstill {
    until: Instant,
    relay: Option<Arc<Relay>>,
    states: mpsc::Receiver<HandedOver>,
    fates: Vec<oneshot::Sender<Fate>>,
    ending: Arc<Ending>,
    pulse: Pulse,
}

impl Standstill {
    /// `copies`: for each worker what was copied of its sessions, if anything was.
    pub(super) fn begin(
        estate: &Estate,
        copies: Vec<Copies>,
        now: Instant,
        ending: &Arc<Ending>,
        pulse: &Pulse,
    ) -> Result<Self, ChannelError> {
        let (state, states) = mpsc::channel();
        let (until, relay, ending) = (now + STANDSTILL, estate.relay.clone(), Arc::clone(ending));
        let mut standstill = Self { until, relay, states, fates: Vec::new(), ending, pulse: pulse.clone() };
        let mut copies = copies.into_iter();
        for mailbox in &*estate.mailboxes {
            let (order, fate) = HandOver::new(copies.next(), state.clone());
            tell(mailbox, Mail::HandOver(Box::new(order)), standstill.patience())?;
            standstill.fates.push(fate);
        }
        // After the workers, which make pairs.
        if standstill.relay.as_ref().is_some_and(|relay| !relay.stand_still()) {
            return Err(ChannelError::Busy);
        }
        Ok(standstill)
    }

    /// How long they are waited for.
    fn patience(&self) -> Patience<'_> {
        Patience { until: self.until, ending: &self.ending, pulse: &self.pulse }
    }

    /// How long they may go on standing still.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// The state of all of them.
    pub(super) fn collect(&self, applications: &Applications, directory: &Directory) -> Result<Vec<u8>, ChannelError> {
        let mut workers = Vec::with_capacity(self.fates.len());
        while workers.len() < self.fates.len() {
            workers.push(answer(&self.states, self.patience())?);
        }
        workers.sort_by_key(|worker| worker.index);
        let (instances, open_calls) = applications.hand_over();
        let relay = self.relay.as_ref().map(|relay| {
            let then = Instant::now();
            RelayState { then, pairs: relay.hand_over(then) }
        });
        let state = ServerState { workers, instances, open_calls, rivals: directory.rivals_records(), relay };
        state.to_bytes().map_err(|error| ChannelError::Unreadable(error.to_string()))
    }

    /// They end, and tell nobody.
    pub(super) fn end(mut self) {
        self.relay = None;
        for fate in std::mem::take(&mut self.fates) {
            let _ = fate.send(Fate::End);
        }
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        if let Some(relay) = &self.relay {
            relay.serve();
        }
    }
}
