//! A worker gives its sessions and clients to another process, or begins with those of one.

use std::time::{Duration, Instant};

use introd_liveness::BEAT;
use rtmfp::InterfaceId;
use rtmfp::handover::Clock;

use super::Worker;
use crate::serve::handover::{Fate, HandOver, Inheritance, InterfaceRecord, WorkerState};

/// For so long nothing may be said before a worker gives its state.
const SILENCE: Duration = Duration::from_millis(5);
/// A worker waits for such silence at most for so long.
const FINISH: Duration = Duration::from_millis(100);

impl Worker {
    /// Gives the worker's state, and stands still until it is known what becomes of the worker. Datagrams wait in the sockets meanwhile, which
    /// the other process reads if it has the sessions.
    pub(super) async fn hand_over(&mut self, order: HandOver) -> Fate {
        let now = Instant::now();
        self.finish_what_is_under_way(now).await;
        let now = Instant::now();
        let (mut turn, clients, _) = self.turn(now);
        clients.prepare_handover(&mut turn);
        self.work(now);
        self.ports.transmit(&mut self.endpoint).await;
        self.work(now);
        let state = self.state(now);
        tracing::info!(
            worker = self.info.index,
            sessions = state.session_count(),
            clients = state.clients.len(),
            "the worker stands still: another process may take its sessions over"
        );
        if order.state.send((self.info.index, now, state)).is_err() {
            return Fate::GoOn;
        }
        let mut fate = order.fate;
        loop {
            self.pulse.beat();
            // A process that does not say what becomes of the worker has given the takeover up.
            if let Ok(fate) = tokio::time::timeout(BEAT, &mut fate).await {
                return fate.unwrap_or(Fate::GoOn);
            }
        }
    }

    /// Takes what scripts, plugins, the registry, keying threads and other workers still say, until they are silent for a moment: what they say
    /// later is lost. The sockets are not read meanwhile.
    async fn finish_what_is_under_way(&mut self, began: Instant) {
        loop {
            self.work(Instant::now());
            self.ports.transmit(&mut self.endpoint).await;
            let left = FINISH.saturating_sub(began.elapsed());
            match tokio::time::timeout(SILENCE.min(left), self.mailbox.recv()).await {
                Ok(Some(mail)) => self.take_mail(Instant::now(), Some(mail)),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn state(&mut self, now: Instant) -> WorkerState {
        let endpoint = self.endpoint.hand_over(now);
        let interfaces = InterfaceRecord::all(&self.ports);
        let (turn, clients, _) = self.turn(now);
        WorkerState { endpoint, interfaces, clients: clients.hand_over(&turn, Clock::new(now)) }
    }

    /// Waits for the state that the worker begins with, and for the word to begin. False: it is not to begin.
    pub async fn inherit(&mut self, inheritance: Inheritance) -> bool {
        let Inheritance { mut state, done, mut go } = inheritance;
        let received = loop {
            self.pulse.beat();
            if let Ok(received) = tokio::time::timeout(BEAT, &mut state).await {
                break received;
            }
        };
        let Ok((then, state)) = received else { return false };
        let result = self.take_over(Instant::now(), then, state);
        let is_taken = result.is_ok();
        let is_waited_for = done.send(result).is_ok();
        if !(is_taken && is_waited_for) {
            return false;
        }
        loop {
            self.pulse.beat();
            if let Ok(go) = tokio::time::timeout(BEAT, &mut go).await {
                return go.is_ok();
            }
        }
    }

    /// Goes on with the sessions and clients of a worker of another process. Gives the number of sessions.
    fn take_over(&mut self, now: Instant, then: Instant, state: WorkerState) -> Result<usize, String> {
        let ports = &mut self.ports;
        let interface = |InterfaceId(id): InterfaceId| {
            let record = state.interfaces.get(usize::try_from(id).ok()?)?;
            Some(ports.intern(record.interface()))
        };
        self.endpoint.take_over(now, then, state.endpoint, interface).map_err(|error| error.to_string())?;
        let (mut turn, clients, _) = self.turn(now);
        for client in state.clients {
            clients.take_over(&mut turn, Clock::new(then), client);
        }
        // Other servers learn that the clients are here.
        clients.republish_all(&turn);
        Ok(self.endpoint.session_count())
    }
}
