use super::*;
use crate::testing::{
    ASKER, Bench, LIMITS, TAG, TARGET, TERMS, address, fragments, ihello, party, redirect, rhello, session_datagram,
};
use crate::{Attempt, DropReason, Party, Refusal, Terms};

fn allocate(bench: &mut Bench, asker: Party, target: Party, tag: &[u8]) -> Result<RelayPorts, Refusal> {
    bench.pairs.allocate(bench.now, &Attempt { asker, target, tag }, TERMS)
}

#[test]
fn what_comes_to_one_port_leaves_from_the_other_once_both_sides_are_known() {
    let mut bench = Bench::new(4, LIMITS);
    let ports = bench.usual();
    bench.open(ports);
    for _ in 0..10 {
        assert_eq!(bench.send(ports.asker, ASKER, &session_datagram(6, 1000)), Ok((ports.target, TARGET.to_owned())));
        assert_eq!(bench.send(ports.target, TARGET, &session_datagram(5, 80)), Ok((ports.asker, ASKER.to_owned())));
    }
    let counts = bench.pairs.counts();
    assert_eq!((counts.made, counts.opened, counts.datagrams), (1, 1, 24));
    let view = bench.pairs.views(bench.now, 0).next().unwrap().1;
    assert_eq!((view.asker_address, view.target_address), (Some(address(ASKER)), Some(address(TARGET))));
    assert_eq!((view.is_open, view.datagrams, view.bytes), (true, 24, counts.bytes));
}

#[test]
fn it_is_known_which_clients_have_a_session_by_a_pair() {
    let mut bench = Bench::new(4, LIMITS);
    let ports = bench.usual();
    let view = bench.pairs.views(bench.now, 0).next().unwrap().1;
    let other = party(9, "203.0.113.9:1").client;
    assert!(!bench.pairs.is_open_between(&view.asker, &view.target), "a pair that nobody uses");
    bench.open(ports);
    assert!(bench.pairs.is_open_between(&view.asker, &view.target));
    assert!(bench.pairs.is_open_between(&view.target, &view.asker));
    assert!(!bench.pairs.is_open_between(&view.asker, &other) && !bench.pairs.is_open_between(&other, &view.target));
}

#[test]
fn either_side_may_come_first_and_each_kind_of_answer_says_where_the_target_is() {
    for answer in [rhello(&TAG), redirect(&TAG), fragments(&TAG)[0].clone()] {
        let mut bench = Bench::new(4, LIMITS);
        let ports = bench.usual();
        assert_eq!(bench.send(ports.target, TARGET, &answer), Err("waiting"));
        assert_eq!(bench.send(ports.asker, ASKER, &ihello(&TAG)), Ok((ports.target, TARGET.to_owned())));
        assert_eq!(bench.send(ports.target, TARGET, &answer), Ok((ports.asker, ASKER.to_owned())));
    }
}

#[test]
fn sides_of_two_address_families_meet() {
    let mut bench = Bench::new(4, LIMITS);
    let six = "[2001:db8::1]:4001";
    let ports = allocate(&mut bench, party(1, six), party(2, TARGET), &TAG).unwrap();
    assert_eq!(bench.send(ports.asker, six, &ihello(&TAG)), Err("waiting"));
    assert_eq!(bench.send(ports.target, TARGET, &rhello(&TAG)), Ok((ports.asker, six.to_owned())));
}

#[test]
fn a_side_is_at_another_port_than_the_server_saw_behind_nats_that_give_each_destination_one() {
    let mut bench = Bench::new(4, LIMITS);
    let ports = bench.usual();
    assert_eq!(bench.send(ports.asker, "203.0.113.1:61000", &ihello(&TAG)), Err("waiting"));
    assert_eq!(bench.send(ports.target, "203.0.113.2:62000", &rhello(&TAG)).unwrap().1, "203.0.113.1:61000");
    assert_eq!(bench.send(ports.asker, "203.0.113.1:61000", &ihello(&TAG)).unwrap().1, "203.0.113.2:62000");
    // A pinned side does not move.
    assert_eq!(bench.send(ports.asker, "203.0.113.1:61001", &ihello(&TAG)), Err("elsewhere"));
    assert_eq!(bench.send(ports.asker, "203.0.113.1:61001", &session_datagram(6, 60)), Err("unknown"));
}

#[test]
fn a_repeated_attempt_has_the_same_pair_and_another_tag_another() {
    let mut bench = Bench::new(8, LIMITS);
    let ports = bench.usual();
    assert_eq!([bench.usual(), bench.usual()], [ports; 2]);
    let other = allocate(&mut bench, party(1, ASKER), party(2, TARGET), &[1; 16]).unwrap();
    assert!(other.asker != ports.asker && other.target != ports.target, "a client has one pair at a port");
    // Who sees the tag and asks with it has a pair of its own.
    let third = allocate(&mut bench, party(3, "192.0.2.9:9"), party(2, TARGET), &TAG).unwrap();
    assert!(third.asker != ports.asker && third.target != ports.target);
    assert_eq!((bench.pairs.len(), bench.pairs.counts().made), (3, 3));
}

#[test]
fn pairs_are_listed_from_a_place_on_and_keep_theirs_while_others_come() {
    let mut bench = Bench::new(16, LIMITS);
    let add = |bench: &mut Bench, id: u8| {
        let (asker, target) = (format!("203.0.113.{id}:4001"), format!("192.0.2.{id}:4001"));
        allocate(bench, party(id, &asker), party(100 + id, &target), &TAG).unwrap();
    };
    (1..=3).for_each(|id| add(&mut bench, id));
    let listed = |bench: &Bench, from: usize| -> Vec<(usize, Client)> {
        bench.pairs.views(bench.now, from).map(|(place, view)| (place, view.asker)).collect()
    };
    let all = listed(&bench, 0);
    assert_eq!(all.iter().map(|(_, asker)| *asker).collect::<Vec<_>>(), [1, 2, 3].map(|id| party(id, ASKER).client));
    for (number, (place, _)) in all.iter().enumerate() {
        assert_eq!(listed(&bench, *place), all[number..]);
    }
    add(&mut bench, 4);
    assert_eq!(listed(&bench, 0)[..3], all, "each keeps its place");
    assert_eq!(listed(&bench, 1 + all[2].0).len(), 1);
    assert!(listed(&bench, usize::MAX).is_empty());
}

#[test]
fn a_client_that_is_not_wanted_any_more_loses_its_pairs_and_others_keep_theirs() {
    let mut bench = Bench::new(16, LIMITS);
    let ports = bench.usual();
    bench.open(ports);
    allocate(&mut bench, party(3, "192.0.2.9:9"), party(1, ASKER), &[3; 16]).unwrap();
    allocate(&mut bench, party(3, "192.0.2.9:9"), party(2, TARGET), &[4; 16]).unwrap();
    bench.pairs.end_of(&party(1, ASKER).client);
    assert_eq!((bench.pairs.len(), bench.pairs.counts().ended(End::Disconnected)), (1, 2));
    assert_eq!(bench.send(ports.asker, ASKER, &session_datagram(6, 60)), Err("unknown"));
    bench.pairs.end_of(&party(1, ASKER).client);
    assert_eq!((bench.pairs.len(), bench.pairs.counts().ended(End::Disconnected)), (1, 2), "it has none");
}

#[test]
fn the_bounds_hold_and_what_was_refused_is_counted() {
    let limits = Limits { max_pairs: 6, max_pairs_per_client: 3, max_pairs_per_network: 5, ..LIMITS };
    let mut bench = Bench::new(16, limits);
    let refused = |bench: &Bench, refusal| bench.pairs.counts().refused(refusal);
    for tag in [&[1; 7][..], &[1; 65], &[]] {
        assert_eq!(allocate(&mut bench, party(1, ASKER), party(2, TARGET), tag), Err(Refusal::Tag));
    }
    assert_eq!(allocate(&mut bench, party(1, ASKER), party(1, TARGET), &TAG), Err(Refusal::SameClient));
    let stranger = Party { client: Client::Stranger(address(TARGET)), ..party(1, TARGET) };
    assert_eq!(allocate(&mut bench, stranger, party(2, TARGET), &TAG), Err(Refusal::SameClient));
    for useless in
        ["224.0.0.1:5", "0.0.0.0:5", "203.0.113.9:0", "255.255.255.255:5", "198.51.100.1:1935", "127.0.0.1:19400"]
    {
        assert_eq!(allocate(&mut bench, party(1, useless), party(2, TARGET), &TAG), Err(Refusal::Address), "{useless}");
        assert_eq!(allocate(&mut bench, party(1, ASKER), party(2, useless), &TAG), Err(Refusal::Address), "{useless}");
    }
    assert_eq!((refused(&bench, Refusal::Tag), refused(&bench, Refusal::Address), bench.pairs.len()), (3, 12, 0));
    // One network.
    for host in 0..5 {
        allocate(
            &mut bench,
            party(10 + host, &format!("192.0.2.7:{}", 1 + host)),
            party(20 + host, &format!("192.0.2.{host}:9")),
            &TAG,
        )
        .unwrap();
    }
    let sixth = allocate(&mut bench, party(15, "192.0.2.7:6"), party(25, "192.0.2.5:9"), &TAG);
    assert_eq!(sixth, Err(Refusal::TooManyOfNetwork));
    // All of them: the oldest without a session gives way.
    allocate(&mut bench, party(30, "192.0.2.30:6"), party(31, "192.0.2.31:9"), &TAG).unwrap();
    allocate(&mut bench, party(32, "192.0.2.32:6"), party(33, "192.0.2.33:9"), &TAG).unwrap();
    assert_eq!((bench.pairs.len(), bench.pairs.counts().ended(End::Replaced)), (6, 1));
}

#[test]
fn open_pairs_do_not_give_way_to_others() {
    let limits = Limits { max_pairs: 1, max_pairs_per_client: 1, ..LIMITS };
    let mut bench = Bench::new(8, limits);
    let ports = bench.usual();
    bench.open(ports);
    assert_eq!(
        allocate(&mut bench, party(3, "192.0.2.9:9"), party(4, "192.0.2.8:9"), &TAG),
        Err(Refusal::TooManyPairs)
    );
    assert_eq!(allocate(&mut bench, party(1, ASKER), party(4, "192.0.2.8:9"), &TAG), Err(Refusal::TooManyOfClient));
    assert_eq!(allocate(&mut bench, party(4, "192.0.2.8:9"), party(2, TARGET), &TAG), Err(Refusal::TooManyOfClient));
    assert_eq!(bench.pairs.open(), 1);
    // A new attempt of the same two replaces it: they have lost their session.
    let again = allocate(&mut bench, party(1, ASKER), party(2, TARGET), &[9; 16]).unwrap();
    assert_eq!((bench.pairs.len(), bench.pairs.open()), (1, 0));
    assert_eq!(bench.send(ports.asker, ASKER, &session_datagram(6, 60)), Err("unknown"));
    assert_eq!(bench.send(again.asker, ASKER, &ihello(&[9; 16])), Err("waiting"));
}

#[test]
fn a_client_has_no_more_pairs_than_ports_and_needs_one_of_its_family() {
    let mut bench = Bench::new(2, Limits { max_pairs_per_client: 9, ..LIMITS });
    for tag in 0..4_u8 {
        allocate(&mut bench, party(1, ASKER), party(10 + tag, &format!("192.0.2.{tag}:9")), &[tag; 16]).unwrap();
    }
    assert_eq!(bench.pairs.len(), 2, "older ones without a session give way");
    let one = vec![Families { v4: true, v6: false }; 4];
    let mut pairs: Pairs<u8> = Pairs::new(bench.now, one, OwnAddresses::default(), LIMITS);
    let attempt = Attempt { asker: party(1, ASKER), target: party(2, "[2001:db8::1]:5"), tag: &TAG };
    assert_eq!(pairs.allocate(bench.now, &attempt, TERMS), Err(Refusal::NoPort));
    let mut none: Pairs<u8> = Pairs::new(bench.now, Vec::new(), OwnAddresses::default(), LIMITS);
    let attempt = Attempt { asker: party(1, ASKER), target: party(2, TARGET), tag: &TAG };
    assert_eq!(none.allocate(bench.now, &attempt, TERMS), Err(Refusal::NoPort));
}

#[test]
fn a_pair_ends_without_a_session_after_half_a_minute_and_with_one_when_a_side_is_silent() {
    let mut bench = Bench::new(4, LIMITS);
    let ports = bench.usual();
    bench.pass(29);
    assert_eq!(bench.usual(), ports, "the asker goes on");
    bench.pass(29);
    assert_eq!(bench.pairs.len(), 1);
    bench.pass(1);
    assert_eq!((bench.pairs.len(), bench.pairs.counts().ended(End::Unopened)), (0, 1));
    let ports = bench.usual();
    bench.open(ports);
    for _ in 0..5 {
        bench.pass(11);
        bench.send(ports.asker, ASKER, &session_datagram(6, 60)).unwrap();
    }
    assert_eq!(bench.pairs.len(), 1);
    bench.pass(5);
    assert_eq!((bench.pairs.len(), bench.pairs.counts().ended(End::Idle)), (0, 1), "the target was silent");
    assert_eq!(bench.send(ports.asker, ASKER, &session_datagram(6, 60)), Err("unknown"));
    assert_eq!(bench.pairs.next_timeout(), None);
}

#[test]
fn a_handshake_on_a_bad_path_has_more_time_while_both_sides_are_heard() {
    let mut bench = Bench::new(4, LIMITS);
    let ports = bench.usual();
    for _ in 0..4 {
        bench.pass(20);
        let _ = bench.send(ports.asker, ASKER, &ihello(&TAG));
        let _ = bench.send(ports.target, TARGET, &rhello(&TAG));
    }
    assert_eq!(bench.pairs.len(), 1);
    // One of them is not enough.
    for _ in 0..3 {
        bench.pass(10);
        let _ = bench.send(ports.asker, ASKER, &ihello(&TAG));
    }
    assert_eq!(bench.pairs.counts().ended(End::Unopened), 1);
}

#[test]
fn a_lifetime_ends_a_pair_that_is_in_use() {
    let mut bench = Bench::new(4, LIMITS);
    let attempt = Attempt { asker: party(1, ASKER), target: party(2, TARGET), tag: &TAG };
    let terms = Terms { lifetime: Duration::from_secs(100), ..TERMS };
    let ports = bench.pairs.allocate(bench.now, &attempt, terms).unwrap();
    bench.open(ports);
    for _ in 0..9 {
        bench.pass(11);
        bench.send(ports.asker, ASKER, &session_datagram(6, 60)).unwrap();
        bench.send(ports.target, TARGET, &session_datagram(5, 60)).unwrap();
    }
    bench.pass(1);
    assert_eq!(bench.pairs.counts().ended(End::Lifetime), 1);
}

#[test]
fn a_pair_and_all_pairs_have_a_rate() {
    let mut bench = Bench::new(8, LIMITS);
    let attempt = Attempt { asker: party(1, ASKER), target: party(2, TARGET), tag: &TAG };
    let ports = bench.pairs.allocate(bench.now, &attempt, Terms { bytes_per_second: 100_000, ..TERMS }).unwrap();
    bench.open(ports);
    let burst = |bench: &mut Bench| {
        (0..1000).filter(|_| bench.send(ports.asker, ASKER, &session_datagram(6, 1000)).is_ok()).count()
    };
    let first = burst(&mut bench);
    assert!((95..=100).contains(&first), "{first}");
    bench.pass(1);
    assert_eq!(burst(&mut bench), 100);
    assert_eq!(bench.pairs.counts().dropped(DropReason::PairRate), 1900 - first as u64);
    bench.pass(1);
    bench.pairs.set_limits(Limits { bytes_per_second: 20_000, ..LIMITS });
    assert!(burst(&mut bench) <= 20 && bench.pairs.counts().dropped(DropReason::TotalRate) > 900);
}

#[test]
fn little_is_sent_to_who_has_proven_nothing_and_not_much_to_who_says_nothing() {
    let mut bench = Bench::new(8, LIMITS);
    // An asker without a session here.
    let stranger = Party { client: Client::Stranger(address(ASKER)), is_proven: false, ..party(1, ASKER) };
    let ports = allocate(&mut bench, stranger, party(2, TARGET), &TAG).unwrap();
    assert_eq!(bench.send(ports.asker, ASKER, &ihello(&TAG)), Err("waiting"));
    let (mut sent, hello) = (0, ihello(&TAG).len());
    assert!(bench.send(ports.target, TARGET, &rhello(&TAG)).is_ok());
    sent += rhello(&TAG).len();
    while bench.send(ports.target, TARGET, &session_datagram(5, 48)).is_ok() {
        sent += 48;
    }
    assert!(sent <= 3 * hello, "{sent} for {hello}");
    assert!(bench.pairs.counts().dropped(DropReason::Unproven) > 0);
    // It takes part in a session, and is silent then.
    bench.send(ports.asker, ASKER, &session_datagram(6, 60)).unwrap();
    let mut sent = 0;
    while bench.send(ports.target, TARGET, &session_datagram(5, 1000)).is_ok() {
        sent += 1000;
        bench.now += Duration::from_millis(10);
    }
    assert!((1_000_000..=1 << 20).contains(&sent), "{sent}");
    assert_eq!(bench.send(ports.target, TARGET, &session_datagram(5, 1000)), Err("unheard"));
    bench.send(ports.asker, ASKER, &session_datagram(6, 60)).unwrap();
    assert!(bench.send(ports.target, TARGET, &session_datagram(5, 1000)).is_ok());
}

#[test]
fn a_client_where_the_server_knows_it_displaces_one_that_says_to_be_elsewhere() {
    let mut bench = Bench::new(4, LIMITS);
    let ports = bench.usual();
    let forged = "192.0.2.66:6";
    assert_eq!(bench.send(ports.target, forged, &rhello(&TAG)), Err("waiting"));
    assert_eq!(bench.send(ports.target, forged, &session_datagram(1, 60)), Err("waiting"));
    assert_eq!(bench.send(ports.target, TARGET, &rhello(&TAG)), Err("waiting"), "it is where the server knows it");
    assert_eq!(bench.send(ports.asker, ASKER, &ihello(&TAG)), Ok((ports.target, TARGET.to_owned())));
    assert_eq!(bench.send(ports.target, forged, &rhello(&TAG)), Err("elsewhere"));
    assert_eq!(bench.send(ports.target, forged, &session_datagram(1, 60)), Err("unknown"));
}

#[test]
fn an_address_that_a_nat_gives_to_another_client_is_taken_over_once_its_owner_is_silent() {
    let mut bench = Bench::new(2, LIMITS);
    let ports = bench.usual();
    bench.open(ports);
    let other = allocate(&mut bench, party(7, "203.0.113.1:4009"), party(8, "192.0.2.8:9"), &[7; 16]).unwrap();
    assert_eq!(other.asker, ports.asker);
    assert_eq!(bench.send(other.asker, ASKER, &ihello(&[7; 16])), Err("elsewhere"), "a forged hello takes nothing");
    assert!(bench.send(ports.target, TARGET, &session_datagram(5, 60)).is_ok());
    bench.pass(20);
    assert_eq!(bench.send(other.asker, ASKER, &ihello(&[7; 16])), Err("waiting"));
    assert_eq!(bench.pairs.len(), 1);
    assert_eq!(bench.send(ports.target, TARGET, &session_datagram(5, 60)), Err("unknown"));
    assert_eq!(bench.send(other.target, "192.0.2.8:9", &rhello(&[7; 16])), Ok((other.asker, ASKER.to_owned())));
}

#[test]
fn nothing_is_left_of_pairs_that_have_ended() {
    let mut bench = Bench::new(16, LIMITS);
    for round in 0..20_u8 {
        for client in 0..8_u8 {
            let (asker, target) =
                (party(client, &format!("203.0.113.{client}:5")), party(100 + client, &format!("192.0.2.{client}:5")));
            let ports = allocate(&mut bench, asker, target, &[round; 16]).unwrap();
            let _ = bench.send(ports.asker, &format!("203.0.113.{client}:6"), &ihello(&[round; 16]));
        }
        bench.pass(31);
    }
    let pairs = &bench.pairs;
    assert_eq!((pairs.len(), pairs.open(), pairs.next_timeout()), (0, 0, None));
    assert_eq!((pairs.by_attempt.len(), pairs.by_tag.len(), pairs.by_source.len()), (0, 0, 0));
    assert_eq!((pairs.of_client.len(), pairs.of_network.len(), pairs.unopened.len(), pairs.due.len()), (0, 0, 0, 0));
    assert_eq!((pairs.pairs.len(), pairs.free.len()), (8, 8));
}

#[test]
fn a_target_with_as_many_pairs_as_ports_replaces_one_and_no_pair_ends_for_nothing() {
    for ports in [2, 3, 4] {
        let mut bench = Bench::new(ports, LIMITS);
        let asked = |bench: &mut Bench, asker: u8| {
            let from = format!("192.0.2.{asker}:9");
            allocate(bench, party(asker, &from), party(99, TARGET), &[asker; 16])
        };
        for asker in 1..=ports as u8 {
            asked(&mut bench, asker).unwrap();
        }
        assert_eq!((bench.pairs.len(), bench.pairs.counts().ended(End::Replaced)), (ports, 0), "a pair for each port");
        for more in 1..=3 {
            bench.pass(1);
            asked(&mut bench, 100 + more).unwrap();
            assert_eq!((bench.pairs.len(), bench.pairs.counts().ended(End::Replaced)), (ports, more.into()));
        }
    }
    // Where the new pair is refused for another reason, the old ones stay.
    let mut bench = Bench::new(4, Limits { max_pairs_per_client: 1, max_pairs_per_network: 1, ..LIMITS });
    allocate(&mut bench, party(1, "192.0.2.1:9"), party(2, TARGET), &TAG).unwrap();
    allocate(&mut bench, party(3, "192.0.2.3:9"), party(4, "192.0.2.4:9"), &TAG).unwrap();
    let refused = allocate(&mut bench, party(5, "192.0.2.3:10"), party(2, TARGET), &TAG);
    assert_eq!(refused, Err(Refusal::TooManyOfNetwork));
    assert_eq!((bench.pairs.len(), bench.pairs.counts().ended(End::Replaced)), (2, 0));
}

#[test]
fn a_smaller_bound_holds_for_the_next_pair_and_none_means_none() {
    let mut bench = Bench::new(8, LIMITS);
    let asked = |bench: &mut Bench, asker: u8| {
        let (from, to) = (format!("192.0.2.{asker}:9"), format!("198.51.100.{asker}:9"));
        allocate(bench, party(asker, &from), party(100 + asker, &to), &[asker; 16])
    };
    (1..=5).for_each(|asker| _ = asked(&mut bench, asker).unwrap());
    bench.pairs.set_limits(Limits { max_pairs: 0, ..LIMITS });
    assert_eq!((asked(&mut bench, 6), bench.pairs.len()), (Err(Refusal::TooManyPairs), 5));
    bench.pairs.set_limits(Limits { max_pairs: 2, ..LIMITS });
    asked(&mut bench, 7).unwrap();
    assert_eq!((bench.pairs.len(), bench.pairs.counts().ended(End::Replaced)), (2, 4));
}
