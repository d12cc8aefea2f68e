//! Client 1 on server A, client 2 on server B, each behind its own NAT: the servers share a registry in Redis.

use std::fs::{copy, create_dir_all, write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use introd_tests::libraries::{library, workspace};

use crate::hosts::{Host, Internet, Nat};
use crate::programs::{Peer, Redis, Server, probe};

/// A folder of configuration files and applications; gone when dropped.
struct Files(PathBuf);

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Files {
    /// A server that shares the registry at `redis`; `lookups` is what its applications say of lookups.
    fn new(redis: &Host, lookups: &str) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("introd-nat-{}-{number}", std::process::id()));
        let vhost = root.join("_defaultRoot_/_defaultVHost_");
        create_dir_all(&vhost).unwrap();
        let plugin = library("registry-redis");
        let server = format!(
            "<Root><Server><PeerRegistry><Plugin path=\"{}\"><Config><url>redis://{}</url><heartbeat>1000</heartbeat></Config>\
             </Plugin><LookupTimeout>2000</LookupTimeout></PeerRegistry></Server></Root>",
            plugin.display(),
            redis.v4.unwrap()
        );
        write(root.join("Server.xml"), server).unwrap();
        write(
            vhost.join("Vhost.xml"),
            format!("<VirtualHost><AppsDir>{}/apps</AppsDir></VirtualHost>", root.display()),
        )
        .unwrap();
        write(vhost.join("Application.xml"), format!("<Application>{lookups}</Application>")).unwrap();
        create_dir_all(root.join("apps/meet")).unwrap();
        Self(root)
    }

    /// The application as it is shipped.
    fn script(self) -> Self {
        copy(workspace().join("lua/distributed/main.lua"), self.0.join("apps/meet/main.lua")).unwrap();
        self
    }

    fn start(&self, host: &Host) -> Server {
        Server::start(host, &["--conf", &self.0.to_string_lossy()])
    }
}

fn mode(name: &str) -> String {
    format!("<RTMFP><PeerLookupEvents mode=\"{name}\"/></RTMFP>")
}

fn meet(files: impl Fn(&Host) -> Files) {
    let net = Internet::new();
    let (redis, a, b) = (net.host("r"), net.host("a"), net.host("b"));
    let (one, two) = (net.nat("n1", Nat::PortRestricted), net.nat("n2", Nat::PortRestricted));
    let (first, second) = (one.host("c1"), two.host("c2"));
    let _redis = Redis::start(&redis);
    let files = files(&redis);
    let (server_a, server_b) = (files.start(&a), files.start(&b));
    let uri = |server: &Host| format!("rtmfp://{}/meet", server.v4.unwrap());

    let peer = Peer::stay(&second, &uri(&b));
    // It is published as soon as it is connected; the way to Redis takes a moment.
    let ended = probe(&first, &["--json", "--timeout", "20", "--peer", &peer.id, &uri(&a)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    assert_eq!((&report["introduced"], &report["message_exchanged"]), (&true.into(), &true.into()), "{report}");
    let redirects = report["target"]["redirects"].to_string();
    assert!(
        redirects.contains(&format!("{}:1935", b.v4.unwrap())),
        "the asker is sent to the other server: {redirects}"
    );
    // What they say to each other comes from the other's NAT itself. No server passes anything on: the first has nothing to do
    // with the second's client, and of what the other server sends, there is only what it says itself.
    for (host, other, stranger) in [(&first, two.outside, None), (&second, one.outside, Some(a.v4.unwrap()))] {
        let received = host.received();
        let (packets, bytes) = received.get(&other.into()).copied().unwrap_or_default();
        assert!(packets >= 3 && bytes >= 300, "from {other}: {received:?}");
        assert!(stranger.is_none_or(|stranger| !received.contains_key(&stranger.into())), "{received:?}");
    }
    assert_eq!(peer.leave().code, Some(0));

    let (a, b) = (server_a.stop(), server_b.stop());
    assert!(a.counter("rtmfp_redirects") >= 1 && a.counter("rtmfp_forwards") == 0, "{a:?}");
    assert!(
        b.counter("rtmfp_lookups") >= 1 && b.counter("rtmfp_redirects") >= 1 && b.counter("rtmfp_forwards") >= 1,
        "{b:?}"
    );
}

#[test]
fn without_a_word_of_configuration() {
    meet(|redis| Files::new(redis, ""));
}

#[test]
fn in_mode_none() {
    meet(|redis| Files::new(redis, &mode("None")));
}

#[test]
fn in_mode_partial() {
    meet(|redis| Files::new(redis, &mode("Partial")));
}

#[test]
fn in_mode_partial_with_a_script() {
    meet(|redis| Files::new(redis, &mode("Partial")).script());
}

#[test]
fn in_mode_all_with_a_script() {
    meet(|redis| Files::new(redis, &mode("All")).script());
}
