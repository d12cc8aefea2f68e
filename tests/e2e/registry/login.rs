//! The password of Redis changes while servers run.

use introd_tests::folder::Folder;
use introd_tests::program::{Peer, Server};
use introd_tests::redis::Redis;
use introd_tests::waiting::eventually;
use rtmfp::PeerId;

use super::{Asker, configured};

/// Gives the user these passwords and no others.
fn set_passwords(redis: &Redis, passwords: &[&str]) {
    let passwords: Vec<String> = passwords.iter().map(|password| format!(">{password}")).collect();
    let rules = ["ACL", "SETUSER", "introd", "reset", "on", "allkeys", "+@all"];
    let words: Vec<&str> = rules.into_iter().chain(passwords.iter().map(String::as_str)).collect();
    assert_eq!(redis.command(&words), "OK\n");
}

/// The ids of the connections that the servers have to Redis.
fn connections(redis: &Redis) -> Vec<String> {
    let list = redis.command(&["CLIENT", "LIST"]);
    let own = list.lines().filter(|line| line.contains("user=introd"));
    own.map(|line| line.split(' ').next().unwrap().replace("id=", "")).collect()
}

#[test]
fn a_reload_gives_the_registry_a_password_that_has_changed_and_no_peer_is_lost() {
    let (redis, folder) = (Redis::start(), Folder::new());
    set_passwords(&redis, &["old", "new"]);
    let url = |password: &str| format!("redis://introd:{password}@127.0.0.1:{}", redis.port);
    let mut a = Server::configured(&configured(&folder, &url("old"), "a", ""), 2);
    let b = Server::configured(&configured(&folder, &redis.url(), "b", ""), 2);
    let (here, there) = (Peer::stay(&a.uri(0)), Peer::stay(&b.uri(0)));
    let [here_id, there_id] = [&here, &there].map(|peer| peer.id.parse::<PeerId>().unwrap());
    let (at_a, at_b) = (Asker::new(a.addresses[0]), Asker::new(b.addresses[0]));
    at_b.finds_all(a.addresses[0], &[here_id]);
    at_a.finds_all(b.addresses[0], &[there_id]);
    let before = connections(&redis);
    assert_eq!(before.len(), 1);
    // The password changes in the configuration, and then only the new one is valid.
    configured(&folder, &url("new"), "a", "");
    assert!(a.reload());
    eventually("another connection has taken over", || {
        let now = connections(&redis);
        now.len() == 1 && now != before
    });
    set_passwords(&redis, &["new"]);
    at_b.finds_all(a.addresses[0], &[here_id]);
    at_a.finds_all(b.addresses[0], &[there_id]);
    assert!(!a.log().contains("at the next start only"), "{}", a.log());
    // What cannot change while the server runs is said.
    let text = std::fs::read_to_string(folder.join("a").join("Server.xml")).unwrap();
    let other = text.replace("</url>", "</url><namespace>other</namespace>");
    std::fs::write(folder.join("a").join("Server.xml"), other).unwrap();
    assert!(a.reload());
    eventually("it is said", || a.log().contains("at the next start only: the registry"));
    // Settings that cannot be used change nothing.
    std::fs::write(folder.join("a").join("Server.xml"), text.replace("redis://", "nothing://")).unwrap();
    assert!(a.reload());
    eventually("it is said", || a.log().contains("the registry keeps its earlier settings"));
    at_b.finds_all(a.addresses[0], &[here_id]);
}
