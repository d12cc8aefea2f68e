//! Several servers have the same peer: its copy, or itself, come from another server.

use introd_plugin::PeerSession;
use registry_redis::{Registry, Settings};

use crate::harness::*;

const PEER: u32 = 1;

/// A session that has proven nothing: whoever has seen the peer's certificate could show it.
fn unproven(id: u64) -> PeerSession {
    PeerSession { id, ..PeerSession::default() }
}

fn proven(id: u64) -> PeerSession {
    PeerSession { id, is_proven: true, is_silent: false }
}

fn silent(standing: PeerSession) -> PeerSession {
    PeerSession { is_silent: true, ..standing }
}

fn says(registry: &Registry, host: u8, standing: PeerSession) {
    and_arrives(registry, || registry.publish_session(peer(PEER), &addresses(host), standing).unwrap());
}

/// Only how the session stands is new.
fn stands(registry: &Registry, standing: PeerSession) {
    and_arrives(registry, || registry.publish_session(peer(PEER), &[], standing).unwrap());
}

fn withdraws(registry: &Registry) {
    and_arrives(registry, || registry.withdraw(peer(PEER)));
}

/// Waits until what is said stands in Redis.
fn and_arrives(registry: &Registry, say: impl FnOnce()) {
    let written = || metric(registry, "published") + metric(registry, "withdrawn");
    let before = written();
    say();
    eventually("it is written", || written() > before);
}

/// A registry that remembers nothing of others: what it finds is what stands there.
pub(crate) fn forgetful(settings: Settings) -> Registry {
    registry(Settings { positive_cache: 0, negative_cache: 0, ..settings })
}

fn found(registries: &[&Registry], host: u8) {
    for registry in registries {
        eventually("it is found where it counts", || is_at(registry, peer(PEER), host));
    }
}

/// `a` has the peer, then `b`, and `c` looks for it.
pub(crate) fn a_copy_never_takes_the_place_of_one_that_lives(a: &Registry, b: &Registry, c: &Registry) {
    says(a, 1, unproven(7));
    says(b, 2, unproven(8));
    found(&[a, c], 1);
    says(a, 3, unproven(7));
    says(b, 4, unproven(8));
    found(&[a, c], 3);
    // Another session of the copy is no better, and neither is one that copies the copy.
    says(b, 5, unproven(9));
    found(&[a, c], 3);
    // The one that came first falls silent, and speaks again.
    stands(a, silent(unproven(7)));
    found(&[a, b, c], 5);
    stands(a, unproven(7));
    found(&[a, c], 3);
    // Both are silent: each server has its own, and sends nobody to the other.
    stands(a, silent(unproven(7)));
    stands(b, silent(unproven(9)));
    found(&[a], 3);
    found(&[b], 5);
    stands(b, unproven(9));
    found(&[a, b, c], 5);
    stands(a, unproven(7));
    found(&[a, c], 3);
    // When one goes, the other is found.
    withdraws(a);
    found(&[a, b, c], 5);
    says(a, 6, unproven(10));
    found(&[b, c], 5);
    withdraws(b);
    found(&[a, b, c], 6);
    withdraws(a);
    eventually("it is gone", || find(c, peer(PEER)) == Ok(None));
}

#[test]
fn who_has_proven_nothing_never_takes_the_place_of_one_that_lives() {
    let redis = Redis::start();
    let (a, b) = (registry(settings(&redis.url())), registry(settings(&redis.url())));
    let c = forgetful(settings(&redis.url()));
    a_copy_never_takes_the_place_of_one_that_lives(&a, &b, &c);
    assert!(redis.command(&["KEYS", "introd:peer:*"]).trim().is_empty(), "nothing is left");
}

#[test]
fn of_those_who_have_proven_it_the_newest_counts_and_the_older_when_that_goes() {
    let redis = Redis::start();
    let (a, b) = (registry(settings(&redis.url())), registry(settings(&redis.url())));
    let c = forgetful(settings(&redis.url()));
    says(&a, 1, proven(7));
    says(&b, 2, proven(7));
    found(&[&b, &c], 2);
    // Another address is no newer session; another session is.
    says(&a, 3, proven(7));
    found(&[&b, &c], 2);
    says(&a, 4, proven(8));
    found(&[&a, &c], 4);
    // That session ends, and the older one of the same server is left.
    says(&a, 5, proven(7));
    found(&[&b, &c], 2);
    withdraws(&b);
    found(&[&a, &b, &c], 5);
    says(&b, 6, proven(9));
    stands(&b, silent(proven(9)));
    found(&[&a, &b, &c], 5);
    // What a policy says without a word on sessions counts as proven.
    and_arrives(&c, || c.publish(peer(PEER), &addresses(9)).unwrap());
    found(&[&c], 9);
    eventually("the others hear of it", || is_at(&b, peer(PEER), 9));
}

#[test]
fn one_that_was_cut_off_with_its_peer_has_it_back() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let (a, b) = (registry(settings(&proxy.url())), registry(settings(&redis.url())));
    let c = forgetful(settings(&redis.url()));
    says(&a, 1, unproven(7));
    says(&b, 2, unproven(8));
    found(&[&c], 1);
    proxy.cut();
    found(&[&c], 2);
    // What the dead server had left goes with the next word.
    says(&b, 3, unproven(8));
    assert_eq!(entries(&redis), "1");
    proxy.mend();
    found(&[&c], 1);
    // Redis forgets everything: the order in which they came stands.
    redis.command(&["FLUSHALL"]);
    eventually("both are there again", || entries(&redis) == "2");
    found(&[&c], 1);
    drop(a);
    found(&[&b, &c], 3);
}

/// How many entries the peer has.
fn entries(redis: &Redis) -> String {
    let script = "local v=redis.call('GET',KEYS[1]) if not v then return 0 end if string.byte(v)==1 then return 1 end \
                  local n,i=0,2 while i<#v do i=i+2+string.byte(v,i)*256+string.byte(v,i+1) n=n+1 end return n";
    redis.command(&["EVAL", script, "1", &format!("introd:peer:{}", peer(PEER))]).trim().to_owned()
}

#[test]
fn clocks_that_differ_change_no_order() {
    let redis = Redis::start();
    let b = registry(settings(&redis.url()));
    let c = forgetful(settings(&redis.url()));
    // A server whose clock is some thousand years ahead has the peer first.
    let key = format!("introd:peer:{}", peer(PEER));
    let script = "redis.call('SET','introd:server:a','3132333435363738') \
                  redis.call('SET',KEYS[1],'\\1'..'12345678'..'\\0\\0\\64\\0\\0\\0\\0\\0'..'\\1'..'a'..'\\1'..'\\2\\203\\0\\113\\77\\156\\64')";
    redis.command(&["EVAL", script, "1", &key]);
    eventually("it is found", || matches!(find(&c, peer(PEER)), Ok(Some(at)) if at.len() == 1));
    says(&b, 2, unproven(8));
    eventually("the copy stands beside it", || entries(&redis) == "2");
    let is_first = || matches!(find(&c, peer(PEER)), Ok(Some(at)) if at.len() == 1);
    eventually("the first counts", is_first);
    // That time is kept when all is written anew.
    redis.command(&["DEL", &format!("introd:server:{}", b.server())]);
    eventually("it is written anew", || metric(&b, "republished") == 1 && metric(&b, "unwritten") == 0);
    eventually("the first counts", is_first);
    // Of proven ones the newest counts, whatever its clock says.
    says(&b, 3, proven(9));
    found(&[&c], 3);
}

#[test]
fn what_stands_of_a_peer_is_bounded_and_the_first_is_never_driven_out() {
    let redis = Redis::start();
    let servers: Vec<Registry> = (0..12).map(|_| registry(settings(&redis.url()))).collect();
    for (number, server) in (1..).zip(&servers) {
        says(server, number, unproven(u64::from(number)));
    }
    assert_eq!(entries(&redis), "8");
    let c = forgetful(settings(&redis.url()));
    found(&[&c], 1);
    withdraws(&servers[0]);
    found(&[&c], 2);
}

#[test]
fn what_is_of_no_known_format_is_left_to_whoever_wrote_it() {
    let redis = Redis::start();
    let a = registry(Settings { server: "a".to_owned(), ..settings(&redis.url()) });
    let key = format!("introd:peer:{}", peer(PEER));
    says(&a, 1, unproven(7));
    redis.command(&["SET", &key, "\u{7f} of a later version"]);
    withdraws(&a);
    assert_eq!(redis.command(&["GET", &key]).trim(), "\u{7f} of a later version");
    // Halves of entries count for nothing and are in nobody's way.
    redis.command(&["EVAL", "redis.call('SET',KEYS[1],'\\2\\0\\99\\1abc')", "1", &key]);
    assert_eq!(find(&a, peer(PEER)), Ok(None));
    says(&a, 2, unproven(8));
    eventually("it is alone there", || entries(&redis) == "1");
}
