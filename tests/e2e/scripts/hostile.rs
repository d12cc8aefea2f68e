//! Scripts that hang, fail or hoard memory: the server serves on, other applications are not slowed, and memory is freed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use introd_client::Client;
use introd_flash::amf::Value;
use introd_flash::command::{Command, Encoding};
use introd_tests::program::{Files, Peer, Server};
use rtmfp::PeerId;

use super::{ALL_LOOKUPS, ask};
use crate::harness::clients::{LOOPBACK, TIMEOUT, connect};
use crate::harness::log::logged;
use crate::harness::stranger::Stranger;

const HOSTILE: &str = "
    local armed, kept = 'none', {}
    local deeds = {}
    function deeds.loop() while true do end end
    function deeds.loopInPcall() while true do pcall(function() while true do end end) end end
    function deeds.coroutine() coroutine.wrap(function() while true do end end)() end
    function deeds.coroutines() while true do coroutine.resume(coroutine.create(function() while true do end end)) end end
    function deeds.recursion() local function f(n) return 1 + f(n + 1) end return f(1) end
    function deeds.gibibyte() return #('x'):rep(1 << 30) end
    function deeds.hoard() local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end end
    function deeds.pattern() return string.find(('a'):rep(100000), '.-.-.-.-.-.-b') end
    function deeds.json() local s = '[' .. ('{},'):rep(1e5) .. '1]' while true do pcall(json.decode, s) end end
    function deeds.deepJson() return json.decode(('['):rep(100000)) end
    function deeds.hash() local s = ('x'):rep(16e6) while true do crypto.hash('md5', s) end end
    function deeds.randomBytes() return crypto.randomBytes(1e9) end
    function deeds.errorTable() error({}) end
    function deeds.errorNil() error(nil) end
    function deeds.errorFunction() error(print) end
    function Client:deed(name) return deeds[name]() end
    function Client:arm(name) armed = name return true end
    function Client:alive() return true end
    function Client:waiting() return kept.waiting or 0 end
    function Client:release()
        local ok, problem = pcall(application.sendPeerRedirect, { self.farAddress }, kept.event)
        return { ok, problem }
    end
    function application.onPeerLookup(event)
        if armed == 'keep' then kept.event = event return end
        if armed == 'wait' then
            kept.waiting = (kept.waiting or 0) + 1
            sleep(4000)
            kept.waiting = kept.waiting - 1
            application.denyPeerLookup(event)
            return
        end
        deeds[armed]()
    end";

/// Handlers that all fail, each in its way.
const FAILING: &str = "
    local function fail() error('deliberate') end
    for _, name in ipairs { 'onAppStart', 'onAppStop', 'onDisconnect', 'onPeerLookup', 'onStatus' } do application[name] = fail end
    for _, name in ipairs { 'onFarAddressChange', 'onReportedAddressesChange', 'onGroupJoin', 'onGroupLeave', 'fails' } do
        Client[name] = fail
    end
    function application.onConnect(client) setTimeout(fail, 1) client:call('nothing', fail) return true end";

/// Only a server that does not answer takes so long.
const ANSWER_TIMEOUT: Duration = TIMEOUT;

/// How long it takes until a stranger that looks for a peer is redirected; `None` if it is not.
fn answer_time(stranger: &Stranger, server: SocketAddr, target: PeerId) -> Option<Duration> {
    let sent = Instant::now();
    stranger.look_up(server, target).map(|_| sent.elapsed())
}

/// How long lookups take, in microseconds: half of them, and all but one of a hundred.
struct Latency {
    half: u128,
    most: u128,
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "half of them within {} us, 99 % within {} us", self.half, self.most)
    }
}

/// Times so many lookups of a good application's peer, one after the other.
fn measure(stranger: &Stranger, server: SocketAddr, target: PeerId, count: usize) -> Latency {
    let mut all: Vec<u128> = (0..count)
        .map(|_| {
            let time = answer_time(stranger, server, target);
            time.expect("another application's script does not keep this one from answering").as_micros()
        })
        .collect();
    all.sort_unstable();
    Latency { half: all[all.len() / 2], most: all[all.len() * 99 / 100] }
}

async fn client(uri: &str, number: u64) -> Client {
    connect(uri, LOOPBACK, number).await
}

/// What a client is told while the script counts as hanging: on a busy computer, even the end of its time may come late.
const UNANSWERED: &str = "the application does not answer";

/// The script does that.
async fn does(client: &mut Client, method: &str, arguments: Vec<Value>) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match ask(client, method, arguments.clone()).await {
            Err(problem) if problem.contains(UNANSWERED) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            result => return assert_eq!(result, Ok(true.into()), "{method} {arguments:?}"),
        }
    }
}

/// Starts something without waiting for its end.
fn begin(client: &mut Client, deed: &str) {
    let command = Command::new("deed", 0.0, vec![deed.into()]).to_message(Encoding::Amf0, 0).expect("a command");
    client.send_to_server(command).expect("it can be sent");
}

#[tokio::test]
async fn hostile_scripts_do_not_slow_other_applications() {
    /// The server's memory is told in KiB.
    const MIB: u64 = 1 << 10;
    let files = Files::new();
    let limits = "<ScriptEngine><MaxTimeOut>0.3</MaxTimeOut><RuntimeSize>65536</RuntimeSize></ScriptEngine>\
                  <MaxAppIdleTime>1</MaxAppIdleTime>\
                  <Policy><Deadline>1000</Deadline><OnDeadline>deny</OnDeadline><OnFailure>deny</OnFailure></Policy>";
    files.script("hostile", HOSTILE, &format!("{limits}{ALL_LOOKUPS}"));
    files.script("good", include_str!("../../../lua/introductions/main.lua"), ALL_LOOKUPS);
    let server = Server::configured(files.path(), 1);
    let good = Peer::stay(&server.uri_of("good"));
    let target: PeerId = good.id.parse().expect("a peer id");
    let mut eve = client(&server.uri_of("hostile"), 1).await;
    let hostile = eve.id();
    let (address, stranger) = (server.addresses[0], Stranger::new(ANSWER_TIMEOUT));
    measure(&stranger, address, target, 200);
    let idle = measure(&stranger, address, target, 1000);
    let before = server.resident();
    let mut report = format!("idle: {idle}, {} MiB\n", before / MIB);
    let mut peak = before;

    // What never ends, what takes too much, what fails in odd ways: by a call, and by a lookup.
    for deed in [
        "loop",
        "loopInPcall",
        "coroutine",
        "coroutines",
        "recursion",
        "gibibyte",
        "hoard",
        "pattern",
        "json",
        "deepJson",
        "hash",
        "randomBytes",
        "errorTable",
        "errorNil",
        "errorFunction",
    ] {
        begin(&mut eve, deed);
        let busy = measure(&stranger, address, target, 300);
        peak = peak.max(server.resident());
        let problem = ask(&mut eve, "deed", vec![deed.into()]).await.expect_err(deed);
        assert!(problem.contains("deed") || problem.contains(UNANSWERED), "{deed}: {problem}");
        does(&mut eve, "arm", vec![deed.into()]).await;
        Stranger::new(ANSWER_TIMEOUT).ask(address, hostile);
        // Behind the lookup in the application's queue: when this is answered, the lookup has been.
        does(&mut eve, "alive", Vec::new()).await;
        report += &format!("{deed}: {busy}\n");
    }

    // An event that is kept, and answered after its deadline. Nothing tells when that has passed: on a busy computer it may be late.
    does(&mut eve, "arm", vec!["keep".into()]).await;
    let mut wait = Duration::from_millis(1500);
    loop {
        Stranger::new(ANSWER_TIMEOUT).ask(address, hostile);
        tokio::time::sleep(wait).await;
        let late = ask(&mut eve, "release", Vec::new()).await;
        let Ok(Value::Array(late)) = &late else { panic!("{late:?}") };
        if late[0] == false.into() {
            let text = late[1].as_str().expect("an error");
            assert!(text.contains("this lookup has been answered"), "{late:?}");
            break;
        }
        wait *= 2;
        assert!(wait < TIMEOUT, "its deadline does not count: {late:?}");
    }

    // Ten thousand handlers wait at a time.
    does(&mut eve, "arm", vec!["wait".into()]).await;
    let crowd = Stranger::new(ANSWER_TIMEOUT);
    let mut waiting = 0.0;
    for round in 0..50 {
        for _ in 0..200 {
            crowd.ask(address, hostile);
        }
        // The server has taken these before more come: what it has no room for is lost.
        waiting =
            ask(&mut eve, "waiting", Vec::new()).await.ok().and_then(|value| value.as_number()).expect("a number");
        if round == 25 {
            let busy = measure(&stranger, address, target, 300);
            report += &format!("with {waiting} handlers that wait: {busy}\n");
        }
    }
    let crowded = measure(&stranger, address, target, 300);
    peak = peak.max(server.resident());
    report += &format!("with {waiting} handlers that wait: {crowded}, peak {} MiB\n", peak / MIB);
    assert!(waiting > 1000.0, "only {waiting} wait at the end");
    // The script counts those that begin and those that end. On a busy computer a few run into their time limit in between.
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let left = ask(&mut eve, "waiting", Vec::new()).await;
        if left.as_ref().is_ok_and(|left| left.as_number().is_some_and(|left| left < 50.0)) {
            break;
        }
        assert!(Instant::now() < deadline, "they wait for ever: {left:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // Gone, and its memory with it.
    eve.close().await;
    logged(&server, "ends: it has no clients app=hostile/room", 1).await;
    // The allocator keeps some of what is freed; a script that is kept would keep nearly all.
    let kept = (16 * MIB).max((peak - before) / 2);
    let deadline = Instant::now() + TIMEOUT;
    while server.resident() > before + kept && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = server.resident();
    report += &format!("after: {}, {} MiB", measure(&stranger, address, target, 300), after / MIB);
    eprintln!("{report}");
    assert!(peak <= before + 200 * MIB, "{report}");
    assert!(after <= before + kept, "{report}");
    let ended = server.stop();
    // Each lookup of the deeds and the one that was kept were denied, and so were those that waited, by their deadline.
    assert!(ended.counter("rtmfp_lookups_denied") > 1000, "{ended:?}");
    assert_eq!(ended.counter("application_busy") + ended.counter("worker_mailbox_full"), 0);
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

#[tokio::test]
async fn failing_handlers_do_not_stop_the_server() {
    let files = Files::new();
    files.script("app", FAILING, &format!("{ALL_LOOKUPS}<MaxAppIdleTime>0.05</MaxAppIdleTime>"));
    let server = Server::configured(files.path(), 2);
    let mut ann = client(&server.uri(0), 1).await;
    let id = ann.id();
    let problem = ask(&mut ann, "fails", Vec::new()).await.expect_err("it fails");
    assert!(
        problem.contains("fails") && !problem.contains("deliberate"),
        "what went wrong is not for clients: {problem}"
    );
    let (address, stranger) = (server.addresses[0], Stranger::new(ANSWER_TIMEOUT));
    stranger.ask(address, id);
    logged(&server, "onPeerLookup", 1).await;
    // The server serves on.
    let mut bob = client(&server.uri_of("elsewhere"), 2).await;
    let bob_id = bob.id();
    let asking = move || answer_time(&stranger, address, bob_id).expect("the built-in answer");
    tokio::task::spawn_blocking(asking).await.expect("an answer");
    assert!(crate::harness::clients::create_stream(&mut bob, 2.0).await > 0.0);
    ann.close().await;
    logged(&server, "onAppStop", 1).await;
    let ended = server.stop();
    for handler in [
        "onAppStart",
        "onReportedAddressesChange",
        "onPeerLookup",
        "onDisconnect",
        "onAppStop",
        "timer",
        "onStatus",
        "fails",
    ] {
        assert!(ended.stderr.contains(&format!("handler=\"{handler}\"")), "{handler}: {}", ended.stderr);
    }
    assert!(ended.stderr.contains("main.lua:2: deliberate"), "{ended:?}");
    assert!(ended.counter("rtmfp_lookups_denied") > 0);
}
