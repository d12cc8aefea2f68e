use axum::http::StatusCode;
use introd_config::Config;
use introd_flash::amf::Value;
use introd_policy::message::ClientCommand;
use rtmfp::PeerId;

use super::METHODS;
use crate::admin::testing::{LOGIN, Stage};
use crate::introducer::Counter;
use crate::serve::Mail;

/// What an Adobe server's answer to getServerStats has in `<io>`, in its order; behind it the two that the document promises.
const IO: [&str; 43] = [
    "msg_in",
    "msg_out",
    "msg_dropped",
    "bytes_in",
    "bytes_out",
    "reads",
    "writes",
    "bw_in",
    "bw_out",
    "total_connects",
    "total_disconnects",
    "connected",
    "rtmp_connects",
    "rtmfp_connects",
    "normal_connects",
    "virtual_connects",
    "group_connects",
    "service_connects",
    "service_requests",
    "admin_connects",
    "debug_connects",
    "total_threads",
    "working_threads",
    "swf_verification_attempts",
    "swf_verification_exceptions",
    "swf_verification_failures",
    "swf_verification_unsupported_rejects",
    "swf_verification_matches",
    "swf_verification_remote_misses",
    "server_bytes_in",
    "server_bytes_out",
    "rtmfp_lookups",
    "rtmfp_remote_lookups",
    "rtmfp_remote_lookup_requests",
    "rtmfp_redirects",
    "rtmfp_remote_redirects",
    "rtmfp_remote_redirect_requests",
    "rtmfp_forwards",
    "rtmfp_remote_forwards",
    "rtmfp_remote_forward_requests",
    "rtmfp_lookups_denied",
    "group_join",
    "group_leave",
];

/// A server with clients of two instances, an administrator, and workers that answer.
fn stage() -> (Stage, tokio::sync::mpsc::UnboundedReceiver<Mail>) {
    let mut stage = Stage::with_login(|_| ());
    stage.client("rtmfp://host/app/room", 0, 1);
    stage.client("rtmfp://host/app/room", 1, 2);
    stage.client("rtmfp://host/app", 0, 3);
    let others = stage.answer();
    (stage, others)
}

fn call(method: &str) -> String {
    format!("/admin/{method}{}{LOGIN}", if method.contains('?') { '&' } else { '?' })
}

#[tokio::test]
async fn server_statistics_have_the_elements_of_an_adobe_server_in_their_order() {
    let (stage, _others) = stage();
    let counters = stage.services.counters.worker(0);
    for (counter, number) in [
        (Counter::Lookups, 10),
        (Counter::Redirects, 7),
        (Counter::Forwards, 4),
        (Counter::LookupsDenied, 2),
        (Counter::GroupJoins, 5),
        (Counter::GroupLeaves, 3),
        (Counter::MessagesIn, 11),
        (Counter::MessagesOut, 12),
        (Counter::MessagesDropped, 13),
        (Counter::BytesIn, 14),
        (Counter::BytesOut, 15),
        (Counter::Connects, 16),
        (Counter::Disconnects, 17),
    ] {
        counters.add_many(counter, number);
    }
    let answer = stage.get(&call("getServerStats")).await;
    assert_eq!((answer.status, answer.one("level"), answer.one("code")), {
        (StatusCode::OK, "status", "NetConnection.Call.Success")
    });
    assert_eq!(answer.headers["content-type"], "text/xml; charset=utf-8");
    let own = ["launchTime", "uptime", "cpus", "cpu_Usage", "num_cores", "memory_Usage", "physical_Mem", "io"];
    assert_eq!(answer.names(), [&own[..], &IO[..]].concat());
    assert!(answer.one("physical_Mem").parse::<u64>().unwrap() > 0 && answer.one("cpus").parse::<u64>().unwrap() > 0);
    let io = stage.get(&call("getIOStats")).await;
    assert_eq!(io.names(), IO);
    for answer in [answer, io] {
        for (name, value) in [
            ("rtmfp_lookups", "10"),
            ("rtmfp_redirects", "7"),
            ("rtmfp_forwards", "4"),
            ("rtmfp_lookups_denied", "2"),
            ("group_join", "5"),
            ("group_leave", "3"),
            ("msg_in", "11"),
            ("msg_out", "12"),
            ("msg_dropped", "13"),
            ("bytes_in", "14"),
            ("bytes_out", "15"),
            ("total_connects", "16"),
            ("rtmfp_connects", "16"),
            ("normal_connects", "16"),
            ("total_disconnects", "17"),
            ("connected", "3"),
            ("reads", "42"),
            ("working_threads", "2"),
            ("writes", "0"),
        ] {
            assert_eq!(answer.one(name), value, "{name}");
        }
    }
}

#[tokio::test]
async fn every_method_of_the_table_is_answered_and_no_other() {
    let (stage, _others) = stage();
    for (method, _) in METHODS {
        let parameters = "?appInst=app/room&app=app&userid=0:00000001&method=m";
        let answer = stage.get(&call(&format!("{method}{parameters}"))).await;
        assert!(!answer.text.contains("Method not found"), "{method}");
        let again = stage.get(&call(&method.to_uppercase())).await;
        assert!(!again.text.contains("Method not found"), "{method}");
    }
    for method in ["stopServer", "setConfig2", "nonsense", "ping2", "%3Cb%3E"] {
        let answer = stage.get(&call(method)).await;
        assert_eq!((answer.one("level"), answer.one("code")), ("error", "NetConnection.Call.Failed"));
        assert!(answer.one("description").starts_with("Method not found ("), "{}", answer.text);
        assert!(answer.all("data").is_empty());
    }
}

#[tokio::test]
async fn applications_instances_and_users_are_listed_as_arrays() {
    let (stage, _others) = stage();
    for (method, expected) in [
        ("getAdaptors", "<_0>_defaultRoot_</_0>"),
        ("getVHosts", "<_0>_defaultVHost_</_0>"),
        ("getActiveVHosts?adaptor=_defaultRoot_", "<_0>_defaultVHost_</_0>"),
        ("getApps", "<_0>app</_0>"),
        ("getActiveInstances", "<_0>app/_definst_</_0><_1>app/room</_1>"),
        ("getActiveInstances?vhost=_defaultRoot_/_defaultVHost_", "<_0>app/_definst_</_0><_1>app/room</_1>"),
        ("getActiveInstances?vhost=_defaultVHost_", "<_0>app/_definst_</_0><_1>app/room</_1>"),
        ("getUsers?appInst=app/room", "<_0>0:00000001</_0><_1>1:04000002</_1>"),
        ("getUsers?appinst=app", "<_0>0:00000003</_0>"),
        ("getUsers?appInst=app/_defInst_", "<_0>0:00000003</_0>"),
        ("getAdmins", "<_0>admin</_0>"),
        ("getLiveStreams?appInst=app", ""),
        ("getNetStreams?appInst=app", ""),
        ("getSharedObjects?appInst=app", ""),
        ("getEdgeConnections?appInst=app", ""),
        ("getNetStreamStats?appInst=app", ""),
    ] {
        assert_eq!(stage.get(&call(method)).await.one("data"), expected, "{method}");
    }
    let context = stage.get(&call("getAdminContext")).await;
    assert_eq!((context.one("admin_name"), context.one("vhost")), ("admin", "_defaultVHost_"));
    for method in [
        "getUsers",
        "getUsers?appInst=app/none",
        "getUsers?appInst=none",
        "getVHosts?adaptor=none",
        "getApps?vhost=none",
        "getActiveInstances?vhost=_defaultRoot_/none",
        "getAppStats",
        "getAppStats?app=none",
        "getInstanceStats?appInst=none",
        "getUserStats?userid=none",
        "getUserStats?userid=1:00000001",
        "getUserStats?userid=0:00000009",
        "getUserStats?userid=0:zz",
        "getUserStats?userid=0:00000001&appInst=app",
        "getUserStats?appInst=app/room",
        "disconnectUser?userid=0:00000009",
        "unloadApp?appInst=none",
        "reloadApp?appInst=app/room",
        "broadcastMsg?appInst=app/room",
        "broadcastMsg?appInst=none&method=m",
        "startVHost?vhost=none",
        "restartVHost?vhost=none",
        "getLiveStreams?appInst=none",
        "getLiveStreamStats?appInst=app&stream=x",
        "getRecordedStreamStats?appInst=app&stream=x",
        "getNetStreamStats?appInst=app&streamids=1",
        "getScriptStats?appInst=app",
        "getConfig2",
        "getConfig2?key=Nonsense",
        "getConfig2?key=Adaptor:none/HostPortList/HostPort",
        "getConfig2?key=VirtualHost:none/AppsDir",
    ] {
        let answer = stage.get(&call(method)).await;
        assert_eq!(answer.one("code"), "NetConnection.Admin.CommandFailed", "{method}: {}", answer.text);
        assert!(!answer.one("description").is_empty());
    }
}

#[tokio::test]
async fn statistics_of_applications_instances_and_users() {
    let (stage, _others) = stage();
    let room = stage.services.applications.instance(introd_policy::InstanceId(0)).unwrap();
    (0..2).for_each(|_| room.traffic().rejected());
    room.traffic().disconnected();
    room.traffic().received(10);
    (0..2).for_each(|_| room.traffic().sent(30));
    room.traffic().dropped();
    let names = [
        "accepted",
        "rejected",
        "connected",
        "bytes_in",
        "bytes_out",
        "msg_in",
        "msg_out",
        "msg_dropped",
        "total_connects",
        "total_disconnects",
    ];
    for (method, more, accepted) in [
        ("getInstanceStats?appInst=app/room", &["launch_time", "up_time"][..], 2),
        ("getAppStats?app=app", &["launch_time", "up_time", "total_instances"], 3),
        ("getAppStats?appname=app", &["launch_time", "up_time", "total_instances"], 3),
        ("getVHostStats", &["total_instances"], 3),
    ] {
        let answer = stage.get(&call(method)).await;
        assert_eq!(answer.names(), [&names, more].concat(), "{method}");
        let values: Vec<u64> = names.iter().map(|name| answer.one(name).parse().unwrap()).collect();
        assert_eq!(values, [accepted, 2, accepted, 10, 60, 1, 2, 1, accepted, 1], "{method}");
    }
    let by_peer = format!("getUserStats?userid={}", PeerId([1; 32]));
    for method in ["getUserStats?appInst=app/room&userid=0:00000001", &by_peer] {
        let answer = stage.get(&call(method)).await;
        let expected = ["connect_time", "msg_in", "msg_out", "msg_dropped", "bytes_in", "bytes_out"];
        assert_eq!(&answer.names()[..6], expected);
        let numbers = expected[1..].iter().map(|name| answer.one(name)).collect::<Vec<_>>();
        assert_eq!(numbers, ["3", "4", "5", "1", "2"]);
        assert_eq!(answer.one("peer_id"), PeerId([1; 32]).to_string());
        assert_eq!([answer.one("ping_rtt"), answer.one("silent_for"), answer.one("groups")], ["6", "2", "1"]);
    }
}

#[tokio::test]
async fn logins_fail_as_with_an_adobe_server_and_the_lockout_is_told() {
    let (stage, _others) = stage();
    for _ in 0..3 {
        let answer = stage.get("/admin/getServerStats?auser=admin&apswd=wrong").await;
        assert_eq!((answer.status, answer.one("level")), (StatusCode::OK, "error"));
        assert_eq!(answer.one("code"), "NetConnection.Connect.Rejected");
        assert_eq!(answer.one("description"), "Administrator login failed for user admin.");
        assert!(answer.all("data").is_empty());
    }
    for login in [LOGIN, "auser=admin&apswd=wrong"] {
        let answer = stage.get(&format!("/admin/ping?{login}")).await;
        assert_eq!(answer.one("code"), "NetConnection.Connect.Rejected");
        assert!(answer.one("description").contains("Too many logins have failed: try again in "), "{}", answer.text);
    }
    let nobody = stage.send("192.0.2.7", axum::http::Request::get("/admin/ping")).await;
    assert_eq!(nobody.one("code"), "NetConnection.Connect.Rejected");
    let page = axum::http::Request::get(call("ping")).header("sec-fetch-site", "cross-site");
    assert_eq!(stage.send("192.0.2.8", page).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn without_passwords_this_machine_reads_and_does_not_act() {
    let mut stage = Stage::new(|_| ());
    let mut others = stage.answer();
    assert_eq!(stage.get("/admin/ping").await.one("level"), "status");
    assert!(stage.get("/admin/ping").await.all("data").is_empty());
    let act = stage.get("/admin/gc").await;
    assert_eq!(act.one("code"), "NetConnection.Connect.Rejected");
    let elsewhere = stage.send("192.0.2.7", axum::http::Request::get("/admin/ping")).await;
    assert_eq!(elsewhere.status, StatusCode::FORBIDDEN);
    assert!(others.try_recv().is_err());
}

#[tokio::test]
async fn http_commands_say_which_methods_are_taken() {
    let with = |users: &str| {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("<Root><AdminServer><HTTPCommands>{users}</HTTPCommands></AdminServer></Root>");
        std::fs::write(folder.path().join("Users.xml"), text).unwrap();
        let http = Config::load(Some(folder.path())).unwrap().config.users.http;
        Stage::with_login(|config| config.users.http = http)
    };
    let of_adobe = with("<Allow>ping</Allow><Deny>All</Deny><Order>Deny,Allow</Order>");
    assert_eq!(of_adobe.get(&call("ping")).await.one("level"), "status");
    let refused = of_adobe.get(&call("getApps")).await;
    assert_eq!(refused.one("code"), "NetConnection.Admin.CommandFailed");
    assert_eq!(refused.one("description"), "HTTPCommands in Users.xml does not allow getApps.");
    assert_eq!(with("<Enable>false</Enable>").get(&call("ping")).await.one("level"), "error");
    assert_eq!(with("").get(&call("getApps")).await.one("level"), "status");
}

/// The sessions that workers are told to disconnect.
fn disconnected(others: &mut tokio::sync::mpsc::UnboundedReceiver<Mail>) -> Vec<u32> {
    let mut sessions = Vec::new();
    while let Ok(mail) = others.try_recv() {
        let Mail::Disconnect { session, peer, by: "an administrator" } = mail else { panic!("another message") };
        assert_eq!(u32::from(peer.0[0]), session.get() & 0xff);
        sessions.push(session.get());
    }
    sessions.sort_unstable();
    sessions
}

#[tokio::test]
async fn administrators_disconnect_users_and_unload_instances() {
    let (stage, mut others) = stage();
    let answer = stage.get(&call("disconnectUser?userid=1:04000002")).await;
    assert_eq!(answer.one("clients"), "1");
    tokio::task::yield_now().await;
    assert_eq!(disconnected(&mut others), [1 << 26 | 2]);
    assert_eq!(stage.get(&call("unloadApp?appInst=app/room")).await.one("clients"), "2");
    tokio::task::yield_now().await;
    assert_eq!(disconnected(&mut others), [1, 1 << 26 | 2]);
    assert_eq!(stage.get(&call("restartVHost")).await.one("clients"), "3");
    tokio::task::yield_now().await;
    assert_eq!(disconnected(&mut others), [1, 3, 1 << 26 | 2]);
    for method in ["gc", "startVHost", "startVHost?vhost=_defaultVHost_"] {
        assert_eq!(stage.get(&call(method)).await.one("level"), "status", "{method}");
    }
}

#[tokio::test]
async fn a_message_goes_to_the_clients_of_an_instance_or_of_all() {
    let (stage, mut others) = stage();
    let long = "x".repeat(4097);
    for wrong in [format!("broadcastMsg?method={long}"), format!("broadcastMsg?method=m&arg={long}")] {
        assert_eq!(stage.get(&call(&wrong)).await.one("code"), "NetConnection.Admin.CommandFailed");
    }
    for (scope, expected) in [("&appInst=app/room", vec![1, 1 << 26 | 2]), ("", vec![1, 3, 1 << 26 | 2])] {
        let answer = stage.get(&call(&format!("broadcastMsg?method=news{scope}&arg=a%20b&arg=c"))).await;
        assert_eq!(answer.one("clients"), expected.len().to_string());
        tokio::task::yield_now().await;
        let mut called = Vec::new();
        while let Ok(mail) = others.try_recv() {
            let Mail::Command(ClientCommand::Call { client, method, arguments, token: None }, None) = mail else {
                panic!("another message")
            };
            assert_eq!((method.as_str(), client.worker), ("news", client.session.prefix()));
            assert_eq!(arguments, [Value::String("a b".to_owned()), Value::String("c".to_owned())]);
            called.push(client.session.get());
        }
        called.sort_unstable();
        assert_eq!(called, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_action_that_reaches_not_all_says_so() {
    let mut stage = Stage::with_login(|_| ());
    stage.client("rtmfp://host/app/room", 0, 1);
    while stage.mailboxes[0].try_send(Mail::Wake).is_ok() {}
    let answer = stage.get(&call("unloadApp?appInst=app/room")).await;
    assert_eq!(answer.one("description"), "The server is busy: 1 clients were left out, 0 were not.");
}

#[tokio::test]
async fn settings_are_told_by_the_names_of_the_files() {
    let (stage, _others) = stage();
    let vhost = "Adaptor:_defaultRoot_/VirtualHost:_defaultVHost_";
    for (query, expected) in [
        ("key=Server/AdminServer/HostPort".to_owned(), "127.0.0.1:1111"),
        ("key=AdminServer:enable".to_owned(), "true"),
        ("key=Root/Server/Security/LoginLimits/MaxFailures".to_owned(), "3"),
        ("key=Adaptor/HostPortList/HostPort".to_owned(), "0.0.0.0:1935,[::]:1935"),
        (format!("key={vhost}/ResourceLimits/MaxConnections"), "-1"),
        (format!("key=ResourceLimits/MaxConnections&scope={vhost}"), "-1"),
        (format!("key=RTMFP/PeerLookupEvents:mode&scope={vhost}/App:club"), "None"),
        (format!("key={vhost}/Application/RTMFP/GroupControl/JoinLeaveEvents:mode"), "None"),
        ("key=application/rtmfp/groupcontrol/scope".to_owned(), "server"),
    ] {
        let answer = stage.get(&call(&format!("getConfig2?{query}"))).await;
        assert_eq!(answer.all("value"), [expected], "{query}: {}", answer.text);
    }
    // No password is among them.
    for key in ["UserList/User:admin/Password", "Users/UserList", "Server/Registry/Plugin/Config"] {
        assert_eq!(stage.get(&call(&format!("getConfig2?key={key}"))).await.one("level"), "error", "{key}");
    }
}
