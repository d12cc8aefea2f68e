//! How fast UDP itself is on this computer, through the server's own socket code: the ceiling that a server's measurements
//! are compared with, measured in the same run.
//!
//! A server thread on one core echoes datagrams and does nothing else. A load thread on another core keeps a bounded
//! number of them pending.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use introd_udp::{AsyncUdpSocket, BufferSizes, LocalAddress, RecvBatch, SendBatch, UdpSocket};

use crate::cores::{pin_to, thread_cpu_time, two_cores};

/// Datagrams a system call moves.
const BATCH: usize = 64;
/// What ends the server; shorter than any payload.
const STOP: &[u8] = b"stop";
/// After this long without a reply, pending datagrams count as lost.
const REPLY_TIMEOUT: Duration = Duration::from_millis(200);

/// How long a run is extended if nothing has come back yet.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// What the server does with a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Sends it back.
    OneOut,
    /// Sends it back, and once more to a second socket, as a lookup is answered by a redirect and a forward.
    TwoOut,
}

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What the server does.
    pub shape: Shape,
    /// Bytes a datagram carries; from 8 to 1400.
    pub payload: usize,
    /// Datagrams under way at most. A small window leaves the server short batches.
    pub window: usize,
    /// How long to load the server.
    pub duration: Duration,
    /// The address the server listens on. A wildcard costs a control message each way.
    pub listen: IpAddr,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shape: Shape::TwoOut,
            payload: 100,
            window: 256,
            duration: Duration::from_secs(3),
            listen: Ipv4Addr::UNSPECIFIED.into(),
        }
    }
}

/// A measured ceiling.
#[derive(Debug, Clone, Copy)]
pub struct Ceiling {
    /// Datagrams the server took.
    pub requests: u64,
    /// Datagrams that came back to the load's first socket.
    pub replies: u64,
    /// Datagrams that came to its second socket.
    pub forwards: u64,
    /// Datagrams that did not come back in time.
    pub lost: u64,
    /// How long the load ran.
    pub elapsed: Duration,
    /// CPU time of the server thread for all `requests`.
    pub server_cpu: Duration,
    /// CPU time of the load thread, which spins while it waits.
    pub load_cpu: Duration,
    /// Whether server and load each had a core that the other did not use.
    pub pinned: bool,
}

impl Ceiling {
    /// Requests answered per second of wall-clock time: what server and load together reach.
    pub fn wall_rate(&self) -> f64 {
        self.replies as f64 / self.elapsed.as_secs_f64()
    }

    /// Requests per second of the server thread's CPU time: what one core would reach if nothing else held it up.
    pub fn cpu_rate(&self) -> f64 {
        self.requests as f64 / self.server_cpu.as_secs_f64()
    }

    /// Microseconds of server CPU time a request takes, its replies included.
    pub fn cpu_micros(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / self.requests as f64
    }
}

/// Measures.
///
/// # Errors
/// Sockets or threads that cannot be had, and a run in which nothing came back.
pub fn measure(options: Options) -> anyhow::Result<Ceiling> {
    if !(8..=1400).contains(&options.payload) || options.window == 0 {
        bail!("payload must be 8 to 1400 bytes and the window at least 1");
    }
    let buffers = BufferSizes::default();
    let server = UdpSocket::bind(SocketAddr::new(options.listen, 0), buffers).context("the server's socket")?;
    let loopback = match options.listen {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let target_ip = if options.listen.is_unspecified() { loopback } else { options.listen };
    let target = SocketAddr::new(target_ip, server.local_address().port());
    let source = UdpSocket::bind(SocketAddr::new(loopback, 0), buffers).context("the load's socket")?;
    let sink = UdpSocket::bind(SocketAddr::new(loopback, 0), buffers).context("the load's second socket")?;
    let second = (options.shape == Shape::TwoOut).then(|| sink.local_address());
    let cores = two_cores();

    let server = thread::Builder::new().name("echo".into()).spawn(move || {
        if let Some((core, _)) = cores {
            pin_to(core)?;
        }
        serve(server, second)
    })?;
    let load = thread::Builder::new().name("load".into()).spawn(move || {
        if let Some((_, core)) = cores {
            pin_to(core)?;
        }
        Load::new(source, sink, target).run(&options)
    })?;
    let loaded = load.join().map_err(|_| anyhow!("the load thread panicked"))?;
    stop(target, &server)?;
    let served = server.join().map_err(|_| anyhow!("the server thread panicked"))??;
    let loaded = loaded?;
    if loaded.replies == 0 || (second.is_some() && loaded.forwards == 0) {
        bail!("nothing came back from the server");
    }
    Ok(Ceiling {
        requests: served.requests,
        replies: loaded.replies,
        forwards: loaded.forwards,
        lost: loaded.lost,
        elapsed: loaded.elapsed,
        server_cpu: served.cpu,
        load_cpu: loaded.cpu,
        pinned: cores.is_some(),
    })
}

struct Served {
    requests: u64,
    cpu: Duration,
}

/// Echoes until it is told to stop, on a runtime such as a worker has. The clock starts with the first datagram.
fn serve(socket: UdpSocket, second: Option<SocketAddr>) -> anyhow::Result<Served> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let socket = AsyncUdpSocket::register(socket)?;
        let mut batch = RecvBatch::new(BATCH);
        let mut replies = SendBatch::new(2 * BATCH, 2 * BATCH * 1500);
        let mut requests = 0;
        let mut begin = None;
        loop {
            socket.receive(&mut batch).await?;
            let begin = *begin.get_or_insert_with(thread_cpu_time);
            let mut stopped = false;
            for datagram in batch.datagrams() {
                if datagram.bytes == STOP {
                    stopped = true;
                    continue;
                }
                requests += 1;
                replies.push(datagram.from, datagram.local, datagram.bytes)?;
                if let Some(second) = second {
                    replies.push(second, datagram.local, datagram.bytes)?;
                }
            }
            socket.flush(&mut replies).await?;
            if stopped {
                return Ok(Served { requests, cpu: thread_cpu_time() - begin });
            }
        }
    })
}

/// Tells the server to stop until it does.
fn stop<T>(target: SocketAddr, server: &thread::JoinHandle<T>) -> anyhow::Result<()> {
    let any = if target.is_ipv6() { SocketAddr::from(([0; 8], 0)) } else { SocketAddr::from(([0; 4], 0)) };
    let socket = std::net::UdpSocket::bind(any)?;
    for _ in 0..1000 {
        if server.is_finished() {
            return Ok(());
        }
        socket.send_to(STOP, target)?;
        thread::sleep(Duration::from_millis(10));
    }
    bail!("the server thread does not stop")
}

struct Loaded {
    replies: u64,
    forwards: u64,
    lost: u64,
    elapsed: Duration,
    cpu: Duration,
}

/// Keeps a window of datagrams under way.
struct Load {
    source: UdpSocket,
    sink: UdpSocket,
    target: SocketAddr,
    batch: RecvBatch,
    requests: SendBatch,
}

impl Load {
    fn new(source: UdpSocket, sink: UdpSocket, target: SocketAddr) -> Self {
        let (batch, requests) = (RecvBatch::new(BATCH), SendBatch::new(BATCH, BATCH * 1500));
        Self { source, sink, target, batch, requests }
    }

    fn run(mut self, options: &Options) -> anyhow::Result<Loaded> {
        let payload = vec![0x5a; options.payload];
        let (begin, cpu) = (Instant::now(), thread_cpu_time());
        let (mut replies, mut forwards, mut lost, mut under_way) = (0, 0, 0, 0);
        let mut last_reply = begin;
        loop {
            let now = Instant::now();
            let elapsed = now.duration_since(begin);
            let answered = replies > 0 && (forwards > 0 || options.shape == Shape::OneOut);
            // However short the run, a busy computer gets the time for a first answer.
            if elapsed >= options.duration && (answered || elapsed > FIRST_ANSWER) {
                break;
            }
            if now.duration_since(last_reply) > REPLY_TIMEOUT {
                lost += std::mem::take(&mut under_way) as u64;
                last_reply = now;
            }
            for _ in under_way..options.window.min(under_way + BATCH) {
                self.requests.push(self.target, LocalAddress::ANY, &payload)?;
            }
            under_way += self.source.send_or_drop(&mut self.requests);

            let received = self.source.receive(&mut self.batch)?.unwrap_or(0);
            replies += received as u64;
            under_way = under_way.saturating_sub(received);
            if received > 0 {
                last_reply = now;
            }
            forwards += self.sink.receive(&mut self.batch)?.unwrap_or(0) as u64;
        }
        Ok(Loaded { replies, forwards, lost, elapsed: begin.elapsed(), cpu: thread_cpu_time() - cpu })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_measured_on_both_families() {
        for shape in [Shape::OneOut, Shape::TwoOut] {
            for listen in ["0.0.0.0", "127.0.0.1", "::"] {
                let listen = listen.parse().unwrap();
                let duration = Duration::from_millis(50);
                let ceiling = measure(Options { shape, listen, duration, ..Options::default() }).unwrap();
                assert!(ceiling.requests >= ceiling.replies);
                assert_eq!(ceiling.forwards > 0, shape == Shape::TwoOut);
                assert!(ceiling.cpu_micros() > 0.0 && ceiling.wall_rate() > 0.0);
            }
        }
    }

    #[test]
    fn senseless_options_are_refused() {
        assert!(measure(Options { payload: 4, ..Options::default() }).is_err());
        assert!(measure(Options { window: 0, ..Options::default() }).is_err());
    }
}
