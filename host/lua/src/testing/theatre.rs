//! The made-up servers of a test, with one clock and one network.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::files::MadeUpFiles;
use super::network::Network;
use super::output::Output;
use super::stage::{Scenery, Stage};
use super::web::Web;
use crate::engine::failure::Failure;
use crate::instance::clock::Clock;
use crate::instance::random::Random;
use crate::instance::surroundings::Surroundings;
use introd_config::Application;
use introd_policy::InstanceName;

/// How many steps the clock takes at a time: a script that sets a new timer in each timer would never be done.
const MAX_STEPS: usize = 100_000;

/// What a made-up server reaches outside, as a test says.
pub(super) struct Outside {
    pub(super) random: Random,
    pub(super) web: Web,
    pub(super) files: MadeUpFiles,
}

/// The stages of a test, by the names of their servers.
pub(super) struct Theatre {
    stages: BTreeMap<String, Stage>,
    network: Network,
    now: Instant,
    clock: Clock,
    /// Where its scripts print.
    output: Rc<Output>,
}

impl Theatre {
    /// A theatre without stages.
    pub(super) fn new(output: &Rc<Output>) -> Self {
        let now = Instant::now();
        let today = Clock::of_system(now).milliseconds(now);
        let (clock, output) = (Clock::made_up(now, today), Rc::clone(output));
        Self { stages: BTreeMap::new(), network: Network::new(now), now, clock, output }
    }

    /// The same theatre without its stages.
    pub(super) fn clear(&mut self) {
        *self = Self::new(&Rc::clone(&self.output));
    }

    /// Starts the script of a server, as the instance of this name. Another server of the same name dies before.
    ///
    /// # Errors
    /// What is wrong with the script.
    pub(super) fn start(
        &mut self,
        server: &str,
        folder: &Path,
        name: InstanceName,
        settings: Application,
        outside: Outside,
    ) -> Result<(), Failure> {
        self.crash(server);
        let (web, connections) = (Arc::new(outside.web), self.network.opener(server));
        let surroundings = Surroundings { connections, http: Arc::clone(&web) as _, ..Surroundings::default() };
        let (files, random, now, clock) = (outside.files, outside.random, self.now, self.clock.clone());
        let listener = Some(self.output.listener(server));
        let scenery = Scenery { name: Some(name), surroundings, web, files, now, clock, random, listener };
        self.stages.insert(server.to_owned(), Stage::within(folder, settings, scenery)?);
        Ok(())
    }

    /// Sets the time of day, in milliseconds after 1970, for all servers that are started from now on.
    ///
    /// # Errors
    /// If there are servers already: all have one clock.
    pub(super) fn set_clock(&mut self, milliseconds: f64) -> Result<(), &'static str> {
        if !self.stages.is_empty() {
            return Err("all servers of a test have one clock: set it where the first one is started");
        }
        self.clock = Clock::made_up(self.now, milliseconds);
        Ok(())
    }

    /// The time of the test: the time of day, and how far it has come.
    pub(super) fn time(&self) -> (&Clock, Instant) {
        (&self.clock, self.now)
    }

    /// The stage of a server.
    pub(super) fn stage(&mut self, server: &str) -> Option<&mut Stage> {
        self.stages.get_mut(server)
    }

    /// A server dies, without a word to anybody.
    pub(super) fn crash(&mut self, server: &str) {
        self.network.crash(server);
        self.stages.remove(server);
    }

    /// The network between the servers.
    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// Time passes, for all servers. Whatever happens on the way happens at its own time. When a script sends an HTTP request, which the
    /// test is to answer, the time stands still. Gives back how much of it is left then.
    pub(super) fn advance(&mut self, by: Duration) -> Duration {
        let until = self.now + by;
        for _ in 0..MAX_STEPS {
            if self.stages.values().any(|stage| stage.web.is_asked()) {
                return until.saturating_duration_since(self.now);
            }
            let stages = self.stages.values().filter_map(Stage::next_due);
            let Some(next) = stages.chain(self.network.next()).min().filter(|next| *next <= until) else { break };
            self.run(next);
        }
        self.run(until);
        Duration::ZERO
    }

    fn run(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.network.run(self.now);
        for stage in self.stages.values_mut() {
            stage.run_due(self.now);
        }
    }
}

/// The stage of a server.
pub(super) fn stage<'a>(shared: &'a RefCell<Theatre>, server: &str) -> mlua::Result<RefMut<'a, Stage>> {
    let none = |_| mlua::Error::runtime("there is no application: start it with start()");
    RefMut::filter_map(shared.borrow_mut(), |theatre| theatre.stage(server)).map_err(none)
}
