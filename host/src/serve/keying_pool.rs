//! Threads for public-key work, so that a flood of handshakes does not delay lookups and open sessions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use parking_lot::{Condvar, Mutex};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{Group, KeyPair};
use rtmfp::{KeyingDone, KeyingJob, NetworkPrefix};

use super::keying_queue::KeyingQueue;
use introd_liveness::{AtStandstill, Pulse};

/// Receives a job's result: posts it to the mailbox of the worker that the job came from.
pub type KeyingReply = Box<dyn FnOnce(KeyingDone) + Send>;

/// The maximum number of fresh key pairs in store. The pool makes them while it has no job; each saves half of a handshake's work.
const MAX_STORED: usize = 512;

/// If so many key pairs are missing for a batch, they are made together.
const MIN_MADE: usize = 4;

/// A pool of threads that run [`KeyingJob`]s, fairly by the addresses that the jobs come from.
///
/// The number of jobs that wait is bounded. If there are more, the address with the most jobs loses one, which is refused. Dropping the pool
/// ends its threads after their current jobs.
pub struct KeyingPool {
    shared: Arc<SharedPool>,
    threads: Vec<JoinHandle<()>>,
}

struct SharedPool {
    state: Mutex<PoolState>,
    wake: Condvar,
    /// The group of the key pairs in store.
    group: Group,
    /// How many jobs in a group a thread takes at a time, if so many wait: as many as take less time together than one after the other.
    most_at_once: fn(Group) -> usize,
}

struct PoolState {
    jobs: KeyingQueue<(KeyingJob, KeyingReply)>,
    /// Jobs for which the queue had no room. A thread of the pool refuses them, because a worker must not wait for that.
    refused: VecDeque<(KeyingJob, KeyingReply)>,
    store: Vec<KeyPair>,
    is_stopping: bool,
}

impl SharedPool {
    fn new(group: Group, max_waiting: usize) -> Self {
        let state = PoolState {
            jobs: KeyingQueue::new(max_waiting),
            refused: VecDeque::new(),
            store: Vec::new(),
            is_stopping: false,
        };
        Self { state: Mutex::new(state), wake: Condvar::new(), group, most_at_once: Group::most_at_once }
    }
}

impl KeyingPool {
    /// Starts `threads` threads (at least one) that keep key pairs of `group` in store. At most `max_waiting` jobs wait for them.
    ///
    /// # Errors
    /// If a thread cannot be started, or the operating system has no randomness to give.
    pub fn start(threads: usize, group: Group, max_waiting: usize) -> anyhow::Result<Self> {
        let shared = Arc::new(SharedPool::new(group, max_waiting));
        #[cfg(target_os = "linux")]
        let niceness = niceness().context("the priority of the server's threads cannot be read")?;
        let threads = (0..threads.max(1))
            .map(|index| {
                let shared = Arc::clone(&shared);
                let mut seed = [0; 32];
                getrandom::fill(&mut seed)?;
                let name = format!("keying-{index}");
                let mut rng = ChaCha20Rng::from_seed(seed);
                let started = introd_liveness::spawn(&name, AtStandstill::EndProcess, move |pulse| {
                    #[cfg(target_os = "linux")]
                    set_niceness(niceness);
                    work(&shared, &mut rng, pulse);
                    Ok(())
                });
                started.context("a thread for handshakes cannot be started")
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { shared, threads })
    }

    /// How many jobs wait for a thread.
    pub fn waiting(&self) -> usize {
        self.shared.state.lock().jobs.len()
    }

    /// Queues a job. `reply` is called on one of the pool's threads.
    pub fn submit(&self, job: KeyingJob, reply: KeyingReply) {
        let (owner, group) = (job.initiator().map(|from| NetworkPrefix::of(from.ip())), job.group());
        let mut state = self.shared.state.lock();
        if let Some(dropped) = state.jobs.push(owner, group, (job, reply)) {
            state.refused.push_back(dropped);
        }
        drop(state);
        self.shared.wake.notify_one();
    }
}

impl Drop for KeyingPool {
    fn drop(&mut self) {
        self.shared.state.lock().is_stopping = true;
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The niceness of the threads, if that of the calling thread is the workers': a worker that shares a processor with one of them gets nine
/// tenths of it. When thousands of clients come at once, what a worker has to do for those that are in, and for those that were there before,
/// comes before more of them; and they come only as fast as it can bear.
///
/// A system that has no priorities of threads runs both as before.
#[cfg(target_os = "linux")]
fn niceness() -> rustix::io::Result<i32> {
    rustix::process::getpriority_process(None).map(|niceness| (niceness + 10).min(19))
}

/// Gives the calling thread that niceness.
#[cfg(target_os = "linux")]
fn set_niceness(niceness: i32) {
    if let Err(error) = rustix::process::setpriority_process(None, niceness) {
        tracing::warn!(%error, "a thread for handshakes keeps the priority of the workers");
    }
}

/// The next task of a thread.
enum KeyingTask {
    Run(Vec<(KeyingJob, KeyingReply)>),
    Refuse(KeyingJob, KeyingReply),
    /// Make key pairs for the store.
    Store,
    Stop,
}

fn work(shared: &SharedPool, rng: &mut ChaCha20Rng, pulse: &Pulse) {
    loop {
        match next_task(shared, pulse) {
            KeyingTask::Run(jobs) => run(with_key_pairs(jobs, shared, rng)),
            KeyingTask::Refuse(job, reply) => refuse(job, reply),
            KeyingTask::Store => {
                let pairs = KeyPair::generate_many(shared.group, (shared.most_at_once)(shared.group), rng);
                shared.state.lock().store.extend(pairs);
            }
            KeyingTask::Stop => return,
        }
    }
}

/// Makes the key pairs that many of the jobs lack, because the store is empty. What is left over goes there.
fn with_key_pairs(
    mut jobs: Vec<(KeyingJob, KeyingReply)>,
    shared: &SharedPool,
    rng: &mut ChaCha20Rng,
) -> Vec<(KeyingJob, KeyingReply)> {
    let lacks = |job: &KeyingJob| !job.has_key_pair() && job.wants_key_pair() == Some(shared.group);
    let missing = jobs.iter().filter(|(job, _)| lacks(job)).count();
    if missing >= MIN_MADE {
        let mut pairs = KeyPair::generate_many(shared.group, missing, rng);
        for (job, reply) in std::mem::take(&mut jobs) {
            let pair = if lacks(&job) { pairs.pop() } else { None };
            jobs.push((job.with_key_pair(pair), reply));
        }
        shared.state.lock().store.append(&mut pairs);
    }
    jobs
}

fn run(jobs: Vec<(KeyingJob, KeyingReply)>) {
    let (jobs, replies): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
    for (done, reply) in KeyingJob::run_all(jobs).into_iter().zip(replies) {
        reply(done);
    }
}

/// The server's own jobs cannot be refused: they are done all the same.
fn refuse(job: KeyingJob, reply: KeyingReply) {
    reply(job.refuse().unwrap_or_else(|own| own.run()));
}

fn next_task(shared: &SharedPool, pulse: &Pulse) -> KeyingTask {
    let mut state = shared.state.lock();
    loop {
        pulse.beat();
        if state.is_stopping {
            return KeyingTask::Stop;
        }
        if let Some((job, reply)) = state.refused.pop_front() {
            return KeyingTask::Refuse(job, reply);
        }
        let mut jobs: Vec<(KeyingJob, KeyingReply)> = Vec::new();
        let mut most = 1;
        while jobs.len() < most
            && let Some((job, reply)) = state.jobs.pop()
        {
            let group = job.group();
            let pair = if job.wants_key_pair() == Some(shared.group) { state.store.pop() } else { None };
            jobs.push((job.with_key_pair(pair), reply));
            match jobs.as_slice() {
                // Where nothing is gained, the others are for the threads that have nothing to do.
                [_] => most = group.map_or(1, shared.most_at_once),
                [(first, _), ..] if first.group() == group => (),
                // No job waits for more than one that costs more than itself.
                _ => break,
            }
        }
        if !jobs.is_empty() {
            return KeyingTask::Run(jobs);
        }
        if state.store.len() < MAX_STORED {
            return KeyingTask::Store;
        }
        shared.wake.wait_for(&mut state, introd_liveness::BEAT);
    }
}

#[cfg(test)]
impl KeyingPool {
    /// A pool without threads: what it is given waits for [`Self::work_off`].
    pub(crate) fn without_threads(max_waiting: usize) -> Self {
        Self { shared: Arc::new(SharedPool::new(Group::Modp2, max_waiting)), threads: Vec::new() }
    }

    /// The same, on a processor on which it pays to do `most_at_once` jobs together.
    pub(super) fn on_processor(max_waiting: usize, most_at_once: fn(Group) -> usize) -> Self {
        let shared = SharedPool { most_at_once, ..SharedPool::new(Group::Modp2, max_waiting) };
        Self { shared: Arc::new(shared), threads: Vec::new() }
    }

    /// Does on the calling thread all that waits. Returns how many jobs there were.
    pub(super) fn work_off(&self) -> usize {
        let pulse = Pulse::unwatched();
        let mut count = 0;
        loop {
            match next_task(&self.shared, &pulse) {
                KeyingTask::Run(jobs) => {
                    count += jobs.len();
                    run(jobs);
                }
                KeyingTask::Refuse(job, reply) => {
                    count += 1;
                    refuse(job, reply);
                }
                KeyingTask::Store | KeyingTask::Stop => return count,
            }
        }
    }
}

#[cfg(test)]
mod tests;
