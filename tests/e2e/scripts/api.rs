//! What scripts do to clients, and clients to scripts.

use introd_client::Client;
use introd_flash::amf::Value;
use introd_flash::client::Incoming;
use introd_flash::command::{Command, Encoding};
use introd_tests::program::{Files, Server};

use super::{ALL_LOOKUPS, ask, find};
use crate::harness::clients::{LOOPBACK, connect, create_stream, rejection, server_says, try_connect};
use crate::harness::log::{logged, said};

async fn arrives(uri: &str, number: u64, arguments: Vec<Value>) -> Client {
    try_connect(uri, LOOPBACK, number, arguments).await.unwrap_or_else(|failure| panic!("{failure}"))
}

#[tokio::test]
async fn on_connect_accepts_rejects_redirects_and_waits() {
    let files = Files::new();
    files.script(
        "app",
        "local waiting = {}
        function application.onConnect(client, how, name)
            client.name = name
            if how == 'yes' then return true end
            if how == 'no' then return false end
            if how == 'nothing' then return end
            if how == 'said' then application.rejectConnection(client, 'No room.', { free = 0 }) return false end
            if how == 'elsewhere' then
                return application.redirectConnection(client, 'rtmfp://other.example/app', 'Gone there.') and nil
            end
            if how == 'nowhere' then application.redirectConnection(client) return nil end
            if how == 'slowly' then sleep(50) return true end
            if how == 'broken' then error('deliberate') end
            if how == 'later' then waiting[name] = client return nil end
            if how == 'never' then return nil end
        end
        function Client:letIn(name)
            return application.acceptConnection(waiting[name]), application.acceptConnection(waiting[name])
        end
        function Client:myName() return self.name end",
        "<Policy><Deadline>3000</Deadline></Policy>",
    );
    let server = Server::configured(files.path(), 2);
    let uri = server.uri(0);
    for (number, how) in (1..).zip(["yes", "nothing", "slowly"]) {
        let mut client = arrives(&uri, number, vec![how.into(), "ann".into()]).await;
        assert_eq!(ask(&mut client, "myName", Vec::new()).await, Ok("ann".into()), "{how}");
    }
    for (number, (how, reason)) in (10..).zip([
        ("no", "NetConnection.Connect.Rejected [ Server.Reject ] : Connection rejected."),
        ("said", "NetConnection.Connect.Rejected No room."),
        ("elsewhere", "NetConnection.Connect.Rejected Gone there. It names another server: rtmfp://other.example/app"),
        ("nowhere", "NetConnection.Connect.Rejected Connection failed"),
        ("broken", "NetConnection.Connect.Rejected [ Server.Reject ] : the application failed"),
        ("never", "NetConnection.Connect.Rejected [ Server.Reject ] : the application did not decide in time"),
    ]) {
        let problem = rejection(&uri, LOOPBACK, number, vec![how.into()]).await;
        assert!(problem.ends_with(reason), "{how}: {problem}");
    }
    // A client waits until another one lets it in.
    let mut friend = arrives(&uri, 20, vec!["yes".into()]).await;
    let (late, ()) = tokio::join!(arrives(&uri, 21, vec!["later".into(), "bob".into()]), async {
        while ask(&mut friend, "letIn", vec!["bob".into()]).await != Ok(true.into()) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let mut late = late;
    assert_eq!(ask(&mut late, "myName", Vec::new()).await, Ok("bob".into()));
    let ended = server.stop();
    assert!(ended.stderr.contains("main.lua:13: deliberate"), "{ended:?}");
}

/// Answers the server's calls for the client, until the server calls `done`.
async fn attend(client: &mut Client) -> Vec<(String, Vec<Value>)> {
    let mut calls = Vec::new();
    loop {
        let call = server_says(client, |message| match message {
            Incoming::Call(command) => Some(command),
            _ => None,
        })
        .await;
        let (name, transaction) = (call.name.clone(), call.transaction);
        calls.push((call.name, call.arguments.clone()));
        if name == "done" {
            return calls;
        }
        let (kind, answer) = match name.as_str() {
            "add" => {
                let sum = call.arguments.iter().filter_map(Value::as_number).sum::<f64>();
                ("_result", Value::Number(sum))
            }
            _ => ("_error", Value::object([("code", "Client.No".into())])),
        };
        if transaction != 0.0 {
            let message =
                Command::new(kind, transaction, vec![answer]).to_message(Encoding::Amf0, 0).expect("an answer");
            client.send_to_server(message).expect("it can be sent");
        }
    }
}

/// The verdict and the call come to the worker by different ways. A call of a client that is not accepted yet would fail.
#[tokio::test]
async fn a_script_can_call_a_client_as_soon_as_it_has_accepted_it() {
    let files = Files::new();
    files.script(
        "app",
        "failed = {}
        function application.onConnect(client)
            application.acceptConnection(client)
            assert(client:call('greet', function(_, problem) failed[#failed + 1] = problem and problem.code end))
        end
        function Client:failed() return table.concat(failed, ' ') end",
        "",
    );
    let server = Server::configured(files.path(), 2);
    let uri = server.uri(0);
    let mut clients = Vec::new();
    for number in 1..=40 {
        clients.push(arrives(&uri, number, Vec::new()).await);
    }
    assert_eq!(ask(&mut clients[0], "failed", Vec::new()).await, Ok("".into()));
}

#[tokio::test]
async fn script_and_client_call_each_other() {
    let files = Files::new();
    files.script(
        "app",
        "function Client:echo(...) return ... end
        function Client:about()
            assert(self.farID == self.farId and #self.farID == 64 and #self.nearID == 64)
            assert(#self.farNonce == 64 and #self.nearNonce == 64 and self.farNonce ~= self.nearNonce)
            assert(self.protocol == 'rtmfp' and self.ip == '127.0.0.1' and self.farAddress:find('^127%.0%.0%.1:%d+$'))
            assert(self.nearAddress == self.potentialNearAddresses[1])
            assert(application.clients[self.farID] == self and #application.clients == application.clients.length)
            local stats = self:getStats()
            assert(stats.bytes_in > 100 and stats.bytes_out > 100 and stats.msg_in >= 2 and stats.msg_out >= 2)
            assert(stats.msg_dropped == 0 and stats.ping_rtt >= 0 and self:ping())
            return self.uri .. ' ' .. self.agent
        end
        function Client:go(name)
            application.broadcastMsg('news', name, { 1, 2, 3 })
            self:call('add', function(sum) self:call('sum', nil, sum) end, 1, 2)
            local sum = self:callAndWait('add', 20, 22)
            local nothing, problem = self:callAndWait('unknown')
            self:call('done', nil, sum, nothing == nil, problem.code)
        end
        function Client:broken() error('secret') end
        function Client:close() application.disconnect(self) end",
        "",
    );
    let server = Server::configured(files.path(), 2);
    let uri = server.uri(0);
    let mut ann = arrives(&uri, 1, Vec::new()).await;
    let mut bob = arrives(&uri, 2, Vec::new()).await;
    // Values survive both ways.
    for value in [
        Value::Null,
        Value::Boolean(false),
        Value::Number(-0.5),
        Value::Number(9_007_199_254_740_991.0),
        "grüße".into(),
        Value::Array(vec![1.0.into(), "two".into(), Value::Array(Vec::new()), Value::Null]),
        Value::object([("a", Value::object([("b", Value::Undefined)])), ("c", true.into())]),
        Value::Date { milliseconds: 1e12, time_zone: 0 },
    ] {
        assert_eq!(ask(&mut ann, "echo", vec![value.clone()]).await, Ok(value));
    }
    let about = ask(&mut ann, "about", Vec::new()).await;
    assert_eq!(about, Ok(format!("{uri} introd {}", env!("CARGO_PKG_VERSION")).into()), "{}", server.log());
    // What the connection itself has under a name, the host's own methods and what is not there.
    for name in ["ping", "call", "introducePeer", "onFarAddressChange", "farID", "nothing", "broken"] {
        let problem = ask(&mut ann, name, Vec::new()).await.expect_err(name);
        assert!(problem.contains(name) && !problem.contains("secret"), "{problem}");
    }
    let go = Command::new("go", 0.0, vec!["ann".into()]).to_message(Encoding::Amf0, 0).expect("a command");
    ann.send_to_server(go).expect("it can be sent");
    let calls = attend(&mut ann).await;
    let names: Vec<&str> = calls.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["news", "add", "add", "sum", "unknown", "done"], "{calls:?}\n{}", server.log());
    assert_eq!(calls[3].1, [Value::Number(3.0)]);
    assert_eq!(calls[5].1, [Value::Number(42.0), true.into(), "Client.No".into()]);
    let news = server_says(&mut bob, |message| match message {
        Incoming::Call(command) if command.name == "news" => Some(command.arguments),
        _ => None,
    })
    .await;
    assert_eq!(news, ["ann".into(), Value::Array(vec![1.0.into(), 2.0.into(), 3.0.into()])]);
    // One is sent away, the other stays.
    let close = Command::new("close", 0.0, Vec::new()).to_message(Encoding::Amf0, 0).expect("a command");
    ann.send_to_server(close).expect("it can be sent");
    ann.stay().await;
    assert!(create_stream(&mut bob, 7.0).await > 0.0);
    let ended = server.stop();
    assert!(ended.stderr.contains("secret"), "{ended:?}");
}

#[tokio::test]
async fn results_that_cannot_be_sent_are_reported_as_errors() {
    let files = Files::new();
    files.script(
        "app",
        "function Client:give() return print end
        function Client:huge() return ('x'):rep(1 << 21) end
        function Client:hello() return 'hello' end",
        "",
    );
    let server = Server::configured(files.path(), 1);
    let mut client = connect(&server.uri(0), LOOPBACK, 1).await;
    for name in ["give", "huge"] {
        let problem = ask(&mut client, name, Vec::new()).await.expect_err(name);
        assert!(problem.contains(name), "{problem}");
    }
    assert_eq!(ask(&mut client, "hello", Vec::new()).await, Ok("hello".into()));
    let ended = server.stop();
    assert!(ended.stderr.contains("a function has no counterpart in ActionScript"), "{ended:?}");
}

/// A lookup is kept, and answered by what a client says later; when it is answered too late, the script sees an error.
#[tokio::test]
async fn a_lookup_can_be_answered_later_and_once() {
    let files = Files::new();
    files.script(
        "app",
        "local kept = {}
        function application.onPeerLookup(event) kept[#kept + 1] = event trace('<<kept>>') end
        function Client:answer()
            local event = table.remove(kept)
            application.sendPeerRedirect({ self.farAddress }, event)
            self:introducePeer(event.initiatorAddress, event.tag)
            return select(2, pcall(application.denyPeerLookup, event))
        end
        function Client:late() return select(2, pcall(application.denyPeerLookup, kept[1])) end",
        &format!("{ALL_LOOKUPS}<Policy><Deadline>1500</Deadline></Policy>"),
    );
    let server = Server::configured(files.path(), 2);
    let uri = server.uri(0);
    let mut target = arrives(&uri, 1, Vec::new()).await;
    let id = target.id().to_string();
    let asker = tokio::task::spawn_blocking({
        let uri = uri.clone();
        move || find(&id, &uri, "20")
    });
    logged(&server, "<<kept>>", 1).await;
    let second = ask(&mut target, "answer", Vec::new()).await.expect("an error that the script sees");
    assert!(second.as_str().is_some_and(|text| text.contains("this lookup has been answered")), "{second:?}");
    let ended = tokio::select! {
        ended = asker => ended.expect("it ends"),
        failure = target.stay() => panic!("{failure}"),
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // The lookup of an unknown peer is never answered: after its deadline it cannot be answered any more.
    let stranger = tokio::task::spawn_blocking({
        let uri = uri.clone();
        move || find(&"17".repeat(32), &uri, "5")
    });
    let ended = tokio::select! {
        ended = stranger => ended.expect("it ends"),
        failure = target.stay() => panic!("{failure}"),
    };
    assert_eq!(ended.code, Some(1));
    let late = ask(&mut target, "late", Vec::new()).await.expect("an error that the script sees");
    assert!(late.as_str().is_some_and(|text| text.contains("this lookup has been answered")), "{late:?}");
    let ended = server.stop();
    assert_eq!(ended.counter("rtmfp_lookups_denied"), 0, "{ended:?}");
    assert!(said(&ended.stderr).len() >= 2);
}
