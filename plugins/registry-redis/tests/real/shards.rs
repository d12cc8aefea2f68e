//! One of three masters of a cluster is gone.

use registry_redis::{Failure, Registry, Settings};

use crate::harness::*;

const PEERS: u32 = 60;

/// What is found while a master is gone: the peers whose keys are elsewhere, and for the others lookups fail.
fn without_one(cluster: &mut Cluster, goes: impl FnOnce(&mut Redis), returns: impl FnOnce(&mut Redis)) {
    let uncached = || Settings { positive_cache: 0, negative_cache: 0, ..cluster.settings() };
    // Wherever the key of a server is, it has a copy elsewhere: among these three, some have theirs at the master that goes.
    let servers: Vec<Registry> =
        (0..3).map(|number| registry(Settings { server: format!("server-{number}"), ..cluster.settings() })).collect();
    let b = registry(uncached());
    connected(&b);
    for number in 0..PEERS {
        servers[number as usize % 3].publish(peer(number), &addresses(1)).unwrap();
    }
    eventually("all are found", || (0..PEERS).all(|number| is_at(&b, peer(number), 1)));
    let key = |number: u32| format!("introd:peer:{}", peer(number));
    let (gone, live): (Vec<u32>, Vec<u32>) = (0..PEERS).partition(|number| cluster.has(0, &key(*number)));
    assert!(gone.len() > 5 && live.len() > 20);
    let at_gone = (0..3).filter(|number| cluster.has(0, &format!("introd:server:server-{number}"))).count();
    assert!(at_gone > 0, "a server has its key there");
    goes(&mut cluster.0[0]);
    // It may take a moment in which the client of Redis looks for the master.
    eventually("the others are found", || live.iter().all(|number| is_at(&b, peer(*number), 1)));
    // For longer than any heartbeat lasts: servers live although the key of some is gone.
    let beats: Vec<u64> = servers.iter().map(|server| metric(server, "heartbeats")).collect();
    while servers.iter().zip(&beats).any(|(server, before)| metric(server, "heartbeats") < before + 5) {
        assert!(live.iter().all(|number| is_at(&b, peer(*number), 1)), "all the time");
    }
    for number in &gone {
        assert!(matches!(find(&b, peer(*number)), Err(Failure::Refused(_))), "{:?}", find(&b, peer(*number)));
    }
    assert!(servers.iter().all(|server| metric(server, "alive") == 1 && metric(server, "connected") == 1));
    // Peers come and go meanwhile.
    for number in PEERS..PEERS + 30 {
        servers[0].publish(peer(number), &addresses(2)).unwrap();
    }
    let here = |number: &u32| !cluster.has(0, &key(*number));
    eventually("those at the others are found", || {
        (PEERS..PEERS + 30).filter(here).all(|number| is_at(&b, peer(number), 2))
    });
    returns(&mut cluster.0[0]);
    eventually("all are found", || {
        (0..PEERS).all(|number| is_at(&b, peer(number), 1))
            && (PEERS..PEERS + 30).all(|number| is_at(&b, peer(number), 2))
    });
}

#[test]
fn a_master_that_freezes_fails_the_lookups_of_its_own_keys_only() {
    without_one(&mut Cluster::start(false), |node| node.freeze(), |node| node.thaw());
}
