//! A large group without a server, while members come and go and datagrams are lost.

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;

use super::*;

/// How many members there are.
const MEMBERS: u8 = 200;
/// The members that all others know by name and address.
const BOOTSTRAP: [(u8, &str); 2] = [(0, "first"), (1, "second")];
/// Time passes in steps of this length.
const STEP: Duration = Duration::from_millis(250);

impl Network {
    /// Lets time pass in steps, which is cheaper than [`Self::run_for`] when there are many nodes.
    fn run_in_steps(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            let now = self.now;
            for node in self.nodes.values_mut() {
                if node.endpoint.poll_timeout().is_some_and(|due| due <= now) {
                    node.endpoint.handle_timeout(now);
                }
                if node.participant.poll_timeout().is_some_and(|due| due <= now) {
                    let mut context = EndpointContext { now, endpoint: &mut node.endpoint, route: &|_| Some(ONLY) };
                    node.participant.handle_timeout(&mut context);
                }
            }
            self.settle();
            for node in self.nodes.values_mut() {
                node.events.clear();
            }
        }
    }

    fn start_member(&mut self, number: u8, seed: u64, group: &Groupspec) {
        let name = BOOTSTRAP.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
        self.start(number, name, seed);
        self.with(number, |groups, context| {
            groups.join(context, group);
            for (number, name) in BOOTSTRAP {
                groups.add_named(context, &group.digest(), name, &[address(number)]).unwrap();
            }
        });
    }

    /// How many members are reached over links from the first one.
    fn reached(&mut self, group: &Groupspec) -> usize {
        let numbers: BTreeMap<PeerId, u8> = (0..MEMBERS).map(|number| (self.id(number), number)).collect();
        let (mut reached, mut next) = (BTreeSet::from([0]), vec![0]);
        while let Some(number) = next.pop() {
            for peer in self.neighbors(number, group) {
                if let Some(other) = numbers.get(&peer).filter(|other| reached.insert(**other)) {
                    next.push(*other);
                }
            }
        }
        reached.len()
    }
}

#[test]
fn two_hundred_members_stay_one_group_under_churn_and_loss() {
    // Another seed can be given: a failure names its own.
    let seed = std::env::var("INTROD_SEED").map_or(1, |text| text.parse().expect("INTROD_SEED is a number"));
    let group = spec("large");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut network = Network::of(0);
    network.loss = Some(ChaCha8Rng::seed_from_u64(seed + 1));
    let mut identity = seed * 1_000_000;
    for number in 0..MEMBERS {
        identity += 1;
        network.start_member(number, identity, &group);
    }
    network.run_in_steps(Duration::from_secs(120));
    assert_eq!(network.reached(&group), usize::from(MEMBERS), "seed {seed}, at first");
    // Each two seconds one is gone without a word, and another starts in its place; both bootstrap members among them, one at a time.
    for round in 0..60u8 {
        let number = match round {
            10 | 40 => round / 40,
            _ => 2 + (rng.next_u64() % u64::from(MEMBERS - 2)) as u8,
        };
        network.kill(number);
        network.run_in_steps(Duration::from_secs(1));
        identity += 1;
        network.start_member(number, identity, &group);
        network.run_in_steps(Duration::from_secs(1));
    }
    network.run_in_steps(Duration::from_secs(60));
    assert_eq!(network.reached(&group), usize::from(MEMBERS), "seed {seed}, after the churn");
    let most = (0..MEMBERS).map(|number| network.neighbors(number, &group).len()).max().unwrap();
    // With the guests of the bootstrap members.
    assert!(most <= crate::member::MAX_NEIGHBORS + 32, "seed {seed}: {most} neighbours");
    // A posting comes to all.
    network.nodes.values_mut().for_each(|node| node.notices.clear());
    let author = 2 + seed as u8;
    let value = b"\x02\0\x03all".to_vec();
    network.with(author, |groups, context| groups.tell(context, &group.digest(), |member| member.post(&value)));
    let sent = network.sent;
    network.run_in_steps(Duration::from_secs(30));
    let is_it =
        |notice: &Notice| matches!(notice, Notice::Event(GroupEvent::Posting { value: came, .. }) if *came == value);
    let without: Vec<u8> =
        (0..MEMBERS).filter(|number| *number != author && !network.node(*number).notices.iter().any(is_it)).collect();
    assert_eq!(without, [0; 0], "seed {seed}: members that have not got the posting");
    let each_second = (network.sent - sent) / 30 / usize::from(MEMBERS);
    assert!(each_second <= 50, "seed {seed}: {each_second} datagrams of each member in a second");
    println!("seed {seed}: at most {most} neighbours, {each_second} datagrams of each member in a second");
}
