//! NetConnections and NetGroups of scripts, with endpoints that do as the test says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use introd_flash::amf::{Encoder, Value};
use introd_netgroup::member::posting::PostingId;
use introd_netgroup::{GroupAddress, GroupSpecifier, Groupspec};
use introd_policy::net_connection::*;
use rtmfp::PeerId;

use super::*;
use crate::testing::Surroundings;

/// What scripts have opened and sent, and what the endpoints say to that.
#[derive(Default)]
pub(super) struct Endpoints(Mutex<State>);

#[derive(Default)]
struct State {
    opened: Vec<(InstanceName, ConnectionOptions, Arc<dyn ConnectionEvents>)>,
    sent: Vec<(usize, ConnectionCommand)>,
    closed: Vec<usize>,
    facts: HashMap<(usize, GroupId), GroupFacts>,
    refusal: Option<OpenError>,
    busy: Option<CommandRefused>,
}

impl Endpoints {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn opened(&self, place: usize) -> ConnectionOptions {
        self.state().opened[place].1.clone()
    }

    /// Takes what was sent.
    fn sent(&self) -> Vec<(usize, ConnectionCommand)> {
        std::mem::take(&mut self.state().sent)
    }

    /// How many have been opened.
    pub(super) fn count(&self) -> usize {
        self.state().opened.len()
    }

    /// Takes the places of those that were closed.
    pub(super) fn closed(&self) -> Vec<usize> {
        std::mem::take(&mut self.state().closed)
    }

    pub(super) fn say(&self, place: usize, event: ConnectionEvent) {
        let events = Arc::clone(&self.state().opened[place].2);
        events.tell(event).unwrap();
    }
}

/// Opens connections to those endpoints.
pub(super) struct Opener(pub(super) Arc<Endpoints>);

impl NetConnections for Opener {
    fn open(
        &self,
        owner: &InstanceName,
        _: &Arc<Application>,
        options: ConnectionOptions,
        events: Arc<dyn ConnectionEvents>,
    ) -> Result<Box<dyn NetConnection>, OpenError> {
        let mut state = self.0.state();
        if let Some(refusal) = state.refusal.clone() {
            return Err(refusal);
        }
        state.opened.push((owner.clone(), options, events));
        Ok(Box::new(Endpoint { endpoints: Arc::clone(&self.0), place: state.opened.len() - 1 }))
    }
}

struct Endpoint {
    endpoints: Arc<Endpoints>,
    place: usize,
}

impl NetConnection for Endpoint {
    fn send(&self, command: ConnectionCommand) -> Result<(), CommandRefused> {
        let mut state = self.endpoints.state();
        if let Some(busy) = state.busy {
            return Err(busy);
        }
        state.sent.push((self.place, command));
        Ok(())
    }

    fn group(&self, group: GroupId) -> Option<GroupFacts> {
        self.endpoints.state().facts.get(&(self.place, group)).copied()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.endpoints.state().closed.push(self.place);
    }
}

struct Play {
    scene: Scene,
    endpoints: Arc<Endpoints>,
}

/// A script whose connections lead to endpoints of the test. It says `run` code by the client method of that name.
fn play(main: &str) -> Play {
    let endpoints = Arc::<Endpoints>::default();
    let folder = Folder::new(main);
    let around = Surroundings { connections: Arc::new(Opener(Arc::clone(&endpoints))), ..Surroundings::default() };
    let stage = Stage::within(folder.path(), settings(|_| ()), around).unwrap_or_else(|failure| panic!("{failure}"));
    Play { scene: Scene { folder, stage }, endpoints }
}

/// A script with a connection `nc` that is open, and this besides.
fn connected(main: &str) -> Play {
    let mut play = play(&format!(
        "function application.onAppStart() nc = NetConnection() nc:connect('rtmfp:') if setup then setup() end end {main}"
    ));
    play.say(0, open());
    play
}

/// The same with a `group` that it has joined.
fn joined(main: &str) -> Play {
    let mut play = connected(&format!(
        "function setup()
            function nc:onStatus(info)
                if info.code ~= 'NetConnection.Connect.Success' then return end
                group = NetGroup(self, '{SPEC}')
                function group:onStatus(info) heard(info, self) end
            end
        end
        function heard(info) trace(info.code) end
        {main}"
    ));
    assert!(matches!(&play.endpoints.sent()[..], [(0, ConnectionCommand::Join { group: GroupId(1), .. })]));
    play.in_group(GroupEvent::Connected);
    play
}

const SPEC: &str = "G:027f0201010103010c050e74657374011b00";
const NEAR: PeerId = PeerId([0x11; 32]);
const FAR: PeerId = PeerId([0x22; 32]);

fn open() -> ConnectionEvent {
    let bound = vec!["192.0.2.1:1935".parse().unwrap()];
    let info = Value::object([("data", Value::Number(7.0))]);
    ConnectionEvent::Connected { near_id: NEAR, far_id: Some(FAR), nonces: Some(([3; 32], [4; 32])), bound, info }
}

fn closed(code: &str) -> ConnectionEvent {
    ConnectionEvent::Closed { code: code.to_owned(), description: "so it is".to_owned(), info: Value::Null }
}

fn amf(value: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.amf0(value).unwrap();
    encoder.finish()
}

impl Play {
    /// An endpoint says something, and the script hears it.
    fn say(&mut self, place: usize, event: ConnectionEvent) {
        self.endpoints.say(place, event);
        self.scene.stage.poll();
    }

    fn in_group(&mut self, event: GroupEvent) {
        self.say(0, ConnectionEvent::Group { group: GroupId(1), event });
    }

    /// Runs a piece of code in a handler, and returns what it traced.
    fn run(&mut self, code: &str) -> Vec<String> {
        self.try_run(code);
        self.scene.traces()
    }

    fn try_run(&mut self, code: &str) {
        let lua = self.scene.stage.runtime.script.lua().clone();
        let function = lua.load(code).set_name("@code").into_function().unwrap();
        self.scene.stage.runtime.script.state.application.raw_set("onPeerLookup", function).unwrap();
        self.scene.stage.look_up(None, "192.0.2.1:1".parse().unwrap(), None);
        self.scene.advance(0);
    }

    /// The error of a piece of code.
    fn error(&mut self, code: &str) -> String {
        self.try_run(code);
        let failures = self.scene.failures();
        assert_eq!(failures.len(), 1, "{code}: {failures:?}");
        failures[0].3.clone()
    }
}

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
fn a_connection_that_ends_is_told_of_once_and_can_connect_again() {
    let mut play = connected("function setup() function nc:onStatus(info) trace(info.code) end end");
    assert_eq!(play.scene.traces(), ["NetConnection.Connect.Success"]);
    play.say(0, closed("NetConnection.Connect.Closed"));
    assert_eq!(play.scene.traces(), ["NetConnection.Connect.Closed"]);
    assert_eq!(play.endpoints.closed(), [0], "the endpoint is let go");
    play.say(0, closed("NetConnection.Connect.Closed"));
    assert!(play.scene.traces().is_empty());
    assert_eq!(play.run("assert(nc:connect('rtmfp:')) assert(not nc:call('x', print))"), [""; 0]);
    play.say(1, open());
    assert_eq!(play.scene.traces(), ["NetConnection.Connect.Success"]);
    // What the first endpoint says late is about another connection.
    play.say(0, ConnectionEvent::Call { method: "onStatus".to_owned(), arguments: Vec::new() });
    assert_eq!(play.run("nc:close() trace(nc.isConnected) nc:close()"), ["false", "NetConnection.Connect.Closed"]);
    assert_eq!(play.endpoints.closed(), [1]);
    play.say(1, closed("NetConnection.Connect.Closed"));
    assert!(play.scene.traces().is_empty());
    assert_eq!(play.scene.stage.runtime.script.state.connections.len(), 0);
    // Nobody hears of this one; it is logged.
    play.run("nc.onStatus = nil nc:connect('rtmfp:')");
    play.say(2, closed("NetConnection.Connect.Rejected"));
    assert!(play.run("trace(nc.isConnected)") == ["false"]);
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

#[test]
fn a_group_is_joined_by_a_text_or_a_specifier_on_an_open_connection() {
    let mut play = connected("");
    let specifier = {
        let mut specifier = GroupSpecifier::new("servers").unwrap();
        specifier.posting_enabled = true;
        specifier.set_unique([9; 32]);
        specifier
    };
    let text = specifier.with_authorizations().unwrap().as_str().to_owned();
    play.run(&format!(
        "local made = GroupSpecifier('servers') made.postingEnabled = true
        one, two, three = NetGroup(nc, made), NetGroup(nc, '{text}'), NetGroup.new(nc, '{SPEC}')
        digest = GroupSpecifier.encodeGroupspecDigest('{text}')
        same = made:encodeGroupspecDigest()
        assert(tostring(one) == 'NetGroup' and one ~= two)"
    ));
    let joins: Vec<(GroupId, Groupspec)> = play
        .endpoints
        .sent()
        .into_iter()
        .map(|(_, command)| match command {
            ConnectionCommand::Join { group, groupspec } => (group, Groupspec::parse(&groupspec).unwrap()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(joins.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [1, 2, 3]);
    // The digests are those that members compute.
    let digests = play.run("trace(digest) trace(same)");
    assert_eq!(digests, [joins[1].1.digest().to_string(), joins[0].1.digest().to_string()]);
    for (code, expected) in [
        ("NetGroup(nc)", "a groupspec is a string or a GroupSpecifier"),
        ("NetGroup(nc, 'nonsense')", ""),
        ("NetGroup(nil, 'x')", "made of a NetConnection and a groupspec"),
        ("NetGroup({}, 'x')", "made of a NetConnection and a groupspec"),
        ("NetGroup(one, 'x')", "made of a NetConnection and a groupspec"),
        ("NetGroup(NetConnection(), 'x')", "is not connected"),
        ("one.neighborCount = 5", "cannot be set"),
        ("one.post('x')", "called with a colon"),
    ] {
        let error = play.error(code);
        assert!(error.contains(expected), "{code}: {error}");
    }
    play.endpoints.state().busy = Some(CommandRefused::Groups);
    assert!(play.error(&format!("NetGroup(nc, '{SPEC}')")).contains("MaxNetGroups"));
    let (connection, _) = play.scene.stage.runtime.script.state.connections.get_any().unwrap();
    assert_eq!(connection.groups.borrow().len(), 3, "what is refused is not kept");
}

#[test]
fn what_happens_in_a_group_is_told_with_the_fields_of_the_documents() {
    let mut play = joined(
        "function heard(info, group)
            trace(info.level, info.code, info.neighbor, info.peerID, info.name)
            trace(type(info.message) == 'table' and info.message.text or info.message, info.messageID, info.from, info.fromLocal)
            trace(info.group, info.description)
        end",
    );
    let nothing = "nil nil nil nil";
    let expect = |play: &Play, first: &str, second: &str, third: &str| {
        assert_eq!(play.scene.traces(), [first, second, third]);
    };
    expect(&play, "status NetGroup.Connect.Success nil nil nil", nothing, &format!("{SPEC} "));
    let (peer, place) = (PeerId([5; 32]), GroupAddress::of(&PeerId([5; 32])));
    play.in_group(GroupEvent::NeighborConnected { peer, name: Some("b".to_owned()) });
    expect(&play, &format!("status NetGroup.Neighbor.Connect {place} {peer} b"), nothing, "nil nil");
    play.in_group(GroupEvent::NeighborDisconnected { peer, name: None });
    expect(&play, &format!("status NetGroup.Neighbor.Disconnect {place} {peer} nil"), nothing, "nil nil");
    let value = amf(&Value::object([("text", "hello".into())]));
    play.in_group(GroupEvent::Posting { id: [0xab; 32], value });
    let id = "ab".repeat(32);
    expect(&play, "status NetGroup.Posting.Notify nil nil nil", &format!("hello {id} nil nil"), "nil nil");
    play.in_group(GroupEvent::SendTo { from: [0xcd; 32], from_local: true, message: amf(&5.0.into()) });
    let from = "cd".repeat(32);
    expect(&play, "status NetGroup.SendTo.Notify nil nil nil", &format!("5 nil {from} true"), "nil nil");
    play.in_group(GroupEvent::LocalCoverage);
    expect(&play, "status NetGroup.LocalCoverage.Notify nil nil nil", nothing, "nil nil");
    play.in_group(GroupEvent::Closed { code: "NetGroup.Connect.Rejected".to_owned(), description: "no".to_owned() });
    expect(&play, "error NetGroup.Connect.Rejected nil nil nil", nothing, &format!("{SPEC} no"));
    play.in_group(GroupEvent::LocalCoverage);
    assert!(play.scene.traces().is_empty(), "it is over");
}

#[test]
fn what_members_send_that_is_no_value_is_dropped_and_counted() {
    let mut play = joined("function heard(info) trace(type(info.message)) end");
    play.scene.traces();
    let two = [amf(&1.0.into()), amf(&2.0.into())].concat();
    // 64 KiB that claim to be an array of a billion elements, and values that are nested too deeply or are too many.
    let deep = [0x0a, 0, 0, 0, 1].repeat(40);
    let many = amf(&Value::Array(vec![Value::Null; 20_000]));
    let refused = [vec![], vec![0xff], two, vec![0x0a, 0x3b, 0x9a, 0xca, 0x00], deep, many];
    for (number, value) in refused.iter().enumerate() {
        let (id, value) = ([number as u8; 32], value.clone());
        play.in_group(GroupEvent::Posting { id, value: value.clone() });
        play.in_group(GroupEvent::SendTo { from: id, from_local: false, message: value });
    }
    assert!(play.scene.traces().is_empty());
    assert_eq!(play.scene.stage.runtime.instance.connections.malformed.get(), 2 * refused.len() as u64);
    play.in_group(GroupEvent::Posting { id: [9; 32], value: amf(&"fine".into()) });
    assert_eq!(play.scene.traces(), ["string"]);
}

#[test]
fn a_posting_has_the_hash_of_its_bytes_as_its_id() {
    let mut play = joined("");
    let traces = play.run("trace(group:post({ text = 'hello', number = 5 }))");
    let sent = play.endpoints.sent();
    let [(0, ConnectionCommand::Group { group: GroupId(1), command: GroupCommand::Post { value } })] = &sent[..] else {
        panic!("{sent:?}")
    };
    let expected = amf(&Value::object([("number", Value::from(5.0)), ("text", "hello".into())]));
    assert_eq!(*value, expected);
    assert_eq!(traces[1..], [hex::encode(PostingId::of(&expected).0)]);
    play.endpoints.state().busy = Some(CommandRefused::Full);
    assert_eq!(play.run("trace(group:post('x'))"), ["nil"]);
    for (code, expected) in [
        ("group:post()", "takes a value"),
        ("group:post(print)", "no counterpart"),
        ("group:post(('x'):rep(70000))", "at most 65536 bytes"),
        ("group.post('x')", "called with a colon"),
    ] {
        let error = play.error(code);
        assert!(error.contains(expected), "{code}: {error}");
    }
}

#[test]
fn messages_go_where_the_script_sends_them() {
    let mut play = joined("");
    play.scene.traces();
    let [address, low, high] = [0xcd, 0x10, 0x20].map(|byte| [byte; 32]);
    let send = "trace(group:sendToNearest('n', ('cd'):rep(32)))
        trace(group:sendToNeighbor('i', NetGroupSendMode.NEXT_INCREASING))
        trace(group:sendToNeighbor('d', NetGroupSendMode.NEXT_DECREASING))
        trace(group:sendToAllNeighbors('a'))
        trace(group.neighborCount, group.estimatedMemberCount, group.localCoverageFrom, group.localCoverageTo)";
    let zero = "00".repeat(32);
    assert_eq!(
        play.run(send)[..5],
        [
            "sent".to_owned(),
            "no route".to_owned(),
            "no route".to_owned(),
            "no route".to_owned(),
            format!("0 0.0 {zero} {zero}")
        ]
    );
    assert_eq!(play.endpoints.sent().len(), 1);
    let facts = GroupFacts { neighbor_count: 2, estimated_member_count: 3.5, local_coverage: (low, high) };
    play.endpoints.state().facts.insert((0, GroupId(1)), facts);
    let traces = play.run(send);
    let (low, high) = (hex::encode(low), hex::encode(high));
    assert_eq!(traces, ["sent", "sent", "sent", "sent", &format!("2 3.5 {low} {high}")]);
    let message = |text: &str| amf(&text.into());
    let commands: Vec<GroupCommand> = play
        .endpoints
        .sent()
        .into_iter()
        .map(|(_, command)| match command {
            ConnectionCommand::Group { command, .. } => command,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        commands,
        [
            GroupCommand::SendToNearest { message: message("n"), address },
            GroupCommand::SendToNeighbor { message: message("i"), direction: Direction::Increasing },
            GroupCommand::SendToNeighbor { message: message("d"), direction: Direction::Decreasing },
            GroupCommand::SendToAllNeighbors { message: message("a") },
        ]
    );
    play.endpoints.state().busy = Some(CommandRefused::Full);
    assert_eq!(play.run("trace(group:sendToAllNeighbors('a') == NetGroupSendResult.ERROR)"), ["true"]);
    for (code, expected) in [
        ("group:sendToNearest('x', 'y')", "64 hexadecimal digits"),
        ("group:sendToNeighbor('x', 'next')", "NetGroupSendMode"),
        ("group:sendToAllNeighbors(('x'):rep(70000))", "at most 65536 bytes"),
    ] {
        let error = play.error(code);
        assert!(error.contains(expected), "{code}: {error}");
    }
}

#[test]
fn neighbors_are_added_by_id_or_by_name_and_address() {
    let mut play = joined("");
    play.scene.traces();
    let peer = PeerId([7; 32]);
    let traces = play.run(&format!(
        "assert(group:addNeighbor('{peer}') and group:addMemberHint('{peer}'))
        assert(group:addPermanentNeighborByName('b', {{ '192.0.2.2:1935', '[2001:db8::2]:1935' }}))
        assert(group:addPermanentNeighborByName('c', '192.0.2.3:1935'))
        assert(group:addPermanentNeighborByName('d'))
        assert(group:removePermanentNeighborByName('d'))
        trace(group:convertPeerIDToGroupAddress('{peer}'))
        local nearest = NetGroup
        group:close()
        trace(group:addMemberHint('{peer}'), group:post('x'), group.neighborCount)"
    ));
    assert_eq!(traces, [GroupAddress::of(&peer).to_string(), "false nil 0".to_owned()]);
    let permanent = |name: &str, addresses: &[&str]| GroupCommand::AddPermanentNeighbor {
        name: name.to_owned(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    };
    let expected = [
        GroupCommand::AddNeighbor(peer),
        GroupCommand::AddMemberHint(peer),
        permanent("b", &["192.0.2.2:1935", "[2001:db8::2]:1935"]),
        permanent("c", &["192.0.2.3:1935"]),
        permanent("d", &[]),
        GroupCommand::RemovePermanentNeighbor { name: "d".to_owned() },
        GroupCommand::Close,
    ];
    let expected = expected.map(|command| (0, ConnectionCommand::Group { group: GroupId(1), command }));
    assert_eq!(play.endpoints.sent(), expected);
    play.in_group(GroupEvent::LocalCoverage);
    assert!(play.scene.traces().is_empty(), "the group has been left");
    play.run(&format!("group = NetGroup(nc, '{SPEC}')"));
    for (code, expected) in [
        ("group:addNeighbor('x')", "64 hexadecimal digits"),
        ("group:addPermanentNeighborByName('b', 'host:1935')", "names of hosts are not looked up"),
        ("group:addPermanentNeighborByName('b', '192.0.2.1')", "an IP address with a port"),
        ("group:addPermanentNeighborByName('b', '192.0.2.1:0')", "an IP address with a port"),
        ("group:addPermanentNeighborByName('', '192.0.2.1:1')", "1 to 255 bytes"),
        ("group:addPermanentNeighborByName('b', 5)", "list of strings"),
        ("group:removePermanentNeighborByName()", "is a string"),
        ("group:convertPeerIDToGroupAddress(5)", "a peer ID is a string"),
    ] {
        let error = play.error(code);
        assert!(error.contains(expected), "{code}: {error}");
    }
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
fn a_connection_that_the_script_forgets_stays_open_and_one_that_ends_is_forgotten() {
    let mut play = joined("");
    play.scene.traces();
    play.run("nc, group = nil, nil");
    play.scene.stage.runtime.script.lua().gc_collect().unwrap();
    play.in_group(GroupEvent::LocalCoverage);
    assert_eq!(play.scene.traces(), ["NetGroup.LocalCoverage.Notify"]);
    assert!(play.endpoints.closed().is_empty());
    play.say(0, closed("NetConnection.Connect.Closed"));
    assert_eq!(play.endpoints.closed(), [0]);
    assert_eq!(play.scene.stage.runtime.script.state.connections.len(), 0);
    play.in_group(GroupEvent::LocalCoverage);
    assert!(play.scene.traces().is_empty());
}

#[test]
fn a_reload_and_the_end_of_an_instance_close_its_connections() {
    let mut play = joined("");
    play.scene.stage.tell(AppEvent::Reload);
    assert_eq!(play.endpoints.closed(), [0]);
    play.scene.traces();
    // The new script has a connection of its own, and hears nothing of the old one.
    play.in_group(GroupEvent::LocalCoverage);
    assert!(play.scene.traces().is_empty());
    play.say(1, open());
    play.endpoints.say(1, ConnectionEvent::Group { group: GroupId(1), event: GroupEvent::Connected });
    play.scene.stage.poll();
    assert_eq!(play.scene.traces(), ["NetGroup.Connect.Success"]);
    play.scene.stage.tell(AppEvent::Stop);
    assert_eq!(play.endpoints.closed(), [1]);
    assert_eq!(play.scene.stage.runtime.instance.connections.open.len(), 0);
    drop(play.scene);
    assert!(play.endpoints.closed().is_empty());
}

#[test]
fn a_script_that_fails_to_reload_keeps_the_connections_of_the_old_one() {
    let mut play = joined("");
    play.scene.traces();
    play.scene.folder.write("main.lua", "this is not Lua");
    play.scene.stage.tell(AppEvent::Reload);
    assert!(play.endpoints.closed().is_empty());
    play.scene.journal();
    play.in_group(GroupEvent::LocalCoverage);
    assert_eq!(play.scene.traces(), ["NetGroup.LocalCoverage.Notify"]);
}

#[test]
fn an_instance_that_is_dropped_closes_its_connections() {
    let play = connected("");
    drop(play.scene);
    assert_eq!(play.endpoints.closed(), [0]);
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

#[test]
fn a_vm_opens_a_bounded_number_of_connections() {
    let mut play = play("");
    let error = play.error("all = {} for i = 1, 2000 do all[i] = NetConnection() all[i]:connect('rtmfp:') end");
    assert!(error.contains("too many NetConnections"), "{error}");
    assert_eq!(play.scene.stage.runtime.script.state.connections.len(), 1024);
    assert_eq!(play.run("for i = 1, 1024 do all[i]:close() end"), [""; 0]);
    assert_eq!(play.scene.stage.runtime.script.state.connections.len(), 0);
}

#[test]
fn failures_of_status_handlers_are_told_to_the_application() {
    let mut play = joined(
        "function heard(info) if info.code ~= 'NetGroup.Connect.Success' then error('in the group') end end
        function application.onStatus(info) trace(info.details, info.lineno ~= '0') end",
    );
    play.in_group(GroupEvent::LocalCoverage);
    let traces: Vec<_> = play
        .scene
        .journal()
        .into_iter()
        .filter_map(|entry| match entry {
            JournalEntry::Trace(line) => Some(line),
            JournalEntry::Failure(..) => None,
        })
        .collect();
    assert_eq!(traces, ["NetGroup.onStatus true"]);
}
