//! Threads for public-key work, so that a flood of handshakes never stalls lookups or open sessions.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::Context as _;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{Group, KeyPair};
use rtmfp::{KeyingDone, KeyingJob, NetworkPrefix};

use super::keying_queue::KeyingQueue;

use introd_liveness::{AtStandstill, Pulse};

/// Where a job's result goes: the mailbox of the worker that the job came from.
pub type Reply = Box<dyn FnOnce(KeyingDone) + Send>;

/// Fresh key pairs kept in store: what the pool made while it had nothing else to do. Half a handshake's work is in each.
const STORE: usize = 512;

/// A pool of threads that run [`KeyingJob`]s, fairly by the addresses that they come from.
///
/// It holds a bounded number of them; when there are more, the address that has the most of them loses one, and its endpoint is told.
/// Dropping the pool ends its threads after the jobs that they are at.
pub struct KeyingPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// The group of the key pairs in store.
    group: Group,
}

struct State {
    jobs: KeyingQueue<(KeyingJob, Reply)>,
    /// Jobs that there was no room for: their endpoints are to hear of it from a thread that may wait for that.
    refused: VecDeque<(KeyingJob, Reply)>,
    store: Vec<KeyPair>,
    is_stopping: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked left nothing half done: jobs and pairs move in one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyingPool {
    /// Starts `threads` threads (at least one) that keep key pairs of `group` in store. At most `max_waiting` jobs wait for them.
    ///
    /// # Errors
    /// If a thread cannot be started, or the operating system has no randomness to give.
    pub fn start(threads: usize, group: Group, max_waiting: usize) -> anyhow::Result<Self> {
        let state = State {
            jobs: KeyingQueue::new(max_waiting),
            refused: VecDeque::new(),
            store: Vec::new(),
            is_stopping: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new(), group });
        let threads = (0..threads.max(1))
            .map(|index| {
                let shared = Arc::clone(&shared);
                let mut seed = [0; 32];
                getrandom::fill(&mut seed)?;
                let name = format!("keying-{index}");
                let mut rng = ChaCha20Rng::from_seed(seed);
                let started = introd_liveness::spawn(&name, AtStandstill::EndProcess, move |pulse| {
                    work(&shared, &mut rng, pulse);
                    Ok(())
                });
                started.context("a thread for handshakes cannot be started")
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { shared, threads })
    }

    /// Has a job done; `reply` is called on one of the pool's threads.
    pub fn submit(&self, job: KeyingJob, reply: Reply) {
        let (owner, group) = (job.initiator().map(|from| NetworkPrefix::of(from.ip())), job.group());
        let mut state = self.shared.state();
        if let Some(dropped) = state.jobs.push(owner, group, (job, reply)) {
            state.refused.push_back(dropped);
        }
        drop(state);
        self.shared.wake.notify_one();
    }
}

impl Drop for KeyingPool {
    fn drop(&mut self) {
        self.shared.state().is_stopping = true;
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What a thread does next.
enum Next {
    Run(KeyingJob, Reply),
    Refuse(KeyingJob, Reply),
    Store,
    Stop,
}

fn work(shared: &Shared, rng: &mut ChaCha20Rng, pulse: &Pulse) {
    loop {
        match next(shared, pulse) {
            Next::Run(job, reply) => reply(job.run()),
            Next::Refuse(job, reply) => reply(job.refuse().unwrap_or_else(|own| own.run())),
            Next::Store => {
                let pair = KeyPair::generate(shared.group, rng);
                shared.state().store.push(pair);
            }
            Next::Stop => return,
        }
    }
}

fn next(shared: &Shared, pulse: &Pulse) -> Next {
    let mut state = shared.state();
    loop {
        pulse.beat();
        if state.is_stopping {
            return Next::Stop;
        }
        if let Some((job, reply)) = state.refused.pop_front() {
            return Next::Refuse(job, reply);
        }
        if let Some((mut job, reply)) = state.jobs.pop() {
            if job.wants_key_pair() == Some(shared.group)
                && let Some(pair) = state.store.pop()
            {
                job = job.with_key_pair(pair);
            }
            return Next::Run(job, reply);
        }
        if state.store.len() < STORE {
            return Next::Store;
        }
        state = shared.wake.wait_timeout(state, introd_liveness::BEAT).unwrap_or_else(PoisonError::into_inner).0;
    }
}
