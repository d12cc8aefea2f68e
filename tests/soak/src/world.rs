//! What the threads of the soak share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use crate::calm::{Calm, SERVERS};
use crate::figures::Figures;
use crate::patience::Patience;
use crate::violation::{Problems, Violation};

/// The stage as clients see it, and what is found out.
pub(crate) struct World {
    /// Where the servers listen.
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) calm: Calm,
    pub(crate) patience: Arc<Patience>,
    pub(crate) problems: Problems,
    pub(crate) figures: Figures,
    states: [ServerState; SERVERS],
    stops: AtomicBool,
}

#[derive(Default)]
struct ServerState {
    /// Which of its processes runs, or ran last.
    life: AtomicU32,
    is_up: AtomicBool,
    /// The clients that are connected to it.
    clients: AtomicUsize,
}

impl World {
    pub(crate) fn new(servers: Vec<SocketAddr>, calm: Calm, patience: Arc<Patience>) -> Self {
        Self {
            servers,
            calm,
            patience,
            problems: Problems::default(),
            figures: Figures::default(),
            states: Default::default(),
            stops: AtomicBool::new(false),
        }
    }

    /// A process of a server starts: clients that are answered from now on are answered by that one.
    pub(crate) fn starts(&self, server: usize, life: u32) {
        self.states[server].life.store(life, Ordering::SeqCst);
    }

    /// A server serves in this life from now on.
    pub(crate) fn is_up(&self, server: usize, life: u32) {
        self.starts(server, life);
        self.states[server].is_up.store(true, Ordering::SeqCst);
    }

    /// A server serves no more.
    pub(crate) fn is_down(&self, server: usize) {
        self.states[server].is_up.store(false, Ordering::SeqCst);
    }

    /// Whether new clients should go to that server.
    pub(crate) fn serves(&self, server: usize) -> bool {
        self.states[server].is_up.load(Ordering::SeqCst)
    }

    /// Which of a server's processes runs, or ran last.
    pub(crate) fn life(&self, server: usize) -> u32 {
        self.states[server].life.load(Ordering::SeqCst)
    }

    /// Notes how many clients are connected to a server.
    pub(crate) fn set_clients(&self, server: usize, clients: usize) {
        self.states[server].clients.store(clients, Ordering::Relaxed);
    }

    /// How many clients are connected to a server.
    pub(crate) fn clients(&self, server: usize) -> usize {
        self.states[server].clients.load(Ordering::Relaxed)
    }

    /// Notes a violation, with which the soak ends.
    pub(crate) fn report(&self, violation: Violation) {
        self.problems.report(violation);
    }

    /// The soak is to stop in order, as if its time were over.
    pub(crate) fn stop(&self) {
        self.stops.store(true, Ordering::SeqCst);
    }

    /// Whether it is to stop.
    pub(crate) fn stops(&self) -> bool {
        self.stops.load(Ordering::SeqCst)
    }
}
