//! What a thread of the pool does next, and what becomes of jobs for which there is no room.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rand_core::SeedableRng as _;
use rtmfp::crypto::{Epd, Identity};
use rtmfp::{Config, Counters, Endpoint, Event, InterfaceId};

use super::*;

/// Ample, on a machine under any load: it only ends a test that would never end.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A server, and the jobs that initiators cause.
struct Server {
    endpoint: Endpoint,
    now: Instant,
    results: (mpsc::Sender<KeyingDone>, mpsc::Receiver<KeyingDone>),
}

impl Server {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let identity = Arc::new(Identity::ephemeral(&[Group::Modp2, Group::Modp5], None, true, &mut rng));
        let now = Instant::now();
        Self { endpoint: Endpoint::new(now, Config::server(vec![identity]), [1; 32]), now, results: mpsc::channel() }
    }

    /// The job that an initiator at that host causes, which uses that group.
    fn job(&mut self, host: u8, group: Group) -> KeyingJob {
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(host) + 100);
        let own = Arc::new(Identity::ephemeral(&[group], None, false, &mut rng));
        let mut initiator = Endpoint::new(self.now, Config::peer(own), [host; 32]);
        let (near, far): (SocketAddr, SocketAddr) = (([192, 0, 2, 1], 1935).into(), ([203, 0, 113, host], 5).into());
        let wanted = Epd::ancillary("rtmfp://introducer.example.com/an-application/and-its-instance");
        initiator.open(self.now, wanted, &[(InterfaceId(0), near)]).unwrap();
        for _ in 0..20 {
            while let Some(event) = initiator.poll_event() {
                if let Event::Keying(job) = event {
                    initiator.keying_done(self.now, job.run());
                }
            }
            let mut datagram = Vec::new();
            while initiator.poll_transmit(self.now, &mut datagram).is_some() {
                self.endpoint.handle_datagram(self.now, InterfaceId(0), far, &mut datagram);
                datagram.clear();
            }
            if let Some(Event::Keying(job)) = self.endpoint.poll_event() {
                return job;
            }
            while self.endpoint.poll_transmit(self.now, &mut datagram).is_some() {
                initiator.handle_datagram(self.now, InterfaceId(0), near, &mut datagram);
                datagram.clear();
            }
        }
        panic!("there is no job");
    }

    /// What takes the result of a job.
    fn reply(&self) -> KeyingReply {
        let results = self.results.0.clone();
        Box::new(move |done| results.send(done).unwrap())
    }

    /// Takes the next result in. Returns how many sessions have opened and how many keyings were given up so far.
    fn take(&mut self) -> (u64, u64) {
        let done = self.results.1.recv_timeout(TIMEOUT).unwrap();
        self.endpoint.keying_done(self.now, done);
        let Counters { sessions_opened, overload, .. } = self.endpoint.counters();
        (*sessions_opened, *overload)
    }
}

/// How many jobs a processor with vector instructions does together.
const TOGETHER: usize = 8;

/// A pool on a processor that has the instructions, or lacks them.
fn pool_on(has_instructions: bool) -> KeyingPool {
    KeyingPool::on_processor(
        100,
        if has_instructions { |group| if group == Group::Modp16 { 1 } else { TOGETHER } } else { |_| 1 },
    )
}

fn next(pool: &KeyingPool) -> KeyingTask {
    next_task(&pool.shared, &Pulse::unwatched())
}

/// Does the jobs that a thread takes next. Returns how many they are.
fn run_next(pool: &KeyingPool) -> usize {
    let KeyingTask::Run(jobs) = next(pool) else { panic!() };
    let count = jobs.len();
    run(jobs);
    count
}

#[test]
fn a_thread_does_jobs_before_it_makes_key_pairs_and_uses_these_for_them() {
    let (mut server, pool) = (Server::new(), KeyingPool::without_threads(10));
    assert!(matches!(next(&pool), KeyingTask::Store));
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    pool.shared.state.lock().store.push(KeyPair::generate(Group::Modp2, &mut rng));
    let stored = || pool.shared.state.lock().store.len();
    // A pair of another group is of no use.
    pool.submit(server.job(1, Group::Modp5), server.reply());
    assert_eq!(run_next(&pool), 1);
    assert_eq!((stored(), server.take()), (1, (1, 0)));
    pool.submit(server.job(2, Group::Modp2), server.reply());
    assert_eq!(run_next(&pool), 1);
    assert_eq!((stored(), server.take()), (0, (2, 0)));
}

#[test]
fn jobs_for_which_there_is_no_room_are_refused_and_before_the_others_are_done() {
    let (mut server, pool) = (Server::new(), KeyingPool::without_threads(1));
    for host in 1..=3 {
        let job = server.job(host, Group::Modp2);
        pool.submit(job, server.reply());
    }
    for given_up in 1..=2 {
        let KeyingTask::Refuse(job, reply) = next(&pool) else { panic!() };
        refuse(job, reply);
        assert_eq!(server.take(), (0, given_up));
    }
    assert_eq!(run_next(&pool), 1);
    assert_eq!(server.take(), (1, 2));
}

#[test]
fn jobs_that_wait_are_done_together_and_their_key_pairs_made_together() {
    let (mut server, pool) = (Server::new(), pool_on(true));
    for host in 1..=11 {
        let job = server.job(host, Group::Modp2);
        pool.submit(job, server.reply());
    }
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let KeyingTask::Run(jobs) = next(&pool) else { panic!() };
    assert!(jobs.len() == TOGETHER && jobs.iter().all(|(job, _)| !job.has_key_pair()), "the store is empty");
    let jobs = with_key_pairs(jobs, &pool.shared, &mut rng);
    assert!(jobs.len() == TOGETHER && jobs.iter().all(|(job, _)| job.has_key_pair()));
    run(jobs);
    assert_eq!((1..=TOGETHER).map(|_| server.take()).last(), Some((TOGETHER as u64, 0)));
    // For a few it does not pay: each makes its own.
    let KeyingTask::Run(jobs) = next(&pool) else { panic!() };
    let with_pairs = |jobs: &[(KeyingJob, KeyingReply)]| jobs.iter().filter(|(job, _)| job.has_key_pair()).count();
    let before = with_pairs(&jobs);
    let jobs = with_key_pairs(jobs, &pool.shared, &mut rng);
    assert_eq!((jobs.len(), with_pairs(&jobs)), (3, before));
    run(jobs);
    assert_eq!((1..=3).map(|_| server.take()).last(), Some((11, 0)));
}

#[test]
fn where_nothing_is_gained_by_doing_jobs_together_each_is_for_the_next_thread_that_is_free() {
    let (mut server, pool) = (Server::new(), pool_on(false));
    for host in 1..=3 {
        let job = server.job(host, Group::Modp2);
        pool.submit(job, server.reply());
    }
    for done in 1..=3 {
        assert_eq!(run_next(&pool), 1);
        assert_eq!(server.take(), (done, 0));
    }
}

#[test]
fn no_job_waits_for_more_than_one_that_costs_more() {
    let (mut server, pool) = (Server::new(), pool_on(true));
    for host in 1..=3 {
        for group in [Group::Modp2, Group::Modp5] {
            let job = server.job(host * 2 + u8::from(group == Group::Modp5), group);
            pool.submit(job, server.reply());
        }
    }
    let mut taken = Vec::new();
    while let KeyingTask::Run(jobs) = next(&pool) {
        let groups: Vec<_> = jobs.iter().filter_map(|(job, _)| job.group()).collect();
        let others = groups.iter().filter(|group| **group != groups[0]).count();
        assert!(others <= 1, "{groups:?}");
        taken.extend(groups);
        run(jobs);
    }
    assert_eq!(taken.len(), 6);
}

#[test]
fn a_thread_stops_before_it_does_anything_else() {
    let (mut server, pool) = (Server::new(), KeyingPool::without_threads(1));
    for host in 1..=2 {
        let job = server.job(host, Group::Modp2);
        pool.submit(job, server.reply());
    }
    pool.shared.state.lock().is_stopping = true;
    assert!(matches!(next(&pool), KeyingTask::Stop));
}

#[test]
fn key_pairs_are_stored_up_to_a_bound() {
    let pool = KeyingPool::without_threads(1);
    let pair = KeyPair::generate(Group::Modp2, &mut ChaCha20Rng::seed_from_u64(3));
    pool.shared.state.lock().store = vec![pair; MAX_STORED - 1];
    assert!(matches!(next(&pool), KeyingTask::Store));
    let full = pool.shared.state.lock().store[0].clone();
    pool.shared.state.lock().store.push(full);
    // With nothing to do, a thread waits until it is told of a job or to stop.
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| next(&pool));
        pool.shared.state.lock().is_stopping = true;
        pool.shared.wake.notify_all();
        assert!(matches!(waits.join().unwrap(), KeyingTask::Stop));
    });
}

#[test]
fn threads_do_jobs_and_end_with_their_pool() {
    for threads in [0, 2] {
        let mut server = Server::new();
        let pool = KeyingPool::start(threads, Group::Modp2, 10).unwrap();
        assert_eq!(pool.threads.len(), threads.max(1));
        for host in 1..=3 {
            let job = server.job(host, Group::Modp2);
            pool.submit(job, server.reply());
        }
        let taken = [(); 3].map(|()| server.take());
        assert_eq!(taken, [(1, 0), (2, 0), (3, 0)]);
        let shared = Arc::downgrade(&pool.shared);
        drop(pool);
        assert!(shared.upgrade().is_none(), "its threads are gone");
    }
}

#[test]
fn a_pool_without_jobs_makes_key_pairs_of_its_group() {
    let shared = SharedPool::new(Group::Modp5, 1);
    let (pulse, mut rng) = (Pulse::unwatched(), ChaCha20Rng::seed_from_u64(4));
    std::thread::scope(|scope| {
        let working = scope.spawn(|| work(&shared, &mut rng, &pulse));
        while shared.state.lock().store.is_empty() {
            std::thread::yield_now();
        }
        shared.state.lock().is_stopping = true;
        shared.wake.notify_all();
        working.join().unwrap();
    });
    assert!(shared.state.lock().store.iter().all(|pair| pair.group() == Group::Modp5));
}

#[cfg(target_os = "linux")]
#[test]
fn the_threads_give_way_to_workers() {
    let own = rustix::process::getpriority_process(None).unwrap();
    let pool = KeyingPool::start(1, Group::Modp2, 8).unwrap();
    let niceness_of = |name: &str| {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(|task| Some(task.ok()?.path()));
        let mut named =
            tasks.filter(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name));
        let stat = std::fs::read_to_string(named.next()?.join("stat")).ok()?;
        // After the name in parentheses: state, and then 15 numbers before the niceness.
        stat.rsplit_once(") ")?.1.split(' ').nth(16)?.parse::<i32>().ok()
    };
    // Other tests have pools, too: all of them have such threads.
    let expected = (own + 10).min(19);
    let deadline = Instant::now() + TIMEOUT;
    while niceness_of("keying-0") != Some(expected) {
        assert!(Instant::now() < deadline, "{:?} instead of {expected}", niceness_of("keying-0"));
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(pool);
}
