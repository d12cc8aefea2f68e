//! Which instance has the next turn on a thread of scripts.
//!
//! Applications share a thread by time: it goes to the one that has had the least of it, not counting what it left unused. Within an
//! application the same holds between its events, the scripts that start, and those that are reloaded; and instances that have
//! something of one kind to do take turns.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use slab::Slab;

/// What an instance has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something has happened, or is due.
    Event,
    /// Its script starts.
    Start,
    /// Its script is reloaded.
    Reload,
}

impl Kind {
    pub(crate) const COUNT: usize = 3;

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// An application that uses more than its share, and has waited for this long because of that, is reported.
const SLOWED: Duration = Duration::from_millis(500);
/// How often that is reported of an application.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// An application on the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AppId(usize);

/// The turn of an instance.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) app: AppId,
    pub(crate) kind: Kind,
    /// The instance's number.
    pub(crate) instance: usize,
    /// How much of the thread's time the application has had since the instance began to wait, if it is to be reported that the
    /// application is slowed.
    pub(crate) slowed: Option<Duration>,
}

/// The applications of a thread, by name, and what waits for each.
#[derive(Default)]
pub(crate) struct Schedule {
    apps: Slab<App>,
    by_name: HashMap<Box<str>, AppId>,
    /// The applications with something to do, the one that has had the least time first.
    waiting: BTreeSet<(Duration, AppId)>,
    /// The share of the application that was last chosen.
    floor: Duration,
    /// All time that was used.
    total: Duration,
}

struct App {
    name: Box<str>,
    instances: usize,
    /// Time on the thread, where time that it left unused while it had nothing to do counts as used.
    share: Duration,
    used: Duration,
    kinds: [Queue; Kind::COUNT],
    /// The share of the kind that was last chosen.
    floor: Duration,
    reported: Option<Instant>,
}

#[derive(Default)]
struct Queue {
    share: Duration,
    instances: VecDeque<Waiting>,
}

struct Waiting {
    instance: usize,
    since: Instant,
    /// How much time the application, and all applications together, had used then.
    used: Duration,
    total: Duration,
}

impl App {
    fn is_idle(&self) -> bool {
        self.kinds.iter().all(|queue| queue.instances.is_empty())
    }
}

impl Schedule {
    /// One more instance of an application.
    pub(crate) fn enter(&mut self, name: &str) -> AppId {
        let apps = &mut self.apps;
        let id = *self.by_name.entry(name.into()).or_insert_with(|| {
            let (share, used, floor) = Default::default();
            AppId(apps.insert(App {
                name: name.into(),
                instances: 0,
                share,
                used,
                kinds: Default::default(),
                floor,
                reported: None,
            }))
        });
        if let Some(app) = self.apps.get_mut(id.0) {
            app.instances += 1;
        }
        id
    }

    /// An instance has ended. Turns that it still waits for find no instance.
    pub(crate) fn leave(&mut self, id: AppId) {
        let Some(app) = self.apps.get_mut(id.0) else { return };
        app.instances = app.instances.saturating_sub(1);
        if app.instances == 0 {
            self.waiting.remove(&(app.share, id));
            let app = self.apps.remove(id.0);
            self.by_name.remove(&app.name);
        }
    }

    /// An instance has something to do.
    pub(crate) fn add(&mut self, id: AppId, kind: Kind, instance: usize, now: Instant) {
        let Some(app) = self.apps.get_mut(id.0) else { return };
        if app.is_idle() {
            app.share = app.share.max(self.floor);
            self.waiting.insert((app.share, id));
        }
        let (floor, used) = (app.floor, app.used);
        let Some(queue) = app.kinds.get_mut(kind.index()) else { return };
        if queue.instances.is_empty() {
            queue.share = queue.share.max(floor);
        }
        queue.instances.push_back(Waiting { instance, since: now, used, total: self.total });
    }

    /// The next turn. The caller calls [`Self::charge`] when it is over.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Turn> {
        let (share, id) = self.waiting.first().copied()?;
        self.floor = share;
        let total = self.total;
        let app = self.apps.get_mut(id.0)?;
        let kinds = [Kind::Event, Kind::Reload, Kind::Start];
        let least = |kind: &Kind| {
            app.kinds.get(kind.index()).filter(|queue| !queue.instances.is_empty()).map(|queue| queue.share)
        };
        let kind = kinds.into_iter().filter(|kind| least(kind).is_some()).min_by_key(least)?;
        let queue = app.kinds.get_mut(kind.index())?;
        app.floor = queue.share;
        let Waiting { instance, since, used, total: total_then } = queue.instances.pop_front()?;
        if app.is_idle() {
            self.waiting.remove(&(share, id));
        }
        let (own, all) = (app.used.saturating_sub(used), total.saturating_sub(total_then));
        let is_slowed = now.saturating_duration_since(since) >= SLOWED && own < all && own * 3 >= all;
        let is_news = app.reported.is_none_or(|reported| now.saturating_duration_since(reported) >= REPORT_EVERY);
        let slowed = (is_slowed && is_news).then_some(own);
        if slowed.is_some() {
            app.reported = Some(now);
        }
        Some(Turn { app: id, kind, instance, slowed })
    }

    /// A turn took so long.
    pub(crate) fn charge(&mut self, id: AppId, kind: Kind, took: Duration) {
        self.total += took;
        let Some(app) = self.apps.get_mut(id.0) else { return };
        app.used += took;
        if let Some(queue) = app.kinds.get_mut(kind.index()) {
            queue.share += took;
        }
        let was_waiting = self.waiting.remove(&(app.share, id));
        app.share += took;
        if was_waiting {
            self.waiting.insert((app.share, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Has the turns taken by instances that always have more to do, each for its time; which instance had how much.
    fn run(schedule: &mut Schedule, busy: &[(AppId, Kind, usize, Duration)], turns: usize) -> HashMap<usize, Duration> {
        let (start, mut spent) = (Instant::now(), Duration::ZERO);
        let mut had = HashMap::new();
        for (app, kind, instance, _) in busy {
            schedule.add(*app, *kind, *instance, start);
        }
        for _ in 0..turns {
            let turn = schedule.next(start + spent).unwrap();
            let (.., cost) = busy.iter().find(|(.., instance, _)| *instance == turn.instance).unwrap();
            schedule.charge(turn.app, turn.kind, *cost);
            spent += *cost;
            *had.entry(turn.instance).or_default() += *cost;
            schedule.add(turn.app, turn.kind, turn.instance, start + spent);
        }
        had
    }

    #[test]
    fn applications_share_by_time_however_many_instances_and_events_they_have() {
        let mut schedule = Schedule::default();
        let (slow, quick) = (schedule.enter("slow"), schedule.enter("quick"));
        let mut busy: Vec<_> = (0..100).map(|instance| (slow, Kind::Event, instance, 200 * MS)).collect();
        busy.push((quick, Kind::Event, 1000, MS));
        let had = run(&mut schedule, &busy, 20_000);
        let of_slow: Duration = had.iter().filter(|(instance, _)| **instance < 100).map(|(_, had)| *had).sum();
        let of_quick = had[&1000];
        assert!(of_slow.abs_diff(of_quick) <= 400 * MS, "{of_slow:?} {of_quick:?}");
    }

    #[test]
    fn who_comes_after_a_pause_comes_next_and_has_saved_nothing() {
        let mut schedule = Schedule::default();
        let (busy, idle) = (schedule.enter("busy"), schedule.enter("idle"));
        let now = Instant::now();
        schedule.add(idle, Kind::Event, 9, now);
        assert_eq!(schedule.next(now).unwrap().instance, 9);
        schedule.charge(idle, Kind::Event, MS);
        run(&mut schedule, &[(busy, Kind::Event, 1, 10 * MS)], 100);
        schedule.add(idle, Kind::Event, 9, now);
        assert_eq!(schedule.next(now).unwrap().instance, 9);
        schedule.charge(idle, Kind::Event, MS);
        // It is idle no longer, and gets no more than half from now on.
        let both = [(idle, Kind::Event, 9, 10 * MS), (busy, Kind::Event, 1, 10 * MS)];
        let had = run(&mut schedule, &both, 100);
        assert!(had[&9].abs_diff(500 * MS) <= 20 * MS, "{had:?}");
    }

    #[test]
    fn events_are_handled_while_many_instances_are_loaded_anew() {
        let mut schedule = Schedule::default();
        let app = schedule.enter("app");
        let now = Instant::now();
        for instance in 0..20_000 {
            schedule.add(app, Kind::Reload, instance, now);
        }
        for _ in 0..10 {
            let turn = schedule.next(now).unwrap();
            schedule.charge(turn.app, turn.kind, MS);
        }
        schedule.add(app, Kind::Event, 19_999, now);
        schedule.add(app, Kind::Start, 20_000, now);
        let kinds: Vec<_> = (0..4)
            .map(|_| {
                let turn = schedule.next(now).unwrap();
                schedule.charge(turn.app, turn.kind, MS);
                turn.kind
            })
            .collect();
        assert!(kinds.contains(&Kind::Event) && kinds.contains(&Kind::Start), "{kinds:?}");
    }

    #[test]
    fn it_is_said_now_and_then_that_an_application_is_slowed_and_of_no_other() {
        let mut schedule = Schedule::default();
        let (slow, quick) = (schedule.enter("slow"), schedule.enter("quick"));
        let mut now = Instant::now();
        let mut said = Vec::new();
        for instance in 0..100 {
            schedule.add(slow, Kind::Event, instance, now);
        }
        schedule.add(quick, Kind::Event, 1000, now);
        for _ in 0..2000 {
            let Some(turn) = schedule.next(now) else { break };
            said.extend(turn.slowed.map(|_| turn.app));
            let took = if turn.app == slow { 200 * MS } else { MS };
            now += took;
            schedule.charge(turn.app, turn.kind, took);
            if turn.app == quick {
                schedule.add(quick, Kind::Event, 1000, now);
            }
        }
        assert_eq!(said, [slow]);
    }

    #[test]
    fn an_application_is_forgotten_with_its_last_instance() {
        let mut schedule = Schedule::default();
        let app = schedule.enter("app");
        assert_eq!(schedule.enter("app"), app);
        schedule.add(app, Kind::Event, 1, Instant::now());
        schedule.leave(app);
        schedule.leave(app);
        assert!(schedule.next(Instant::now()).is_none());
        assert!(schedule.apps.is_empty() && schedule.by_name.is_empty() && schedule.waiting.is_empty());
    }

    #[test]
    fn a_kind_of_work_that_was_not_there_for_long_has_saved_no_time() {
        let mut schedule = Schedule::default();
        let app = schedule.enter("app");
        run(&mut schedule, &[(app, Kind::Reload, 1, 10 * MS)], 100);
        let both = [(app, Kind::Event, 2, 10 * MS), (app, Kind::Reload, 1, 10 * MS)];
        let had = run(&mut schedule, &both, 100);
        assert!(had[&2].abs_diff(500 * MS) <= 20 * MS, "{had:?}");
    }

    /// Lets an application wait for a turn while it, and another, have had so much time. Whether it is reported.
    fn is_reported(
        schedule: &mut Schedule,
        now: Instant,
        (own, other, waited): (Duration, Duration, Duration),
    ) -> bool {
        let (app, rest) = (schedule.enter("app"), schedule.enter("other"));
        schedule.add(app, Kind::Event, 1, now);
        schedule.charge(app, Kind::Event, own);
        schedule.charge(rest, Kind::Event, other);
        schedule.next(now + waited).unwrap().slowed.is_some()
    }

    #[test]
    fn an_application_is_slowed_if_it_waits_long_because_it_takes_much() {
        let (half, second) = (SLOWED, 2 * SLOWED);
        for (case, expected) in [
            ((half, half, half), true),
            ((half, half, half - MS), false),
            ((second, Duration::ZERO, second), false),
            ((MS, second, second), false),
            ((half, second, second), true),
            ((half - MS, second, second), false),
        ] {
            assert_eq!(is_reported(&mut Schedule::default(), Instant::now(), case), expected, "{case:?}");
        }
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        let mut at = |seconds| is_reported(&mut schedule, now + Duration::from_secs(seconds), (half, half, half));
        assert_eq!([0, 30, 59, 60, 61].map(&mut at), [true, false, false, true, false]);
    }
}
