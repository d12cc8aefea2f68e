//! The Administration API of Adobe's servers, as a program asks that was written for them.

use std::sync::Arc;
use std::time::Duration;

use introd::server::{Server as InProcess, ServerSettings};
use introd_config::Config;
use introd_policy::registry::{InMemory, Registry};
use introd_tests::program::{Files, Server};
use introd_tests::waiting::eventually;
use rtmfp::PeerId;

use super::{LOGIN, with_password};
use crate::harness::clients::{LOOPBACK, TIMEOUT, client, connect};
use crate::harness::http::{fetch, get};
use crate::harness::log::said;
use crate::harness::stranger::Stranger;

/// The names in an Adobe server's answer to getServerStats, in their order, and behind them those of groups.
const SERVER_STATS: &str = "result level code timestamp data launchTime uptime cpus cpu_Usage num_cores memory_Usage physical_Mem io \
    msg_in msg_out msg_dropped bytes_in bytes_out reads writes bw_in bw_out total_connects total_disconnects connected \
    rtmp_connects rtmfp_connects normal_connects virtual_connects group_connects service_connects service_requests \
    admin_connects debug_connects total_threads working_threads swf_verification_attempts swf_verification_exceptions \
    swf_verification_failures swf_verification_unsupported_rejects swf_verification_matches swf_verification_remote_misses \
    server_bytes_in server_bytes_out rtmfp_lookups rtmfp_remote_lookups rtmfp_remote_lookup_requests rtmfp_redirects \
    rtmfp_remote_redirects rtmfp_remote_redirect_requests rtmfp_forwards rtmfp_remote_forwards rtmfp_remote_forward_requests \
    rtmfp_lookups_denied group_join group_leave";

#[tokio::test]
async fn a_poller_written_for_adobes_servers_gets_what_it_expects() {
    let files = with_password("s3cret");
    let server = Server::administered(files.path(), 2);
    let admin = server.admin[0];
    let ask = |method: &str| {
        let joint = if method.contains('?') { '&' } else { '?' };
        format!("/admin/{method}{joint}{LOGIN}")
    };
    let mut peer = client(server.addresses[0], 1).await;
    let polling = async {
        let ping = fetch(admin, &ask("ping")).await;
        assert_eq!(ping.status, 200);
        assert!(ping.head.to_lowercase().contains("content-type: text/xml"), "{}", ping.head);
        assert!(ping.body.starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<result><level>status</level>"));
        assert_eq!(
            (ping.one("code"), ping.names()),
            ("NetConnection.Call.Success", vec!["result", "level", "code", "timestamp"])
        );
        let stats = fetch(admin, &ask("getServerStats")).await;
        assert_eq!(stats.names(), SERVER_STATS.split_whitespace().collect::<Vec<_>>());
        assert_eq!(
            [stats.number("connected"), stats.number("total_connects"), stats.number("rtmfp_connects")],
            [1, 1, 1]
        );
        assert!(stats.number("msg_in") > 0 && stats.number("bytes_out") > 0 && stats.number("reads") > 0);
        assert_eq!(fetch(admin, &ask("getActiveInstances")).await.one("_0"), "app/room");
        assert_eq!(fetch(admin, &ask("getApps")).await.one("_0"), "app");
        let instance = fetch(admin, &ask("getInstanceStats?appInst=app/room")).await;
        assert_eq!([instance.number("accepted"), instance.number("connected")], [1, 1]);
        assert!(instance.number("bytes_out") > 0, "the keepalive timers went to the client");
        let users = fetch(admin, &ask("getUsers?appInst=app/room")).await;
        let user = users.one("_0").to_owned();
        let of_user = fetch(admin, &ask(&format!("getUserStats?appInst=app/room&userid={user}"))).await;
        assert!(of_user.number("msg_in") > 0);
        user
    };
    let (id, user) = tokio::select! {
        user = polling => (peer.id(), user),
        failure = peer.stay() => panic!("{failure}"),
    };
    let of_user = fetch(admin, &ask(&format!("getUserStats?userid={user}"))).await;
    assert_eq!(of_user.one("peer_id"), id.to_string());
    // An administrator disconnects the client, which is told.
    assert_eq!(fetch(admin, &ask(&format!("disconnectUser?userid={user}"))).await.number("clients"), 1);
    tokio::time::timeout(TIMEOUT, peer.stay()).await.expect("it is disconnected");
    eventually("the client is gone", || get(admin, &ask("getUsers?appInst=app/room")).all("_0").is_empty());
    eventually("it is counted", || get(admin, &ask("getIOStats")).number("total_disconnects") == 1);
    let log = server.log();
    assert!(log.contains("an administrator acts") && log.contains("client is disconnected"), "{log}");
    assert!(log.contains("by=\"an administrator\"") && !log.contains("s3cret"), "no password is logged: {log}");
    let unknown = get(admin, &ask("setConfig2"));
    assert_eq!((unknown.one("level"), unknown.one("code")), ("error", "NetConnection.Call.Failed"));
}

#[tokio::test]
async fn scripts_are_reloaded_and_instances_unloaded() {
    let files = with_password("s3cret");
    files.script(
        "app",
        "trace('<<loaded one>>')
        function application.onAppStop(info) trace('<<stopped ' .. info.reason .. '>>') end
        function application.onConnect(client) trace('<<id ' .. client.id .. '>>') return true end
        function application.onDisconnect(client) trace('<<gone ' .. client.id .. '>>') end",
        "",
    );
    let server = Server::administered(files.path(), 2);
    let (admin, uri) = (server.admin[0], server.uri(0));
    let mut peer = connect(&uri, LOOPBACK, 1).await;
    // Clients that do not answer when the server closes their connections: the script does not wait for them.
    let silent = [connect(&uri, LOOPBACK, 3).await, connect(&uri, LOOPBACK, 4).await];
    let managing = async {
        let users = fetch(admin, &format!("/admin/getUsers?appInst=app/room&{LOGIN}")).await;
        for place in ["_0", "_1", "_2"] {
            server.logged().wait_for(&format!("<<id {}>>", users.one(place)), 1);
        }
        let script = std::fs::read_to_string(files.of_application("app", "main.lua")).unwrap();
        std::fs::write(files.of_application("app", "main.lua"), script.replace("loaded one", "loaded two")).unwrap();
        let reloaded = fetch(admin, &format!("/admin/reloadApp?appInst=app/room&{LOGIN}")).await;
        assert_eq!(reloaded.one("level"), "status", "{reloaded:?}");
        server.logged().wait_for("<<loaded two>>", 1);
        let users = fetch(admin, &format!("/admin/getUsers?appInst=app/room&{LOGIN}")).await;
        assert_eq!(["_2", "_3"].map(|place| users.all(place).len()), [1, 0], "all three stay");
        let unloaded = fetch(admin, &format!("/admin/unloadApp?appInst=app/room&{LOGIN}")).await;
        assert_eq!(unloaded.number("clients"), 3);
    };
    tokio::select! {
        () = managing => (),
        failure = peer.stay() => panic!("{failure}"),
    }
    tokio::time::timeout(TIMEOUT, peer.stay()).await.expect("it is disconnected");
    server.logged().wait_for("<<stopped server>>", 1);
    let log = server.log();
    let told: Vec<&str> = said(&log).into_iter().skip_while(|line| *line != "stopped reload").collect();
    let mut gone: Vec<&str> = told.iter().copied().filter(|line| line.starts_with("gone ")).collect();
    assert_eq!((gone.len(), told.get(1 + gone.len())), (3, Some(&"stopped server")), "the ends come first: {told:?}");
    gone.sort_unstable();
    gone.dedup();
    assert_eq!(gone.len(), 3, "each client is gone once: {told:?}");
    drop(silent);
    // The next client makes a new instance.
    let next = connect(&uri, LOOPBACK, 2).await;
    server.logged().wait_for("<<loaded two>>", 2);
    let stats = fetch(admin, &format!("/admin/getInstanceStats?appInst=app/room&{LOGIN}")).await;
    assert_eq!(stats.number("accepted"), 1, "it is another instance");
    next.close().await;
}

/// A server of this process that shares a registry.
fn sharing(files: &Files, registry: &Arc<InMemory>) -> InProcess {
    let config = Config::load(Some(files.path())).expect("a configuration").config;
    let registry: Arc<dyn Registry> = Arc::clone(registry) as _;
    let settings = ServerSettings {
        config,
        listen: vec![LOOPBACK],
        admin: vec![LOOPBACK],
        workers: Some(2),
        registry: Some(registry),
        ..ServerSettings::default()
    };
    InProcess::start(&settings).expect("a server")
}

/// The document: "The number of lookups minus the number of redirects yields the number of lookup queries that were ignored or denied.
/// The number of redirects minus the number of forwards yields the number of lookups in which the initiating client was redirected to a
/// different node".
#[tokio::test]
async fn the_documents_subtractions_hold_between_two_servers() {
    let (files, registry) = (Files::new(), Arc::new(InMemory::default()));
    files.script(
        "strict",
        "function application.onPeerLookup(event) application.denyPeerLookup(event) end",
        "<RTMFP><PeerLookupEvents mode=\"All\"/></RTMFP>",
    );
    let (a, b) = (sharing(&files, &registry), sharing(&files, &registry));
    let uri = |server: &InProcess, application: &str| format!("rtmfp://{}/{application}/room", server.addresses()[0]);
    let mut here = connect(&uri(&a, "app"), LOOPBACK, 1).await;
    let mut there = connect(&uri(&b, "app"), LOOPBACK, 2).await;
    let mut guarded = connect(&uri(&a, "strict"), LOOPBACK, 3).await;
    let (ids, servers) = ([here.id(), there.id(), guarded.id()], [a.addresses()[0], b.addresses()[0]]);
    let looking = async move {
        tokio::task::spawn_blocking(move || {
            let asker = Stranger::new(Duration::from_secs(20));
            let patient = Stranger::new(Duration::from_millis(300));
            // Five find the peer on this server, three are sent to the other one, four are ignored, two are denied.
            for _ in 0..5 {
                assert!(asker.look_up_at_once(servers[0], ids[0]).is_some());
            }
            for _ in 0..3 {
                assert!(asker.look_up(servers[0], ids[1]).is_some());
            }
            for number in 0..4 {
                assert!(patient.look_up(servers[0], PeerId([number; 32])).is_none());
            }
            for _ in 0..2 {
                // Repeated lookups are not put to the script again at once: each is another sender's.
                assert!(Stranger::new(Duration::from_millis(300)).look_up(servers[0], ids[2]).is_none());
            }
            // The other server introduces its own.
            assert!(asker.look_up_at_once(servers[1], ids[1]).is_some());
        })
        .await
        .expect("all is answered");
    };
    tokio::select! {
        () = looking => (),
        failure = here.stay() => panic!("{failure}"),
        failure = there.stay() => panic!("{failure}"),
        failure = guarded.stay() => panic!("{failure}"),
    }
    let [first, second] = [a.admin_addresses()[0], b.admin_addresses()[0]];
    eventually("the denials are counted", || get(first, "/admin/getIOStats").number("rtmfp_lookups_denied") == 2);
    let stats = fetch(first, "/admin/getServerStats").await;
    let [lookups, redirects, forwards] =
        ["rtmfp_lookups", "rtmfp_redirects", "rtmfp_forwards"].map(|name| stats.number(name));
    assert_eq!(lookups - redirects, 4 + 2, "ignored or denied: {}", stats.body);
    assert_eq!(redirects - forwards, 3, "sent to another server: {}", stats.body);
    assert_eq!(forwards, 5);
    let stats = fetch(second, "/admin/getServerStats").await;
    assert_eq!(["rtmfp_lookups", "rtmfp_redirects", "rtmfp_forwards"].map(|name| stats.number(name)), [1, 1, 1]);
    for one in [here, there, guarded] {
        one.close().await;
    }
}
