//! Which faults happen and when. The plan follows from the seed alone, so that what went wrong can be tried again.

use std::fmt;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::calm::{Part, SERVERS};

/// Servers that are killed, stopped and taken over. The process of the last one lives as long as the soak, so that its memory can be compared
/// over hours.
const MORTAL: usize = SERVERS - 1;

/// What is done to a part of the stage. A server is named by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server is killed, and started again at its end.
    Kill(usize),
    /// The server is told to stop, and started again at its end.
    Stop(usize),
    /// The server stands still until its end.
    Freeze(usize),
    /// The server reads changed scripts.
    Reload(usize),
    /// The server is told to read a script that does not load, and at its end one that does.
    Break(usize),
    /// The clients of an application are disconnected, and its script ends.
    Unload(usize),
    /// A handler of the script runs for ever, until its time limit ends it.
    Hang(usize),
    /// A plugin holds up a worker for so long that the server ends itself. It is started again without that plugin.
    HangPlugin(usize),
    /// A new process takes the place of the server, and its clients notice nothing.
    TakeOver(usize),
    /// A new process tries that and fails; the server goes on.
    FailTakeover(usize),
    /// The plugin of the registry is told to log in to Redis anew.
    Login(usize),
    /// Redis is killed, and an empty one is started at its end.
    KillRedis,
    /// Redis stands still until its end.
    FreezeRedis,
    /// All connections to Redis are cut.
    CutRedis,
}

/// One fault of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// When it begins, from the start of the soak.
    pub(crate) at: Duration,
    /// How long it lasts.
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
}

/// The times between which a plan has faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// When the first fault may begin.
    pub(crate) begin: Duration,
    /// When the last one is over.
    pub(crate) end: Duration,
    /// The shortest and the longest time between two faults.
    pub(crate) gap: (Duration, Duration),
    /// The longest time that a fault lasts.
    pub(crate) longest: Duration,
}

/// A kind of fault: how it is made of the number of a server, and how many servers it may happen to.
type Kind = (fn(usize) -> Fault, usize);

/// Of each kind one is drawn before any comes again, so that a short plan has many kinds and a long one has all of them equally often.
const KINDS: [Kind; 14] = [
    (Fault::Kill, MORTAL),
    (Fault::Stop, MORTAL),
    (Fault::Freeze, SERVERS),
    (Fault::Reload, SERVERS),
    (Fault::Break, SERVERS),
    (Fault::Unload, SERVERS),
    (Fault::Hang, SERVERS),
    (Fault::HangPlugin, MORTAL),
    // A new process begins with little memory.
    (Fault::TakeOver, MORTAL),
    (Fault::FailTakeover, SERVERS),
    (Fault::Login, SERVERS),
    (|_| Fault::KillRedis, 1),
    (|_| Fault::FreezeRedis, 1),
    (|_| Fault::CutRedis, 1),
    // A new kind of fault is added here and in `stage/faults.rs`, which makes it.
];

impl Fault {
    /// The part that it disturbs.
    pub(crate) fn part(self) -> Part {
        match self {
            Self::Kill(server)
            | Self::Stop(server)
            | Self::Freeze(server)
            | Self::Reload(server)
            | Self::Break(server)
            | Self::Unload(server)
            | Self::Hang(server)
            | Self::HangPlugin(server)
            | Self::TakeOver(server)
            | Self::FailTakeover(server)
            | Self::Login(server) => Part::Server(server),
            Self::KillRedis | Self::FreezeRedis | Self::CutRedis => Part::Redis,
        }
    }

    /// Whether sessions of clients may end because of it. All other faults must leave every session as it is.
    pub(crate) fn may_end_sessions(self) -> bool {
        match self {
            Self::Kill(_) | Self::Stop(_) | Self::Freeze(_) | Self::Unload(_) | Self::HangPlugin(_) => true,
            Self::Reload(_) | Self::Break(_) | Self::Hang(_) | Self::TakeOver(_) | Self::FailTakeover(_) => false,
            Self::Login(_) | Self::KillRedis | Self::FreezeRedis | Self::CutRedis => false,
        }
    }

    /// A name for figures, without the server.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Kill(_) => "server killed",
            Self::Stop(_) => "server stopped",
            Self::Freeze(_) => "server frozen",
            Self::Reload(_) => "scripts changed and loaded again",
            Self::Break(_) => "broken script loaded",
            Self::Unload(_) => "application unloaded",
            Self::Hang(_) => "script hung",
            Self::HangPlugin(_) => "worker held up by a plugin",
            Self::TakeOver(_) => "server taken over by a new process",
            Self::FailTakeover(_) => "takeover that fails",
            Self::Login(_) => "registry logged in again",
            Self::KillRedis => "Redis killed, empty after it",
            Self::FreezeRedis => "Redis frozen",
            Self::CutRedis => "connections to Redis cut",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8.1} s  {}", self.at.as_secs_f64(), self.fault.kind())?;
        if let Part::Server(number) = self.fault.part() {
            write!(f, ": {}", server_name(number))?;
        }
        write!(f, ", for {:.1} s", self.lasts.as_secs_f64())
    }
}

/// The name of a server, in the registry and in logs.
pub(crate) fn server_name(number: usize) -> &'static str {
    ["a", "b", "c"].get(number).copied().unwrap_or("?")
}

/// The plan that a seed makes for this span.
pub(crate) fn plan(seed: u64, span: &Span) -> Vec<Event> {
    let mut dice = Dice(ChaCha20Rng::seed_from_u64(seed));
    let (mut events, mut deck): (Vec<Event>, Vec<Kind>) = (Vec::new(), Vec::new());
    let mut at = span.begin;
    loop {
        let (make, servers) = deck.pop().unwrap_or_else(|| {
            deck = dice.shuffled();
            deck.pop().unwrap_or(KINDS[0])
        });
        let fault = make(dice.below(servers));
        // A script that hangs notices its file within a second, and has a second until its limit.
        let least = if matches!(fault, Fault::Hang(_)) { Duration::from_secs(4) } else { Duration::from_millis(500) };
        let lasts = dice.between(least, span.longest.max(least));
        // A part has one fault at a time.
        let earlier = events.iter().filter(|event| event.fault.part() == fault.part());
        let free = earlier.map(|event| event.at + event.lasts + span.gap.0).max().unwrap_or_default();
        let event = Event { at: at.max(free), lasts, fault };
        if event.at + event.lasts > span.end {
            return events;
        }
        // One in four begins while the one before goes on.
        let after = if dice.below(4) == 0 { event.at + event.lasts / 2 } else { event.at + event.lasts };
        at = after + dice.between(span.gap.0, span.gap.1);
        events.push(event);
    }
}

/// What a plan is drawn with.
struct Dice(ChaCha20Rng);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound.max(1) as u64) as usize
    }

    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let range = most.saturating_sub(least).as_millis() as usize + 1;
        least + Duration::from_millis(self.below(range) as u64)
    }

    fn shuffled(&mut self) -> Vec<Kind> {
        let mut deck = KINDS.to_vec();
        for place in (1..deck.len()).rev() {
            deck.swap(place, self.below(place + 1));
        }
        deck
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const HOURS: Span = Span {
        begin: Duration::from_secs(60),
        end: Duration::from_secs(7200),
        gap: (Duration::from_secs(5), Duration::from_secs(40)),
        longest: Duration::from_secs(20),
    };

    #[test]
    fn a_seed_makes_one_plan_and_another_seed_another() {
        assert_eq!(plan(7, &HOURS), plan(7, &HOURS));
        assert_ne!(plan(7, &HOURS), plan(8, &HOURS));
    }

    #[test]
    fn all_kinds_come_equally_often_and_within_the_span() {
        for seed in 0..50 {
            let mut counts = BTreeMap::<_, usize>::new();
            for event in plan(seed, &HOURS) {
                assert!(event.at >= HOURS.begin && event.at + event.lasts <= HOURS.end && event.lasts <= HOURS.longest);
                *counts.entry(event.fault.kind()).or_default() += 1;
            }
            assert_eq!(counts.len(), KINDS.len(), "{counts:?}");
            let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
            assert!(most - least <= 1 && *least >= 5, "{counts:?}");
        }
    }

    #[test]
    fn a_part_has_one_fault_at_a_time_and_some_parts_are_disturbed_together() {
        let mut together = 0;
        for seed in 0..50 {
            let events = plan(seed, &HOURS);
            for (place, event) in events.iter().enumerate() {
                for later in events[place + 1..].iter().filter(|later| later.at < event.at + event.lasts) {
                    assert_ne!(event.fault.part(), later.fault.part(), "{event} and {later}");
                    together += 1;
                }
            }
        }
        assert!(together > 0);
    }

    #[test]
    fn the_last_server_keeps_its_process() {
        for event in (0..50).flat_map(|seed| plan(seed, &HOURS)) {
            if let Fault::Kill(server) | Fault::Stop(server) | Fault::HangPlugin(server) | Fault::TakeOver(server) =
                event.fault
            {
                assert!(server < MORTAL);
            }
        }
    }
}
