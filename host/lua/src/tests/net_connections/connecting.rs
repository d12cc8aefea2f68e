//! Connections: what they are made of, what the far end says, and calls in both directions.

use super::*;

#[test]
fn a_connection_has_what_was_set_before_it_connects() {
    let mut play = play("");
    play.run(
        "nc = NetConnection()
        nc.rtmfpBindAddresses = { '192.0.2.1:1935', '[::1]' }
        nc.rtmfpEndpointName = 'server-a'
        nc.mine = 5
        assert(nc.mine == 5 and nc.rtmfpEndpointName == 'server-a' and nc.isConnected == false and nc.nearID == nil)
        function nc:onStatus(info)
            trace(info.level, info.code, info.data, self == nc, self.isConnected, self.uri)
            trace(self.nearID, self.farID, self.nearNonce, self.farNonce, self.boundAddresses[1])
        end
        assert(nc:connect('rtmfp://192.0.2.9/app', 1, 'two'))
        assert(not nc.isConnected)",
    );
    assert_eq!(
        play.endpoints.opened(0),
        ConnectionOptions {
            uri: "rtmfp://192.0.2.9/app".to_owned(),
            arguments: vec![Value::Number(1.0), "two".into()],
            bind_addresses: vec!["192.0.2.1:1935".to_owned(), "[::1]".to_owned()],
            endpoint_name: Some("server-a".to_owned()),
        }
    );
    play.say(0, open());
    let ids = [NEAR.to_string(), FAR.to_string(), "03".repeat(32), "04".repeat(32)].join(" ");
    assert_eq!(
        play.scene.traces(),
        ["status NetConnection.Connect.Success 7 true true rtmfp://192.0.2.9/app".to_owned(), ids + " 192.0.2.1:1935"]
    );
    for (code, expected) in [
        ("nc.rtmfpEndpointName = 'x'", "set before it connects"),
        ("nc.rtmfpBindAddresses = {}", "set before it connects"),
        ("nc:connect('rtmfp:')", "close it before it connects again"),
        ("nc.nearID = 'x'", "cannot be set"),
        ("nc.connect('rtmfp:')", "called with a colon"),
        ("NetConnection():connect()", "the URI is a string"),
        ("NetConnection():connect(('x'):rep(5000))", "at most 4096 bytes"),
        ("NetConnection().rtmfpBindAddresses = 5", "is a list of strings"),
        ("NetConnection().rtmfpBindAddresses = { {} }", "is a list of strings"),
        ("local t = {} for i = 1, 17 do t[i] = '::1' end NetConnection().rtmfpBindAddresses = t", "at most 16"),
        ("NetConnection().rtmfpBindAddresses = { ('x'):rep(256) }", "at most 255"),
        ("NetConnection().rtmfpEndpointName = ''", "1 to 255 bytes"),
        ("NetConnection().rtmfpEndpointName = ('x'):rep(256)", "1 to 255 bytes"),
        ("NetConnection().rtmfpEndpointName = true", "is a string"),
        ("NetConnection():connect('rtmfp:', print)", "no counterpart"),
        ("NetConnection.new():call(5)", "must be a string"),
        ("nc:call('x', 5)", "the result handler"),
    ] {
        let error = play.error(code);
        assert!(error.contains(expected), "{code}: {error}");
    }
}

#[test]
fn what_is_wrong_with_the_options_is_an_error_and_what_the_system_refuses_is_a_status() {
    let mut play = play("");
    play.endpoints.state().refusal = Some(OpenError::Options("no such scheme".to_owned()));
    assert!(play.error("NetConnection():connect('http://x')").contains("no such scheme"));
    assert_eq!(play.scene.stage.runtime.script.state.connections.len(), 0);
    for refusal in [OpenError::Limit("MaxNetConnections".to_owned()), OpenError::System("in use".to_owned())] {
        play.endpoints.state().refusal = Some(refusal.clone());
        let traces = play.run(
            "nc = nc or NetConnection()
            function nc:onStatus(info) trace(info.level, info.code, info.description) end
            trace(nc:connect('rtmfp:'), nc.isConnected)",
        );
        assert_eq!(traces, ["false false".to_owned(), format!("error NetConnection.Connect.Failed {refusal}")]);
        assert_eq!(play.scene.stage.runtime.script.state.connections.len(), 0, "it can connect again");
    }
}

#[test]
fn a_script_that_is_only_being_loaded_opens_nothing() {
    let folder = Folder::new("nc = NetConnection() nc:connect('rtmfp:')");
    let failure = Stage::start(folder.path(), settings(|_| ())).err().unwrap();
    assert!(failure.to_string().contains("the application has not started"), "{failure}");
}

#[test]
fn a_status_has_what_the_server_has_sent_and_a_level_that_fits_its_code() {
    let mut play = play("");
    let sent = [("application", Value::from("why")), ("code", "another".into()), ("level", "none".into())];
    let infos = [
        Value::object(sent.clone()),
        Value::EcmaArray(introd_flash::amf::EcmaArray {
            named: sent.map(|(name, value)| (name.to_owned(), value)).into(),
            dense: Vec::new(),
        }),
        Value::Null,
        "text".into(),
    ];
    let mut place = 0;
    for (last, level) in [
        ("Closed", "status"),
        ("AppShutdown", "status"),
        ("Rejected", "error"),
        ("Failed", "error"),
        ("InvalidApp", "error"),
    ] {
        for info in &infos {
            play.run(
                "nc = NetConnection()
                function nc:onStatus(info) trace(info.level, info.code, info.description, info.application) end
                nc:connect('rtmfp:')",
            );
            let code = format!("NetConnection.Connect.{last}");
            let event =
                ConnectionEvent::Closed { code: code.clone(), description: "so".to_owned(), info: info.clone() };
            play.say(place, event);
            let application = if matches!(info, Value::Object(_) | Value::EcmaArray(_)) { "why" } else { "nil" };
            assert_eq!(play.scene.traces(), [format!("{level} {code} so {application}")]);
            place += 1;
        }
    }
}

#[test]
fn the_server_calls_functions_of_the_connection_and_no_others() {
    let mut play = connected(
        "function setup()
            function nc:onMessage(...) trace(self == nc, ...) sleep(10) trace('slept') end
            function nc:onStatus() end
            function nc:bad() error('bad') end
            nc.text = 'text'
            function nc:__hidden() trace('never') end
            function nc:connected() trace('connected') end
        end",
    );
    let call =
        |method: &str| ConnectionEvent::Call { method: method.to_owned(), arguments: vec![1.0.into(), "two".into()] };
    play.say(0, call("onMessage"));
    assert_eq!(play.scene.traces(), ["true 1 two"]);
    play.scene.advance(10);
    assert_eq!(play.scene.traces(), ["slept"]);
    for method in ["onStatus", "close", "connect", "__index", "__hidden", "text", "nothing", "rtmfpEndpointName"] {
        play.say(0, call(method));
        assert!(play.scene.traces().is_empty(), "{method}");
    }
    assert!(play.run("trace(nc.isConnected)") == ["true"]);
    play.say(0, call("bad"));
    assert!(matches!(&play.scene.failures()[..], [(_, _, _, text)] if text.contains("bad")));
}

#[test]
fn calls_of_the_server_are_answered_fail_when_it_is_gone_or_late_and_are_bounded_by_time() {
    let mut play = connected("");
    let ask = "assert(nc:call('sum', function(...) trace('answer', ...) end, 1, 2))
        assert(nc:call('quiet', nil, 3))
        local got, why = nc:callAndWait('wait') trace('waited', got, why and why.description)";
    let tokens = |play: &Play| -> Vec<u64> {
        let token = |(_, command)| match command {
            ConnectionCommand::Call { token, .. } => token,
            other => panic!("{other:?}"),
        };
        play.endpoints.sent().into_iter().filter_map(token).collect()
    };
    play.run(ask);
    let first = tokens(&play);
    assert_eq!(first.len(), 2, "no answer to the second is wanted");
    play.say(0, ConnectionEvent::Answer { token: first[0], outcome: Ok(vec![3.0.into()]) });
    play.say(
        0,
        ConnectionEvent::Answer { token: first[1], outcome: Err(vec![Value::object([("description", "no".into())])]) },
    );
    play.say(0, ConnectionEvent::Answer { token: first[0], outcome: Ok(vec![4.0.into()]) });
    assert_eq!(play.scene.traces(), ["answer 3", "waited nil no"]);
    play.run(ask);
    play.scene.advance(60_000);
    let late = "The server did not answer in time.";
    let traces = play.scene.traces();
    assert!(traces[0].starts_with("answer nil") && traces[1] == format!("waited nil {late}"), "{traces:?}");
    play.run(ask);
    play.say(0, closed("NetConnection.Connect.Closed"));
    play.scene.advance(0);
    let traces = play.scene.traces();
    assert!(traces[0].starts_with("answer nil") && traces[1] == "waited nil The server is gone.", "{traces:?}");
    assert!(play.scene.stage.runtime.script.state.next_asked().is_none());
    assert!(play.error("nc:callAndWait('x')").contains("not connected"));
    assert_eq!(play.run("trace(nc:call('x', print))"), ["false"]);
    // A connection that takes no more.
    play.run("nc:connect('rtmfp:')");
    play.say(1, open());
    play.endpoints.state().busy = Some(CommandRefused::Full);
    assert_eq!(play.run("trace(nc:call('x', print))"), ["false"]);
    assert!(play.error("nc:callAndWait('x')").contains("busy"));
    assert!(play.scene.stage.runtime.script.state.next_asked().is_none(), "nothing waits");
}

/// The lists that are held against the editors' file say what the objects have.
#[test]
fn every_property_is_there() {
    use crate::api::{net_connection, net_group};
    let mut play = joined("");
    play.scene.traces();
    let list = |names: &[&str]| names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    play.run(&format!(
        "for _, name in ipairs {{ {} }} do assert(nc[name] ~= nil, name) end
        for _, name in ipairs {{ {} }} do assert(group[name] ~= nil, name) end
        assert(nc.nothing == nil and group.nothing == nil)
        nc.own, group.own = 1, 2
        assert(nc.own == 1 and group.own == 2)",
        list(net_connection::PROPERTIES),
        list(net_group::PROPERTIES)
    ));
}

#[test]
fn what_is_just_within_its_bound_is_taken() {
    let mut play = joined("");
    play.endpoints.sent();
    let traces = play.run(
        "local other, list = NetConnection(), {}
        for number = 1, 16 do list[number] = ('x'):rep(255) end
        other.rtmfpBindAddresses, other.rtmfpEndpointName = list, ('n'):rep(255)
        other.rtmfpBindAddresses = '::1'
        assert(other:connect('rtmfp:' .. ('u'):rep(4090)))
        trace(#group:post(('p'):rep(65533)))",
    );
    assert_eq!(traces[1..], ["64"]);
    let options = play.endpoints.opened(1);
    assert_eq!((options.bind_addresses, options.uri.len()), (vec!["::1".to_owned()], 4096));
    assert_eq!(options.endpoint_name.map(|name| name.len()), Some(255));
    let sent = play.endpoints.sent();
    assert!(
        matches!(&sent[..], [(0, ConnectionCommand::Group { command: GroupCommand::Post { value }, .. })] if value.len() == 65_536)
    );
    assert!(play.error("group:post(('p'):rep(65534))").contains("at most 65536 bytes, not 65537"));
}
