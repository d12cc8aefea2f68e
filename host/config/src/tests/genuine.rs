//! A whole configuration as an administrator of Adobe's server would bring it, in `genuine/`: each value of it is asserted.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::load::Loader;
use crate::{
    Config, Fallback, ForwardedHello, IdleClients, JoinLeaveMode, KeepAlive, Loaded, LookupMode, ServerLimits,
    XmlSettings,
};

fn load() -> Loaded {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/genuine");
    let environment = |name: &str| (name == "REDIS").then(|| "192.0.2.8:6379".to_owned());
    Loader { dir: &dir.join("conf"), root: &dir, environment: &environment }.load().unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/genuine")
}

fn config() -> Config {
    load().config
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn text(text: &str) -> XmlSettings {
    XmlSettings { text: text.into(), children: Vec::new() }
}

#[test]
fn the_server() {
    let server = config().server;
    assert!(!server.networking_ipv6);
    let public = server.public_ip.as_ref().map(|host| host.addresses());
    assert_eq!(public, Some(&[ip("198.51.100.1")][..]));
    assert_eq!((server.workers, server.script_threads, server.keying_threads), (4, 3, 1));
    assert_eq!(server.login_limits.max_failures, Some(5));
    assert_eq!((server.login_limits.recovery_time, server.login_limits.lockout_limit), (seconds(10), seconds(600)));
    assert_eq!(server.idle_clients, IdleClients { enable: true, max_idle_time: seconds(1800) });
    assert_eq!(server.idle_check_interval, seconds(30));
    let limits = ServerLimits {
        max_sessions: Some(5000),
        max_sessions_per_address: Some(300),
        max_buffered: Some(512 << 20),
        max_pending_handshakes: 64,
        max_connection_rate: Some(500),
        max_connection_rate_per_address: Some(20),
        max_lookup_rate_per_address: Some(200),
        max_forward_rate: Some(20),
        max_session_work: Some(4_000_000),
    };
    assert_eq!(server.limits, limits);
    assert_eq!(server.max_script_memory, Some(300 << 20));
}

#[test]
fn the_administration() {
    let config = config();
    let admin = &config.server.admin;
    assert!(admin.enable);
    assert_eq!(admin.listen.iter().map(|listen| listen.local).collect::<Vec<_>>(), [address("0.0.0.0:1111")]);
    assert!(admin.access.permits(ip("10.60.2.2")) && admin.access.permits(ip("2001:db8::7")));
    assert!(!admin.access.permits(ip("10.60.1.133")) && !admin.access.permits(ip("127.0.0.1")));

    let users = &config.users.users;
    assert_eq!(users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["root", "ops", "old"]);
    let verifies =
        |index: usize, password: &str| users[index].password.as_ref().is_some_and(|known| known.verify(password));
    assert!(verifies(0, "two words") && !verifies(0, "two"));
    assert!(!verifies(1, "anything"));
    assert_eq!(users[2].password, None);
    assert!(users[0].access.permits(ip("192.0.2.77")));
    assert!(users[1].access.permits(ip("127.0.0.1")) && !users[1].access.permits(ip("192.0.2.77")));
    assert!(config.users.http.enable);
    assert!(config.users.http.commands.permits("getServerStats") && !config.users.http.commands.permits("stopServer"));
}

#[test]
fn the_registry() {
    let registry = config().server.registry;
    assert_eq!(registry.plugin, Some(root().join("plugins/registry.so")));
    assert_eq!(registry.lookup_timeout, Duration::from_millis(250));
    let children = [("db", "2"), ("url", "redis://192.0.2.8:6379"), ("node", "a"), ("node", "b")];
    assert_eq!(registry.config.children, children.map(|(name, value)| (name.to_owned(), text(value))));
    assert_eq!(registry.config.get("node"), Some(&text("a")));
    assert_eq!(registry.config.get("none"), None);
}

#[test]
fn the_adaptors() {
    let config = config();
    assert_eq!(
        config.all_adaptors().map(|adaptor| adaptor.name.as_str()).collect::<Vec<_>>(),
        ["_defaultRoot_", "inside"]
    );
    let adaptor = &config.default_adaptor;
    let listen: Vec<_> = adaptor.listen.iter().map(ToString::to_string).collect();
    assert_eq!(
        listen,
        [
            "0.0.0.0:1935 (public 203.0.113.7:2935)",
            "0.0.0.0:80 (public 203.0.113.7:8080)",
            "[2001:db8::9]:1940",
            "[2001:db8::9]:1941",
            "[2001:db8::9]:1942",
            "192.0.2.4:1936",
        ]
    );
    assert!(adaptor.listen.iter().all(|listen| !listen.is_optional));
    assert!(adaptor.access.permits(ip("198.51.100.2")) && !adaptor.access.permits(ip("192.0.2.200")));
    assert!(adaptor.access.has_host_names());
    assert_eq!(config.adaptors[0].listen, []);
}

#[test]
fn rtmfp() {
    let adaptor = config().default_adaptor;
    let rtmfp = &adaptor.rtmfp;
    assert_eq!(rtmfp.update_stats_interval, seconds(9));
    assert_eq!(rtmfp.keepalive_no_nat, KeepAlive { server: seconds(40), peers: seconds(41) });
    assert_eq!(rtmfp.keepalive_nat, KeepAlive { server: seconds(12), peers: seconds(5) });
    assert_eq!(rtmfp.forwarded_hello, ForwardedHello::Ignore);
    assert_eq!((rtmfp.send_buffer, rtmfp.unsent_age), (1_000_000, Some(Duration::from_millis(2500))));
    assert_eq!(rtmfp.dh_groups, [14, 16]);
    assert_eq!(rtmfp.dead_peer_timeout, seconds(90));

    let [first, second] = adaptor.core_ports.as_slice() else { panic!("two sets") };
    assert_eq!(first.public_of(address("192.0.2.1:1005")), Some(address("203.0.113.1:4005")));
    assert_eq!((second.local.count(), &second.public), (46186, &None));
    assert_eq!(second.local.get(1), Some((None, 19351)));
}

#[test]
fn the_virtual_hosts() {
    let config = config();
    let adaptor = &config.default_adaptor;
    let default = &adaptor.default_vhost;
    assert_eq!(
        (default.name.as_str(), default.aliases.as_slice()),
        ("_defaultVHost_", ["alias1".to_owned()].as_slice())
    );
    assert_eq!(default.apps_dirs, [root().join("apps")]);
    assert_eq!((default.max_connections, default.max_app_instances), (Some(100), Some(7)));
    assert_eq!(default.max_app_instances_per_address, Some(5));
    assert_eq!(default.idle_clients, IdleClients { enable: true, max_idle_time: seconds(600) });
    assert_eq!(default.default_application, "lobby");
    assert!(
        default.accepts("lobby") && default.accepts("plain") && !default.accepts("notes") && !default.accepts("other")
    );

    let games = &adaptor.vhosts[0];
    assert_eq!(games.aliases, ["play.example.com", "games", "arcade.example.com"]);
    assert_eq!(games.apps_dirs, [root().join("elsewhere")]);
    assert_eq!(games.idle_clients, IdleClients { enable: false, max_idle_time: seconds(1800) });
    assert!(games.access.permits(ip("10.9.8.7")) && !games.access.permits(ip("11.9.8.7")));
    assert!(games.accepts("anything"));
    for host in ["games.example.com", "GAMES.example.com.", "games", "Play.Example.Com", "arcade.example.com"] {
        assert_eq!(adaptor.vhost(host).name, "games.example.com", "{host}");
    }
    for host in ["", "example.com", "alias1", "192.0.2.1"] {
        assert_eq!(adaptor.vhost(host).name, "_defaultVHost_", "{host}");
    }
}

#[test]
fn the_applications() {
    let config = config();
    let vhost = &config.default_adaptor.default_vhost;
    let plain = config.application(vhost, "plain");
    assert_eq!(plain, config.application(vhost, "no such application"));
    assert!(plain.load_on_startup);
    assert_eq!(plain.max_idle_time, seconds(300));
    assert_eq!(plain.idle_clients, vhost.idle_clients);
    assert_eq!((plain.script.memory, plain.script.time), (20480 * 1024, None));
    assert_eq!(plain.script.library, [root().join("scriptlib"), PathBuf::from("/opt/scripts")]);
    assert_eq!(plain.script.config.get("motd"), Some(&text("Hello & welcome")));
    assert_eq!(plain.script.config.get("query"), Some(&text("a=b # c")));
    assert_eq!((plain.peer_lookup_events, plain.join_leave_events), (LookupMode::Partial, JoinLeaveMode::All));
    assert_eq!(plain.max_lookup_rate, None);
    assert_eq!(
        plain.plugins.iter().map(|plugin| plugin.path.clone()).collect::<Vec<_>>(),
        [root().join("plugins/first.so"), "/opt/second.so".into()]
    );
    assert_eq!(plain.plugins[1].config, text("verbose"));
    assert_eq!(plain.policy.deadline, Duration::from_millis(750));
    assert_eq!((plain.policy.on_deadline, plain.policy.on_failure), (Fallback::Continue, Fallback::Deny));
}

#[test]
fn an_application_overrides_what_it_may() {
    let config = config();
    let vhost = &config.default_adaptor.default_vhost;
    let lobby = config.application(vhost, "lobby");
    assert!(lobby.load_on_startup, "the virtual host says override=\"no\"");
    assert_eq!(lobby.join_leave_events, JoinLeaveMode::All, "an element around it says override=\"no\"");
    assert_eq!(lobby.max_idle_time, seconds(1200), "0 stands for the default");
    assert_eq!(lobby.idle_clients, IdleClients { enable: true, max_idle_time: seconds(60) });
    assert_eq!((lobby.script.memory, lobby.script.time), (8192 * 1024, None));
    assert_eq!(lobby.script.library.len(), 2);
    let room = XmlSettings { text: "blue".into(), children: vec![("size".into(), text("8"))] };
    assert_eq!(lobby.script.config.children, [("room".to_owned(), room)]);
    assert_eq!(lobby.peer_lookup_events, LookupMode::All);
    assert_eq!(lobby.max_lookup_rate, Some(30));
    assert_eq!(lobby.plugins.len(), 1);
    assert_eq!(lobby.plugins[0].path, root().join("plugins/only.so"));
    assert_eq!(lobby.policy.deadline, Duration::from_millis(750));
    assert_eq!((lobby.policy.on_deadline, lobby.policy.on_failure), (Fallback::Continue, Fallback::Ignore));

    assert_eq!(config.application(vhost, "locked"), vhost.defaults);
}

#[test]
fn a_broken_application_is_reported_and_closed() {
    let loaded = load();
    let vhost = &loaded.config.default_adaptor.default_vhost;
    let torn = &vhost.applications["torn"];
    assert!(torn.closed.as_ref().is_some_and(|why| why.contains("MaxAppIdleTime")));
    assert_eq!((torn.settings.peer_lookup_events, torn.settings.plugins.len()), (LookupMode::Denied, 0));
    let [broken] = loaded.broken.as_slice() else { panic!("one is broken: {:?}", loaded.broken) };
    assert_eq!((broken.vhost.as_str(), broken.application.as_str()), ("_defaultVHost_", "torn"));
    let told = broken.problems[0].to_string();
    assert!(told.ends_with(
        "apps/torn/Application.xml:1:30: error: MaxAppIdleTime: must be a number of seconds up to 2592000, not `soon`"
    ), "{told}");
}

#[test]
fn the_warnings_name_what_has_no_effect() {
    let prefix = format!("{}/", root().display());
    let told: Vec<_> = load().warnings.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect();
    assert_eq!(told.join("\n"), include_str!("genuine/warnings.txt").trim_end());
}
