//! What the administration reads of the server, and how it reaches the workers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rtmfp::{PeerId, SessionId};
use tokio::sync::oneshot;

use super::system::{Rates, System, Totals, cpu_time};
use crate::apps::AppInstance;
use crate::http_requests::HttpCounters;
use crate::introducer::{Counter, Directory, Listed};
use crate::netconnections::NetConnectionCounters;
use crate::serve::{ClientLine, ClientReport, Inquiry, KeyingPool, Mail, MailSender, Services, WorkerReport};

/// How long an answer of a worker is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an action waits for room in the mailboxes of workers, before it gives up.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);
const ROOM_POLL: Duration = Duration::from_millis(5);

/// Reads the state of the server, and sends workers what administrators want done.
pub struct Inspector {
    pub(super) services: Arc<Services>,
    pub(super) net_connections: Arc<NetConnectionCounters>,
    pub(super) http: Arc<HttpCounters>,
    mailboxes: Arc<[MailSender]>,
    keying: Arc<KeyingPool>,
    listening: Vec<SocketAddr>,
    launched: SystemTime,
    since: Instant,
    samples: Mutex<Samples>,
}

#[derive(Default)]
struct Samples {
    last: Option<Totals>,
    rates: Rates,
}

/// A client by its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    pub(super) session: SessionId,
    pub(super) peer: PeerId,
}

/// What an action did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// To how many clients it was sent.
    pub(super) sent: usize,
    /// How many got nothing, because their worker was too busy for too long.
    pub(super) unsent: usize,
}

impl std::ops::AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.unsent += other.unsent;
    }
}

impl Inspector {
    /// `net_connections` counts what happens to the NetConnections of scripts, and `http` what comes of their HTTP requests; `mailboxes` has the
    /// mailbox of each worker, in the order of their numbers; `keying` is the pool that they share; `listening` are the addresses at which they
    /// serve.
    pub fn new(
        services: Arc<Services>,
        net_connections: Arc<NetConnectionCounters>,
        http: Arc<HttpCounters>,
        mailboxes: Arc<[MailSender]>,
        keying: Arc<KeyingPool>,
        listening: Vec<SocketAddr>,
    ) -> Self {
        let (launched, since) = (SystemTime::now(), Instant::now());
        Self {
            services,
            net_connections,
            http,
            mailboxes,
            keying,
            listening,
            launched,
            since,
            samples: Mutex::default(),
        }
    }

    /// When the server started.
    pub(super) fn launched(&self) -> SystemTime {
        self.launched
    }

    /// For how long the server has been running.
    pub(super) fn uptime(&self) -> Duration {
        self.since.elapsed()
    }

    /// Where the server listens for clients.
    pub(super) fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.mailboxes.len()
    }

    /// How many messages wait for each worker.
    pub(super) fn waiting_mail(&self) -> impl Iterator<Item = usize> + '_ {
        self.mailboxes.iter().map(|mailbox| mailbox.max_capacity() - mailbox.capacity())
    }

    /// How many handshakes wait for a thread.
    pub(super) fn waiting_handshakes(&self) -> usize {
        self.keying.waiting()
    }

    /// Takes a sample for [`Self::rates`].
    pub(super) fn sample(&self, now: Instant) {
        let counters = self.services.counters.snapshot();
        let (bytes_in, bytes_out) = (counters.get(Counter::BytesIn), counters.get(Counter::BytesOut));
        let totals = Totals { at: now, cpu: cpu_time(), bytes_in, bytes_out };
        let mut samples = self.samples.lock();
        if let Some(last) = samples.last.replace(totals) {
            samples.rates = totals.since(&last, System::now().processors);
        }
    }

    /// The rates between the last two samples.
    pub(super) fn rates(&self) -> Rates {
        self.samples.lock().rates
    }

    /// Asks all workers how they are. `None` for a worker that does not answer in time, or has no room for the question.
    pub(super) async fn worker_reports(&self) -> Vec<Option<WorkerReport>> {
        let asked: Vec<_> = self.mailboxes.iter().map(|mailbox| ask(mailbox, Inquiry::Worker)).collect();
        let deadline = tokio::time::Instant::now() + ANSWER_TIMEOUT;
        let mut reports = Vec::with_capacity(asked.len());
        for answer in asked {
            reports.push(match answer {
                Some(answer) => tokio::time::timeout_at(deadline, answer).await.ok().and_then(Result::ok),
                None => None,
            });
        }
        reports
    }

    /// What a worker knows of a client; `None` if there is no such client, or its worker does not answer in time.
    pub(super) async fn client_report(&self, session: SessionId) -> Option<ClientReport> {
        let mailbox = self.mailboxes.get(usize::from(session.prefix()))?;
        let answer = ask(mailbox, |reply| Inquiry::Client(session, reply))?;
        tokio::time::timeout(ANSWER_TIMEOUT, answer).await.ok()?.ok()?
    }

    /// What only their workers know of clients, in the order of the sessions. `None` for one that is gone, or whose worker does not answer in
    /// time.
    pub(super) async fn client_lines(&self, sessions: &[SessionId]) -> Vec<Option<ClientLine>> {
        let mut lines = vec![None; sessions.len()];
        let mut asked = Vec::new();
        for (worker, mailbox) in self.mailboxes.iter().enumerate() {
            let is_its = |place: &usize| usize::from(sessions[*place].prefix()) == worker;
            let places: Vec<usize> = (0..sessions.len()).filter(is_its).collect();
            let its: Box<[SessionId]> = places.iter().map(|place| sessions[*place]).collect();
            if !its.is_empty() {
                asked.extend(ask(mailbox, |reply| Inquiry::Clients(its, reply)).map(|answer| (places, answer)));
            }
        }
        let deadline = tokio::time::Instant::now() + ANSWER_TIMEOUT;
        for (places, answer) in asked {
            let answer = tokio::time::timeout_at(deadline, answer).await.ok().and_then(Result::ok);
            for (place, line) in places.into_iter().zip(answer.unwrap_or_default()) {
                lines[place] = line;
            }
        }
        lines
    }

    /// The clients of the instances that `is_wanted` chooses, in the order of their sessions, at most `max`.
    pub(super) fn members(&self, max: usize, is_wanted: impl Fn(u16) -> bool) -> Vec<Member> {
        let mut members = Vec::new();
        for part in 0..Directory::PARTS {
            self.services.directory.list(part, |Listed { peer, session, instance, .. }| {
                if members.len() < max && is_wanted(instance) {
                    members.push(Member { session, peer });
                }
            });
        }
        members.sort_unstable();
        members
    }

    /// All instances of a virtual host, in the order of their names. One that ends comes after another of the same name.
    pub(super) fn instances_of(&self, adaptor: &str, vhost: &str) -> Vec<Arc<AppInstance>> {
        let mut instances = self.services.applications.all_instances();
        instances.retain(|instance| instance.name().adaptor == adaptor && instance.name().vhost == vhost);
        let ends = |instance: &AppInstance| instance.actor().is_some_and(|actor| actor.is_over());
        instances.sort_by_cached_key(|instance| (instance.name().to_string(), ends(instance)));
        instances
    }

    /// Sends a message for each of these clients to its worker. At most half of a mailbox is filled, so that what serves finds room, and
    /// more is sent as the worker takes it.
    pub(super) async fn send_to(&self, members: &[Member], mail: impl Fn(Member) -> Mail) -> Sent {
        let mut sent = Sent::default();
        let deadline = tokio::time::Instant::now() + ROOM_TIMEOUT;
        for member in members {
            let mailbox = self.mailboxes.get(usize::from(member.session.prefix()));
            let is_sent = match mailbox {
                Some(mailbox) => {
                    while mailbox.capacity() <= mailbox.max_capacity() / 2 && tokio::time::Instant::now() < deadline {
                        tokio::time::sleep(ROOM_POLL).await;
                    }
                    mailbox.capacity() > mailbox.max_capacity() / 2 && mailbox.try_send(mail(*member)).is_ok()
                }
                None => false,
            };
            *(if is_sent { &mut sent.sent } else { &mut sent.unsent }) += 1;
        }
        sent
    }
}

fn ask<T>(mailbox: &MailSender, inquiry: impl FnOnce(oneshot::Sender<T>) -> Inquiry) -> Option<oneshot::Receiver<T>> {
    let (reply, answer) = oneshot::channel();
    mailbox.try_send(Mail::Inquiry(inquiry(reply))).ok()?;
    Some(answer)
}

#[cfg(test)]
mod tests;
