//! Runs the plan, and looks at the servers from outside: their processes, logs, metrics and memory.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::bounds::AFTERMATH;
use crate::calm::{Part, SERVERS};
use crate::fleet::{Note, Order};
use crate::ledger::Ledger;
use crate::memory::{INTERVAL, Memory};
use crate::plan::{Event, Fault, server_name};
use crate::stage::{Metrics, Said, Stage, Told, explains, get};
use crate::violation::Violation;
use crate::world::World;

const TICK: Duration = Duration::from_millis(20);
const PROGRESS: Duration = Duration::from_secs(10);
/// How much counters that are read while a server counts may be apart.
const APART: i64 = 200;
/// So many times in a row they must be.
const IN_A_ROW: u32 = 3;
/// How long counters may take to be the same when nothing happens any more.
const QUIET: Duration = Duration::from_secs(20);

/// A fault that goes on, or ended a while ago.
struct Active {
    fault: Fault,
    ended: Option<Instant>,
}

/// Who runs the plan.
pub(crate) struct Director {
    stage: Stage,
    world: Arc<World>,
    told: Receiver<Told>,
    notes: Receiver<Note>,
    orders: Sender<Order>,
    ledger: Ledger,
    faults: Vec<Active>,
    /// Of all processes of servers so far, the present ones last.
    memories: Vec<Memory>,
    /// How often in a row the counters of each server were apart.
    apart: [u32; SERVERS],
    begun: Instant,
    sampled: Instant,
    shown: Instant,
}

/// What the plan has next.
enum Step {
    Begin,
    Mend,
}

impl Director {
    pub(crate) fn new(
        stage: Stage,
        world: Arc<World>,
        told: Receiver<Told>,
        notes: Receiver<Note>,
        orders: Sender<Order>,
    ) -> Self {
        let now = Instant::now();
        let memories = stage.servers.iter().map(|server| Memory::new(server.number, server.life, now)).collect();
        for server in &stage.servers {
            world.is_up(server.number, server.life);
        }
        Self {
            stage,
            world,
            told,
            notes,
            orders,
            ledger: Ledger::default(),
            faults: Vec::new(),
            memories,
            apart: [0; SERVERS],
            begun: now,
            sampled: now,
            shown: now,
        }
    }

    /// Since when the soak goes on.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// The memory of all processes of servers.
    pub(crate) fn memories(&self) -> &[Memory] {
        &self.memories
    }

    /// The servers.
    pub(crate) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Runs the plan for so long, or until the world is to stop.
    ///
    /// # Errors
    /// The first violation, if there is one.
    pub(crate) fn run(&mut self, plan: &[Event], duration: Duration) -> Result<(), Violation> {
        let mut steps: Vec<(Duration, Step, Fault)> = plan
            .iter()
            .flat_map(|event| [(event.at, Step::Begin, event.fault), (event.at + event.lasts, Step::Mend, event.fault)])
            .collect();
        steps.sort_by_key(|(at, ..)| *at);
        let mut steps = steps.into_iter().peekable();
        let mut open = Vec::new();
        loop {
            self.watch()?;
            let passed = self.begun.elapsed();
            let stops = self.world.stops() || passed >= duration;
            match steps.next_if(|(at, ..)| !stops && *at <= passed) {
                Some((_, Step::Begin, fault)) => {
                    self.begin(fault)?;
                    open.push(fault);
                }
                Some((_, Step::Mend, fault)) => {
                    self.mend(fault)?;
                    open.retain(|other| *other != fault);
                }
                None if stops => break,
                None => std::thread::sleep(TICK),
            }
        }
        // A plan that is cut short leaves nothing broken.
        open.into_iter().try_for_each(|fault| self.mend(fault))
    }

    fn begin(&mut self, fault: Fault) -> Result<(), Violation> {
        let part = fault.part();
        self.world.calm.disturb(part, fault.may_end_sessions());
        self.faults.push(Active { fault, ended: None });
        self.world.figures.count(&format!("fault: {}", fault.kind()));
        if let Fault::Kill(server) | Fault::Stop(server) | Fault::Freeze(server) = fault {
            self.world.is_down(server);
        }
        let before = self.lives();
        if let Fault::TakeOver(server) = fault {
            self.ledger.is_succeeded(server, before[server], before[server] + 1);
        }
        self.made(fault, |stage| stage.begin(fault))?;
        match fault {
            Fault::Kill(server) => self.ended(server, false),
            Fault::Stop(server) => self.ended(server, true),
            Fault::TakeOver(server) => {
                let (life, now) = (self.stage.servers[server].life, Instant::now());
                self.memories.push(Memory::new(server, life, now));
                self.world.is_up(server, life);
                self.ledger.taken_over(server, life, now);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn mend(&mut self, fault: Fault) -> Result<(), Violation> {
        if let Fault::HangPlugin(server) = fault {
            self.made(fault, |stage| stage.stood_still(server))?;
            self.ended(server, false)?;
        }
        let before = self.lives();
        if let Part::Server(server) = fault.part()
            && !self.stage.servers[server].runs()
        {
            self.world.starts(server, before[server] + 1);
        }
        self.made(fault, |stage| stage.mend(fault))?;
        let now = Instant::now();
        if let Part::Server(server) = fault.part() {
            if before[server] != self.lives()[server] {
                self.memories.push(Memory::new(server, self.stage.servers[server].life, now));
            }
            self.world.is_up(server, self.stage.servers[server].life);
        }
        self.world.calm.settle(fault.part(), now, fault.may_end_sessions());
        if let Some(active) = self.faults.iter_mut().find(|active| active.fault == fault && active.ended.is_none()) {
            active.ended = Some(now);
        }
        let _ = self.orders.send(Order::After { kind: fault.kind(), part: fault.part(), ended: now });
        Ok(())
    }

    fn lives(&self) -> Vec<u32> {
        self.stage.servers.iter().map(|server| server.life).collect()
    }

    /// Makes or mends a fault; what does not go as it should is a violation.
    fn made(&mut self, fault: Fault, make: impl FnOnce(&mut Stage) -> anyhow::Result<()>) -> Result<(), Violation> {
        let made = make(&mut self.stage);
        self.hear()?;
        made.map_err(|error| Violation::new("servers do what they are told", format!("{}: {error:#}", fault.kind())))
    }

    /// A server's process has ended, and all its sessions with it. No other has begun.
    fn ended(&mut self, server: usize, is_in_order: bool) -> Result<(), Violation> {
        let (noted, is_noted) = channel();
        let _ = self.orders.send(Order::Ended(server, noted));
        // It fails when the fleet has obeyed, or has ended.
        let _ = is_noted.recv();
        self.hear()?;
        self.ledger.ended(server, self.stage.servers[server].life, is_in_order)
    }

    /// Looks at everything that is to be looked at.
    pub(crate) fn watch(&mut self) -> Result<(), Violation> {
        self.hear()?;
        let now = Instant::now();
        self.ledger.check(now, &self.world)?;
        if let Some(violation) = self.world.problems.first() {
            return Err(violation);
        }
        self.look_for_ends()?;
        if now.saturating_duration_since(self.sampled) >= INTERVAL {
            self.sampled = now;
            self.sample(now)?;
        }
        if now.saturating_duration_since(self.shown) >= PROGRESS {
            self.shown = now;
            self.show(now);
        }
        Ok(())
    }

    /// Takes what scripts, logs and clients have said.
    fn hear(&mut self) -> Result<(), Violation> {
        let mut all: Vec<Told> = self.told.try_iter().collect();
        // When a new process has taken over, all that the old one has said was before.
        all.sort_by_key(|told| told.life);
        for told in all {
            if let Said::Error(error) = &told.said {
                self.explain(told.server, error)?;
            }
            self.ledger.told(&told)?;
        }
        while let Ok(note) = self.notes.try_recv() {
            self.ledger.noted(note);
        }
        Ok(())
    }

    /// An error in a log must follow from a fault of the plan.
    fn explain(&mut self, server: usize, error: &str) -> Result<(), Violation> {
        self.world.figures.count("errors in logs that faults explain");
        let now = Instant::now();
        let world = &self.world;
        self.faults.retain(|active| active.ended.is_none_or(|ended| world.patience.due(ended, AFTERMATH) > now));
        let concerned = |part| part == Part::Redis || part == Part::Server(server);
        let explained =
            self.faults.iter().any(|active| concerned(active.fault.part()) && explains(active.fault, error));
        if explained {
            return Ok(());
        }
        let seen = format!("server {}: {error}", server_name(server));
        Err(Violation::new("logs have no errors but those that faults explain", seen))
    }

    /// A server may end only if the plan has it.
    fn look_for_ends(&mut self) -> Result<(), Violation> {
        for number in 0..SERVERS {
            let hangs =
                self.faults.iter().any(|active| active.fault == Fault::HangPlugin(number) && active.ended.is_none());
            if hangs {
                continue;
            }
            let exit = self.stage.servers[number].has_ended().ok().flatten();
            if let Some(exit) = exit {
                self.hear()?;
                let seen = format!("server {} has ended with {exit:?}: see its log", server_name(number));
                return Err(Violation::new("no server ends unasked", seen));
            }
        }
        Ok(())
    }

    /// Reads the memory and the metrics of the servers that are well.
    fn sample(&mut self, now: Instant) -> Result<(), Violation> {
        for number in 0..SERVERS {
            let server = &self.stage.servers[number];
            if self.world.calm.was_disturbed(Part::Server(number), now, Duration::from_secs(1)) || !server.runs() {
                continue;
            }
            let (resident, clients, admin, life) =
                (server.resident(), self.world.clients(number), server.admin, server.life);
            if let (Some(resident), Some(memory)) = (resident, self.memory(number)) {
                memory.note(now, resident, clients);
                memory.check()?;
            }
            match get(admin, "/metrics") {
                Ok(text) => self.compare(number, life, &Metrics::read(&text))?,
                // The administration answers or not, late machines included: a count tells.
                Err(_) => self.world.figures.count("metrics that could not be read"),
            }
        }
        Ok(())
    }

    fn memory(&mut self, server: usize) -> Option<&mut Memory> {
        let life = self.stage.servers[server].life;
        self.memories.iter_mut().rev().find(|memory| memory.is_of(server, life))
    }

    /// Counters must add up, as far as they can while the server goes on counting.
    fn compare(&mut self, number: usize, life: u32, metrics: &Metrics) -> Result<(), Violation> {
        self.world.figures.count("metrics compared");
        let waiting = metrics.get("introd_pending_requests") as i64;
        let (undecided, unaccounted) = (metrics.undecided(), metrics.unaccounted());
        let told = self.ledger.there(number, life) as i64 - metrics.get("introd_clients") as i64;
        let is_apart =
            !(-APART..=waiting + APART).contains(&undecided) || unaccounted.abs() > APART || told.abs() > APART;
        self.apart[number] = if is_apart { self.apart[number] + 1 } else { 0 };
        if self.apart[number] < IN_A_ROW {
            return Ok(());
        }
        let seen = format!(
            "server {}: {undecided} lookups of {} undecided with {waiting} requests waiting; connects less disconnects and clients are \
             {unaccounted}; the scripts know of {told} clients more than the server",
            server_name(number),
            metrics.get("introd_rtmfp_lookups_total")
        );
        Err(Violation::new("counters add up", seen))
    }

    fn show(&self, now: Instant) {
        let counted = |name: &str| self.world.figures.counted(name);
        let servers: Vec<String> = (0..SERVERS)
            .map(|number| {
                let memory =
                    self.memories.iter().rev().find(|memory| memory.is_of(number, self.stage.servers[number].life));
                let state = if self.world.calm.since(&[Part::Server(number)]).is_some() { "" } else { " disturbed" };
                let resident = memory.map_or(0, Memory::latest) / 1024;
                format!("{} {} clients {resident} MiB{state}", server_name(number), self.world.clients(number))
            })
            .collect();
        eprintln!(
            "{:7.0} s: {}; {} came, {} lookups, {} found, {} departures verified, late by {} ms at most",
            (now - self.begun).as_secs_f64(),
            servers.join(", "),
            counted("clients that came"),
            counted("lookups by askers that are no clients"),
            counted("clients found"),
            counted("departures verified"),
            self.world.patience.greatest(now - PROGRESS).as_millis()
        );
    }

    /// When all clients have left: the counters must be the same, and the servers stop in order.
    pub(crate) fn close(&mut self) -> Result<(), Violation> {
        for number in 0..SERVERS {
            self.agree(number)?;
        }
        for number in 0..SERVERS {
            let fault = Fault::Stop(number);
            self.world.calm.disturb(fault.part(), fault.may_end_sessions());
            self.made(fault, |stage| stage.begin(fault))?;
            self.ended(number, true)?;
        }
        Ok(())
    }

    /// Waits until the counters of a server add up to the last one.
    fn agree(&mut self, number: usize) -> Result<(), Violation> {
        let begun = Instant::now();
        let (admin, life) = (self.stage.servers[number].admin, self.stage.servers[number].life);
        loop {
            self.hear()?;
            let metrics = get(admin, "/metrics").map(|text| Metrics::read(&text)).unwrap_or_default();
            let (undecided, unaccounted) = (metrics.undecided(), metrics.unaccounted());
            let told = self.ledger.there(number, life) as i64 - metrics.get("introd_clients") as i64;
            if (undecided, unaccounted, told) == (0, 0, 0) && metrics.get("introd_connects_total") > 0 {
                return Ok(());
            }
            if self.world.patience.due(begun, QUIET) < Instant::now() {
                let seen = format!(
                    "server {}, when nothing happens any more: {undecided} lookups are undecided, connects less disconnects and clients are \
                     {unaccounted}, and the scripts know of {told} clients more than the server",
                    server_name(number)
                );
                return Err(Violation::new("counters add up", seen));
            }
            std::thread::sleep(10 * TICK);
        }
    }
}
