//! TLS and logins, sentinels, clusters.

use std::path::Path;
use std::process::Command;

use registry_redis::{Mode, Registry, Settings};

use crate::copies::{a_copy_never_replaces_a_client_that_is_alive, uncached};
use crate::harness::*;

fn meet(a: &Registry, b: &Registry) {
    a.publish(peer(1), &addresses(1)).unwrap();
    eventually("it is found", || is_at(b, peer(1), 1));
    a.withdraw(peer(1));
    eventually("it is gone", || find(b, peer(1)) == Ok(None));
}

#[test]
fn with_a_login() {
    let redis = Redis::start();
    // Exactly the permissions that README.md names.
    let rules = "on >secret ~introd:* resetchannels +set +get +mget +del +eval +zadd +zrem +zrange +zrandmember +zmscore +pexpire \
                 +client|tracking +client|caching +hello";
    let words: Vec<&str> = ["ACL", "SETUSER", "introd"].into_iter().chain(rules.split(' ')).collect();
    assert_eq!(redis.command(&words), "OK\n");
    redis.command(&["CONFIG", "SET", "requirepass", "other"]);
    let login = |password: &str| Settings {
        username: "introd".to_owned(),
        password: password.to_owned(),
        ..settings(&redis.url())
    };
    let (a, b) = (registry(Settings { sweep: 1, ..login("secret") }), registry(login("secret")));
    meet(&a, &b);
    // Groups, with members of a dead server, and with members that Redis loses.
    let key = format!("introd:group:{}", group(1));
    let dead = [&[1; 72][..], b"gone"].concat();
    let mut add = Command::new("redis-cli");
    add.args(["-a", "other", "-p", &redis.port.to_string(), "-x", "ZADD", &key, "0"]);
    let mut add = add.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut add.stdin.take().unwrap(), &dead).unwrap();
    assert!(add.wait().unwrap().success());
    (1..=5).for_each(|number| a.join_group(&member(group(1), number)).unwrap());
    let asker = member(group(1), 9);
    eventually("all are found", || neighbors(&b, &asker, 3, 3).is_ok_and(|found| found.len() == 5));
    eventually("the dead one is removed", || {
        neighbors(&b, &asker, 3, 3).is_ok() && metric(&b, "dead_members_removed") == 1
    });
    let mut remove = Command::new("redis-cli");
    remove.args(["-a", "other", "-p", &redis.port.to_string(), "ZREMRANGEBYRANK", &key, "0", "1"]);
    assert!(remove.output().unwrap().status.success());
    eventually("what was lost comes back", || neighbors(&b, &asker, 3, 3).is_ok_and(|found| found.len() == 5));
    a.leave_group(&member(group(1), 1));
    eventually("one has left", || neighbors(&b, &asker, 3, 3).is_ok_and(|found| found.len() == 4));
    assert_eq!([&a, &b].map(|registry| metric(registry, "writes_refused")), [0, 0]);
    drop((a, b));
    let in_url = format!("redis://introd:secret@127.0.0.1:{}", redis.port);
    connected(&registry(settings(&in_url)));
    let lines = Lines::default();
    let _wrong = Registry::start(login("guess"), lines.log()).unwrap();
    eventually("it is said", || lines.contain("WRONGPASS") || lines.contain("uthentication"));
    assert!(!lines.contain("guess"));
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let output = output.expect("these tests need openssl: install openssl");
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn with_tls() {
    let folder = Folder::new();
    openssl(folder.path(), "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca");
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    for name in ["server", "client"] {
        openssl(
            folder.path(),
            &format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"),
        );
        openssl(
            folder.path(),
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2 -extfile names"
            ),
        );
    }
    let file = |name: &str| folder.join(name);
    let port = free_port();
    let redis = Redis::with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &file("server.pem").to_string_lossy(),
        "--tls-key-file",
        &file("server.key").to_string_lossy(),
        "--tls-ca-cert-file",
        &file("ca.pem").to_string_lossy(),
    ]);
    let url = format!("rediss://127.0.0.1:{port}");
    let secure = || Settings {
        ca_file: Some(file("ca.pem")),
        certificate_file: Some(file("client.pem")),
        key_file: Some(file("client.key")),
        ..settings(&url)
    };
    meet(&registry(secure()), &registry(secure()));
    // Redis requires a certificate of its clients, and clients trust only the authorities in their file.
    let lines = Lines::default();
    let _stranger = Registry::start(settings(&url), lines.log()).unwrap();
    eventually("it is said", || lines.contain("Warning: the connection to Redis is lost"));
    drop(redis);
}

#[test]
fn in_a_cluster() {
    let cluster = Cluster::start(true);
    let nodes = &cluster.0;
    let settings = || cluster.settings();
    let (a, b) = (registry(settings()), registry(settings()));
    connected(&b);
    meet(&a, &b);
    a_copy_never_replaces_a_client_that_is_alive(&a, &b, &uncached(settings()));
    let published = metric(&a, "published");
    for number in 0..300 {
        a.publish(peer(number), &addresses(1)).unwrap();
    }
    eventually("all are written", || metric(&a, "unwritten") == 0 && metric(&a, "published") >= published + 300);
    for node in nodes {
        assert!(node.command(&["DBSIZE"]).trim().parse::<u32>().unwrap() > 50, "the entries are spread");
    }
    eventually("all are found", || (0..300).all(|number| is_at(&b, peer(number), 1)));
}

#[test]
fn with_sentinels_that_know_the_master() {
    let first = Redis::start();
    let second = Redis::with(&["--replicaof", "127.0.0.1", &first.port.to_string()]);
    eventually("the replica follows", || second.command(&["INFO", "replication"]).contains("master_link_status:up"));
    let sentinel = {
        let (port, folder) = (free_port(), Folder::new());
        let file = folder.join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n",
            first.port
        );
        std::fs::write(&file, text).unwrap();
        let process = Process::start(Command::new("redis-server").arg(&file).arg("--sentinel"));
        process.output().wait_for("Sentinel ID is", 1);
        (port, folder, process)
    };
    let replicas = || command(sentinel.0, &["SENTINEL", "REPLICAS", "main"]);
    eventually("the sentinel knows both", || replicas().contains(&second.port.to_string()));
    let settings = || Settings {
        mode: Mode::Sentinel,
        master: "main".to_owned(),
        ..settings(&format!("redis://127.0.0.1:{}", sentinel.0))
    };
    let (a, b) = (registry(settings()), registry(settings()));
    connected(&b);
    meet(&a, &b);
    a.publish(peer(2), &addresses(2)).unwrap();
    eventually("it is found", || is_at(&b, peer(2), 2));
    // The master dies, the replica takes over, and the registries connect to it.
    drop(first);
    eventually("it is found at the new master", || {
        second.command(&["INFO", "replication"]).contains("role:master") && is_at(&b, peer(2), 2)
    });
    meet(&a, &b);
}
