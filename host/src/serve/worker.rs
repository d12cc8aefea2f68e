//! One worker: an endpoint, its sockets, and the clients whose sessions it holds (see the design's "way through the house").

mod consent;
mod plugins;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmfp::crypto::cipher;
use rtmfp::{CloseReason, Endpoint, Event, InterfaceId, KeyingJob, Lookup, PeerId, RevealedKeys, SessionId, prefix_of};
use tokio::sync::{mpsc, watch};

pub(super) use plugins::Asking;

use super::clients::{Clients, Services};
use super::gate::Gate;
use super::keying_pool::KeyingPool;
use super::listener::Listener;
use super::mail::{Mail, MailSender};
use super::repeats::Repeats;
use crate::introducer::{Counter, elsewhere, introduce};
use crate::record::{Place, Recorder, SessionRecord};
use crate::registry::{Asked, Outcome};
use introd_config::{Fallback, LookupMode};
use introd_liveness::{Pace, Pulse};
use introd_policy::Peer;
use introd_policy::message::{AppCommand, AppEvent, ClientId, Offer, PendingLookup, Proposal};
use introd_policy::{InstanceId, ToWake};
use introd_udp::Ports;
use introd_udp::{MAX_CATCH_UP, sleep_until};

/// Messages taken from the mailbox at a time, so that a flood of them does not starve the sockets.
const MAIL_BATCH: usize = 256;
/// How long closing clients are waited for when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// What a worker is made of.
pub struct Worker {
    /// Its number: the prefix of its session ids, and its place in `mailboxes`.
    pub index: u8,
    /// Its endpoint.
    pub endpoint: Endpoint,
    /// Its sockets.
    pub ports: Ports,
    /// What its sockets stand for, one by one.
    pub listeners: Vec<Listener>,
    /// What others send it.
    pub mailbox: mpsc::Receiver<Mail>,
    /// The mailboxes of all workers, its own among them.
    pub mailboxes: Arc<[MailSender]>,
    /// Where public-key work goes.
    pub keying: Arc<KeyingPool>,
    /// What clients need.
    pub services: Arc<Services>,
    /// Becomes true when the server is to stop.
    pub stop: watch::Receiver<bool>,
    /// Where all traffic is written down, with its keys.
    pub recorder: Option<Recorder>,
    /// Policies that have lookups to answer.
    pub to_wake: ToWake,
    /// Lookups that scripts of other applications than the asker's were asked about of late.
    pub repeats: Repeats,
    /// Shows that its thread goes on.
    pub pulse: Pulse,
}

/// Why a worker woke up.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Wake {
    Datagrams,
    Mail(Option<Mail>),
    Timeout,
    Stop,
}

/// A datagram that the kernel gave to the wrong worker.
struct Stray {
    worker: u8,
    interface: InterfaceId,
    from: SocketAddr,
    bytes: Box<[u8]>,
}

/// Gives each datagram to the endpoint whose session it names.
struct Sorter<'a> {
    endpoint: &'a mut Endpoint,
    index: u8,
    workers: usize,
    strays: &'a mut Vec<Stray>,
}

impl<'a> Sorter<'a> {
    fn new(endpoint: &'a mut Endpoint, index: u8, mailboxes: &[MailSender], strays: &'a mut Vec<Stray>) -> Self {
        Self { endpoint, index, workers: mailboxes.len(), strays }
    }

    fn take(&mut self, now: Instant, interface: InterfaceId, from: SocketAddr, datagram: &mut [u8]) {
        match cipher::session_id(datagram) {
            // The kernel chooses workers by address; a session's worker stands in its id.
            Some(id) if id != 0 && prefix_of(id) != self.index && usize::from(prefix_of(id)) < self.workers => {
                self.strays.push(Stray { worker: prefix_of(id), interface, from, bytes: Box::from(&*datagram) });
            }
            _ => self.endpoint.handle_datagram(now, interface, from, datagram),
        }
    }
}

/// A worker that waits for its clients to close.
struct Stopping {
    /// When it waits no more.
    until: Instant,
    /// Sessions that the far end has closed. They stay for a while to answer should it ask again (RFC 7016 §3.5.5), and are not
    /// worth waiting for.
    lingering: HashSet<SessionId>,
}

impl Stopping {
    fn new(now: Instant, endpoint: &Endpoint) -> Self {
        let lingering = endpoint.session_ids().filter(|id| endpoint.session(*id).is_none()).collect();
        Self { until: now + STOP_PATIENCE, lingering }
    }

    fn note(&mut self, event: &Event) {
        if let Event::Closed { session, reason: CloseReason::Far | CloseReason::FarAbrupt } = event {
            self.lingering.insert(*session);
        }
    }

    fn is_done(&self, endpoint: &Endpoint) -> bool {
        Instant::now() >= self.until || endpoint.session_ids().all(|id| self.lingering.contains(&id))
    }
}

/// Whether a lookup goes to the script of the instance that is asked, rather than to the server.
fn is_for_script(mode: LookupMode, has_script: bool, is_own_client: bool, is_target_connected: bool) -> bool {
    match mode {
        LookupMode::None => false,
        // The server answers the instance's own clients where it can, and everything where nobody else is there to ask.
        LookupMode::Partial => has_script && !(is_own_client && is_target_connected),
        // Without a script nobody answers.
        LookupMode::All => true,
        // Such lookups are refused before.
        LookupMode::Denied => false,
    }
}

impl Worker {
    /// Works until told to stop, and then until the clients have closed, for a few seconds at most.
    ///
    /// # Errors
    /// If a socket is of no use any more.
    pub async fn run(mut self) -> std::io::Result<()> {
        let mut clients = Clients::new(self.listeners.clone(), Arc::clone(&self.services), Arc::clone(&self.mailboxes));
        if let Some(recorder) = self.recorder.clone() {
            self.ports.add_tap(Box::new(move |time, from, to, datagram| recorder.datagram(time, from, to, datagram)));
        }
        let mut gate = Gate::new(self.index, Arc::clone(&self.services), &self.listeners);
        self.ports.set_filter(Box::new(move |now, socket, from, datagram| gate.admits(now, socket, from, datagram)));
        let mut stopping: Option<Stopping> = None;
        let mut pace = Pace::new(Instant::now());
        let mut catching_up = 0;
        loop {
            self.pulse.beat();
            if let Some(stood) = pace.turn(Instant::now()) {
                tracing::warn!(
                    worker = self.index,
                    seconds = stood.as_secs_f32(),
                    "the worker stood still; its clients are not blamed for it"
                );
                clients.stood_still(stood);
                catching_up = MAX_CATCH_UP;
            }
            self.take_verdicts(&mut clients);
            self.drain(&mut clients, stopping.as_mut());
            self.ports.transmit(&mut self.endpoint).await;
            if catching_up > 0 {
                // What waits in the sockets is heard before anybody is given up for silence.
                catching_up = if self.receive_now()? { catching_up - 1 } else { 0 };
                if catching_up > 0 {
                    continue;
                }
                self.endpoint.handle_timeout(Instant::now());
                continue;
            }
            if stopping.as_ref().is_some_and(|stopping| stopping.is_done(&self.endpoint)) {
                break;
            }
            let until = stopping.as_ref().map(|stopping| stopping.until);
            // It turns at least so often that it is seen to live.
            let beat = Some(Instant::now() + introd_liveness::BEAT);
            let deadline =
                [self.endpoint.poll_timeout(), clients.next_timeout(), until, beat].into_iter().flatten().min();
            let mut strays = Vec::new();
            let mut sorter = Sorter::new(&mut self.endpoint, self.index, &self.mailboxes, &mut strays);
            let received =
                self.ports.receive(|now, interface, from, datagram| sorter.take(now, interface, from, datagram));
            let wake = tokio::select! {
                result = received => {
                    result?;
                    Wake::Datagrams
                }
                mail = self.mailbox.recv() => Wake::Mail(mail),
                () = sleep_until(deadline) => Wake::Timeout,
                _ = self.stop.wait_for(|stop| *stop), if stopping.is_none() => Wake::Stop,
            };
            let now = Instant::now();
            match wake {
                Wake::Datagrams => strays.into_iter().for_each(|stray| self.pass_on(stray)),
                Wake::Mail(mail) => self.take_mail(&mut clients, mail),
                // The next turn reads the sockets first.
                Wake::Timeout if pace.is_late(now) => (),
                Wake::Timeout => {
                    self.endpoint.handle_timeout(now);
                    clients.handle_timeout(now, &mut self.endpoint, &self.ports);
                }
                Wake::Stop => {
                    stopping = Some(Stopping::new(now, &self.endpoint));
                    clients.say_goodbye(now, &mut self.endpoint, &self.ports);
                }
            }
        }
        self.endpoint.abort_all(Instant::now());
        // Those who were not waited for are gone too, from the directory and from their groups.
        self.drain(&mut clients, stopping.as_mut());
        self.ports.transmit(&mut self.endpoint).await;
        tracing::info!(worker = self.index, totals = ?self.endpoint.counters(), "stopped");
        Ok(())
    }

    /// Takes in a batch from each socket where something waits; false when nothing does.
    fn receive_now(&mut self) -> std::io::Result<bool> {
        let mut strays = Vec::new();
        let mut sorter = Sorter::new(&mut self.endpoint, self.index, &self.mailboxes, &mut strays);
        let is_more =
            self.ports.receive_now(|now, interface, from, datagram| sorter.take(now, interface, from, datagram))?;
        strays.into_iter().for_each(|stray| self.pass_on(stray));
        Ok(is_more)
    }

    /// Hands a datagram to the worker whose session it names.
    fn pass_on(&mut self, stray: Stray) {
        let Some(interface) = self.ports.lookup(stray.interface) else { return };
        let mail = Mail::Datagram { interface, from: stray.from, bytes: stray.bytes };
        let Some(mailbox) = self.mailboxes.get(usize::from(stray.worker)) else { return };
        if mailbox.try_send(mail).is_err() {
            self.services.counters.worker(self.index).add(Counter::MailboxFull);
        }
    }

    fn take_mail(&mut self, clients: &mut Clients, first: Option<Mail>) {
        let mut next = first;
        for _ in 0..MAIL_BATCH {
            let Some(mail) = next else { break };
            self.deliver(clients, mail);
            next = self.mailbox.try_recv().ok();
        }
        // What the last round took out and did not deliver.
        if let Some(mail) = next {
            self.deliver(clients, mail);
        }
    }

    fn deliver(&mut self, clients: &mut Clients, mail: Mail) {
        let now = Instant::now();
        match mail {
            Mail::Datagram { interface, from, mut bytes } => {
                let interface = self.ports.intern(interface);
                self.endpoint.handle_datagram(now, interface, from, &mut bytes);
            }
            Mail::Forward { session, epd, initiator, tag } => {
                let forwarded = self.endpoint.forward_for(now, session, &epd, initiator, &tag);
                self.services.counters.worker(self.index).forwarded(forwarded);
                clients.looked_up(now, &mut self.endpoint, session);
            }
            Mail::Hint { session, group, about } => clients.hint(now, &mut self.endpoint, session, group, &about),
            Mail::Disconnect { session, peer } => {
                clients.disconnect(now, &mut self.endpoint, &self.ports, session, peer);
            }
            Mail::Contest { session, peer } => clients.contested(now, &mut self.endpoint, session, peer),
            Mail::Holds { session, peer, is_contested } => {
                clients.holds(now, &mut self.endpoint, session, peer, is_contested);
            }
            // What has come is taken in before the next sleep.
            Mail::Wake => (),
            Mail::Policy(command, _) => self.command(now, clients, command),
            Mail::Resolved(resolved) => self.resolved(now, clients, &resolved.lookup, &resolved.outcome),
            Mail::Keyed(done) => self.endpoint.keying_done(now, *done),
        }
    }

    fn drain(&mut self, clients: &mut Clients, mut stopping: Option<&mut Stopping>) {
        let now = Instant::now();
        while let Some(event) = self.endpoint.poll_event() {
            if let Some(stopping) = &mut stopping {
                stopping.note(&event);
            }
            match event {
                Event::Keying(job) if !self.permits(&job) => self.endpoint.refuse_keying(job),
                Event::Keying(job) => {
                    let mailbox = self.mailboxes[usize::from(self.index)].clone();
                    // The worker always comes back to its mailbox, so waiting for room there ends.
                    let reply = move |done| drop(mailbox.blocking_send(Mail::Keyed(Box::new(done))));
                    self.keying.submit(job, Box::new(reply));
                }
                Event::Lookup(lookup) => self.look_up(now, clients, &lookup),
                Event::Keys { session, keys } => self.record_session(session, &keys),
                event => clients.handle(now, &mut self.endpoint, &self.ports, event),
            }
        }
        self.to_wake.wake();
    }

    fn record_session(&self, session: SessionId, keys: &RevealedKeys) {
        let Some(recorder) = &self.recorder else { return };
        let Some(info) = self.endpoint.session(session) else { return };
        let Some(address) = self.ports.address_of(info.interface) else { return };
        let near = Place { address, session_id: Some(session.get()) };
        let far = Place { address: info.far_address, session_id: None };
        match SessionRecord::from_revealed(keys, near, far) {
            Ok(record) => recorder.session(record),
            Err(error) => tracing::warn!(%session, %error, "session not recorded"),
        }
    }

    /// Does what an application's policy wants done.
    fn command(&mut self, now: Instant, clients: &mut Clients, command: AppCommand) {
        match command {
            AppCommand::Redirect { lookup, addresses } if !addresses.is_empty() => {
                self.script_redirects(now, clients, lookup, addresses);
            }
            AppCommand::Deny { lookup } => {
                let instance = self.services.applications.instance(lookup.instance);
                self.deny_lookup(&lookup.lookup, instance.as_deref(), "script", "denied, or not answered");
            }
            AppCommand::BuiltIn { lookup } => self.script_left_out(now, clients, lookup),
            command => clients.command(now, &mut self.endpoint, &self.ports, command),
        }
    }

    fn permits(&self, job: &KeyingJob) -> bool {
        let Some(from) = job.initiator() else { return true };
        let now = Instant::now();
        let permitted = self.services.rates.permit_connection(now, from.ip());
        if let Err(limit) = permitted {
            self.services.refusals.tell(now, from.ip(), limit);
        }
        permitted.is_ok()
    }

    /// A lookup goes to the policy of the asker's application, else of the target's, else of the default one. The target's has a say
    /// in any case (see [`Self::propose`]).
    fn look_up(&mut self, now: Instant, clients: &mut Clients, lookup: &Lookup) {
        let counters = self.services.counters.worker(self.index);
        counters.add(Counter::Lookups);
        let limit = if !self.services.rates.permit_lookup(now, lookup.initiator.ip()) {
            Some("MaxLookupRatePerAddress")
        } else if lookup.asker.is_some_and(|asker| !clients.permit_lookup(now, asker)) {
            Some("MaxLookupRate")
        } else {
            None
        };
        if let Some(limit) = limit {
            counters.add(Counter::OverRate);
            self.services.refusals.tell(now, lookup.initiator.ip(), limit);
            return;
        }
        let target = lookup.target.and_then(|target| self.services.directory.lookup(&target));
        let asking = self.asking(clients, lookup, target.as_ref());
        if self.is_barred(lookup, &asking) {
            return;
        }
        if asking.chain.is_empty() {
            self.decide(now, clients, lookup, asking, target);
        } else {
            self.ask_plugins(now, clients, lookup, asking, 0, target);
        }
    }

    /// Whether a lookup is refused before any policy is asked: by the access rules, or because only clients may ask.
    fn is_barred(&self, lookup: &Lookup, asking: &Asking) -> bool {
        let ip = lookup.initiator.ip();
        match &asking.instance {
            Some(instance) => {
                let is_barred = instance.bars(ip, asking.is_client);
                if is_barred {
                    self.deny_lookup(lookup, Some(instance), "the server", "its access rules");
                }
                is_barred
            }
            None => {
                let is_barred = self.services.applications.bars_strangers(asking.adaptor, ip);
                if is_barred {
                    self.deny_lookup(lookup, None, "the server", "the access rules");
                }
                is_barred
            }
        }
    }

    /// Those decide who come after the plugins.
    fn decide(&mut self, now: Instant, clients: &mut Clients, lookup: &Lookup, asking: Asking, target: Option<Peer>) {
        let has_script = asking.instance.as_ref().is_some_and(|instance| instance.actor().is_some());
        if asking.mode == LookupMode::Denied {
            // The application turns everybody away.
            let instance = asking.instance.as_deref();
            self.deny_lookup(lookup, instance, "the server", "the application is not available");
            return;
        }
        if is_for_script(asking.mode, has_script, asking.is_client, target.is_some()) {
            self.ask_policy(now, clients, lookup, asking, target);
        } else {
            self.pass(now, clients, lookup, asking, target);
        }
    }

    /// The built-in answer, to which the instance `agreed` leaves it.
    fn answer(
        &mut self,
        now: Instant,
        clients: &mut Clients,
        lookup: &Lookup,
        agreed: Option<InstanceId>,
        target: Option<Peer>,
    ) {
        // RFC 7016 leaves it open what an introducer says of endpoints it does not know; clients wait and ask again.
        match target {
            // It may be at another server by now, and its session here nothing but what is left of it.
            Some(target) if target.is_silent && self.services.announcer.is_some() => {
                self.look_elsewhere(now, clients, lookup);
            }
            Some(target) => self.propose(now, clients, lookup, agreed, target, Offer::Introduction),
            None => self.look_elsewhere(now, clients, lookup),
        }
    }

    /// Asks the registry for a peer that is not connected here, or keeps silent here.
    fn look_elsewhere(&mut self, now: Instant, clients: &mut Clients, lookup: &Lookup) {
        let counters = self.services.counters.worker(self.index);
        let Some(target) = lookup.target else {
            counters.add(Counter::UnknownTargets);
            return;
        };
        counters.add(Counter::RegistryLookups);
        match self.services.resolver.ask(now, self.index, target, lookup) {
            Asked::Now(outcome) => self.resolved(now, clients, lookup, &outcome),
            Asked::Called => counters.add(Counter::RegistryCalls),
            Asked::Joined | Asked::Repeated => (),
            Asked::Busy => {
                counters.add(Counter::RegistryBusy);
                self.introduce_here(now, clients, lookup, target);
            }
        }
    }

    /// The registry has answered: the asker is sent to where the peer is, and to the server that it is connected to, which
    /// introduces the two when it is asked.
    fn resolved(&mut self, now: Instant, clients: &mut Clients, lookup: &Lookup, outcome: &Outcome) {
        // The peer may have come here in the meantime. One that is silent here is elsewhere, if the registry says so.
        let is_elsewhere = |target: &Peer| {
            let Outcome::Found(addresses) = outcome else { return false };
            let own = &self.services.potential_near_addresses;
            target.is_silent && !elsewhere(addresses, lookup.initiator, own).is_empty()
        };
        let here = lookup.target.and_then(|target| Some((target, self.services.directory.lookup(&target)?)));
        if let Some((target, _)) = here.filter(|(_, peer)| !is_elsewhere(peer)) {
            self.introduce_here(now, clients, lookup, target);
            return;
        }
        let counters = self.services.counters.worker(self.index);
        match outcome {
            Outcome::Found(addresses) => {
                let redirect = elsewhere(addresses, lookup.initiator, &self.services.potential_near_addresses);
                if redirect.is_empty() {
                    counters.add(Counter::UnknownTargets);
                    return;
                }
                self.endpoint.redirect(lookup, &redirect);
                counters.add(Counter::Redirects);
            }
            Outcome::Unknown => counters.add(Counter::UnknownTargets),
            Outcome::Failed(error) => {
                counters.add(Counter::RegistryFailures);
                tracing::debug!(target = ?lookup.target, %error, "lookup not answered");
            }
            Outcome::TimedOut => counters.add(Counter::RegistryTimeouts),
        }
    }

    /// Introduces an asker to a peer that is connected here, if it still is.
    fn introduce_here(&mut self, now: Instant, clients: &mut Clients, lookup: &Lookup, target: PeerId) {
        let Some(target) = self.services.directory.lookup(&target) else { return };
        // Of the applications, that of the asker has agreed; there is none if the asker is no client.
        let agreed = lookup.asker.and_then(|asker| clients.instance(asker)).map(|instance| instance.id());
        self.propose(now, clients, lookup, agreed, target, Offer::Introduction);
    }

    /// Leaves a lookup to the policy of an application.
    fn ask_policy(
        &mut self,
        now: Instant,
        clients: &mut Clients,
        lookup: &Lookup,
        asking: Asking,
        target: Option<Peer>,
    ) {
        let counters = self.services.counters.worker(self.index);
        let instance = asking.instance.as_ref();
        let Some((instance, actor)) = instance.and_then(|instance| Some((instance, instance.actor()?))) else {
            // The application leaves its lookups to a script that it does not have.
            counters.add(Counter::Unanswered);
            return;
        };
        if asking.offer.is_some() && !self.repeats.is_new(now, lookup) {
            // The script has the same lookup before it, or has had it a moment ago.
            return;
        }
        let asker = lookup.asker.filter(|_| asking.is_client);
        let asker = asker.map(|session| ClientId { worker: self.index, session });
        let proposal = asking.offer.clone().map(|offer| {
            let initiator_application = asking.home.as_ref().map(|home| home.name().to_string().into());
            Box::new(Proposal { initiator_application, offer })
        });
        let pending = PendingLookup {
            proposal,
            is_server_introducing: asking.mode == LookupMode::Partial && target.is_some(),
            ..PendingLookup::new(self.index, lookup.clone(), asker, instance.id())
        };
        if actor.queue(AppEvent::PeerLookup(pending)).is_ok() {
            self.to_wake.add(actor);
            return;
        }
        counters.add(Counter::ApplicationBusy);
        match instance.settings().policy.on_failure {
            Fallback::Deny => self.deny_lookup(lookup, Some(instance), "script", "the application is busy"),
            Fallback::Ignore => (),
            Fallback::Continue => self.pass(now, clients, lookup, asking, target),
        }
    }

    /// Who decides about a lookup.
    fn asking(&self, clients: &Clients, lookup: &Lookup, target: Option<&Peer>) -> Asking {
        let applications = &self.services.applications;
        let of_asker = lookup.asker.and_then(|asker| clients.instance(asker)).cloned();
        let of_target = || target.and_then(|target| applications.instance(InstanceId(target.instance)));
        let socket = self.ports.lookup(lookup.interface).map_or(0, |interface| usize::from(interface.socket));
        let adaptor = self.listeners.get(socket).map_or(0, |listener| listener.adaptor);
        let is_client = of_asker.is_some();
        match of_asker.or_else(of_target) {
            Some(instance) => {
                let (mode, chain) = (instance.lookup_mode(), Arc::clone(&instance.plugins()));
                let asker = lookup.asker.filter(|_| !chain.is_empty()).and_then(|asker| clients.peer(asker));
                Asking { chain, instance: Some(instance), mode, adaptor, asker, is_client, home: None, offer: None }
            }
            None => {
                let settings = applications.default_settings(adaptor);
                let mode = settings.peer_lookup_events;
                let instance = match mode {
                    LookupMode::None => None,
                    _ => applications.default_instance(adaptor),
                };
                let chain = applications.plugins().chain(&settings.plugins);
                Asking { chain, instance, mode, adaptor, asker: None, is_client, home: None, offer: None }
            }
        }
    }

    /// The built-in answer to a lookup: redirect the asker to the target, and have the target told of the asker.
    fn introduce(&mut self, now: Instant, clients: &mut Clients, target: &Peer, lookup: &Lookup) {
        let counters = self.services.counters.worker(self.index);
        let introduction = introduce(target, lookup.initiator);
        if !introduction.redirect.is_empty() {
            self.endpoint.redirect(lookup, &introduction.redirect);
            counters.add(Counter::Redirects);
        }
        let session = introduction.target;
        if session.prefix() == self.index {
            counters.forwarded(self.endpoint.forward(now, session, lookup));
            clients.looked_up(now, &mut self.endpoint, session);
            return;
        }
        let mail = Mail::Forward {
            session,
            epd: Box::from(&lookup.epd[..]),
            initiator: lookup.initiator,
            tag: Box::from(&lookup.tag[..]),
        };
        let Some(mailbox) = self.mailboxes.get(usize::from(session.prefix())) else { return };
        if mailbox.try_send(mail).is_err() {
            counters.add(Counter::MailboxFull);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_says_who_answers() {
        use LookupMode::{All, None, Partial};
        // Mode, script, asker a client of the instance, target connected: whether the script is asked.
        for (mode, has_script, is_own_client, is_target_connected, is_asked) in [
            (None, true, true, true, false),
            (None, true, false, true, false),
            (None, true, false, false, false),
            (Partial, true, true, true, false),
            (Partial, true, true, false, true),
            (Partial, true, false, true, true),
            (Partial, true, false, false, true),
            (Partial, false, true, false, false),
            (Partial, false, false, true, false),
            (All, true, true, true, true),
            (All, true, false, true, true),
            (All, true, false, false, true),
            (All, false, false, true, true),
        ] {
            assert_eq!(
                is_for_script(mode, has_script, is_own_client, is_target_connected),
                is_asked,
                "{mode:?} {has_script} {is_own_client} {is_target_connected}"
            );
        }
    }
}
