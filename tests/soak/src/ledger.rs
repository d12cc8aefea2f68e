//! What the scripts were told of clients: `onConnect` once, and `onDisconnect` once after it, when the client is gone. When a new process
//! takes over from another, its scripts go on where those of the other one have stopped.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::bounds::{TOLD, VANISHED_FORGOTTEN};
use crate::calm::{EVERYTHING, Part};
use crate::fleet::{Note, Noted};
use crate::plan::server_name;
use crate::stage::{Said, Told};
use crate::violation::Violation;
use crate::world::World;

const INVARIANT: &str = "a script hears of each client once when it connects and once when it is gone";

/// A process of a server: the number of the server, and which of its processes.
type Life = (usize, u32);

/// What the scripts of all servers were told.
#[derive(Default)]
pub(crate) struct Ledger {
    /// By the first of the processes that have taken over from each other.
    lives: HashMap<Life, Account>,
    /// Of each process that has taken over, the first one that was taken over.
    first: HashMap<Life, u32>,
    /// What must be so when its time has come.
    pending: VecDeque<Note>,
}

#[derive(Default)]
struct Account {
    /// The clients that have come and not gone, by the script's id.
    there: HashMap<String, Present>,
    /// The numbers of those that are there.
    numbers: HashSet<u64>,
    /// The numbers of those that have gone.
    gone: HashSet<u64>,
    /// The instances whose scripts run.
    instances: HashMap<String, Running>,
    /// The process that has taken over last, and when.
    successor: Option<(u32, Instant)>,
}

/// The scripts of an instance's name that run.
#[derive(Clone, Copy)]
struct Running {
    /// In which process.
    life: u32,
    /// How many there are: one that ends disconnects its clients first, and the next client gets a new one meanwhile.
    scripts: u32,
}

/// A client that has come and not gone.
struct Present {
    /// The number of its connect.
    number: u64,
    application: String,
    /// False: its session is about to end, and the script does not find it among its clients.
    is_accepted: bool,
}

impl Ledger {
    /// Takes what a script has said.
    pub(crate) fn told(&mut self, told: &Told) -> Result<(), Violation> {
        let (server, life) = (server_name(told.server), told.life);
        let wrong = |seen: String| Err(Violation::new(INVARIANT, format!("server {server}, life {life}: {seen}")));
        let account = self.lives.entry(self.first((told.server, told.life))).or_default();
        match &told.said {
            Said::Connects { application, client, number, is_accepted } => {
                if account.gone.contains(number) || !account.numbers.insert(*number) {
                    return wrong(format!("onConnect was called twice for connect {number}"));
                }
                let present = Present { number: *number, application: application.clone(), is_accepted: *is_accepted };
                if account.there.insert(client.clone(), present).is_some() {
                    return wrong(format!("onConnect was called for client {client}, which is there already"));
                }
            }
            Said::Disconnects { client } => {
                let Some(Present { number, .. }) = account.there.remove(client) else {
                    return wrong(format!("onDisconnect was called for client {client}, which is not there"));
                };
                account.numbers.remove(&number);
                account.gone.insert(number);
            }
            Said::Starts { instance, reason, clients } => {
                if let Err(why) = account.script_starts(told.life, instance, reason, *clients) {
                    return wrong(why);
                }
            }
            Said::Stops { instance, reason } => match reason.as_str() {
                // The script of the next version, or process, runs already.
                "reload" | "takeover" => (),
                _ => account.script_ends(instance),
            },
            Said::Error(_) => (),
        }
        Ok(())
    }

    /// The first of the processes up to this one that have taken over from each other.
    fn first(&self, (server, life): Life) -> Life {
        (server, self.first.get(&(server, life)).copied().unwrap_or(life))
    }

    /// Another process is about to take over.
    pub(crate) fn is_succeeded(&mut self, server: usize, life: u32, successor: u32) {
        let (_, first) = self.first((server, life));
        self.first.insert((server, successor), first);
    }

    /// A process has taken over: all that the one before has said was told.
    pub(crate) fn taken_over(&mut self, server: usize, life: u32, now: Instant) {
        let account = self.lives.entry(self.first((server, life))).or_default();
        account.successor = Some((life, now));
    }

    /// Takes what the fleet knows of a client.
    pub(crate) fn noted(&mut self, note: Note) {
        self.pending.push_back(note);
    }

    /// Looks whether the scripts were told what they must have been by now.
    pub(crate) fn check(&mut self, now: Instant, world: &World) -> Result<(), Violation> {
        let mut kept = VecDeque::new();
        while let Some(note) = self.pending.pop_front() {
            let Some(account) = self.lives.get(&self.first((note.server, note.life))) else {
                // The process has ended, or has not said anything yet.
                if world.life(note.server) <= note.life && world.serves(note.server) && note.at + TOLD > now {
                    kept.push_back(note);
                }
                continue;
            };
            let is_told = match note.what {
                Noted::Asked => account.numbers.contains(&note.number) || account.gone.contains(&note.number),
                Noted::Ended | Noted::Vanished => account.gone.contains(&note.number),
            };
            if is_told {
                continue;
            }
            if is_overdue(now, &note, world) {
                let what = match note.what {
                    Noted::Asked => "onConnect",
                    Noted::Ended | Noted::Vanished => "onDisconnect",
                };
                let seen = format!(
                    "server {}, life {}: {what} was not called for connect {}, {:?} {:.1} s ago",
                    server_name(note.server),
                    note.life,
                    note.number,
                    note.what,
                    (now - note.at).as_secs_f64()
                );
                return Err(Violation::new(INVARIANT, seen));
            }
            kept.push_back(note);
        }
        self.pending = kept;
        self.lives.iter().try_for_each(|((server, _), account)| account.all_started(now, *server, world))
    }

    /// A process of a server has ended, and all that it has said was told. If it ended in order, its scripts have heard of all ends.
    pub(crate) fn ended(&mut self, server: usize, life: u32, is_in_order: bool) -> Result<(), Violation> {
        let first = self.first((server, life));
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain(|note| self.first((note.server, note.life)) != first);
        self.pending = pending;
        let left = self.lives.remove(&first).unwrap_or_default().there;
        if is_in_order && !left.is_empty() {
            let seen = format!(
                "server {}, life {life}, has stopped in order without onDisconnect for {} clients, among them connect {:?}",
                server_name(server),
                left.len(),
                left.values().next().map(|client| client.number)
            );
            return Err(Violation::new(INVARIANT, seen));
        }
        Ok(())
    }

    /// How many clients the scripts of a server have heard of and not lost.
    pub(crate) fn there(&self, server: usize, life: u32) -> usize {
        self.lives.get(&self.first((server, life))).map_or(0, |account| account.there.len())
    }
}

impl Account {
    /// `onAppStart` was called in a process for this reason, and the script has so many clients.
    fn script_starts(&mut self, life: u32, instance: &str, reason: &str, clients: usize) -> Result<(), String> {
        let before = self.instances.get(instance).copied();
        let scripts = match (before, reason) {
            (Some(Running { scripts, .. }), "start") => scripts + 1,
            (Some(Running { scripts, .. }), "reload") => scripts,
            _ => 1,
        };
        self.instances.insert(instance.to_owned(), Running { life, scripts });
        let takes_over = before.is_some_and(|before| before.life != life);
        if takes_over != (reason == "takeover") {
            return Err(format!("onAppStart of {instance} has the reason {reason:?}"));
        }
        if takes_over {
            // All clients connect to the default instances of their applications.
            let application = instance.split('/').next().unwrap_or(instance);
            let is_its_own = |client: &&Present| client.application == application && client.is_accepted;
            let there = self.there.values().filter(is_its_own).count();
            if there != clients {
                return Err(format!("after a takeover the script of {instance} has {clients} clients of {there}"));
            }
        }
        Ok(())
    }

    /// `onAppStop` was called in this instance, and no other version or process goes on with it.
    fn script_ends(&mut self, instance: &str) {
        if let Some(running) = self.instances.get_mut(instance) {
            running.scripts = running.scripts.saturating_sub(1);
            if running.scripts == 0 {
                self.instances.remove(instance);
            }
        }
    }

    /// After a takeover, whether all scripts that ran have started anew.
    fn all_started(&self, now: Instant, server: usize, world: &World) -> Result<(), Violation> {
        let Some((life, at)) = self.successor else { return Ok(()) };
        let since = world.calm.since(&[Part::Server(server)]);
        if since.is_none_or(|calm| world.patience.due(calm.max(at), TOLD) >= now) {
            return Ok(());
        }
        match self.instances.iter().find(|(_, of)| of.life != life) {
            None => Ok(()),
            Some((instance, Running { life: of, .. })) => {
                let seen = format!(
                    "server {}, life {life}: {instance} ran in life {of}, and its onAppStart was not called after the takeover",
                    server_name(server)
                );
                Err(Violation::new(INVARIANT, seen))
            }
        }
    }
}

fn is_overdue(now: Instant, note: &Note, world: &World) -> bool {
    let parts: &[Part] = if note.what == Noted::Asked { &[Part::Server(note.server)] } else { &EVERYTHING };
    let bound: Duration = if note.what == Noted::Vanished { VANISHED_FORGOTTEN } else { TOLD };
    world.calm.since(parts).is_some_and(|calm| world.patience.due(note.at.max(calm), bound) < now)
}

#[cfg(test)]
mod tests {
    use crate::calm::Calm;
    use crate::patience::Patience;

    use super::*;

    fn connects(client: &str, number: u64) -> Told {
        let (application, client) = ("plain".to_owned(), client.to_owned());
        Told { server: 0, life: 1, said: Said::Connects { application, client, number, is_accepted: true } }
    }

    fn disconnects(client: &str) -> Told {
        Told { server: 0, life: 1, said: Said::Disconnects { client: client.to_owned() } }
    }

    #[test]
    fn one_on_disconnect_follows_one_on_connect() {
        let mut ledger = Ledger::default();
        assert!(ledger.told(&disconnects("x")).is_err(), "it never came");
        ledger.told(&connects("x", 1)).unwrap();
        assert!(ledger.told(&connects("x", 2)).is_err(), "it is there");
        ledger.told(&disconnects("x")).unwrap();
        assert!(ledger.told(&disconnects("x")).is_err(), "twice");
        assert!(ledger.told(&connects("y", 1)).is_err(), "the same connect again");
    }

    #[test]
    fn who_is_there_when_a_server_stops_in_order_is_missed_and_not_when_it_was_killed() {
        let mut ledger = Ledger::default();
        ledger.told(&connects("x", 1)).unwrap();
        assert_eq!(ledger.there(0, 1), 1);
        ledger.ended(0, 1, false).unwrap();
        ledger.told(&connects("x", 1)).unwrap();
        assert!(ledger.ended(0, 1, true).is_err());
        ledger.told(&connects("x", 1)).unwrap();
        ledger.told(&disconnects("x")).unwrap();
        ledger.ended(0, 1, true).unwrap();
    }

    fn starts(life: u32, reason: &str, clients: usize) -> Told {
        let (instance, reason) = ("plain/_definst_".to_owned(), reason.to_owned());
        Told { server: 0, life, said: Said::Starts { instance, reason, clients } }
    }

    #[test]
    fn the_scripts_of_a_process_that_takes_over_go_on_with_the_clients_of_the_one_before() {
        let in_life = |life, told: Told| Told { life, ..told };
        let mut ledger = Ledger::default();
        ledger.told(&starts(1, "start", 0)).unwrap();
        ledger.told(&connects("x", 1)).unwrap();
        for (life, number) in [(2, 2), (3, 3)] {
            ledger.is_succeeded(0, life - 1, life);
            ledger.told(&starts(life, "takeover", number - 1)).unwrap();
            ledger.told(&in_life(life, connects(&format!("client {number}"), number as u64))).unwrap();
        }
        assert_eq!((ledger.there(0, 1), ledger.there(0, 3)), (3, 3));
        assert!(ledger.told(&in_life(3, connects("x", 4))).is_err(), "it is there since the first process");
        ledger.told(&in_life(3, disconnects("x"))).unwrap();
        assert!(ledger.ended(0, 3, true).is_err(), "two are left");
        assert_eq!(ledger.there(0, 1), 0);
    }

    #[test]
    fn scripts_that_do_not_start_anew_after_a_takeover_or_lose_clients_are_noticed() {
        let begin = Instant::now();
        let world = World::new(Vec::new(), Calm::new(begin), Patience::default().into());
        let taken_over = || {
            let mut ledger = Ledger::default();
            ledger.told(&starts(1, "start", 0)).unwrap();
            ledger.told(&connects("x", 1)).unwrap();
            ledger.is_succeeded(0, 1, 2);
            ledger.taken_over(0, 2, begin);
            ledger
        };
        let mut ledger = taken_over();
        ledger.check(begin + TOLD, &world).unwrap();
        assert!(ledger.check(begin + 2 * TOLD, &world).is_err(), "onAppStart was not called");
        ledger.told(&starts(2, "takeover", 1)).unwrap();
        ledger.check(begin + 2 * TOLD, &world).unwrap();
        assert!(taken_over().told(&starts(2, "takeover", 0)).is_err(), "a client is lost");
        let (mut ledger, mut rejected) = (taken_over(), connects("y", 2));
        let Said::Connects { is_accepted, .. } = &mut rejected.said else { panic!("it connects") };
        *is_accepted = false;
        ledger.told(&rejected).unwrap();
        ledger.told(&starts(2, "takeover", 1)).unwrap();
        assert_eq!(ledger.there(0, 2), 2, "the script is told of the end of the one that was rejected");
        ledger.told(&Told { life: 2, ..disconnects("y") }).unwrap();
        assert!(ledger.told(&Told { life: 2, ..disconnects("y") }).is_err(), "twice");
        assert!(taken_over().told(&starts(2, "start", 1)).is_err(), "it does not know that it was taken over");
        assert!(ledger.told(&starts(2, "takeover", 1)).is_err(), "twice");
        let (mut ledger, stops) = (taken_over(), |reason: &str| {
            let (instance, reason) = ("plain/_definst_".to_owned(), reason.to_owned());
            Told { server: 0, life: 1, said: Said::Stops { instance, reason } }
        });
        ledger.told(&starts(1, "start", 0)).unwrap();
        ledger.told(&stops("shutdown")).unwrap();
        assert!(ledger.check(begin + 2 * TOLD, &world).is_err(), "the one that came after runs");
        ledger.told(&stops("shutdown")).unwrap();
        ledger.check(begin + 2 * TOLD, &world).unwrap();
    }

    #[test]
    fn what_scripts_are_not_told_in_time_is_missed() {
        let begin = Instant::now();
        let world = World::new(Vec::new(), Calm::new(begin), Patience::default().into());
        world.is_up(0, 1);
        let note = |number, what| Note { number, server: 0, life: 1, at: begin, what };
        let mut ledger = Ledger::default();
        ledger.told(&connects("x", 1)).unwrap();
        for number in [1, 2] {
            ledger.noted(note(number, Noted::Asked));
        }
        ledger.check(begin + TOLD, &world).unwrap();
        assert!(ledger.check(begin + TOLD + TOLD, &world).is_err(), "nothing was said of connect 2");
        let mut ledger = Ledger::default();
        ledger.told(&connects("x", 1)).unwrap();
        ledger.noted(note(1, Noted::Vanished));
        ledger.check(begin + TOLD + TOLD, &world).unwrap();
        assert!(ledger.check(begin + 2 * VANISHED_FORGOTTEN, &world).is_err());
        ledger.noted(note(1, Noted::Vanished));
        ledger.told(&disconnects("x")).unwrap();
        ledger.check(begin + 2 * VANISHED_FORGOTTEN, &world).unwrap();
    }
}
