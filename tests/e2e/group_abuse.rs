//! Clients that abuse groups are rejected or bounded, and counted, and do not disturb others.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use introd_flash::metadata::FlowKind;
use introd_netgroup::channel::join;
use introd_netgroup::member::flow_type;
use introd_netgroup::member::message::{Connect, ControlMessage};
use introd_netgroup::{GroupDigest, GroupSpecifier};
use introd_tests::program::Server;
use rtmfp::PeerId;
use rtmfp::flow::{Delivery, FlowOptions, SendFlowId};

use crate::harness::clients::{TIMEOUT, call, connect, create_stream};
use crate::harness::members::{Member, digest};

/// A group without other members.
fn some_group(number: u32) -> GroupDigest {
    let mut digest = [0x77; 32];
    digest[..4].copy_from_slice(&number.to_be_bytes());
    GroupDigest(digest)
}

/// A join that names its group by that option.
fn named(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut message = vec![0x01];
    rtmfp::wire::option::put(u64::from(kind), value, &mut message);
    message
}

#[tokio::test]
async fn a_malformed_join_ends_only_its_flow() {
    let server = Server::on_loopback(1);
    let group = digest("chess");
    let whole = join(&group);
    let mut attacker = Member::joined(&server, 1, &whole).await;
    let messages = [
        // Truncated, in every part.
        vec![],
        whole[..1].to_vec(),
        whole[..2].to_vec(),
        whole[..20].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        // Digests of other lengths, invalid groupspecs, and groups named by unknown options.
        named(0x15, &[1; 31]),
        named(0x15, &[1; 33]),
        named(0x15, &[]),
        named(0x10, b"chess"),
        named(0x10, b"G:"),
        named(0x10, b"G:zz"),
        named(0x10, &[0xff; 100]),
        named(0x44, &[1; 32]),
        vec![0x07],
        vec![0x0b; 33],
        // Oversize.
        named(0x10, &vec![b'0'; 17_000]),
        named(0x15, &vec![1; 100_000]),
        vec![0x01; 3_000_000],
    ];
    for message in &messages {
        let flow = attacker.say(&[message]);
        attacker.is_rejected(&[flow]).await;
    }
    assert!(create_stream(&mut attacker.client, 3.0).await > 0.0, "the connection goes on");
    // And it is in its group still.
    let victim = Member::joined(&server, 2, &whole).await;
    attacker.is_told_of(&[victim.client.id()]).await;
    let ended = server.stop();
    assert_eq!((ended.counter("group_join"), ended.counter("group_leave")), (2, 2));
    // The last is longer than any message to the server may be, and ends its flow before it is a message.
    assert_eq!(ended.counter("group_join_refused"), messages.len() as u64 - 1);
}

#[tokio::test]
async fn ten_thousand_joins_of_one_client_are_bounded_and_counted() {
    let server = Server::on_loopback(2);
    let group = join(&digest("chess"));
    let first = Member::joined(&server, 1, &group).await;
    let started = Instant::now();
    let mut attacker = Member::joined(&server, 2, &join(&some_group(0))).await;
    // One flow that joins one group after the other: the rejection ends it, and what is queued with it.
    let joins: Vec<Vec<u8>> = (1..=5000).map(|number| join(&some_group(number))).collect();
    let flow = attacker.say(&joins.iter().map(|join| &join[..]).collect::<Vec<_>>());
    attacker.is_rejected(&[flow]).await;
    let before = server.resident();
    // And one flow for each.
    for round in 0..125 {
        let flows: Vec<SendFlowId> =
            (0..40).map(|number| attacker.say(&[&join(&some_group(10_000 + 40 * round + number))])).collect();
        // Joins that came when the rate allowed one more are accepted; they are closed here.
        call(&mut attacker.client, "anything", f64::from(10 + round), Vec::new()).await;
        let session = attacker.client.session();
        let endpoint = &mut attacker.client.peer().endpoint;
        for flow in &flows {
            let _ = endpoint.with_flows(Instant::now(), session, |own| own.close(*flow));
        }
        attacker.is_rejected(&flows).await;
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB");
    // Other members are not disturbed.
    let mut victim = Member::joined(&server, 3, &group).await;
    victim.is_told_of(&[first.client.id()]).await;
    assert!(attacker.hints.is_empty());
    let seconds = started.elapsed().as_secs() + 1;
    let ended = server.stop();
    let (joined, refused) = (ended.counter("group_join"), ended.counter("group_join_refused"));
    println!("{joined} joins taken, {refused} flows refused in {seconds} s; {grown} KiB more");
    assert_eq!(joined, ended.counter("group_leave"));
    assert!(joined <= 2 + 64 + seconds, "{joined} in {seconds} s");
    // Of five thousand flows.
    assert!(refused + joined >= 5000, "{refused}");
}

#[tokio::test]
async fn a_flood_of_joins_does_not_disturb_other_members() {
    let server = Server::on_loopback(2);
    let group = digest("chess");
    let mut first = Member::joined(&server, 1000, &join(&group)).await;
    let mut attackers = Vec::new();
    for number in 0..20 {
        attackers.push(Member::joined(&server, number, &join(&some_group(number as u32))).await);
    }
    // All of them join dozens of groups, the same for all and the victims' among them, and say more than they may.
    for attacker in &mut attackers {
        for number in 0..50 {
            attacker.say(&[&join(&some_group(5000 + number)), &join(&some_group(6000 + number))]);
        }
        attacker.say(&[&join(&group)]);
    }
    let flood = async {
        for attacker in &mut attackers {
            assert!(create_stream(&mut attacker.client, 7.0).await > 0.0, "no client is disconnected");
        }
    };
    // Meanwhile others join, are told of each other, and meet.
    let others = async {
        let mut second = Member::joined(&server, 1001, &join(&group)).await;
        second.is_told_of(&[first.client.id()]).await;
        let target = first.client.id();
        tokio::select! {
            meeting = second.client.meet(target, TIMEOUT) => drop(meeting.expect("a meeting")),
            _ = first.client.stay() => panic!("it is there"),
        }
        second
    };
    let (_, second) = tokio::join!(flood, others);
    for member in attackers.into_iter().chain([first, second]) {
        member.client.close().await;
    }
    let ended = server.stop();
    assert_eq!(ended.counter("group_join"), ended.counter("group_leave"));
    assert!(ended.counter("group_join_refused") > 0);
    assert_eq!(ended.counter("worker_mailbox_full"), 0);
}

/// Claims on a flow of its own to be a member, with a false proof, to a peer that it has a session with.
fn claim(stranger: &mut Member, member: PeerId, group: GroupDigest, proof: [u8; 32]) -> (rtmfp::SessionId, SendFlowId) {
    let endpoint = &mut stranger.client.peer().endpoint;
    let session = endpoint.session_of(&member).expect("a session");
    let (now, metadata) = (Instant::now(), FlowKind::GroupPeer(flow_type::CONTROL).metadata());
    let flow = endpoint.open_flow(now, session, &metadata, FlowOptions::default()).expect("a flow");
    let message = ControlMessage::Connect(Connect { group, proof, receiver: member }).write();
    endpoint.send(now, session, flow, message, Delivery::default()).expect("it can be sent");
    (session, flow)
}

/// The server cannot check that a client knows the groupspec: a client that has seen the digest can join. The members check it.
#[tokio::test]
async fn a_client_that_knows_only_the_digest_is_named_but_no_member_accepts_it() {
    let server = Server::on_loopback(1);
    let spec =
        GroupSpecifier::new("secret").and_then(|specifier| specifier.with_authorizations()).expect("a groupspec");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut member = connect(&server.uri(0), any, 1).await;
    member.join(&spec);
    let mut stranger = Member::joined(&server, 2, &join(&spec.digest())).await;
    let id = member.id();
    let trying = async {
        stranger.is_told_of(&[id]).await;
        stranger.client.meet(id, TIMEOUT).await.expect("a session");
        for proof in [[0; 32], [0x5a; 32]] {
            let (session, flow) = claim(&mut stranger, id, spec.digest(), proof);
            let is_rejected = async {
                loop {
                    let endpoint = &mut stranger.client.peer().endpoint;
                    match endpoint.with_flows(Instant::now(), session, |flows| flows.is_open(flow)) {
                        Ok(true) => drop(stranger.one_event().await),
                        _ => return,
                    }
                }
            };
            tokio::time::timeout(TIMEOUT, is_rejected).await.expect("a rejection");
        }
    };
    let living = async {
        loop {
            member.next().await.expect("its socket works");
        }
    };
    tokio::select! {
        () = trying => (),
        () = living => (),
    }
    assert!(member.neighbors(&spec.digest()).is_empty());
    // A client that knows the groupspec is accepted.
    let mut friend = connect(&server.uri(0), any, 3).await;
    friend.join(&spec);
    let deadline = Instant::now() + TIMEOUT;
    while friend.neighbors(&spec.digest()) != [id] {
        assert!(Instant::now() < deadline);
        tokio::select! {
            event = friend.next() => drop(event),
            event = member.next() => drop(event),
            event = stranger.one_event() => drop(event),
            () = tokio::time::sleep(Duration::from_millis(100)) => (),
        }
    }
}
