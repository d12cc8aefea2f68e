use std::time::Duration;

use crate::testing::{ASKER, Bench, LIMITS, TAG, TARGET, TERMS, address, ihello, party, rhello, session_datagram};
use crate::{Attempt, Client, OwnAddresses, PairRecord};

/// A relay with the pairs of another one, which were written `later` than now.
fn heir(old: &Bench, later: Duration) -> (Bench, usize) {
    let mut new = Bench::new(4, LIMITS);
    new.now = old.now + later;
    let records = old.pairs.hand_over(new.now, |local| local);
    let taken = new.pairs.take_over(new.now, records, |local| local);
    (new, taken)
}

#[test]
fn an_open_pair_goes_on_in_another_relay_as_if_nothing_had_happened() {
    let mut old = Bench::new(4, LIMITS);
    let ports = old.usual();
    old.open(ports);
    let later = Duration::from_secs(7);
    let before = old.pairs.views(old.now + later, 0).next();
    let (mut new, taken) = heir(&old, later);
    assert_eq!((taken, new.pairs.len(), new.pairs.open()), (1, 1, 1));
    assert_eq!(new.pairs.views(new.now, 0).next(), before);
    let [asker, target] = [party(1, ASKER).client, party(2, TARGET).client];
    assert!(new.pairs.is_open_between(&asker, &target));
    assert_eq!(new.send(ports.asker, ASKER, &session_datagram(6, 1000)), Ok((ports.target, TARGET.to_owned())));
    assert_eq!(new.send(ports.target, TARGET, &session_datagram(5, 80)), Ok((ports.asker, ASKER.to_owned())));
    assert_eq!(new.usual(), ports, "an attempt that is repeated has its pair");
    // A side that was silent before, and is so afterwards, has been silent for all of that time.
    let (mut new, _) = heir(&old, later);
    new.now += LIMITS.idle - later;
    new.pairs.handle_timeout(new.now);
    assert!(new.pairs.is_empty());
}

#[test]
fn a_pair_that_is_not_open_yet_opens_in_another_relay() {
    let mut old = Bench::new(4, LIMITS);
    let ports = old.usual();
    assert_eq!(old.send(ports.asker, ASKER, &ihello(&TAG)), Err("waiting"));
    let (mut new, taken) = heir(&old, Duration::ZERO);
    assert_eq!((taken, new.pairs.len(), new.pairs.open()), (1, 1, 0));
    assert_eq!(new.send(ports.target, TARGET, &rhello(&TAG)), Ok((ports.asker, ASKER.to_owned())));
    assert_eq!(new.send(ports.asker, ASKER, &ihello(&TAG)), Ok((ports.target, TARGET.to_owned())));
    assert_eq!(new.send(ports.target, TARGET, &session_datagram(5, 60)), Ok((ports.asker, ASKER.to_owned())));
    assert_eq!(new.send(ports.asker, ASKER, &session_datagram(6, 60)), Ok((ports.target, TARGET.to_owned())));
    assert_eq!(new.pairs.open(), 1);
    new.pairs.end_of(&party(1, ASKER).client);
    assert!(new.pairs.is_empty(), "it is found by its clients");
}

#[test]
fn several_pairs_of_a_client_and_those_of_strangers_go_over() {
    let mut old = Bench::new(4, LIMITS);
    old.usual();
    let stranger = |place: &str| crate::Party { client: Client::Stranger(address(place)), ..party(0, place) };
    for (asker, tag) in [(party(3, "192.0.2.9:9"), [3; 16]), (stranger("192.0.2.10:9"), [4; 16])] {
        let attempt = Attempt { asker, target: party(2, TARGET), tag: &tag };
        old.pairs.allocate(old.now, &attempt, TERMS).unwrap();
    }
    let (new, taken) = heir(&old, Duration::ZERO);
    assert_eq!((taken, new.pairs.len()), (3, 3));
    let views = |bench: &Bench| bench.pairs.views(bench.now, 0).map(|(_, view)| view).collect::<Vec<_>>();
    assert_eq!(views(&new), views(&old));
}

#[test]
fn a_pair_that_makes_no_sense_is_left_out() {
    let mut old = Bench::new(4, LIMITS);
    let ports = old.usual();
    old.open(ports);
    let records = || old.pairs.hand_over(old.now, |local| local);
    let taken = |bench: &mut Bench, records: Vec<PairRecord<_>>| {
        let taken = bench.pairs.take_over(bench.now, records, |local| local);
        bench.pairs.handle_timeout(bench.now + LIMITS.idle * 2);
        assert!(bench.pairs.is_empty() && bench.pairs.next_timeout().is_none());
        taken
    };
    assert_eq!(taken(&mut Bench::new(4, LIMITS), records()), 1);
    assert_eq!(taken(&mut Bench::new(4, LIMITS), [records(), records()].concat()), 1, "one of two that are the same");
    assert_eq!(taken(&mut Bench::new(1, LIMITS), records()), 0, "there is no such port");
    let mut at_an_own_address = Bench::new(4, LIMITS);
    let own = OwnAddresses::new([address(ASKER).ip()], [address(ASKER).port()]);
    at_an_own_address.pairs.set_own_addresses(own);
    assert_eq!(taken(&mut at_an_own_address, records()), 0, "it would send to the server itself");
    // A pair that says to be open, whose sides nobody has seen.
    let mut unseen = Bench::new(4, LIMITS);
    unseen.usual();
    let mut record = unseen.pairs.hand_over(unseen.now, |local| local).remove(0);
    record.say_open();
    assert_eq!(taken(&mut Bench::new(4, LIMITS), vec![record]), 0);
}
