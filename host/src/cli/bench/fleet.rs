//! Many clients, each with an identity and an address of its own, on one thread.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rtmfp::crypto::cipher;
use rtmfp::{InterfaceId, KeyingJob, PeerId};

use super::client::{Client, FleetOptions, Goal, Outcome, Shared, TargetServer};
use super::sources::Sources;

/// How many answers are computed before the sockets are looked at again: a multiple of as many as are computed together.
const JOBS_AT_ONCE: usize = 32;

/// The clients, by the number of their source.
pub(super) struct Fleet {
    pub(super) sources: Sources,
    shared: Shared,
    clients: HashMap<usize, Box<Client>>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Fleet {
    pub(super) fn new(options: FleetOptions, sources: Sources) -> anyhow::Result<Self> {
        let shared = Shared::new(options)?;
        Ok(Self { sources, shared, clients: HashMap::new(), timers: BinaryHeap::new() })
    }

    /// How many clients there are.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Starts a new client at a source that has none.
    pub(super) fn begin(&mut self, source: usize, goal: Goal) {
        let now = Instant::now();
        let client = Client::start(now, source, goal, &mut self.shared);
        self.clients.insert(source, Box::new(client));
        self.tend(now, source);
    }

    /// Ends a client, and closes its session.
    pub(super) fn end(&mut self, source: usize) {
        let now = Instant::now();
        if let Some(client) = self.clients.get_mut(&source) {
            client.endpoint.abort_all(now);
            self.tend(now, source);
        }
        self.clients.remove(&source);
    }

    /// Ends all clients.
    pub(super) fn end_all(&mut self) {
        let all: Vec<usize> = self.clients.keys().copied().collect();
        all.into_iter().for_each(|source| self.end(source));
        self.sources.flush();
    }

    /// The peer id of the client at a source.
    pub(super) fn peer(&self, source: usize) -> Option<PeerId> {
        self.clients.get(&source).map(|client| client.peer)
    }

    /// The servers that the clients use by turns.
    pub(super) fn servers(&self) -> &[TargetServer] {
        &self.shared.options.servers
    }

    /// How many hellos the server has forwarded to the clients.
    pub(super) fn forwarded(&self) -> u64 {
        // Of what comes in an open session, only these are counted as ignored: see ForwardedHello::Ignore.
        self.clients.values().map(|client| client.endpoint.counters().ignored).sum()
    }

    /// Sends the server a message from a connected client, which it acknowledges.
    ///
    /// # Errors
    /// If there is no such client, or its flow has no room.
    pub(super) fn send_message(&mut self, source: usize) -> anyhow::Result<()> {
        let now = Instant::now();
        self.clients.get_mut(&source).context("no client")?.send_message(now)?;
        self.tend(now, source);
        Ok(())
    }

    /// How many hellos and keyings the clients have sent again, because they were not answered in time.
    pub(super) fn repeated(&self) -> u64 {
        self.shared.repeated
    }

    /// How many members of groups the server has named to the clients.
    pub(super) fn hints(&self) -> u64 {
        self.shared.hints
    }

    /// The next outcome of a client.
    pub(super) fn poll_outcome(&mut self) -> Option<(usize, Outcome)> {
        self.shared.outcomes.pop_front()
    }

    /// Waits for something to do, for some time at most, and does it. What comes to a source without a client goes to `other`, and so do startup
    /// packets that come to a client whose session is open: it opens no other.
    pub(super) fn step(&mut self, wait: Duration, mut other: impl FnMut(usize, &mut [u8])) -> anyhow::Result<()> {
        self.sources.flush();
        let now = Instant::now();
        let until_timer = self.timers.peek().map_or(wait, |Reverse((at, _))| at.saturating_duration_since(now));
        let wait = if self.shared.jobs.is_empty() { wait.min(until_timer) } else { Duration::ZERO };
        let (clients, options) = (&mut self.clients, &self.shared.options);
        let mut touched = Vec::new();
        self.sources.receive(wait, |source, datagram| match clients.get_mut(&source) {
            Some(client) if client.session.is_none() || cipher::session_id(datagram) != Some(0) => {
                let server = options.server(source).address;
                client.endpoint.handle_datagram(Instant::now(), InterfaceId(0), server, datagram);
                touched.push(source);
            }
            _ => other(source, datagram),
        })?;
        let now = Instant::now();
        for source in touched {
            self.tend(now, source);
        }
        let count = self.shared.jobs.len().min(JOBS_AT_ONCE);
        let (sources, jobs): (Vec<usize>, Vec<KeyingJob>) = self.shared.jobs.drain(..count).unzip();
        for (source, done) in sources.into_iter().zip(KeyingJob::run_all(jobs)) {
            if let Some(client) = self.clients.get_mut(&source) {
                client.endpoint.keying_done(Instant::now(), done);
                self.tend(Instant::now(), source);
            }
        }
        while let Some(&Reverse((at, source))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            if let Some(client) = self.clients.get_mut(&source)
                && client.armed == Some(at)
            {
                client.armed = None;
                client.endpoint.handle_timeout(now);
                self.tend(now, source);
            }
        }
        Ok(())
    }

    /// Drains a client's endpoint.
    fn tend(&mut self, now: Instant, source: usize) {
        let Some(client) = self.clients.get_mut(&source) else { return };
        while let Some(event) = client.endpoint.poll_event() {
            self.shared.handle(now, source, client, event);
        }
        loop {
            self.shared.scratch.clear();
            let Some(transmit) = client.endpoint.poll_transmit(now, &mut self.shared.scratch) else { break };
            self.shared.note_sent(client);
            self.sources.send(source, transmit.to, &self.shared.scratch);
        }
        let deadline = client.endpoint.poll_timeout();
        if let Some(deadline) = deadline
            && client.armed.is_none_or(|armed| deadline < armed)
        {
            client.armed = Some(deadline);
            self.timers.push(Reverse((deadline, source)));
        }
    }
}
