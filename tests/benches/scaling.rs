//! What the tables that all workers share cost when several threads use them at a time: the directory of connected peers, and the counters.
//!
//! ```text
//! cargo bench -p introd-tests --bench scaling                       1 s each
//! cargo bench -p introd-tests --bench scaling -- --seconds 5 --peers 1000000
//! cargo bench -p introd-tests --bench scaling -- --smoke            0.1 s each: does it work?
//! ```
//!
//! `ns` is the CPU time of a thread for one operation, and `a second` how many all threads do together. On a computer with fewer cores than
//! threads this shows only whether the throughput holds when threads are interrupted while they hold a lock. On one with as many cores, `ns`
//! grows by what the processors need to pass the cache lines of locks to each other.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use introd::introducer::{Counter, Counters, Directory};
use introd_tests::cores::thread_cpu_time;
use rtmfp::{PeerId, SessionId};

struct Options {
    duration: Duration,
    peers: u32,
}

fn main() -> anyhow::Result<()> {
    let options = options()?;
    let directory = Directory::new();
    for number in 0..options.peers {
        let owner = SessionId::from_wire(number + 1);
        directory.connect(peer(number), owner, 0, ([192, 0, 2, 1], 1935).into(), true);
    }
    let counters = Counters::new(8);
    println!("{:<40} {:>8} {:>10} {:>14}", "operation", "threads", "ns", "a second");
    for threads in [1, 2, 4, 8] {
        measure("lookup in the directory", threads, options.duration, |_, round| {
            let number = round.wrapping_mul(2_654_435_761) % options.peers;
            black_box(directory.lookup(&peer(number)).is_some());
        })?;
    }
    for threads in [1, 2, 4, 8] {
        measure("three counters of a worker", threads, options.duration, |thread, _| {
            let own = counters.worker(thread);
            [Counter::Lookups, Counter::Redirects, Counter::Forwards].into_iter().for_each(|counter| own.add(counter));
        })?;
    }
    Ok(())
}

/// Prints what `work` costs when so many threads do it at a time. It is given the number of the thread and of the operation.
fn measure(name: &str, threads: u8, duration: Duration, work: impl Fn(u8, u32) + Sync) -> anyhow::Result<()> {
    let (stop, barrier) = (AtomicBool::new(false), Barrier::new(usize::from(threads) + 1));
    let (mut elapsed, mut done, mut cpu) = (Duration::ZERO, 0, Duration::ZERO);
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let (stop, barrier, work) = (&stop, &barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    let begin = thread_cpu_time();
                    let mut round = u32::from(thread) << 24;
                    let first = round;
                    // Threads that find no free core run at least once.
                    while round == first || !stop.load(Ordering::Relaxed) {
                        for _ in 0..64 {
                            round = round.wrapping_add(1);
                            work(thread, round);
                        }
                    }
                    (round.wrapping_sub(first), thread_cpu_time() - begin)
                })
            })
            .collect();
        barrier.wait();
        let begin = Instant::now();
        std::thread::sleep(duration);
        stop.store(true, Ordering::Relaxed);
        for thread in running {
            let (times, used) = thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?;
            (done, cpu) = (done + u64::from(times), cpu + used);
        }
        elapsed = begin.elapsed();
        Ok(())
    })?;
    let nanos = cpu.as_nanos() as f64 / done as f64;
    println!("{name:<40} {threads:>8} {nanos:>10.1} {:>14.0}", done as f64 / elapsed.as_secs_f64());
    Ok(())
}

fn peer(number: u32) -> PeerId {
    let mut id = [7; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    PeerId(id)
}

fn options() -> anyhow::Result<Options> {
    const SMOKE: Options = Options { duration: Duration::from_millis(100), peers: 1000 };
    let mut options = Options { duration: Duration::from_secs(1), peers: 100_000 };
    // `cargo bench` says so; `cargo test --benches` only wants to know whether it works.
    if !std::env::args().any(|argument| argument == "--bench") {
        options = SMOKE;
    }
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => {}
            "--smoke" => options = SMOKE,
            "--seconds" => options.duration = Duration::try_from_secs_f64(value()?.parse()?)?,
            "--peers" => options.peers = value()?.parse::<u32>()?.max(1),
            other => bail!("unknown argument {other}: try --smoke, --seconds S, --peers N"),
        }
    }
    Ok(options)
}
