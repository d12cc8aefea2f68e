//! Opens connections, within limits, on threads that start when the first one is opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use introd_config::Application;
use introd_liveness::{AtStandstill, BEAT};
use introd_policy::InstanceName;
use introd_policy::net_connection::{ConnectionEvents, ConnectionOptions, NetConnection, NetConnections, OpenError};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::connection::{Connection, MAX_COMMANDS, SharedState};
use super::counters::{Count, NetConnectionCounters};
use super::options;
use super::seats::{Seat, Seats};
use super::task::{ConnectionTask, is_in_use, panicked_event};

/// How many threads the connections share.
const THREADS: usize = 2;
/// For so long the connections have time to say goodbye when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The NetConnections of all scripts.
#[derive(Default)]
pub struct NetConnectionService {
    threads: Mutex<Threads>,
    seats: Seats,
    /// The tasks that have not ended, by instance: those of connections that are being closed among them.
    tasks: Seats,
    counters: Arc<NetConnectionCounters>,
}

#[derive(Default)]
struct Threads {
    running: Vec<ConnectionThread>,
    next: usize,
    is_stopped: bool,
}

struct ConnectionThread {
    runtime: Handle,
    stop: watch::Sender<bool>,
    /// How many tasks it has.
    tasks: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl NetConnectionService {
    /// A service without connections and threads.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counters.
    pub fn counters(&self) -> &Arc<NetConnectionCounters> {
        &self.counters
    }

    /// Closes all connections in an orderly way, and waits for that two seconds at most. No connection opens afterwards.
    pub fn stop(&self) {
        let running = {
            let mut threads = self.threads.lock();
            threads.is_stopped = true;
            std::mem::take(&mut threads.running)
        };
        for thread in &running {
            let _ = thread.stop.send(true);
        }
        for thread in running {
            let _ = thread.thread.join();
        }
    }

    /// Gives a task to one of the threads.
    fn spawn(
        &self,
        owner: &InstanceName,
        task: impl FnOnce(watch::Receiver<bool>) -> ConnectionTask,
    ) -> Result<(), OpenError> {
        let mut threads = self.threads.lock();
        if threads.is_stopped {
            return Err(OpenError::System("the server stops".to_owned()));
        }
        if threads.running.len() < THREADS {
            let number = threads.running.len();
            let thread = ConnectionThread::start(number).map_err(|error| {
                OpenError::System(format!("a thread for NetConnections cannot be started: {error}"))
            })?;
            threads.running.push(thread);
        }
        threads.next = (threads.next + 1) % threads.running.len();
        let place = threads.next;
        let Some(thread) = threads.running.get(place) else { return Ok(()) };
        let task = task(thread.stop.subscribe());
        let shared = Arc::clone(&task.shared);
        let ended = Ended { count: Arc::clone(&thread.tasks), _seat: self.tasks.take(owner, usize::MAX) };
        thread.tasks.fetch_add(1, Ordering::Relaxed);
        let running = thread.runtime.spawn(task.run());
        thread.runtime.spawn(async move {
            // A connection that panics takes no other with it.
            if running.await.is_err_and(|error| error.is_panic()) {
                tracing::error!("a NetConnection of a script has panicked and is closed");
                shared.close(panicked_event());
            }
            drop(ended);
        });
        Ok(())
    }

    /// Whether a connection of the instance is open or being closed.
    fn has_tasks(&self, owner: &InstanceName) -> bool {
        self.tasks.is_used(owner)
    }
}

/// Notes the end of a task.
struct Ended {
    count: Arc<AtomicUsize>,
    _seat: Option<Seat>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ConnectionThread {
    fn start(number: usize) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, mut stopping) = watch::channel(false);
        let tasks = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&tasks);
        let work = move |pulse: &introd_liveness::Pulse| {
            runtime.block_on(async {
                let mut interval = tokio::time::interval(BEAT / 4);
                loop {
                    tokio::select! {
                        _ = interval.tick() => pulse.beat(),
                        _ = stopping.wait_for(|stopped| *stopped) => break,
                    }
                }
                let until = Instant::now() + STOP_TIMEOUT;
                while left.load(Ordering::Relaxed) > 0 && Instant::now() < until {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    pulse.beat();
                }
            });
            runtime.shutdown_background();
            Ok(())
        };
        // Clients of the server do not depend on it.
        let thread = introd_liveness::spawn_once(&format!("netconnection-{number}"), None, AtStandstill::Say, work)?;
        Ok(Self { runtime: handle, stop, tasks, thread })
    }
}

impl Drop for NetConnectionService {
    fn drop(&mut self) {
        self.stop();
    }
}

impl NetConnections for NetConnectionService {
    fn open(
        &self,
        owner: &InstanceName,
        settings: &Arc<Application>,
        options: ConnectionOptions,
        events: Arc<dyn ConnectionEvents>,
    ) -> Result<Box<dyn NetConnection>, OpenError> {
        let limits = settings.script.net_connections;
        let checked = options::check(&options)?;
        let Some(seat) = self.seats.take(owner, limits.max_connections) else {
            return Err(OpenError::Limit(format!(
                "the script has {} NetConnections: ScriptEngine/NetConnection/MaxNetConnections in Application.xml allows no more",
                limits.max_connections
            )));
        };
        let sockets = match checked.bind.sockets() {
            Ok(sockets) => Some(sockets),
            Err(error) if is_in_use(&error) && self.has_tasks(owner) => None,
            Err(error) => return Err(OpenError::System(error.to_string())),
        };
        let shared = Arc::new(SharedState::new(events, Arc::clone(&self.counters)));
        let (commands, receiver) = mpsc::channel(MAX_COMMANDS);
        self.spawn(owner, |stopping| ConnectionTask {
            shared: Arc::clone(&shared),
            commands: receiver,
            checked,
            name: options.endpoint_name,
            arguments: options.arguments,
            sockets,
            stopping,
        })?;
        self.counters.add(Count::Opened);
        Ok(Box::new(Connection {
            shared,
            commands,
            max_groups: limits.max_groups,
            max_queued_bytes: limits.max_queued_bytes,
            _seat: seat,
        }))
    }
}
