//! Attempts to misuse the relay. None of them gets anything passed on that should not be.

use std::time::Duration;

use crate::testing::{
    ASKER, Bench, LIMITS, TAG, TARGET, TERMS, address, ihello, party, redirect, rhello, session_datagram,
};
use crate::{Attempt, Client, DropReason, End, Limits, Party, Refusal, RelayPorts};

/// Somebody who is no side of any pair.
const STRANGER: &str = "192.0.2.66:6";

/// What becomes of an attempt: how many datagrams were passed on that should not be, and how many were dropped for which reason.
struct Outcome {
    name: &'static str,
    passed_on: usize,
    dropped: Option<(DropReason, u64)>,
    refused: Option<(Refusal, u64)>,
}

fn dropped(name: &'static str, bench: &Bench, passed_on: usize, reason: DropReason) -> Outcome {
    let dropped = Some((reason, bench.pairs.counts().dropped(reason)));
    Outcome { name, passed_on, dropped, refused: None }
}

fn refused(name: &'static str, bench: &Bench, passed_on: usize, refusal: Refusal) -> Outcome {
    let refused = Some((refusal, bench.pairs.counts().refused(refusal)));
    Outcome { name, passed_on, dropped: None, refused }
}

/// A relay with the usual pair, open or not.
fn scene(is_open: bool) -> (Bench, RelayPorts) {
    let mut bench = Bench::new(8, LIMITS);
    let ports = bench.usual();
    if is_open {
        bench.open(ports);
    }
    (bench, ports)
}

/// Sends datagrams from addresses to all ports. Returns how many were passed on.
fn spray(bench: &mut Bench, from: &str, datagrams: &[Vec<u8>]) -> usize {
    let all = (0..8).flat_map(|port| datagrams.iter().map(move |datagram| (port, datagram)));
    all.filter(|(port, datagram)| bench.send(*port, from, datagram).is_ok()).count()
}

fn guessed_tags() -> Outcome {
    let (mut bench, _) = scene(true);
    let guesses: Vec<Vec<u8>> =
        (0..=255).flat_map(|byte| [ihello(&[byte ^ 0x80; 16]), rhello(&[byte ^ 0x80; 16])]).collect();
    let guesses: Vec<Vec<u8>> =
        guesses.into_iter().filter(|guess| *guess != ihello(&TAG) && *guess != rhello(&TAG)).collect();
    let passed_on = spray(&mut bench, STRANGER, &guesses);
    dropped("guessed tags", &bench, passed_on, DropReason::UnknownTag)
}

fn replayed_hellos() -> Outcome {
    let (mut bench, _) = scene(true);
    let passed_on = spray(&mut bench, STRANGER, &[ihello(&TAG), rhello(&TAG), redirect(&TAG)]);
    dropped("hellos of both sides, replayed from elsewhere", &bench, passed_on, DropReason::Elsewhere)
}

fn hellos_of_the_wrong_side() -> Outcome {
    let (mut bench, ports) = scene(false);
    let tries = [(ports.asker, rhello(&TAG)), (ports.asker, redirect(&TAG)), (ports.target, ihello(&TAG))];
    let passed_on = tries.iter().filter(|(port, hello)| bench.send(*port, STRANGER, hello).is_ok()).count();
    dropped("the target's hello at the asker's port and the other way round", &bench, passed_on, DropReason::WrongKind)
}

fn hellos_from_addresses_of_others() -> Outcome {
    let (mut bench, ports) = scene(false);
    // The asker, who knows the tag, would have the relay send into the server's network, to the server, and to everybody.
    let sources = [
        "10.0.0.7:53",
        "192.168.1.1:80",
        "127.0.0.1:53",
        "169.254.169.254:80",
        "100.64.0.1:5",
        "224.0.0.1:5",
        "255.255.255.255:5",
        "0.0.0.0:5",
        "203.0.113.77:0",
        "198.51.100.1:53",
        "198.51.100.1:1935",
        "198.51.100.1:19400",
        "[::1]:53",
        "[fe80::1]:5",
        "[fd00::1]:5",
        "[ff02::1]:5",
    ];
    let mut passed_on = 0;
    for source in sources {
        passed_on += usize::from(bench.send(ports.target, source, &rhello(&TAG)).is_ok());
        passed_on += usize::from(bench.send(ports.asker, ASKER, &ihello(&TAG)).is_ok());
    }
    dropped(
        "hellos whose forged sources are in the server's network, the server or nobody",
        &bench,
        passed_on,
        DropReason::Address,
    )
}

fn datagrams_from_third_parties() -> Outcome {
    let (mut bench, _) = scene(true);
    let flood: Vec<Vec<u8>> = (0..500).map(|session| session_datagram(1 + session, 100)).collect();
    let passed_on = spray(&mut bench, STRANGER, &flood);
    dropped("session packets of a third party at all ports", &bench, passed_on, DropReason::Unknown)
}

fn datagrams_of_the_other_sides_address() -> Outcome {
    let (mut bench, ports) = scene(true);
    // Each side's address is known at its own port alone.
    let tries = [(ports.target, ASKER), (ports.asker, TARGET)];
    let passed_on =
        tries.iter().filter(|(port, from)| bench.send(*port, from, &session_datagram(5, 60)).is_ok()).count();
    dropped("each side at the other one's port", &bench, passed_on, DropReason::Unknown)
}

fn data_before_the_target_is_known() -> Outcome {
    let (mut bench, ports) = scene(false);
    let first = bench.send(ports.asker, ASKER, &ihello(&TAG)).is_ok();
    let data = (0..100).filter(|_| bench.send(ports.asker, ASKER, &session_datagram(1, 1000)).is_ok()).count();
    dropped("data before the other side is known", &bench, data + usize::from(first), DropReason::Waiting)
}

fn rubbish() -> Outcome {
    let (mut bench, _) = scene(true);
    let junk: Vec<Vec<u8>> = (0..200_usize).map(|len| vec![len as u8; len * 9]).collect();
    let passed_on = spray(&mut bench, STRANGER, &junk);
    dropped("datagrams of all lengths without sense", &bench, passed_on, DropReason::Unknown)
}

fn amplification() -> Outcome {
    let (mut bench, ports) = scene(false);
    // The target, who knows the tag, forges the asker's hello from a victim's address, and sends what it likes.
    assert_eq!(bench.send(ports.asker, STRANGER, &ihello(&TAG)), Err("waiting"));
    let mut sent = 0_usize;
    for _ in 0..1000 {
        for datagram in [rhello(&TAG), session_datagram(1, 1000), session_datagram(1, 40)] {
            sent += bench.send(ports.target, TARGET, &datagram).map_or(0, |_| datagram.len());
        }
    }
    let beyond = sent.saturating_sub(3 * ihello(&TAG).len());
    dropped(
        "more than three times what came from an address that has proven nothing",
        &bench,
        beyond,
        DropReason::Unproven,
    )
}

fn victim_that_says_nothing() -> Outcome {
    let (mut bench, ports) = scene(false);
    assert_eq!(bench.send(ports.asker, STRANGER, &ihello(&TAG)), Err("waiting"));
    assert!(bench.send(ports.target, TARGET, &redirect(&TAG)).is_ok());
    // The forger of the hello forges a packet of a session too; the victim never answers.
    let _ = bench.send(ports.asker, STRANGER, &session_datagram(1, 40));
    let mut sent = 0_usize;
    for _ in 0..20_000 {
        sent += bench.send(ports.target, TARGET, &session_datagram(1, 1000)).map_or(0, |_| 1000);
        bench.now += Duration::from_millis(2);
    }
    dropped("more than a mebibyte to who says nothing", &bench, sent.saturating_sub(1 << 20), DropReason::Unheard)
}

fn stolen_address() -> Outcome {
    let (mut bench, ports) = scene(true);
    // A client with a pair of its own at the same ports forges its hello from the address of another pair's side.
    let thief = (0..7_u8).find_map(|number| {
        let attempt = Attempt {
            asker: party(50 + number, "192.0.2.50:5"),
            target: party(60, "192.0.2.60:6"),
            tag: &[50 + number; 16],
        };
        let its = bench.pairs.allocate(bench.now, &attempt, TERMS).unwrap();
        (its.asker == ports.asker).then_some(50 + number)
    });
    let tag = [thief.unwrap(); 16];
    let stolen = bench.send(ports.asker, ASKER, &ihello(&tag)).is_ok();
    let is_broken = bench.send(ports.target, TARGET, &session_datagram(5, 60)) != Ok((ports.asker, ASKER.to_owned()));
    dropped(
        "a forged hello to take a side's address away",
        &bench,
        usize::from(stolen) + usize::from(is_broken),
        DropReason::Elsewhere,
    )
}

fn ten_thousand_allocations() -> Outcome {
    let mut bench = Bench::new(8, Limits { max_pairs_per_client: 3, max_pairs_per_network: 6, ..LIMITS });
    let mut most = 0;
    for number in 0..10_000_u32 {
        let target = party((number % 200) as u8 + 20, &format!("192.0.2.{}:9", number % 200));
        let address = format!("203.0.113.9:{}", 1 + number % 60_000);
        let asker = Party { client: Client::Stranger(self::address(&address)), ..party(1, &address) };
        let _ =
            bench.pairs.allocate(bench.now, &Attempt { asker, target, tag: &number.to_be_bytes().repeat(4) }, TERMS);
        most = most.max(bench.pairs.len());
    }
    refused("10,000 allocations from one network", &bench, most.saturating_sub(6), Refusal::TooManyOfNetwork)
}

fn ten_thousand_allocations_of_one_client() -> Outcome {
    let mut bench = Bench::new(8, LIMITS);
    let mut most = 0;
    for number in 0..10_000_u32 {
        let attempt =
            Attempt { asker: party(1, ASKER), target: party(2, TARGET), tag: &number.to_be_bytes().repeat(4) };
        let _ = bench.pairs.allocate(bench.now, &attempt, TERMS);
        most = most.max(bench.pairs.len());
    }
    assert_eq!(bench.pairs.counts().ended(End::Replaced), 10_000 - 4, "its own pairs gave way");
    assert_eq!(
        bench.pairs.allocate(
            bench.now,
            &Attempt { asker: party(1, ASKER), target: party(2, TARGET), tag: &[1] },
            TERMS
        ),
        Err(Refusal::Tag)
    );
    refused("10,000 allocations of one client", &bench, most.saturating_sub(4), Refusal::Tag)
}

fn to_itself() -> Outcome {
    let mut bench = Bench::new(8, LIMITS);
    let itself = |target| Attempt { asker: party(1, ASKER), target, tag: &TAG };
    let stranger = Party { client: Client::Stranger(address(ASKER)), ..party(1, ASKER) };
    let made = [party(1, ASKER), party(1, TARGET), stranger]
        .into_iter()
        .filter(|target| bench.pairs.allocate(bench.now, &itself(*target), TERMS).is_ok());
    let made = made.count();
    refused("a client that is relayed to itself", &bench, made, Refusal::SameClient)
}

fn to_the_server_and_to_nobody() -> Outcome {
    let mut bench = Bench::new(8, LIMITS);
    let mut made = 0;
    for target in [
        "198.51.100.1:1935",
        "198.51.100.1:19400",
        "127.0.0.1:19401",
        "224.0.0.1:5",
        "[ff02::1]:5",
        "0.0.0.0:5",
        "203.0.113.2:0",
    ] {
        let attempt = Attempt { asker: party(1, ASKER), target: party(2, target), tag: &TAG };
        made += usize::from(bench.pairs.allocate(bench.now, &attempt, TERMS).is_ok());
    }
    refused("a client that says to be the server, a multicast address or nobody", &bench, made, Refusal::Address)
}

fn expired_pairs() -> Outcome {
    let (mut bench, ports) = scene(true);
    bench.pass(61);
    let tries = [
        (ports.asker, ASKER, ihello(&TAG)),
        (ports.asker, ASKER, session_datagram(6, 60)),
        (ports.target, TARGET, rhello(&TAG)),
    ];
    let passed_on = tries.iter().filter(|(port, from, datagram)| bench.send(*port, from, datagram).is_ok()).count();
    dropped("packets of a pair that has ended", &bench, passed_on, DropReason::UnknownTag)
}

#[test]
fn nothing_is_passed_on_that_should_not_be() {
    let table = [
        guessed_tags(),
        replayed_hellos(),
        hellos_of_the_wrong_side(),
        hellos_from_addresses_of_others(),
        datagrams_from_third_parties(),
        datagrams_of_the_other_sides_address(),
        data_before_the_target_is_known(),
        rubbish(),
        amplification(),
        victim_that_says_nothing(),
        stolen_address(),
        ten_thousand_allocations(),
        ten_thousand_allocations_of_one_client(),
        to_itself(),
        to_the_server_and_to_nobody(),
        expired_pairs(),
    ];
    for Outcome { name, passed_on, dropped, refused } in table {
        println!("{name}: {passed_on} passed on; dropped: {dropped:?}; refused: {refused:?}");
        assert_eq!(passed_on, 0, "{name}");
        assert!(dropped.is_none_or(|(_, count)| count > 0), "{name}: {dropped:?}");
        assert!(refused.is_none_or(|(_, count)| count > 0), "{name}: {refused:?}");
    }
}
