//! Several servers have the same peer: a client and its copy, or a client that has moved.

use introd_plugin::PeerSession;
use registry_redis::{Registry, Settings};

use crate::harness::*;

const PEER: u32 = 1;

/// A session that has not proven its peer ID: its certificate could be a copy.
fn unproven(id: u64) -> PeerSession {
    PeerSession { id, ..PeerSession::default() }
}

fn proven(id: u64) -> PeerSession {
    PeerSession { id, is_proven: true, is_silent: false }
}

fn silent(session: PeerSession) -> PeerSession {
    PeerSession { is_silent: true, ..session }
}

fn publishes(registry: &Registry, host: u8, session: PeerSession) {
    and_writes(registry, || registry.publish_session(peer(PEER), &addresses(host), session).unwrap());
}

/// Changes only the state of the session.
fn updates(registry: &Registry, session: PeerSession) {
    and_writes(registry, || registry.publish_session(peer(PEER), &[], session).unwrap());
}

fn withdraws(registry: &Registry) {
    and_writes(registry, || registry.withdraw(peer(PEER)));
}

/// Waits until Redis has what `call` publishes or withdraws.
fn and_writes(registry: &Registry, call: impl FnOnce()) {
    let written = || metric(registry, "published") + metric(registry, "withdrawn");
    let before = written();
    call();
    eventually("it is written", || written() > before);
}

/// A registry that caches nothing: it finds what Redis holds now.
pub(crate) fn uncached(settings: Settings) -> Registry {
    registry(Settings { positive_cache: 0, negative_cache: 0, ..settings })
}

fn found(registries: &[&Registry], host: u8) {
    for registry in registries {
        eventually("it is found where it counts", || is_at(registry, peer(PEER), host));
    }
}

/// `a` has the peer, then `b`, and `c` looks for it.
pub(crate) fn a_copy_never_replaces_a_client_that_is_alive(a: &Registry, b: &Registry, c: &Registry) {
    publishes(a, 1, unproven(7));
    publishes(b, 2, unproven(8));
    found(&[a, c], 1);
    publishes(a, 3, unproven(7));
    publishes(b, 4, unproven(8));
    found(&[a, c], 3);
    // Another session of the copy does not count either.
    publishes(b, 5, unproven(9));
    found(&[a, c], 3);
    // The first client becomes silent, and then is heard again.
    updates(a, silent(unproven(7)));
    found(&[a, b, c], 5);
    updates(a, unproven(7));
    found(&[a, c], 3);
    // Both are silent: each server answers with its own entry, and redirects no asker to the other server.
    updates(a, silent(unproven(7)));
    updates(b, silent(unproven(9)));
    found(&[a], 3);
    found(&[b], 5);
    updates(b, unproven(9));
    found(&[a, b, c], 5);
    updates(a, unproven(7));
    found(&[a, c], 3);
    // When one goes, the other is found.
    withdraws(a);
    found(&[a, b, c], 5);
    publishes(a, 6, unproven(10));
    found(&[b, c], 5);
    withdraws(b);
    found(&[a, b, c], 6);
    withdraws(a);
    eventually("it is gone", || find(c, peer(PEER)) == Ok(None));
}

#[test]
fn an_unproven_session_never_replaces_one_that_is_alive() {
    let redis = Redis::start();
    let (a, b) = (registry(settings(&redis.url())), registry(settings(&redis.url())));
    let c = uncached(settings(&redis.url()));
    a_copy_never_replaces_a_client_that_is_alive(&a, &b, &c);
    assert!(redis.command(&["KEYS", "introd:peer:*"]).trim().is_empty(), "nothing is left");
}

#[test]
fn the_newest_proven_session_counts_and_the_older_one_after_it() {
    let redis = Redis::start();
    let (a, b) = (registry(settings(&redis.url())), registry(settings(&redis.url())));
    let c = uncached(settings(&redis.url()));
    publishes(&a, 1, proven(7));
    publishes(&b, 2, proven(7));
    found(&[&b, &c], 2);
    // Another address does not make a session newer; another session is newer.
    publishes(&a, 3, proven(7));
    found(&[&b, &c], 2);
    publishes(&a, 4, proven(8));
    found(&[&a, &c], 4);
    // That session ends, and the older one at the same server is left.
    publishes(&a, 5, proven(7));
    found(&[&b, &c], 2);
    withdraws(&b);
    found(&[&a, &b, &c], 5);
    publishes(&b, 6, proven(9));
    updates(&b, silent(proven(9)));
    found(&[&a, &b, &c], 5);
    // A policy publishes without a session, and counts as proven.
    and_writes(&c, || c.publish(peer(PEER), &addresses(9)).unwrap());
    found(&[&c], 9);
    eventually("the others find it", || is_at(&b, peer(PEER), 9));
}

#[test]
fn a_server_that_was_cut_off_gets_its_peer_back() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let (a, b) = (registry(settings(&proxy.url())), registry(settings(&redis.url())));
    let c = uncached(settings(&redis.url()));
    publishes(&a, 1, unproven(7));
    publishes(&b, 2, unproven(8));
    found(&[&c], 1);
    proxy.cut();
    found(&[&c], 2);
    // The next write removes the entry of the dead server.
    publishes(&b, 3, unproven(8));
    assert_eq!(entries(&redis), "1");
    proxy.mend();
    found(&[&c], 1);
    // Redis loses everything: the order of the sessions stays.
    redis.command(&["FLUSHALL"]);
    eventually("both are there again", || entries(&redis) == "2");
    found(&[&c], 1);
    drop(a);
    found(&[&b, &c], 3);
}

/// How many entries of the peer Redis has.
fn entries(redis: &Redis) -> String {
    let script = "local v=redis.call('GET',KEYS[1]) if not v then return 0 end if string.byte(v)==1 then return 1 end \
                  local n,i=0,2 while i<#v do i=i+2+string.byte(v,i)*256+string.byte(v,i+1) n=n+1 end return n";
    redis.command(&["EVAL", script, "1", &format!("introd:peer:{}", peer(PEER))]).trim().to_owned()
}

#[test]
fn clocks_that_differ_change_no_order() {
    let redis = Redis::start();
    let b = registry(settings(&redis.url()));
    let c = uncached(settings(&redis.url()));
    // A server whose clock is thousands of years ahead has the peer first.
    let key = format!("introd:peer:{}", peer(PEER));
    let script = "redis.call('SET','introd:server:a','3132333435363738') \
                  redis.call('SET',KEYS[1],'\\1'..'12345678'..'\\0\\0\\64\\0\\0\\0\\0\\0'..'\\1'..'a'..'\\1'..'\\2\\203\\0\\113\\77\\156\\64')";
    redis.command(&["EVAL", script, "1", &key]);
    eventually("it is found", || matches!(find(&c, peer(PEER)), Ok(Some(at)) if at.len() == 1));
    publishes(&b, 2, unproven(8));
    eventually("the copy stands beside it", || entries(&redis) == "2");
    let is_first = || matches!(find(&c, peer(PEER)), Ok(Some(at)) if at.len() == 1);
    eventually("the first counts", is_first);
    // The beginning of the session is kept when all entries are written again.
    redis.command(&["DEL", &format!("introd:server:{}", b.server())]);
    eventually("it is written again", || metric(&b, "republished") == 1 && metric(&b, "unwritten") == 0);
    eventually("the first counts", is_first);
    // The newest proven session counts, whatever its server's clock says.
    publishes(&b, 3, proven(9));
    found(&[&c], 3);
}

#[test]
fn entries_of_a_peer_are_bounded_and_the_first_is_never_removed() {
    let redis = Redis::start();
    let servers: Vec<Registry> = (0..12).map(|_| registry(settings(&redis.url()))).collect();
    for (number, server) in (1..).zip(&servers) {
        publishes(server, number, unproven(u64::from(number)));
    }
    assert_eq!(entries(&redis), "8");
    let c = uncached(settings(&redis.url()));
    found(&[&c], 1);
    withdraws(&servers[0]);
    found(&[&c], 2);
}

#[test]
fn a_value_of_an_unknown_format_is_left_alone() {
    let redis = Redis::start();
    let a = registry(Settings { server: "a".to_owned(), ..settings(&redis.url()) });
    let key = format!("introd:peer:{}", peer(PEER));
    publishes(&a, 1, unproven(7));
    redis.command(&["SET", &key, "\u{7f} of a later version"]);
    withdraws(&a);
    assert_eq!(redis.command(&["GET", &key]).trim(), "\u{7f} of a later version");
    // Incomplete entries are ignored, and the next write removes them.
    redis.command(&["EVAL", "redis.call('SET',KEYS[1],'\\2\\0\\99\\1abc')", "1", &key]);
    assert_eq!(find(&a, peer(PEER)), Ok(None));
    publishes(&a, 2, unproven(8));
    eventually("it is alone there", || entries(&redis) == "1");
}

#[test]
fn who_came_first_and_who_last_stays_so_when_a_server_is_taken_over() {
    let redis = Redis::start();
    let named = || Settings { server: "a".to_owned(), ..settings(&redis.url()) };
    let (b, c) = (registry(settings(&redis.url())), uncached(settings(&redis.url())));
    let mut a = registry(named());
    let heir_of = |old: &Registry| Registry::take_over(&old.hand_over(), named(), Lines::default().log()).unwrap();
    // The peer has moved from the one to the other.
    publishes(&a, 1, proven(7));
    publishes(&b, 2, proven(8));
    found(&[&c], 2);
    // The new process publishes its clients before it serves, or after that.
    for publishes_early in [true, false] {
        let new = heir_of(&a);
        if publishes_early {
            publishes(&new, 3, proven(7));
            assert!(is_at(&c, peer(PEER), 2));
        }
        new.took_over(&a.hand_over());
        a.handed_over();
        if !publishes_early {
            publishes(&new, 3, proven(7));
        }
        assert!(is_at(&c, peer(PEER), 2));
        a = new;
    }
    // Each takes over from one that has not published anything yet.
    for _ in 0..2 {
        let new = heir_of(&a);
        new.took_over(&a.hand_over());
        a.handed_over();
        a = new;
    }
    publishes(&a, 4, proven(7));
    assert!(is_at(&c, peer(PEER), 2));
    // Another session of it has come later than all others.
    publishes(&a, 5, proven(9));
    assert!(is_at(&c, peer(PEER), 5));
    withdraws(&a);
    assert!(is_at(&c, peer(PEER), 2));
    withdraws(&b);
    assert_eq!(find(&c, peer(PEER)), Ok(None));
    // A copy does not count because the server of the first client was taken over.
    publishes(&a, 1, unproven(7));
    publishes(&b, 2, unproven(8));
    let new = heir_of(&a);
    new.took_over(&a.hand_over());
    a.handed_over();
    publishes(&new, 3, unproven(7));
    assert!(is_at(&c, peer(PEER), 3));
}
