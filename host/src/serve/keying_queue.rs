//! The order in which handshakes are computed: addresses get fair shares, and expensive handshakes do not delay cheap ones.
//!
//! Each address has a lane of its own. The lanes take turns by the work that is in their jobs (deficit round robin), so that an
//! address waits for one turn of each other address, not for all jobs that the others have queued. Handshakes in large groups take
//! many times the work of those in small groups, and have lanes apart: as long as both classes wait, each gets half of the work.

use std::collections::{BTreeSet, HashMap, VecDeque};

use rtmfp::NetworkPrefix;
use rtmfp::crypto::Group;

/// One address may have this fraction of the jobs that may wait: one in four.
const SHARE: usize = 4;

/// The address that a job comes from; `None` for jobs of this server's own, with which it cannot be flooded.
type Owner = Option<NetworkPrefix>;

/// The work of a handshake, in multiples of one in group 2: the bits of the exponent times the square of the prime's length.
fn work_of(group: Option<Group>) -> u32 {
    match group {
        None | Some(Group::Modp2) => 1,
        Some(Group::Modp5) => 3,
        Some(Group::Modp14) => 6,
        Some(Group::Modp16) => 34,
    }
}

/// The jobs of one owner.
struct KeyingLane<T> {
    jobs: VecDeque<(u32, T)>,
    /// How much work may be done for this lane before the next lane has its turn.
    turn: u32,
}

/// The jobs that take about the same work.
struct WorkClass<T> {
    lanes: HashMap<Owner, KeyingLane<T>>,
    /// The addresses that have more than one job, by the number of their jobs. When thousands of clients come at once, with one job each, it is
    /// empty, and a full queue is found to have nothing to give up without a look at each lane.
    long: BTreeSet<(usize, NetworkPrefix)>,
    /// The owners in the order of their turns.
    turns: VecDeque<Owner>,
    /// The work that is done for a lane in a turn: as much as the most expensive job takes.
    quantum: u32,
    /// The work that was done for this class.
    done: u64,
}

impl<T> WorkClass<T> {
    fn new(quantum: u32) -> Self {
        Self { lanes: HashMap::new(), long: BTreeSet::new(), turns: VecDeque::new(), quantum, done: 0 }
    }

    fn push(&mut self, owner: Owner, work: u32, job: T) {
        let lane = self.lanes.entry(owner).or_insert_with(|| {
            self.turns.push_back(owner);
            // Most lanes never have more than one job.
            KeyingLane { jobs: VecDeque::with_capacity(1), turn: self.quantum }
        });
        lane.jobs.push_back((work, job));
        let len = lane.jobs.len();
        self.weigh(owner, len - 1, len);
    }

    /// Notes that an owner has `after` jobs and not `before`.
    fn weigh(&mut self, owner: Owner, before: usize, after: usize) {
        let Some(owner) = owner else { return };
        if before > 1 {
            self.long.remove(&(before, owner));
        }
        if after > 1 {
            self.long.insert((after, owner));
        }
    }

    fn pop(&mut self) -> Option<T> {
        loop {
            let owner = *self.turns.front()?;
            let lane = self.lanes.get_mut(&owner)?;
            let work = lane.jobs.front().map_or(0, |(work, _)| *work);
            if work > lane.turn {
                lane.turn += self.quantum;
                self.turns.rotate_left(1);
                continue;
            }
            lane.turn -= work;
            let (work, job) = lane.jobs.pop_front()?;
            let len = lane.jobs.len();
            if len == 0 {
                self.lanes.remove(&owner);
                self.turns.pop_front();
            }
            self.weigh(owner, len + 1, len);
            self.done += u64::from(work);
            return Some(job);
        }
    }

    /// Removes the newest job of the address with the most jobs, if that has more than `above`, and more than one.
    fn take_from_longest(&mut self, above: usize) -> Option<T> {
        let (len, owner) = *self.long.last()?;
        if len <= above {
            return None;
        }
        let (_, job) = self.lanes.get_mut(&Some(owner))?.jobs.pop_back()?;
        self.weigh(Some(owner), len, len - 1);
        Some(job)
    }

    fn waiting(&self, owner: Owner) -> usize {
        self.lanes.get(&owner).map_or(0, |lane| lane.jobs.len())
    }

    /// How many jobs the address with the most jobs has; 0 if no address has more than one.
    fn longest(&self) -> usize {
        self.long.last().map_or(0, |(len, _)| *len)
    }
}

/// The jobs that wait.
pub(super) struct KeyingQueue<T> {
    cheap: WorkClass<T>,
    expensive: WorkClass<T>,
    len: usize,
    max: usize,
}

impl<T> KeyingQueue<T> {
    /// A queue in which at most `max` jobs wait, besides the server's own.
    pub(super) fn new(max: usize) -> Self {
        let cheap = WorkClass::new(work_of(Some(Group::Modp5)));
        let expensive = WorkClass::new(work_of(Some(Group::Modp16)));
        Self { cheap, expensive, len: 0, max: max.max(1) }
    }

    /// Queues a job. If too many wait, the address with the most jobs loses one, which is returned: perhaps this one.
    pub(super) fn push(&mut self, owner: Owner, group: Option<Group>, job: T) -> Option<T> {
        let work = work_of(group);
        let is_expensive = matches!(group, Some(Group::Modp14 | Group::Modp16));
        let waiting = self.cheap.waiting(owner) + self.expensive.waiting(owner);
        let mut dropped = None;
        if owner.is_some() {
            if waiting >= self.max.div_ceil(SHARE) {
                return Some(job);
            }
            if self.len >= self.max {
                let longest = if self.expensive.longest() >= self.cheap.longest() {
                    &mut self.expensive
                } else {
                    &mut self.cheap
                };
                match longest.take_from_longest(waiting) {
                    Some(other) => dropped = Some(other),
                    None => return Some(job),
                }
                self.len -= 1;
            }
        }
        // A class in which no job waited has not saved up a claim to all of the time.
        let (class, other) =
            if is_expensive { (&mut self.expensive, &self.cheap) } else { (&mut self.cheap, &self.expensive) };
        if class.turns.is_empty() {
            class.done = class.done.max(other.done);
        }
        class.push(owner, work, job);
        self.len += 1;
        dropped
    }

    /// How many jobs wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Removes the job that is to be done next.
    pub(super) fn pop(&mut self) -> Option<T> {
        let is_expensive =
            self.cheap.turns.is_empty() || !self.expensive.turns.is_empty() && self.expensive.done < self.cheap.done;
        let job = if is_expensive { self.expensive.pop() } else { self.cheap.pop() }?;
        self.len -= 1;
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8) -> Owner {
        Some(NetworkPrefix::of([192, 0, 2, host].into()))
    }

    fn pop_until(queue: &mut KeyingQueue<u32>, job: u32) -> usize {
        (1..).find(|_| queue.pop() == Some(job)).unwrap()
    }

    #[test]
    fn an_address_waits_for_a_turn_of_the_others_and_not_for_all_that_they_have() {
        let mut queue = KeyingQueue::new(4000);
        for number in 0..900 {
            assert_eq!(queue.push(address(1), Some(Group::Modp2), number), None);
        }
        assert_eq!(queue.push(address(2), Some(Group::Modp2), 5000), None);
        assert!(pop_until(&mut queue, 5000) <= 4);
    }

    #[test]
    fn each_address_has_its_jobs_done_in_their_order() {
        let mut queue = KeyingQueue::new(1000);
        for number in 0..100 {
            queue.push(address(number as u8 % 3), Some(Group::Modp2), number);
        }
        let done: Vec<u32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(done.len(), 100);
        for host in 0..3 {
            assert!(done.iter().filter(|job| *job % 3 == host).is_sorted());
        }
        assert_eq!((queue.len, queue.cheap.lanes.len(), queue.cheap.turns.len()), (0, 0, 0));
    }

    #[test]
    fn expensive_groups_get_half_of_the_work_while_cheap_ones_wait() {
        let mut queue = KeyingQueue::new(100_000);
        for number in 0..200 {
            for host in 1..=50 {
                queue.push(address(host), Some(Group::Modp16), number);
            }
        }
        for host in 100..200 {
            queue.push(address(host), Some(Group::Modp2), 5000);
        }
        let mut expensive = 0;
        let mut cheap = 0;
        while cheap < 100 {
            if queue.pop() == Some(5000) { cheap += 1 } else { expensive += 1 }
        }
        assert!((2..=4).contains(&expensive), "{expensive} of 34 times the work");
    }

    #[test]
    fn a_class_in_which_no_job_waited_does_not_catch_up() {
        let mut queue = KeyingQueue::new(100_000);
        for _ in 0..1000 {
            queue.push(address(1), Some(Group::Modp2), 1);
            queue.pop();
        }
        (0..100).for_each(|_| _ = queue.push(address(1), Some(Group::Modp16), 2));
        (0..100).for_each(|_| _ = queue.push(address(2), Some(Group::Modp2), 1));
        let first: Vec<_> = (0..30).filter_map(|_| queue.pop()).collect();
        assert!(first.iter().filter(|job| **job == 2).count() <= 2, "{first:?}");
    }

    #[test]
    fn when_the_queue_is_full_the_address_with_the_most_jobs_loses_one() {
        let mut queue = KeyingQueue::new(8);
        for host in 1..=4 {
            for number in 0..2 {
                let group = if host < 3 { Group::Modp14 } else { Group::Modp2 };
                assert_eq!(queue.push(address(host), Some(group), u32::from(host) * 10 + number), None);
            }
        }
        let dropped = queue.push(address(9), Some(Group::Modp2), 90);
        assert!(dropped.is_some_and(|job| job % 10 == 1), "{dropped:?}: the newest of an address that has two");
        assert_eq!(queue.push(address(3), Some(Group::Modp2), 32), Some(32), "no address has more");
        assert_eq!(queue.len, 8);
        assert!(pop_until(&mut queue, 90) <= 8);
    }

    #[test]
    fn one_address_has_a_quarter_of_the_jobs_and_the_servers_own_are_always_queued() {
        let mut queue = KeyingQueue::new(40);
        let taken = (0..100).filter(|job| queue.push(address(1), Some(Group::Modp2), *job).is_none());
        assert_eq!(taken.count(), 10);
        assert!((0..100).all(|job| queue.push(None, None, job).is_none()));
    }

    #[test]
    fn all_jobs_of_a_full_queue_come_out_and_then_there_is_room_again() {
        let mut queue = KeyingQueue::new(8);
        for round in 0..3 {
            let taken = (0..100).filter(|job| queue.push(address(*job as u8), Some(Group::Modp2), *job).is_none());
            assert_eq!((taken.count(), queue.len), (8, 8), "{round}");
            assert_eq!(std::iter::from_fn(|| queue.pop()).count(), 8, "{round}");
            assert_eq!(queue.len, 0);
        }
    }

    #[test]
    fn the_share_of_an_address_holds_for_its_jobs_in_all_groups_together() {
        let mut queue = KeyingQueue::new(40);
        let groups = [Group::Modp2, Group::Modp16];
        let taken = (0..100).filter(|job| queue.push(address(1), Some(groups[job % 2]), *job as u32).is_none());
        assert_eq!(taken.count(), 10);
        assert_eq!(queue.push(address(2), Some(Group::Modp16), 0), None, "another address has its own share");
    }

    #[test]
    fn a_full_queue_takes_from_the_address_with_the_most_jobs_and_never_the_servers_own() {
        let mut queue = KeyingQueue::new(12);
        for number in 0..3 {
            queue.push(address(1), Some(Group::Modp2), 10 + number);
        }
        for host in 2..11 {
            queue.push(address(host), Some(Group::Modp14), u32::from(host) * 10);
        }
        (0..50).for_each(|_| assert_eq!(queue.push(None, Some(Group::Modp2), 1), None));
        assert_eq!(queue.push(address(20), Some(Group::Modp14), 200), Some(12), "the newest of the longest lane");
        assert_eq!(queue.push(address(20), Some(Group::Modp14), 201), Some(11));
        // An address that has as many jobs as the longest lane is refused another.
        assert_eq!(queue.push(address(20), Some(Group::Modp14), 202), Some(202));
        assert_eq!(std::iter::from_fn(|| queue.pop()).filter(|job| *job == 1).count(), 50);
    }

    #[test]
    fn a_turn_is_as_much_work_as_the_most_expensive_job_of_the_class() {
        let mut queue = KeyingQueue::new(1000);
        for _ in 0..6 {
            (1..=2).for_each(|host| _ = queue.push(address(host), Some(Group::Modp2), host.into()));
        }
        let done: Vec<u32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(done, [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]);
        // A job that takes more than what is left of a turn waits for the next, and what is left is added to that.
        for (host, group, job) in [
            (1, Group::Modp2, 1),
            (1, Group::Modp5, 2),
            (1, Group::Modp2, 3),
            (1, Group::Modp2, 4),
            (1, Group::Modp2, 5),
            (2, Group::Modp5, 6),
            (2, Group::Modp5, 7),
        ] {
            queue.push(address(host), Some(group), job);
        }
        let done: Vec<u32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(done, [1, 6, 2, 3, 4, 7, 5]);
    }

    #[test]
    fn the_class_with_less_work_done_is_next_and_the_cheap_one_where_both_had_as_much() {
        let mut queue = KeyingQueue::new(1000);
        for _ in 0..20 {
            queue.push(address(1), Some(Group::Modp2), 1);
            queue.push(address(2), Some(Group::Modp14), 6);
        }
        let done: Vec<u32> = (0..16).filter_map(|_| queue.pop()).collect();
        assert_eq!(done, [1, 6, 1, 1, 1, 1, 1, 1, 6, 1, 1, 1, 1, 1, 1, 6]);
    }

    #[test]
    fn addresses_take_turns_by_the_work_in_their_jobs() {
        let mut queue = KeyingQueue::new(1000);
        // Three handshakes in group 2 are as much work as one in group 5.
        for _ in 0..30 {
            queue.push(address(1), Some(Group::Modp2), 1);
            queue.push(address(2), Some(Group::Modp5), 2);
        }
        let first: Vec<u32> = (0..20).filter_map(|_| queue.pop()).collect();
        let dear = first.iter().filter(|job| **job == 2).count();
        assert!((4..=6).contains(&dear), "{first:?}");
    }

    #[test]
    fn what_is_known_of_long_lanes_is_what_the_lanes_hold() {
        let mut queue = KeyingQueue::new(64);
        let mut seed = 1u32;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (owner, group) =
                (address((seed >> 24) as u8 % 24), [Group::Modp2, Group::Modp14][seed as usize >> 9 & 1]);
            match seed >> 12 & 7 {
                0..5 => _ = queue.push(owner, Some(group), seed),
                5 => _ = queue.push(None, Some(group), seed),
                _ => _ = queue.pop(),
            }
            for class in [&queue.cheap, &queue.expensive] {
                let long = |(owner, lane): (&Owner, &KeyingLane<u32>)| Some((lane.jobs.len(), (*owner)?));
                let held: BTreeSet<_> = class.lanes.iter().filter_map(long).filter(|(len, _)| *len > 1).collect();
                assert_eq!(class.long, held);
            }
        }
    }

    #[test]
    fn the_servers_own_jobs_do_not_say_which_class_loses_one() {
        let mut queue = KeyingQueue::new(13);
        (0..9).for_each(|host| _ = queue.push(address(host), Some(Group::Modp2), host.into()));
        (0..50).for_each(|_| _ = queue.push(None, Some(Group::Modp2), 1));
        assert_eq!(queue.push(address(20), Some(Group::Modp14), 200), Some(200), "the queue is full of single jobs");
        let mut queue = KeyingQueue::new(13);
        queue.push(address(1), Some(Group::Modp2), 1);
        for host in [20, 21, 22, 23] {
            (0..3).for_each(|number| _ = queue.push(address(host), Some(Group::Modp14), u32::from(host) * 10 + number));
        }
        // The server's own come on top of them.
        (0..50).for_each(|_| _ = queue.push(None, Some(Group::Modp2), 1));
        let dropped = queue.push(address(30), Some(Group::Modp14), 300);
        assert!(dropped.is_some_and(|job| job >= 200 && job % 10 == 2), "{dropped:?}");
    }
}
