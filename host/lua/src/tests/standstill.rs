//! Scripts that stand still where no limit stops them: what holds meanwhile, and what they can still do afterwards.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use introd_flash::amf::Value;
use introd_flash::server::Call;
use introd_policy::message::{AppEvent, Commands, SendError};
use introd_policy::{AppActor, RequestId, Verdict};

use super::host::{client, connect, is_denied, lookup, name, wait_for};
use super::net_connections::{Endpoints, Opener};
use super::*;
use crate::Surroundings;
use crate::testing::Sent;
use crate::{Host, HostSettings, ScriptHandle, ScriptState};

const SHORT: Duration = Duration::from_millis(50);
/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

/// Workers that keep what they get. A ping holds its script up while they hold, and the next verdict panics if it is to.
#[derive(Default)]
struct Workers {
    sent: Mutex<Vec<Sent>>,
    arrived: Condvar,
    is_held: Mutex<bool>,
    /// How many scripts have come to the place where they are held up.
    held: AtomicUsize,
    released: Condvar,
    panics: AtomicBool,
}

impl Workers {
    fn take(&self, count: usize) -> Vec<Sent> {
        let mut sent = self.sent.lock().unwrap();
        while sent.len() < count {
            sent = self.arrived.wait(sent).unwrap();
        }
        std::mem::take(&mut *sent)
    }

    fn hold(&self, hold: bool) {
        *self.is_held.lock().unwrap() = hold;
        self.released.notify_all();
    }

    fn push(&self, sent: Sent) {
        self.sent.lock().unwrap().push(sent);
        self.arrived.notify_all();
    }
}

impl Commands for Workers {
    fn decide(&self, request: RequestId, verdict: Verdict) {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "the test demands it");
        self.push(Sent::Verdict(request, verdict));
    }

    fn send(&self, command: ClientCommand) -> Result<(), SendError> {
        if matches!(command, ClientCommand::Ping { .. }) {
            let mut is_held = self.is_held.lock().unwrap();
            self.held.fetch_add(usize::from(*is_held), Ordering::SeqCst);
            while *is_held {
                is_held = self.released.wait(is_held).unwrap();
            }
        }
        self.push(Sent::Command(command));
        Ok(())
    }

    fn count_lost(&self, _: u8) {}
}

fn host(settings: HostSettings) -> (Host, Arc<Workers>) {
    let workers = Arc::new(Workers::default());
    (Host::start(settings, workers.clone(), Surroundings::default()).unwrap(), workers)
}

/// Opens an application whose handlers end soon after they are let go: what stands still is counted until then.
fn open(host: &Host, name: InstanceName, folder: &Folder) -> ScriptHandle {
    let limited = settings(|settings| settings.script.time = Some(Duration::from_millis(300)));
    host.open(name, folder.path(), Arc::new(limited)).unwrap()
}

fn until(holds: impl Fn() -> bool) {
    while !holds() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lets a script stand still in the `onConnect` of a client.
fn stands_still(handle: &ScriptHandle, workers: &Workers, number: u32) {
    let before = workers.held.load(Ordering::SeqCst);
    workers.hold(true);
    handle.try_send(connect(number)).unwrap();
    until(|| workers.held.load(Ordering::SeqCst) > before);
}

fn call(number: u32, method: &str, transaction: f64) -> AppEvent {
    let call = Call { name: method.to_owned(), transaction, object: Value::Null, arguments: Vec::new() };
    AppEvent::Call { client: client(number), call }
}

/// Stands still in `onConnect` when the workers hold; tells how many clients there are.
const STANDS: &str = "
    function application.onConnect(client)
        application.acceptConnection(client)
        client:ping()
        client:call('late')
    end
    function Client:count() return #application.clients end
    function application.onPeerLookup(event) application.denyPeerLookup(event) end";

fn count(handle: &ScriptHandle, workers: &Workers, number: u32) -> Option<f64> {
    handle.try_send(call(number, "count", 1.0)).unwrap();
    loop {
        for sent in workers.take(1) {
            if let Sent::Command(ClientCommand::Answer { outcome, .. }) = sent {
                return outcome.ok().and_then(|value| value.as_number());
            }
        }
    }
}

#[test]
fn a_script_that_stood_still_knows_who_came_and_went_meanwhile() {
    let settings = HostSettings { threads: 2, stuck_after: SHORT, replace_after: LONG, ..HostSettings::default() };
    let (host, workers) = host(settings);
    let folder = Folder::new(STANDS);
    let (stuck, sibling) = (open(&host, name("stuck", "1"), &folder), open(&host, name("stuck", "2"), &folder));
    wait_for(&stuck, ScriptState::Running);
    stuck.try_send(connect(1)).unwrap();
    workers.take(3);
    stands_still(&stuck, &workers, 2);
    wait_for(&stuck, ScriptState::Wedged);
    // An application has one thread: its other instance is held up too.
    wait_for(&sibling, ScriptState::Wedged);
    workers.take(1);
    // A call fails at once. So does a connect, which the settings then allow.
    stuck.try_send(call(1, "count", 7.0)).unwrap();
    stuck.try_send(connect(3)).unwrap();
    let sent = workers.take(2);
    assert!(
        matches!(
            &sent[..],
            [
                Sent::Command(ClientCommand::Answer { transaction: 7.0, outcome: Err(_), .. }),
                Sent::Verdict(_, Verdict::Failed(_))
            ]
        ),
        "{sent:?}"
    );
    stuck.try_send(AppEvent::Accepted { client: client(3) }).unwrap();
    stuck.try_send(AppEvent::Disconnect { client: client(1) }).unwrap();
    workers.hold(false);
    wait_for(&stuck, ScriptState::Running);
    assert_eq!(count(&stuck, &workers, 3), Some(2.0), "the second and the third");
    assert_eq!(stuck.open_requests(), 0);
}

#[test]
fn the_connections_of_a_script_that_hangs_are_closed_and_it_opens_no_others() {
    let settings = HostSettings { threads: 1, stuck_after: SHORT, replace_after: SHORT, ..HostSettings::default() };
    let (workers, endpoints) = (Arc::new(Workers::default()), Arc::<Endpoints>::default());
    let opener = Arc::new(Opener(Arc::clone(&endpoints)));
    let host = Host::start(settings, workers.clone(), Surroundings { connections: opener, ..Surroundings::default() })
        .unwrap();
    let folder = Folder::new(&format!(
        "{STANDS}
        function application.onAppStart() nc = NetConnection() nc:connect('rtmfp:') end
        function application.onConnect(client)
            application.acceptConnection(client)
            client:ping()
            NetConnection():connect('rtmfp:')
        end"
    ));
    let (stuck, other) = (open(&host, name("stuck", "1"), &folder), open(&host, name("other", "1"), &folder));
    wait_for(&stuck, ScriptState::Running);
    wait_for(&other, ScriptState::Running);
    assert_eq!(endpoints.count(), 2);
    stands_still(&stuck, &workers, 1);
    wait_for(&stuck, ScriptState::Failed);
    // The other application is loaded again on another thread, and has a new connection instead of its old one.
    wait_for(&other, ScriptState::Running);
    until(|| endpoints.count() == 3);
    let mut closed = endpoints.closed();
    closed.sort_unstable();
    assert_eq!(closed, [0, 1]);
    workers.hold(false);
    until(|| stuck.memory() == 0);
    // The one that the script opens when it goes on is closed at once.
    assert_eq!((endpoints.count(), endpoints.closed()), (4, vec![3]));
    other.try_send(AppEvent::Stop).unwrap();
    wait_for(&other, ScriptState::Stopped);
    assert_eq!(endpoints.closed(), [2]);
}

#[test]
fn what_a_thread_does_that_was_given_up_has_no_effect() {
    let settings = HostSettings { threads: 1, stuck_after: SHORT, replace_after: SHORT, ..HostSettings::default() };
    let (host, workers) = host(settings);
    let folder = Folder::new(&format!(
        "{STANDS}
        function application.onConnect(client)
            application.acceptConnection(client)
            client:ping()
            client:call('late')
            for _, waiting in ipairs(kept) do application.acceptConnection(waiting) end
        end
        kept = {{}}"
    ));
    let (stuck, ended) = (open(&host, name("stuck", "1"), &folder), open(&host, name("ended", "1"), &folder));
    wait_for(&stuck, ScriptState::Running);
    ended.try_send(AppEvent::Stop).unwrap();
    wait_for(&ended, ScriptState::Stopped);
    stands_still(&stuck, &workers, 1);
    workers.take(1);
    wait_for(&stuck, ScriptState::Failed);
    // What has ended does not begin again with the new thread.
    assert_eq!(ended.state(), ScriptState::Stopped);
    ended.try_send(lookup()).unwrap();
    assert!(is_denied(&workers.take(1)[0]));
    assert!(stuck.has_failed() && !stuck.is_over());
    workers.hold(false);
    // Its VM is gone when that thread has ended.
    until(|| stuck.memory() == 0);
    let sent = std::mem::take(&mut *workers.sent.lock().unwrap());
    assert!(
        matches!(&sent[..], [Sent::Command(ClientCommand::Ping { .. })]),
        "that call was under way; what comes after it goes nowhere: {sent:?}"
    );
    assert_eq!(stuck.state(), ScriptState::Failed);
    // Another instance does not get to hang until the files change.
    let again = open(&host, name("stuck", "2"), &folder);
    again.try_send(lookup()).unwrap();
    assert!(is_denied(&workers.take(1)[0]));
    folder.write("main.lua", "-- mended");
    let mended = open(&host, name("stuck", "3"), &folder);
    wait_for(&mended, ScriptState::Running);
    // What is closed can be stopped.
    stuck.try_send(AppEvent::Stop).unwrap();
    wait_for(&stuck, ScriptState::Stopped);
    assert!(stuck.is_over());
}

static FATAL: AtomicUsize = AtomicUsize::new(0);

#[test]
fn the_process_ends_when_too_many_threads_stand_still_at_a_time() {
    let fatal: fn(&str) = |_| {
        FATAL.fetch_add(1, Ordering::SeqCst);
    };
    let settings = HostSettings {
        threads: 1,
        stuck_after: SHORT,
        replace_after: SHORT,
        fatal: Some(fatal),
        ..HostSettings::default()
    };
    let (host, workers) = host(settings);
    let folder = Folder::new(STANDS);
    let hang = |number: u32| {
        let handle = open(&host, name(&format!("app{number}"), "1"), &folder);
        wait_for(&handle, ScriptState::Running);
        stands_still(&handle, &workers, number);
        handle
    };
    let left: Vec<_> = (1..=8)
        .map(|number| {
            let handle = hang(number);
            wait_for(&handle, ScriptState::Failed);
            handle
        })
        .collect();
    // Those that go on at last are not counted any more.
    assert_eq!(FATAL.load(Ordering::SeqCst), 0);
    workers.hold(false);
    until(|| left.iter().all(|handle| handle.memory() == 0));
    let left: Vec<_> = (11..=18)
        .map(|number| {
            let handle = hang(number);
            wait_for(&handle, ScriptState::Failed);
            handle
        })
        .collect();
    assert_eq!(FATAL.load(Ordering::SeqCst), 0);
    let last = hang(19);
    until(|| FATAL.load(Ordering::SeqCst) > 0);
    assert_eq!(last.state(), ScriptState::Wedged, "it is not replaced");
    workers.hold(false);
    drop(left);
}

#[test]
fn an_instance_that_panics_ends_and_others_go_on() {
    let settings = HostSettings { threads: 1, stuck_after: LONG, ..HostSettings::default() };
    let (host, workers) = host(settings);
    let folder = Folder::new("function application.onPeerLookup(event) application.denyPeerLookup(event) end");
    let (doomed, other) = (open(&host, name("doomed", "1"), &folder), open(&host, name("other", "1"), &folder));
    wait_for(&other, ScriptState::Running);
    workers.panics.store(true, Ordering::SeqCst);
    doomed.try_send(connect(1)).unwrap();
    wait_for(&doomed, ScriptState::Stopped);
    for handle in [&doomed, &other] {
        handle.try_send(lookup()).unwrap();
    }
    let mut sent = workers.take(1);
    while sent.len() < 2 {
        sent.extend(workers.take(1));
    }
    assert!(sent.iter().all(is_denied), "{sent:?}");
    assert_eq!((doomed.open_requests(), doomed.memory()), (0, 0));
}

/// Requests wait while a script is loaded. If it does not load, they find the application closed.
#[test]
fn what_waits_for_a_script_that_does_not_load_finds_the_application_closed() {
    let settings = HostSettings { threads: 1, stuck_after: LONG, ..HostSettings::default() };
    let (host, workers) = host(settings);
    let (good, broken) = (Folder::new(STANDS), Folder::new("x x"));
    let first = open(&host, name("first", "1"), &good);
    wait_for(&first, ScriptState::Running);
    stands_still(&first, &workers, 1);
    workers.take(1);
    let handle = open(&host, name("broken", "1"), &broken);
    for event in [connect(2), lookup(), call(2, "x", 5.0)] {
        handle.try_send(event).unwrap();
    }
    assert_eq!((handle.state(), handle.open_requests()), (ScriptState::Starting, 3));
    workers.hold(false);
    wait_for(&handle, ScriptState::Failed);
    let mut sent = Vec::new();
    while sent.len() < 5 {
        sent.extend(workers.take(1));
    }
    sent.retain(|sent| !matches!(sent, Sent::Command(ClientCommand::Ping { .. } | ClientCommand::Call { .. })));
    assert!(
        matches!(
            &sent[..],
            [
                Sent::Verdict(_, Verdict::Reject(_)),
                Sent::Verdict(_, Verdict::Deny(None)),
                Sent::Command(ClientCommand::Answer { transaction: 5.0, outcome: Err(_), .. })
            ]
        ),
        "{sent:?}"
    );
    assert_eq!(handle.open_requests(), 0);
    // It ends when it is told to.
    handle.try_send(AppEvent::Stop).unwrap();
    wait_for(&handle, ScriptState::Stopped);
}

#[test]
fn a_turn_ends_with_the_event_that_took_long() {
    let settings = HostSettings { threads: 1, stuck_after: LONG, ..HostSettings::default() };
    let (host, workers) = host(settings);
    let folder = Folder::new(STANDS);
    let began = Instant::now();
    let (busy, other) = (open(&host, name("busy", "1"), &folder), open(&host, name("other", "1"), &folder));
    wait_for(&other, ScriptState::Running);
    // The other has had no more of the thread's time than this.
    let start = began.elapsed();
    stands_still(&busy, &workers, 1);
    for transaction in 1..=20 {
        busy.try_send(call(1, "count", f64::from(transaction))).unwrap();
    }
    other.try_send(lookup()).unwrap();
    // It takes longer than a turn, and more of the thread's time than the other has had.
    std::thread::sleep(start + Duration::from_millis(5));
    workers.hold(false);
    let mut sent = Vec::new();
    while sent.len() < 24 {
        sent.extend(workers.take(1));
    }
    let denied = sent.iter().position(is_denied).unwrap();
    assert!(denied <= 3, "{sent:?}");
}

#[test]
fn other_settings_hold_from_the_reload_on() {
    use introd_config::XmlSettings;
    let (host, workers) = host(HostSettings::default());
    let folder = Folder::new(
        "function application.onConnect(client) application.acceptConnection(client) client:call(application.config.greeting) end",
    );
    let with = |greeting: &str| {
        let leaf = XmlSettings { text: greeting.to_owned(), children: Vec::new() };
        let config = XmlSettings { text: String::new(), children: vec![("greeting".into(), leaf)] };
        Arc::new(settings(|settings| settings.script.config = config))
    };
    let handle = host.open(name("app", "1"), folder.path(), with("old")).unwrap();
    let greeted = |number: u32| {
        handle.try_send(connect(number)).unwrap();
        match workers.take(2).pop() {
            Some(Sent::Command(ClientCommand::Call { method, .. })) => method,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(greeted(1), "old");
    handle.reconfigure(with("new"));
    let mut number = 2;
    while greeted(number) != "new" {
        number += 1;
    }
}

static TRIMS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn memory_that_scripts_have_freed_is_given_back_to_the_system() {
    let trim: fn() = || {
        TRIMS.fetch_add(1, Ordering::SeqCst);
    };
    for main in [
        // Freed by a handler, by a reload, and by the end.
        "function application.onPeerLookup() local t = {} for i = 1, 40 do t[i] = ('x'):rep(1 << 20) .. i end end",
        "kept = {} for i = 1, 20 do kept[i] = ('x'):rep(1 << 20) .. i end",
    ] {
        let (host, _workers) = host(HostSettings { trim: Some(trim), ..HostSettings::default() });
        let folder = Folder::new(main);
        let unhurried = settings(|settings| settings.script.time = Some(LONG));
        let handle = host.open(name("app", "1"), folder.path(), Arc::new(unhurried)).unwrap();
        wait_for(&handle, ScriptState::Running);
        let before = TRIMS.load(Ordering::SeqCst);
        handle.try_send(if main.starts_with("kept") { AppEvent::Stop } else { lookup() }).unwrap();
        until(|| TRIMS.load(Ordering::SeqCst) > before);
    }
}
