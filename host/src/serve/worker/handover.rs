//! A worker gives its sessions and clients to another process, or begins with those of one.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use introd_liveness::BEAT;
use introd_udp::Ports;
use rtmfp::handover::{Clock, EndpointState, SessionRecord};
use rtmfp::{InterfaceId, PreparedSession, SessionId};

use super::Worker;
use crate::introducer::Dispute;
use crate::serve::clients::PreparedClient;
use crate::serve::handover::{
    ClientRecord, ConnectingRecord, Copied, Copies, CopyOrder, Fate, HandOver, HandedOver, Inheritance, Inherited,
    InterfaceRecord, WorkerState,
};
use crate::serve::pending::PendingRequest;

/// For so long nothing may be said before a worker gives its state.
const SILENCE: Duration = Duration::from_millis(2);
/// How many sessions a worker that stands still looks at in one go.
const SLICE: usize = 128;
/// A worker waits for such silence at most for so long,
const FINISH: Duration = Duration::from_millis(100);
/// and for scripts that have yet to look at what clients have said: what they answer later does not reach the clients.
const FINISH_SCRIPTS: Duration = Duration::from_secs(1);

impl Worker {
    /// Gives the worker's state, and stands still until it is known what becomes of the worker. Datagrams wait in the sockets meanwhile, which
    /// the other process reads if it has the sessions.
    pub(super) async fn hand_over(&mut self, mut order: HandOver) -> Fate {
        let now = Instant::now();
        self.finish_what_is_under_way(now).await;
        let now = Instant::now();
        let (mut turn, clients, _) = self.turn(now);
        clients.prepare_handover(&mut turn);
        self.work(now);
        self.ports.transmit(&mut self.endpoint).await;
        self.work(now);
        let handed_over = self.state(order.copies.take(), now);
        tracing::info!(
            worker = self.info.index,
            sessions = handed_over.state.session_count() + handed_over.unchanged.len(),
            known = handed_over.unchanged.len(),
            "the worker stands still: another process may take its sessions over"
        );
        let Some(mut fate) = order.give(handed_over) else { return Fate::GoOn };
        loop {
            self.pulse.beat();
            // A process that does not say what becomes of the worker has given the takeover up.
            if let Ok(fate) = tokio::time::timeout(BEAT, &mut fate).await {
                return fate.unwrap_or(Fate::GoOn);
            }
        }
    }

    /// Takes what scripts, plugins, the registry, keying threads and other workers still say, until scripts have looked at everything and all are
    /// silent for a moment: what they say later is lost. The sockets are not read meanwhile.
    async fn finish_what_is_under_way(&mut self, began: Instant) {
        loop {
            // What other workers pass on is put aside as well.
            self.finish_backlog();
            self.work(Instant::now());
            self.ports.transmit(&mut self.endpoint).await;
            let is_busy = self.info.services.applications.has_busy_policies();
            let most = if is_busy { FINISH_SCRIPTS } else { FINISH };
            let left = most.saturating_sub(began.elapsed());
            match tokio::time::timeout(SILENCE.min(left), self.mailbox.recv()).await {
                Ok(Some(mail)) => self.take_mail(Instant::now(), Some(mail)),
                Err(_) if is_busy => (),
                Ok(None) | Err(_) => return,
            }
            if left.is_zero() {
                self.finish_backlog();
                return;
            }
        }
    }

    /// Copies sessions for another process, which is to know most of them before the worker stands still.
    pub(in crate::serve) fn copy(&mut self, order: CopyOrder) {
        let CopyOrder { mut copies, places, copied } = order;
        let mut found = Changes::default();
        self.changes(&mut copies, places, &mut found);
        let Changes { sessions, clients, .. } = found;
        let endpoint = EndpointState::of_sessions(self.info.index, sessions);
        let state = WorkerState { endpoint, interfaces: InterfaceRecord::all(&self.ports), clients };
        // A process that does not want them any more has given the takeover up.
        drop(copied.send(Copied { copies, state, places: self.endpoint.places() }));
    }

    /// The state, but for what is copied and has not changed.
    pub(in crate::serve) fn state(&mut self, copies: Option<Copies>, now: Instant) -> HandedOver {
        let mut copies = copies.unwrap_or_else(|| Copies::new(now));
        let mut all = Changes::default();
        // Few at a time, in memory that is used again and again.
        for begin in (0..self.endpoint.places()).step_by(SLICE) {
            self.changes(&mut copies, begin..begin + SLICE, &mut all);
        }
        let Changes { sessions, clients, unchanged } = all;
        let endpoint = self.endpoint.hand_over_table(copies.clock()).with_sessions(sessions);
        let state = WorkerState { endpoint, interfaces: InterfaceRecord::all(&self.ports), clients };
        let connecting = self.pending.iter().filter_map(|pending| match pending {
            PendingRequest::Connect { connect, .. } => ConnectingRecord::of(connect.session, &connect.info.request),
            PendingRequest::Lookup { .. } => None,
        });
        let connecting = connecting.collect();
        HandedOver { unchanged, connecting, ..HandedOver::new(self.info.index, copies.then(), state) }
    }

    /// Looks at the sessions in these places.
    fn changes(&mut self, copies: &mut Copies, places: Range<usize>, found: &mut Changes) {
        let clock = copies.clock();
        let (turn, clients, _) = self.turn(Instant::now());
        let some: Vec<_> = turn.endpoint.session_changes(clock, places, |id| copies.has(id)).collect();
        for (id, session) in some {
            let client = clients.hand_over(&turn, SessionId::from_wire(id), clock);
            if !copies.is_new(id, session.as_ref(), client.as_ref()) {
                found.unchanged.push(id);
                continue;
            }
            let session = session.or_else(|| turn.endpoint.session_record(clock, SessionId::from_wire(id)));
            found.sessions.extend(session);
            found.clients.extend(client);
        }
    }

    /// Waits for the state that the worker begins with, and for the word to begin. False: it is not to begin.
    pub async fn inherit(&mut self, inheritance: Inheritance) -> bool {
        let Inheritance { state, done, mut go } = inheritance;
        let mut prepared = Ok(Prepared::default());
        let result = loop {
            self.pulse.beat();
            match state.recv_timeout(BEAT) {
                Ok(Inherited::InAdvance(part)) => {
                    prepared = prepared.and_then(|mut prepared| self.prepare(&mut prepared, part).map(|()| prepared));
                }
                Ok(Inherited::All(last)) => {
                    break prepared.and_then(|prepared| self.take_over(Instant::now(), prepared, last));
                }
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        };
        let is_taken = result.is_ok();
        let is_waited_for = done.send(result).is_ok();
        if !(is_taken && is_waited_for) {
            return false;
        }
        loop {
            self.pulse.beat();
            if let Ok(go) = tokio::time::timeout(BEAT, &mut go).await {
                let is_to_begin = go.is_ok();
                self.settle(Instant::now(), &go.unwrap_or_default());
                return is_to_begin;
            }
        }
    }

    /// Goes on with ids that several sessions show, of whichever worker.
    pub(in crate::serve) fn settle(&mut self, now: Instant, disputes: &[Dispute]) {
        let (mut turn, clients, _) = self.turn(now);
        clients.settle(&mut turn, disputes);
    }

    /// Prepares sessions with which the worker may go on.
    pub(in crate::serve) fn prepare(&mut self, prepared: &mut Prepared, part: HandedOver) -> Result<(), String> {
        let HandedOver { then, state: WorkerState { endpoint, interfaces, clients }, .. } = part;
        let sessions = self.endpoint.prepare(then, endpoint, own_interface(&mut self.ports, &interfaces));
        for session in sessions.map_err(|error| error.to_string())? {
            // With it goes what was known of its client.
            prepared.insert(session.id(), (session, None));
        }
        for record in clients {
            let id = SessionId::from_wire(record.session);
            // One whose session has ended is none.
            if let Some((session, client)) = prepared.get_mut(&id) {
                let prepared = self.clients.prepare(&self.info, Clock::new(then), record, session.far_address());
                *client = Some(Box::new(prepared));
            }
        }
        Ok(())
    }

    /// Goes on with the sessions and clients of a worker of another process. Gives the number of sessions.
    pub(in crate::serve) fn take_over(
        &mut self,
        now: Instant,
        mut prepared: Prepared,
        last: HandedOver,
    ) -> Result<usize, String> {
        let HandedOver { index, then, mut state, unchanged, connecting, open_calls } = last;
        let mut ids: Vec<_> = unchanged.into_iter().map(SessionId::from_wire).collect();
        let changed = state.endpoint.take_sessions();
        ids.extend(changed.session_ids());
        let WorkerState { endpoint, interfaces, clients } = state;
        let state = WorkerState { endpoint: changed, interfaces: interfaces.clone(), clients };
        self.prepare(&mut prepared, HandedOver::new(index, then, state))?;
        let (mut sessions, mut all) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        for id in ids {
            let (session, client) = prepared.remove(&id).ok_or("a session is there twice, or was not copied before")?;
            sessions.push(session);
            all.extend(client);
        }
        let interface = own_interface(&mut self.ports, &interfaces);
        let is_taken = self.endpoint.take_over(now, then, endpoint, sessions, interface);
        is_taken.map_err(|error| error.to_string())?;
        // Those that came first before the others.
        all.sort_by_cached_key(|client| client.order());
        let (mut turn, clients, _) = self.turn(now);
        let mut waiting = Vec::new();
        for client in all {
            if client.waits() {
                waiting.push(client.session());
            }
            clients.take_over(&mut turn, *client);
        }
        clients.ask_again(&mut turn, &waiting, connecting);
        for (session, open) in open_calls {
            clients.fail_open_call(&mut turn, SessionId::from_wire(session), open);
        }
        // Other servers learn that the clients are here.
        clients.republish_all(&turn);
        Ok(self.endpoint.session_count())
    }
}

/// Sessions and clients, found when a worker looked at some.
#[derive(Default)]
struct Changes {
    /// Those that are not as they were copied.
    sessions: Vec<SessionRecord>,
    /// Their clients.
    clients: Vec<ClientRecord>,
    /// The ids of the others.
    unchanged: Vec<u32>,
}

/// Sessions that a worker knows before it goes on with them, with their clients.
pub(in crate::serve) type Prepared = HashMap<SessionId, (PreparedSession, Option<Box<PreparedClient>>)>;

/// The name that this worker has for an interface, if the other one has these.
fn own_interface<'a>(
    ports: &'a mut Ports,
    interfaces: &'a [InterfaceRecord],
) -> impl FnMut(InterfaceId) -> Option<InterfaceId> + 'a {
    |InterfaceId(id)| {
        let record = interfaces.get(usize::try_from(id).ok()?)?;
        Some(ports.intern(record.interface()))
    }
}
