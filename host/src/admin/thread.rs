//! The thread of the administration, and its listeners.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use introd_liveness::{AtStandstill, BEAT, Pulse};
use rustix::process::setpriority_process;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;

use super::connections::{self, Connections};
use super::gate::Gate;
use super::inspector::Inspector;
use super::rooms::Rooms;
use super::streams::Streams;
use crate::service_manager::PassedSockets;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 128;
/// How often an address that was not free is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How often before the start has failed for want of it.
const PAUSE: Duration = Duration::from_millis(10);
/// How often totals are sampled for rates.
const SAMPLE: Duration = Duration::from_secs(5);
/// The niceness of the thread: the threads that serve clients come first.
const NICENESS: i32 = 10;

/// The administration of a server, until it is dropped.
pub struct Administration {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
}

impl Administration {
    /// Starts the administration, which listens at these addresses by TCP, with the sockets that were passed for them. An address that is
    /// not free until `patience` is over is logged and tried again: the server serves its clients without it.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        addresses: &[SocketAddr],
        passed: &PassedSockets,
        inspector: Inspector,
        patience: Duration,
    ) -> std::io::Result<Self> {
        let (mut listeners, mut missing) = (Vec::new(), Vec::new());
        let until = Instant::now() + patience;
        for address in addresses {
            match passed.tcp_at(*address).and_then(|passed| passed.map_or_else(|| bind_until(*address, until), Ok)) {
                Ok(listener) => listeners.push(listener),
                Err(error) => {
                    tracing::error!(%address, %error, "the administration cannot listen there, and tries again: another server may do so");
                    missing.push(*address);
                }
            }
        }
        let bound: Vec<SocketAddr> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let (stop, stopped) = watch::channel(false);
        let rooms = Arc::new(Rooms { inspector, gate: Gate::new(machine_name()), streams: Streams::default() });
        let thread = introd_liveness::spawn("admin", AtStandstill::Say, move |pulse| {
            // After a panic the thread goes on with the same sockets. One that was passed could not be bound again: the service manager
            // has it, too.
            let listeners = listeners.iter().map(TcpListener::try_clone).collect::<std::io::Result<_>>()?;
            run(Arc::clone(&rooms), listeners, missing.clone(), stopped.clone(), pulse)
        })?;
        Ok(Self { stop, thread: Some(thread), addresses: bound })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for Administration {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The name of this machine, under which browsers may know it.
fn machine_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    Some(name).filter(|name| !name.is_empty())
}

/// Binds an address as soon as it is free, or fails when that time has come.
fn bind_until(address: SocketAddr, until: Instant) -> std::io::Result<TcpListener> {
    loop {
        match bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < until => std::thread::sleep(PAUSE),
            bound => return bound,
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // IPv4 has an address of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn run(
    rooms: Arc<Rooms>,
    listeners: Vec<TcpListener>,
    missing: Vec<SocketAddr>,
    mut stopped: watch::Receiver<bool>,
    pulse: &Pulse,
) -> anyhow::Result<()> {
    // On Linux each thread has a niceness of its own. Where that fails, the thread competes with the others.
    let _ = setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    // One hash of a password at a time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let connections = Arc::new(Connections::default());
    runtime.block_on(async {
        for listener in listeners {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::spawn(connections::accept(listener, Arc::clone(&rooms), Arc::clone(&connections)));
        }
        for address in missing {
            tokio::spawn(listen_later(address, Arc::clone(&rooms), Arc::clone(&connections)));
        }
        let mut beats = tokio::time::interval(BEAT / 2);
        let mut sampled: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return anyhow::Ok(()),
                _ = beats.tick() => pulse.beat(),
            }
            let now = Instant::now();
            if sampled.is_none_or(|at| now.saturating_duration_since(at) >= SAMPLE) {
                sampled = Some(now);
                rooms.inspector.sample(now);
            }
        }
    })?;
    // A hash that is being made is not waited for.
    runtime.shutdown_background();
    Ok(())
}

/// Waits until an address is free, and listens there.
async fn listen_later(address: SocketAddr, rooms: Arc<Rooms>, connections: Arc<Connections>) {
    loop {
        tokio::time::sleep(RETRY).await;
        let Ok(listener) = bind(address).and_then(tokio::net::TcpListener::from_std) else { continue };
        tracing::info!(%address, "the administration listens here now");
        connections::accept(listener, rooms, connections).await;
        return;
    }
}
