//! One worker: an endpoint, its sockets, and the clients whose sessions it holds.

pub(super) mod handover;
mod receiving;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_liveness::Pulse;
use introd_policy::decision::PendingRequests;
use introd_policy::{Reply, RequestId, ToWake};
use introd_udp::{Alarm, Ports};
use rtmfp::{Endpoint, Event, KeyingJob, RevealedKeys, SessionId};
use tokio::sync::{mpsc, watch};

use super::backlog::Backlog;
use super::clients::Clients;
use super::drain::{DrainOrder, greeting};
use super::forwarding::Hello;
use super::gate::Gate;
use super::handover::{Fate, HandOver};
use super::keying_pool::KeyingPool;
use super::lookups::{Lookups, read_ahead};
use super::mail::{Mail, MailSender};
use super::pending::PendingRequest;
use super::services::Services;
use super::standstill::Standstill;
use super::stopping::Stopping;
use super::strays::Sorter;
use super::turn::{Turn, WorkerInfo};
use crate::network::{Listener, StandingReader};
use crate::record::{EndPlace, Recorder, SessionRecord};

/// The number of messages taken from the mailbox at a time, so that a flood of them does not starve the sockets.
const MAIL_BATCH: usize = 256;
/// The same for a worker that is behind: most messages then are handshakes, some 20 us each, and lookups wait at the sockets.
const MAIL_BATCH_BEHIND: usize = 32;
/// For how many replies the worker keeps memory.
const MAX_REPLIES_KEPT: usize = 1024;

/// The parts of a worker.
pub struct WorkerParts {
    /// The worker's number: the prefix of its session ids, and its place in `mailboxes`.
    pub index: u8,
    /// Its endpoint.
    pub endpoint: Endpoint,
    /// Its sockets.
    pub ports: Ports,
    /// The configuration behind each of its sockets.
    pub listeners: Vec<Listener>,
    /// The receiving end of its mailbox.
    pub mailbox: mpsc::Receiver<Mail>,
    /// The mailboxes of all workers, its own among them.
    pub mailboxes: Arc<[MailSender]>,
    /// The threads for public-key work.
    pub keying: Arc<KeyingPool>,
    /// What all workers share.
    pub services: Arc<Services>,
    /// Becomes true when the server is to stop.
    pub stop: watch::Receiver<bool>,
    /// The recording of all traffic with its keys.
    pub recorder: Option<Recorder>,
    /// The pulse of the worker's thread.
    pub pulse: Pulse,
}

/// A worker.
pub struct Worker {
    pub(super) info: WorkerInfo,
    pub(super) endpoint: Endpoint,
    ports: Ports,
    /// The datagrams of sessions that wait until the worker has time for them.
    backlog: Backlog,
    pub(super) mailbox: mpsc::Receiver<Mail>,
    keying: Arc<KeyingPool>,
    stop: watch::Receiver<bool>,
    recorder: Option<Recorder>,
    pulse: Pulse,
    pub(super) clients: Clients,
    lookups: Lookups,
    pub(super) pending: PendingRequests<PendingRequest>,
    /// An empty vector with memory for the next replies.
    no_replies: Vec<(RequestId, Reply)>,
    to_wake: ToWake,
    drain: watch::Receiver<Option<Arc<DrainOrder>>>,
    /// Changes when others reach the server at other addresses.
    network: watch::Receiver<()>,
    standing: StandingReader,
    /// How long the sockets are looked at again and again before the worker sleeps.
    busy_poll: Duration,
    standstill: Standstill,
    /// This is set when the worker is to give its sessions to another process.
    handing_over: Option<Box<HandOver>>,
    /// This is set while the worker waits for its clients to close.
    stopping: Option<Stopping>,
}

/// Why a worker woke up.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Wake {
    Datagrams,
    /// Datagrams were received before it slept.
    Received,
    /// Datagrams were put aside.
    Backlog,
    Mail(Option<Mail>),
    Timeout,
    Stop,
}

impl Worker {
    /// Creates a worker from its parts.
    pub fn new(parts: WorkerParts) -> Self {
        let WorkerParts { index, endpoint, mut ports, listeners, mailbox, mailboxes, keying, services, .. } = parts;
        let WorkerParts { stop, recorder, pulse, .. } = parts;
        if let Some(recorder) = recorder.clone() {
            ports.add_tap(Box::new(move |time, from, to, datagram| recorder.datagram(time, from, to, datagram)));
        }
        let mut gate = Gate::new(index, Arc::clone(&services), &listeners);
        ports.set_filter(Box::new(move |now, socket, from, datagram| gate.admits(now, socket, from, datagram)));
        let (drain, network) = (services.drain.watch(), services.network.watch());
        let busy_poll = services.applications.config().server.busy_poll;
        let standing = StandingReader::new(Arc::clone(&services.network));
        let info = WorkerInfo { index, listeners, mailboxes, services };
        Self {
            endpoint,
            ports,
            backlog: Backlog::default(),
            mailbox,
            keying,
            stop,
            recorder,
            pulse,
            clients: Clients::new(&info, Instant::now()),
            lookups: Lookups::default(),
            pending: PendingRequests::new(index),
            no_replies: Vec::new(),
            to_wake: ToWake::default(),
            drain,
            network,
            standing,
            busy_poll,
            standstill: Standstill::new(Instant::now()),
            handing_over: None,
            stopping: None,
            info,
        }
    }

    /// Serves until the server is to stop, and then until the clients have closed, for a few seconds at most.
    ///
    /// # Errors
    /// If a socket has failed.
    pub async fn run(mut self) -> std::io::Result<()> {
        self.standstill = Standstill::new(Instant::now());
        let mut alarm = Alarm::new(Instant::now());
        let mut stop = self.stop.clone();
        let mut stopped = pin!(async move { drop(stop.wait_for(|stop| *stop).await) });
        loop {
            let now = Instant::now();
            self.pulse.beat();
            self.begin_turn(now);
            self.work(now);
            self.ports.transmit(&mut self.endpoint).await;
            if let Some(order) = self.handing_over.take() {
                if self.hand_over(*order).await == Fate::End {
                    return Ok(());
                }
                continue;
            }
            if self.standstill.is_catching_up() {
                let is_any = self.receive_now()?;
                self.has_read(Instant::now(), is_any);
                continue;
            }
            if self.is_over(now) {
                break;
            }
            self.heed_backlog(now);
            let deadline = self.next_turn(now);
            let has_received = self.poll_busily(deadline).await?;
            let mut strays = Vec::new();
            let has_backlog = !self.backlog.is_empty();
            let workers = self.info.mailboxes.len();
            let mut sorter =
                Sorter::new(&mut self.endpoint, self.info.index, workers, &mut strays).with_backlog(&mut self.backlog);
            let received =
                self.ports.receive(|now, interface, from, datagram| sorter.take(now, interface, from, datagram));
            let wake = tokio::select! {
                result = received => {
                    result?;
                    Wake::Datagrams
                }
                () = std::future::ready(()), if has_received => Wake::Received,
                () = std::future::ready(()), if has_backlog => Wake::Backlog,
                mail = self.mailbox.recv() => Wake::Mail(mail),
                () = alarm.wait_until(deadline) => Wake::Timeout,
                () = &mut stopped, if self.stopping.is_none() => Wake::Stop,
            };
            let now = Instant::now();
            match wake {
                Wake::Datagrams => {
                    let lost = sorter.lost();
                    self.sorted(strays, lost);
                }
                Wake::Received => (),
                Wake::Backlog => self.work_off_backlog(),
                Wake::Mail(mail) => self.take_mail(now, mail),
                Wake::Timeout => self.timed_out(now),
                Wake::Stop => self.begin_stop(now),
            }
            // Whatever the worker woke up for: lookups wait for one turn at most.
            self.read_on()?;
        }
        let now = Instant::now();
        self.endpoint.abort_all(now);
        // Clients that did not close in time leave the directory and their groups as well.
        self.take_events(now);
        self.ports.transmit(&mut self.endpoint).await;
        tracing::info!(worker = self.info.index, totals = ?self.endpoint.counters(), "stopped");
        Ok(())
    }

    /// Begins a turn. What would be due only because the worker stood still before it is postponed.
    pub(super) fn begin_turn(&mut self, now: Instant) {
        let Some(stood) = self.standstill.begin_turn(now) else { return };
        tracing::warn!(
            worker = self.info.index,
            seconds = stood.as_secs_f32(),
            "the worker stood still; its clients are not blamed for it"
        );
        self.stood_still(stood);
        // Sessions are given up unless what has come for them is handled.
        self.finish_backlog();
    }

    /// Notes that the sockets were read after a standstill, and whether any had datagrams. When they are empty, sessions may be given up
    /// for silence again.
    pub(super) fn has_read(&mut self, now: Instant, is_any: bool) {
        self.standstill.has_read(is_any);
        if !self.standstill.is_catching_up() {
            self.endpoint.handle_timeout(now);
        }
    }

    /// When the turn that begins now is followed by the next, if nothing comes in: at least once a beat, so that the supervisor sees that
    /// the worker goes on.
    pub(super) fn next_turn(&self, now: Instant) -> Instant {
        let beat = now + introd_liveness::BEAT;
        self.next_deadline().map_or(beat, |next| next.min(beat))
    }

    /// Acts on the deadlines, unless the worker has stood still since the turn began: then the next turn reads the sockets first.
    pub(super) fn timed_out(&mut self, now: Instant) {
        if !self.standstill.is_late(now) {
            self.handle_timeout(now);
        }
    }

    /// Does what has come in: replies, and the events of the endpoint.
    pub(super) fn work(&mut self, now: Instant) {
        self.heed_drain();
        self.heed_network(now);
        self.take_replies(now);
        self.take_events(now);
        self.info.services.drain.report(self.info.index, self.clients.count());
    }

    /// Turns hellos away or answers them, if a drain has begun or ended.
    fn heed_drain(&mut self) {
        if !self.drain.has_changed().unwrap_or(false) {
            return;
        }
        let order = self.drain.borrow_and_update().clone();
        self.endpoint.set_greeting(greeting(order.as_deref()));
    }

    /// Publishes the clients again, if others reach the server at other addresses now.
    fn heed_network(&mut self, now: Instant) {
        if !self.network.has_changed().unwrap_or(false) {
            return;
        }
        self.network.mark_unchanged();
        let (turn, clients, _) = self.turn(now);
        clients.republish_all(&turn);
    }

    /// When [`Self::handle_timeout`] is to be called next, or the worker to stop.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let until = self.stopping.as_ref().map(|stopping| stopping.until);
        let times = [
            self.endpoint.poll_timeout(),
            self.clients.next_timeout(),
            self.lookups.next_timeout(),
            self.pending.next_deadline(),
            until,
        ];
        times.into_iter().flatten().min()
    }

    /// Acts on the deadlines of the endpoint, of the clients and of the lookups. Those of pending requests are acted on by [`Self::work`].
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        let (mut turn, clients, lookups) = self.turn(now);
        clients.handle_timeout(&mut turn);
        lookups.handle_timeout(&turn);
    }

    /// Postpones what would be due only because the worker received nothing for that time.
    pub(super) fn stood_still(&mut self, stood: Duration) {
        self.clients.stood_still(stood);
        self.pending.postpone(stood);
    }

    /// Begins to stop: the clients are told, and have a moment to close.
    pub(super) fn begin_stop(&mut self, now: Instant) {
        self.stopping = Some(Stopping::new(now, &self.endpoint));
        let (mut turn, clients, _) = self.turn(now);
        clients.say_goodbye(&mut turn);
    }

    /// Whether the worker is stopping and has nothing left to wait for.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| stopping.is_done(now, &self.endpoint))
    }

    /// The turn that begins now, with the clients and the lookups that work in it.
    pub(super) fn turn(&mut self, now: Instant) -> (Turn<'_>, &mut Clients, &mut Lookups) {
        let turn = Turn {
            now,
            endpoint: &mut self.endpoint,
            ports: &self.ports,
            pending: &mut self.pending,
            to_wake: &mut self.to_wake,
            info: &self.info,
            standing: self.standing.standing(),
        };
        (turn, &mut self.clients, &mut self.lookups)
    }

    pub(super) fn take_mail(&mut self, now: Instant, first: Option<Mail>) {
        // An inquiry that comes after the beginning of a drain is answered when the drain is heeded.
        self.heed_drain();
        let mut next = first;
        let most = if self.backlog.is_growing() { MAIL_BATCH_BEHIND } else { MAIL_BATCH };
        for _ in 0..most {
            let Some(mail) = next else { break };
            self.deliver(now, mail);
            next = self.mailbox.try_recv().ok();
        }
        // The last round took a message out and did not deliver it.
        if let Some(mail) = next {
            self.deliver(now, mail);
        }
    }

    fn deliver(&mut self, now: Instant, mail: Mail) {
        // A script accepts a client and calls it at once: the call must not overtake the verdict.
        if matches!(mail, Mail::Command(..)) && self.info.services.replies.is_waiting(self.info.index) {
            self.take_replies(now);
        }
        let (mut turn, clients, _) = self.turn(now);
        match mail {
            Mail::Datagram(datagram) => self.receive_passed_on(now, datagram),
            Mail::Forward { session, epd, initiator, tag, is_proven, relay_port } => {
                let _ = turn.forward(session, &Hello { epd: &epd, initiator, tag: &tag, is_proven, relay_port });
                clients.looked_up(&mut turn, session);
            }
            Mail::Hint { session, group, about } => clients.hint(&mut turn, session, group, &about),
            Mail::Disconnect { session, peer, by } => clients.disconnect(&mut turn, session, peer, by),
            Mail::Relay(call) => clients.call_relayed(&mut turn, *call),
            Mail::Relayed { session, transaction, outcome } => {
                clients.relay_answered(&mut turn, session, transaction, outcome);
            }
            Mail::Inquiry(inquiry) => clients.answer_inquiry(&turn, inquiry),
            Mail::Contest { session, peer } => clients.contested(&mut turn, session, peer),
            Mail::Holds { session, peer, is_contested } => clients.holds(&mut turn, session, peer, is_contested),
            // Replies are taken before the next sleep, and a drain is heeded already.
            Mail::Wake => (),
            Mail::Copy(order) => self.copy(*order),
            Mail::HandOver(order) => self.handing_over = Some(order),
            Mail::Command(command, _) => clients.obey(&mut turn, command),
            Mail::Keyed(done) => self.endpoint.keying_done(now, *done),
        }
    }

    /// Takes the replies that have come, and continues the pending requests whose deadlines have passed.
    fn take_replies(&mut self, now: Instant) {
        let mut replies = self.info.services.replies.exchange(self.info.index, std::mem::take(&mut self.no_replies));
        if replies.is_empty() && self.pending.is_empty() {
            self.no_replies = replies;
            return;
        }
        for (request, reply) in replies.drain(..) {
            // A request whose deadline has passed, or whose client is gone, is not pending any more.
            let Some(pending) = self.pending.take(request) else { continue };
            pending.count_latency(now, &self.info.services.latencies);
            let (mut turn, clients, lookups) = self.turn(now);
            match (pending, reply) {
                (PendingRequest::Lookup { decision, begun, .. }, reply) => {
                    lookups.reply(&mut turn, clients, decision, reply, begun);
                }
                (PendingRequest::Connect { connect, .. }, Reply::Verdict(verdict)) => {
                    clients.connect_decided(&mut turn, connect, verdict);
                }
                // The registry is not asked about connects.
                (PendingRequest::Connect { .. }, Reply::Resolved(_)) => (),
            }
        }
        if replies.capacity() <= MAX_REPLIES_KEPT {
            self.no_replies = replies;
        }
        while let Some((request, pending)) = self.pending.take_late(now) {
            pending.count_latency(now, &self.info.services.latencies);
            let (mut turn, clients, lookups) = self.turn(now);
            match pending {
                PendingRequest::Lookup { decision, token, begun, .. } => {
                    lookups.late(&mut turn, clients, request, decision, token, begun);
                }
                PendingRequest::Connect { connect, token, .. } => {
                    clients.connect_late(&mut turn, request, connect, token);
                }
            }
        }
    }

    fn take_events(&mut self, now: Instant) {
        read_ahead(&self.endpoint, &self.info, self.clients.count());
        while let Some(event) = self.endpoint.poll_event() {
            if let Some(stopping) = &mut self.stopping {
                stopping.note(&event);
            }
            match event {
                Event::Keying(job) if !self.permits(now, &job) => self.endpoint.refuse_keying(job),
                Event::Keying(job) => {
                    let mailbox = self.info.mailboxes[usize::from(self.info.index)].clone();
                    // The worker always comes back to its mailbox, so waiting for room there ends.
                    let (latencies, begun) = (Arc::clone(&self.info.services.latencies), Instant::now());
                    let reply = move |done| {
                        latencies.handshakes.record(begun.elapsed());
                        drop(mailbox.blocking_send(Mail::Keyed(Box::new(done))));
                    };
                    self.keying.submit(job, Box::new(reply));
                }
                Event::Lookup(lookup) => {
                    let (mut turn, clients, lookups) = self.turn(now);
                    lookups.begin(&mut turn, clients, lookup);
                }
                Event::Keys { session, keys } => self.record_session(session, &keys),
                event => {
                    let (mut turn, clients, _) = self.turn(now);
                    clients.handle(&mut turn, event);
                }
            }
        }
        self.to_wake.wake();
    }

    fn record_session(&self, session: SessionId, keys: &RevealedKeys) {
        let Some(recorder) = &self.recorder else { return };
        let Some(info) = self.endpoint.session(session) else { return };
        let Some(address) = self.ports.address_of(info.interface) else { return };
        let near = EndPlace { address, session_id: Some(session.get()) };
        let far = EndPlace { address: info.far_address, session_id: None };
        match SessionRecord::from_revealed(keys, near, far) {
            Ok(record) => recorder.session(record),
            Err(error) => tracing::warn!(%session, %error, "session not recorded"),
        }
    }

    fn permits(&self, now: Instant, job: &KeyingJob) -> bool {
        let Some(from) = job.initiator() else { return true };
        let permitted = self.info.services.rates.permit_connection(now, from.ip());
        if let Err(limit) = permitted {
            self.info.services.refusals.tell(now, from.ip(), limit);
        }
        permitted.is_ok()
    }
}

#[cfg(test)]
mod tests;
