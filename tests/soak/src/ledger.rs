//! What the scripts were told of clients: `onConnect` once, and `onDisconnect` once after it, when the client is gone.

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
    lives: HashMap<Life, Account>,
    /// What must be so when its time has come.
    pending: VecDeque<Note>,
}

#[derive(Default)]
struct Account {
    /// The clients that have come and not gone, by the script's id, with the numbers of their connects and their applications.
    there: HashMap<String, (u64, String)>,
    /// The numbers of those that are there.
    numbers: HashSet<u64>,
    /// The numbers of those that have gone.
    gone: HashSet<u64>,
    /// The clients of applications that were unloaded: the script has ended, and may have heard of their ends or not.
    excused: HashSet<String>,
}

impl Ledger {
    /// Takes what a script has said.
    pub(crate) fn told(&mut self, told: &Told) -> Result<(), Violation> {
        let (server, life) = (server_name(told.server), told.life);
        let wrong = |seen: String| Err(Violation::new(INVARIANT, format!("server {server}, life {life}: {seen}")));
        let account = self.lives.entry((told.server, told.life)).or_default();
        match &told.said {
            Said::Connects { application, client, number } => {
                account.excused.remove(client);
                if account.gone.contains(number) || !account.numbers.insert(*number) {
                    return wrong(format!("onConnect was called twice for connect {number}"));
                }
                if account.there.insert(client.clone(), (*number, application.clone())).is_some() {
                    return wrong(format!("onConnect was called for client {client}, which is there already"));
                }
            }
            Said::Disconnects { client } if account.excused.remove(client) => (),
            Said::Disconnects { client } => {
                let Some((number, _)) = account.there.remove(client) else {
                    return wrong(format!("onDisconnect was called for client {client}, which is not there"));
                };
                account.numbers.remove(&number);
                account.gone.insert(number);
            }
            Said::Error(_) => (),
        }
        Ok(())
    }

    /// Takes what the fleet knows of a client.
    pub(crate) fn noted(&mut self, note: Note) {
        self.pending.push_back(note);
    }

    /// Looks whether the scripts were told what they must have been by now.
    pub(crate) fn check(&mut self, now: Instant, world: &World) -> Result<(), Violation> {
        let mut kept = VecDeque::new();
        while let Some(note) = self.pending.pop_front() {
            let Some(account) = self.lives.get(&(note.server, note.life)) else {
                // The process has ended, or has not said anything yet.
                if world.life(note.server) <= note.life && world.serves(note.server) && note.at + TOLD > now {
                    kept.push_back(note);
                }
                continue;
            };
            let is_told = match note.what {
                Noted::Asked => account.numbers.contains(&note.number) || account.gone.contains(&note.number),
                Noted::Ended | Noted::Vanished => !account.numbers.contains(&note.number),
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
        Ok(())
    }

    /// An application was unloaded: its script ends before its clients are gone, and does not hear of them any more.
    pub(crate) fn unloaded(&mut self, server: usize, life: u32, application: &str) {
        let Some(account) = self.lives.get_mut(&(server, life)) else { return };
        let Account { there, numbers, gone, excused } = account;
        there.retain(|client, (number, of)| {
            if of == application {
                numbers.remove(number);
                gone.insert(*number);
                excused.insert(client.clone());
            }
            of != application
        });
    }

    /// A process of a server has ended, and all that it has said was told. If it ended in order, its scripts have heard of all ends.
    pub(crate) fn ended(&mut self, server: usize, life: u32, is_in_order: bool) -> Result<(), Violation> {
        self.pending.retain(|note| (note.server, note.life) != (server, life));
        let left = self.lives.remove(&(server, life)).unwrap_or_default().there;
        if is_in_order && !left.is_empty() {
            let seen = format!(
                "server {}, life {life}, has stopped in order without onDisconnect for {} clients, among them connect {:?}",
                server_name(server),
                left.len(),
                left.values().next().map(|(number, _)| number)
            );
            return Err(Violation::new(INVARIANT, seen));
        }
        Ok(())
    }

    /// How many clients the scripts of a server have heard of and not lost.
    pub(crate) fn there(&self, server: usize, life: u32) -> usize {
        self.lives.get(&(server, life)).map_or(0, |account| account.there.len())
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
        Told { server: 0, life: 1, said: Said::Connects { application, client, number } }
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

    #[test]
    fn the_script_of_an_application_that_was_unloaded_may_hear_of_its_clients_or_not() {
        let mut ledger = Ledger::default();
        ledger.told(&connects("x", 1)).unwrap();
        ledger.told(&connects("y", 2)).unwrap();
        ledger.unloaded(0, 1, "shared");
        assert_eq!(ledger.there(0, 1), 2);
        ledger.unloaded(0, 1, "plain");
        ledger.told(&disconnects("x")).unwrap();
        ledger.told(&connects("y", 3)).unwrap();
        ledger.told(&disconnects("y")).unwrap();
        assert!(ledger.told(&disconnects("y")).is_err(), "twice");
        ledger.ended(0, 1, true).unwrap();
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
