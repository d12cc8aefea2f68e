//! Threads, queues and the watchdog.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rtmfp::SessionId;

use super::*;
use crate::Surroundings;
use crate::testing::Sent;
use crate::{Host, HostSettings, ScriptError, ScriptHandle, ScriptState};
use introd_policy::message::{AppEvent, ClientId, Commands, PeerLookup, SendError};
use introd_policy::{AppActor, AppActors, InstanceName, InstanceTotals, Opening, RequestId, Totals, Verdict};

/// Takes commands, and can be made to block a script that sends a ping: in a place that no limit of a script reaches.
#[derive(Default)]
pub(super) struct Desk {
    sent: Mutex<Vec<Sent>>,
    arrived: Condvar,
    is_held: Mutex<bool>,
    released: Condvar,
}

impl Desk {
    /// Waits until that many commands and verdicts have come, and takes them.
    pub(super) fn take(&self, count: usize) -> Vec<Sent> {
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
}

impl Commands for Desk {
    fn decide(&self, request: RequestId, verdict: Verdict) {
        self.sent.lock().unwrap().push(Sent::Verdict(request, verdict));
        self.arrived.notify_all();
    }

    fn count_lost(&self, _: u8) {}

    fn send(&self, command: ClientCommand) -> Result<(), SendError> {
        if matches!(command, ClientCommand::Ping { .. }) {
            let mut is_held = self.is_held.lock().unwrap();
            while *is_held {
                is_held = self.released.wait(is_held).unwrap();
            }
        }
        self.sent.lock().unwrap().push(Sent::Command(command));
        self.arrived.notify_all();
        Ok(())
    }
}

pub(super) fn name(application: &str, instance: &str) -> InstanceName {
    InstanceName {
        adaptor: "a".to_owned(),
        vhost: "v".to_owned(),
        application: application.to_owned(),
        instance: instance.to_owned(),
    }
}

pub(super) fn lookup() -> AppEvent {
    lookup_of(None)
}

/// A lookup of a peer.
pub(super) fn lookup_of(target: impl Into<Option<rtmfp::PeerId>>) -> AppEvent {
    static LAST: AtomicU64 = AtomicU64::new(1 << 40);
    AppEvent::PeerLookup(PeerLookup {
        request: RequestId::from_number(LAST.fetch_add(1, Ordering::Relaxed)),
        target: target.into(),
        initiator: "192.0.2.1:1".parse().unwrap(),
        tag: Default::default(),
        attempt: 1,
        interface: rtmfp::InterfaceId(0),
        asker: None,
        proposal: None,
    })
}

/// A connect whose request has the number of the client.
pub(super) fn connect(number: u32) -> AppEvent {
    let (_, info) = scene("").stage.next_client();
    let request = RequestId::from_number(u64::from(number));
    AppEvent::Connect { request, client: client(number), info: Arc::new(info) }
}

pub(super) fn is_denied(sent: &Sent) -> bool {
    matches!(sent, Sent::Verdict(_, Verdict::Deny(None)))
}

pub(super) fn client(number: u32) -> ClientId {
    ClientId { worker: 0, session: SessionId::from_wire(number) }
}

/// A host that takes a thread for stuck after a short time.
pub(super) fn host(threads: usize) -> (Host, Arc<Desk>) {
    host_with(threads, Duration::from_millis(50))
}

/// A host for tests in which no script hangs: no thread of it is taken for stuck because the computer is busy.
pub(super) fn patient_host(threads: usize) -> (Host, Arc<Desk>) {
    host_with(threads, Duration::from_secs(600))
}

fn host_with(threads: usize, stuck_after: Duration) -> (Host, Arc<Desk>) {
    let desk = Arc::new(Desk::default());
    let settings = HostSettings { threads, stuck_after, ..HostSettings::default() };
    (Host::start(settings, desk.clone(), Surroundings::default()).unwrap(), desk)
}

/// Counts no clients.
pub(super) struct Nobody;

impl Totals for Nobody {
    fn totals(&self) -> InstanceTotals {
        InstanceTotals::default()
    }
}

pub(super) fn open(host: &Host, name: InstanceName, folder: &Folder) -> ScriptHandle {
    host.open(name, folder.path(), Arc::new(settings(|_| ()))).unwrap()
}

pub(super) fn wait_for(handle: &ScriptHandle, state: ScriptState) {
    while handle.state() != state {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn instances_of_one_application_have_vms_of_their_own() {
    let (host, desk) = host(2);
    let folder = Folder::new(
        "count = 0 function application.onConnect(client) count = count + 1
            return count == 1 end",
    );
    let (first, second) = (open(&host, name("app", "1"), &folder), open(&host, name("app", "2"), &folder));
    first.try_send(connect(1)).unwrap();
    second.try_send(connect(2)).unwrap();
    assert!(desk.take(2).iter().all(|command| matches!(command, Sent::Verdict(_, Verdict::Continue))));
    first.try_send(connect(3)).unwrap();
    assert!(matches!(desk.take(1)[..], [Sent::Verdict(_, Verdict::Reject(_))]));
}

#[test]
fn a_folder_without_a_script_has_none() {
    let (host, _) = host(1);
    let empty = Folder::new("");
    std::fs::remove_file(empty.path().join("main.lua")).unwrap();
    let result = host.open(name("app", "1"), empty.path(), Arc::new(settings(|_| ())));
    assert!(matches!(result, Err(ScriptError::NoScript(_))));
    let (name, settings, totals) = (name("app", "1"), Arc::new(settings(|_| ())), Arc::new(Nobody) as Arc<dyn Totals>);
    let opening = Opening { name: &name, folder: empty.path(), settings: &settings, totals: &totals, taken_over: None };
    assert!(AppActors::open(&host, opening).is_none());
}

#[test]
fn a_script_that_does_not_load_turns_clients_away_until_it_does() {
    let (host, desk) = host(1);
    let folder = Folder::new("x x");
    let handle = open(&host, name("app", "1"), &folder);
    wait_for(&handle, ScriptState::Failed);
    let failure = handle.failure().unwrap();
    assert_eq!((failure.file.as_str(), failure.line), ("main.lua", 1));
    handle.try_send(connect(1)).unwrap();
    handle.try_send(lookup()).unwrap();
    assert!(matches!(desk.take(2)[..], [Sent::Verdict(_, Verdict::Reject(_)), Sent::Verdict(_, Verdict::Deny(None))]));
    folder.write("main.lua", "");
    handle.reconfigure(Arc::new(settings(|_| ())));
    wait_for(&handle, ScriptState::Running);
    handle.try_send(connect(2)).unwrap();
    assert!(matches!(desk.take(1)[..], [Sent::Verdict(_, Verdict::Continue)]));
}

#[test]
fn a_script_that_hangs_is_answered_for_and_others_run_on() {
    let (host, desk) = host(2);
    let hanging = Folder::new(
        "function application.onConnect(client) application.acceptConnection(client) client:ping() end
        function application.onPeerLookup(event) sleep(1e6) end",
    );
    let well = Folder::new(
        "function application.onPeerLookup(event) application.sendPeerRedirect({ '192.0.2.5:5' }, event) end",
    );
    let stuck = open(&host, name("stuck", "1"), &hanging);
    let fine = open(&host, name("fine", "1"), &well);
    wait_for(&stuck, ScriptState::Running);
    // A lookup waits in the VM; then the script hangs, with another lookup in its queue.
    stuck.try_send(lookup()).unwrap();
    desk.hold(true);
    stuck.try_send(connect(1)).unwrap();
    stuck.try_send(lookup()).unwrap();
    wait_for(&stuck, ScriptState::Wedged);
    let failed = |sent: &Sent| matches!(sent, Sent::Verdict(_, Verdict::Failed(_)));
    let mut sent = desk.take(3);
    assert!(matches!(sent.remove(0), Sent::Verdict(_, Verdict::Continue)));
    assert!(sent.iter().all(failed) && sent.len() == 2, "{sent:?}");
    // What comes now is answered at once.
    stuck.try_send(lookup()).unwrap();
    stuck.try_send(connect(2)).unwrap();
    assert!(matches!(desk.take(2)[..], [Sent::Verdict(_, Verdict::Failed(_)), Sent::Verdict(_, Verdict::Failed(_))]));
    // The other application has not noticed, and a new one finds a thread that is well.
    fine.try_send(lookup()).unwrap();
    assert!(matches!(desk.take(1)[..], [Sent::Verdict(_, Verdict::Redirect(_))]));
    let late = open(&host, name("late", "1"), &well);
    late.try_send(lookup()).unwrap();
    assert!(matches!(desk.take(1)[..], [Sent::Verdict(_, Verdict::Redirect(_))]));
    let again = open(&host, name("stuck", "2"), &well);
    again.try_send(lookup()).unwrap();
    assert!(matches!(desk.take(1)[..], [Sent::Verdict(_, Verdict::Redirect(_))]));
    // It runs again, and is told of what ended meanwhile.
    stuck.try_send(AppEvent::Disconnect { client: client(1) }).unwrap();
    desk.hold(false);
    wait_for(&stuck, ScriptState::Running);
    assert!(matches!(desk.take(1)[..], [Sent::Command(ClientCommand::Ping { .. })]));
    desk.hold(true);
    desk.hold(false);
    stuck.try_send(connect(3)).unwrap();
    assert!(matches!(
        desk.take(2)[..],
        [Sent::Verdict(_, Verdict::Continue), Sent::Command(ClientCommand::Ping { .. })]
    ));
    assert_eq!(stuck.open_requests(), 0);
}

/// A host of one thread that gives up what hangs.
fn impatient_host(short: Duration) -> (Host, Arc<Desk>) {
    let desk = Arc::new(Desk::default());
    let settings = HostSettings { threads: 1, stuck_after: short, replace_after: short, ..HostSettings::default() };
    (Host::start(settings, desk.clone(), Surroundings::default()).unwrap(), desk)
}

const HANGING: &str = "function application.onConnect(client) application.acceptConnection(client) client:ping() end";

#[test]
fn a_thread_that_stands_still_is_replaced_and_the_clients_of_other_applications_stay() {
    let (host, desk) = impatient_host(Duration::from_millis(50));
    let hanging = Folder::new(HANGING);
    let well = Folder::new(
        "function application.onAppStart()
            for _, client in ipairs(application.clients) do
                if client.farAddress == '192.0.2.9:9' and client.groupControls[1] then
                    application.disconnect(client)
                else
                    client:call('wrong')
                end
            end
        end",
    );
    let (stuck, fine) = (open(&host, name("stuck", "1"), &hanging), open(&host, name("fine", "1"), &well));
    fine.try_send(connect(1)).unwrap();
    fine.try_send(connect(2)).unwrap();
    desk.take(2);
    fine.try_send(AppEvent::FarAddressChange { client: client(1), address: "192.0.2.9:9".parse().unwrap() }).unwrap();
    let joined = |number| AppEvent::GroupJoin { client: client(number), membership: 1, groupspec_digest: [1; 32] };
    fine.try_send(joined(1)).unwrap();
    fine.try_send(AppEvent::Disconnect { client: client(2) }).unwrap();
    fine.try_send(connect(3)).unwrap();
    desk.take(1);
    fine.try_send(AppEvent::Disconnect { client: client(3) }).unwrap();
    desk.hold(true);
    stuck.try_send(connect(4)).unwrap();
    desk.take(1);
    // Its clients and lookups are rejected from now on.
    wait_for(&stuck, ScriptState::Failed);
    assert!(stuck.failure().unwrap().message.contains("has hung"));
    stuck.try_send(lookup()).unwrap();
    wait_for(&fine, ScriptState::Running);
    let sent = desk.take(2);
    let is_denied = |sent: &Sent| matches!(sent, Sent::Verdict(_, Verdict::Deny(None)));
    // The new script of the other application finds its client and disconnects it.
    let is_closed =
        |sent: &Sent| matches!(sent, Sent::Command(ClientCommand::Disconnect { client: of, .. }) if *of == client(1));
    assert!(sent.iter().any(is_denied) && sent.iter().any(is_closed), "{sent:?}");
    fine.try_send(connect(5)).unwrap();
    assert!(matches!(desk.take(1)[..], [Sent::Verdict(_, Verdict::Continue)]));
    // A new instance of what hung does not get to hang, nor does loading it anew help.
    let again = open(&host, name("stuck", "2"), &hanging);
    again.try_send(connect(6)).unwrap();
    stuck.try_send(AppEvent::Reload).unwrap();
    assert!(matches!(desk.take(1)[..], [Sent::Verdict(_, Verdict::Reject(_))]));
    // The old thread goes on at last: what it does has no effect.
    desk.hold(false);
    fine.try_send(connect(7)).unwrap();
    let sent = desk.take(1);
    assert!(
        sent.iter().all(|command| matches!(
            command,
            Sent::Command(ClientCommand::Ping { .. }) | Sent::Verdict(_, Verdict::Continue)
        )),
        "{sent:?}"
    );
    // What has changed is tried again.
    hanging.write("main.lua", "-- mended\nfunction application.onConnect() return true end");
    for handle in [&stuck, &again] {
        handle.try_send(AppEvent::Reload).unwrap();
        wait_for(handle, ScriptState::Running);
    }
}

/// Many handlers that wake up at once, each well within its time, are neither taken for one that hangs nor hold up others.
#[test]
fn handlers_that_go_on_all_at_once_take_turns_with_other_applications() {
    // Long enough for a handler on a busy machine, and much shorter than all handlers together.
    let (host, desk) = impatient_host(Duration::from_millis(500));
    let slow = Folder::new(
        "function work(client)
            client:call('begun')
            local sum = 0 for i = 1, 3e6 do sum = sum + i end
        end
        function application.onConnect(client)
            for i = 1, 60 do setTimeout(work, 10, client) end
        end",
    );
    let quick = Folder::new("function application.onPeerLookup(event) application.denyPeerLookup(event) end");
    let limited = settings(|settings| settings.script.time = Some(Duration::from_millis(400)));
    let busy = host.open(name("busy", "1"), slow.path(), Arc::new(limited)).unwrap();
    let other = open(&host, name("other", "1"), &quick);
    wait_for(&other, ScriptState::Running);
    busy.try_send(connect(1)).unwrap();
    let mut sent = desk.take(1);
    for _ in 0..10 {
        other.try_send(lookup()).unwrap();
    }
    while sent.iter().filter(|command| is_denied(command)).count() < 10 {
        sent.extend(desk.take(1));
    }
    let begun =
        |sent: &[Sent]| sent.iter().filter(|sent| matches!(sent, Sent::Command(ClientCommand::Call { .. }))).count();
    assert!(begun(&sent) < 40, "{}", begun(&sent));
    while begun(&sent) < 60 {
        sent.extend(desk.take(1));
    }
    assert_eq!(busy.state(), ScriptState::Running, "much work is no standstill");
}

#[test]
fn what_is_cancelled_in_the_queue_does_not_reach_the_script() {
    let (host, desk) = host(1);
    let folder = Folder::new(HANGING);
    let slow = settings(|settings| settings.script.time = Some(Duration::from_secs(3600)));
    let handle = host.open(name("app", "1"), folder.path(), Arc::new(slow)).unwrap();
    wait_for(&handle, ScriptState::Running);
    desk.hold(true);
    handle.try_send(connect(1)).unwrap();
    desk.take(1);
    // The script is busy with the first; no thread reads its queue, and the worker stops waiting for the second.
    handle.try_send(connect(2)).unwrap();
    handle.cancel(RequestId::from_number(2));
    desk.hold(false);
    handle.try_send(AppEvent::Disconnect { client: client(2) }).unwrap();
    handle.try_send(connect(3)).unwrap();
    let sent = desk.take(2);
    let third = RequestId::from_number(3);
    assert!(
        matches!(&sent[..], [Sent::Command(ClientCommand::Ping { .. }), Sent::Verdict(of, Verdict::Continue), ..] if *of == third),
        "{sent:?}"
    );
    assert_eq!(handle.open_requests(), 0);
}

/// One application is busy with slow calls; a lookup at another on the same thread does not wait for them.
#[test]
fn an_application_with_slow_handlers_does_not_hold_up_another() {
    let (host, desk) = host(1);
    let slow = Folder::new("function Client:slow() local now = now while true do end end");
    let quick = Folder::new("function application.onPeerLookup(event) application.denyPeerLookup(event) end");
    let limited = settings(|settings| settings.script.time = Some(Duration::from_millis(20)));
    let busy = host.open(name("busy", "1"), slow.path(), Arc::new(limited)).unwrap();
    let other = open(&host, name("other", "1"), &quick);
    busy.try_send(connect(1)).unwrap();
    wait_for(&other, ScriptState::Running);
    desk.take(1);
    let call = |transaction: u32| {
        let object = introd_flash::amf::Value::Null;
        let call = introd_flash::server::Call {
            name: "slow".to_owned(),
            transaction: f64::from(transaction),
            object,
            arguments: Vec::new(),
        };
        AppEvent::Call { client: client(1), call }
    };
    for transaction in 1..=200 {
        busy.try_send(call(transaction)).unwrap();
    }
    for _ in 0..10 {
        other.try_send(lookup()).unwrap();
    }
    // All lookups are answered before a few of the calls.
    let mut sent = Vec::new();
    while sent.iter().filter(|command| is_denied(command)).count() < 10 {
        sent.extend(desk.take(1));
    }
    assert!(sent.len() < 50, "{}", sent.len());
    busy.try_send(AppEvent::Stop).unwrap();
}

#[test]
fn a_queue_that_is_full_says_so() {
    let (host, desk) = host(1);
    let folder =
        Folder::new("function application.onConnect(client) application.acceptConnection(client) client:ping() end");
    let handle = host
        .open(
            name("app", "1"),
            folder.path(),
            Arc::new(settings(|settings| settings.script.time = Some(Duration::from_secs(3600)))),
        )
        .unwrap();
    wait_for(&handle, ScriptState::Running);
    desk.hold(true);
    handle.try_send(connect(1)).unwrap();
    desk.take(1);
    let moved = |number| AppEvent::FarAddressChange { client: client(number), address: "192.0.2.9:9".parse().unwrap() };
    let mut taken = 0;
    // One client alone cannot fill it.
    while handle.try_send(moved(1)).is_ok() {
        taken += 1;
        assert!(taken < 1_000_000, "there is always room for one client");
    }
    while handle.try_send(moved(taken)).is_ok() {
        taken += 1;
        assert!(taken < 1_000_000, "it is never full");
    }
    assert!(handle.tell(lookup()).is_err());
    handle.tell(AppEvent::Disconnect { client: client(1) }).unwrap();
    desk.hold(false);
    handle.try_send(AppEvent::Stop).unwrap();
    wait_for(&handle, ScriptState::Stopped);
}

#[test]
fn stopping_waits_as_long_as_a_handler_may_run() {
    let desk = Arc::new(Desk::default());
    let (stuck_after, replace_after) = (Duration::from_millis(20), Duration::from_secs(3600));
    let patient = HostSettings { threads: 1, stuck_after, replace_after, ..HostSettings::default() };
    let host = Host::start(patient, desk.clone(), Surroundings::default()).unwrap();
    let folder = Folder::new(
        "function application.onConnect(client) return true end
        function application.onDisconnect() end",
    );
    let unhurried = settings(|settings| settings.script.time = Some(Duration::from_secs(3600)));
    let handle = host.open(name("app", "1"), folder.path(), Arc::new(unhurried)).unwrap();
    handle.try_send(connect(1)).unwrap();
    desk.take(1);
    desk.hold(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(10 * stuck_after);
            desk.hold(false);
        });
        host.stop();
        assert_eq!(handle.state(), ScriptState::Stopped);
    });
}

#[test]
fn stopping_runs_on_app_stop_and_answers_what_waits() {
    let (host, desk) = host(1);
    let folder = Folder::new(
        "function application.onConnect(client, x) return nil end
        function application.onPeerLookup() end
        function application.onAppStop() application.broadcastMsg('bye') end",
    );
    let handle = open(&host, name("app", "1"), &folder);
    handle.try_send(connect(1)).unwrap();
    handle.try_send(lookup()).unwrap();
    while handle.open_requests() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    host.stop();
    assert_eq!(handle.state(), ScriptState::Stopped);
    let sent = desk.take(2);
    assert!(
        matches!(&sent[..], [Sent::Verdict(_, Verdict::Reject(rejection)), Sent::Verdict(_, Verdict::Deny(None))]
        if rejection.code == "NetConnection.Connect.AppShutdown"),
        "{sent:?}"
    );
    handle.try_send(connect(2)).unwrap();
    assert!(matches!(desk.take(1)[..], [Sent::Verdict(_, Verdict::Reject(_))]));
    assert!(matches!(
        host.open(name("app", "2"), folder.path(), Arc::new(settings(|_| ()))),
        Err(ScriptError::Stopped)
    ));
}

#[test]
fn one_instance_with_ten_thousand_events_loses_none() {
    let (host, desk) = host(1);
    let folder = Folder::new("function Client:count() n = (n or 0) + 1 return n end");
    let handle = open(&host, name("app", "1"), &folder);
    handle.try_send(connect(1)).unwrap();
    desk.take(1);
    let call = |transaction: u32| {
        let call = introd_flash::server::Call {
            name: "count".to_owned(),
            transaction: f64::from(transaction),
            object: introd_flash::amf::Value::Null,
            arguments: Vec::new(),
        };
        AppEvent::Call { client: client(1), call }
    };
    let mut answers = Vec::new();
    for transaction in 1..=10_000 {
        let mut event = call(transaction);
        while let Err(full) = handle.try_send(event) {
            event = *full.0;
            std::thread::yield_now();
        }
    }
    while answers.len() < 10_000 {
        answers.extend(desk.take(1));
    }
    for (index, answer) in answers.iter().enumerate() {
        let expected = (index + 1) as f64;
        assert!(
            matches!(answer, Sent::Command(ClientCommand::Answer { transaction, outcome: Ok(value), .. })
            if *transaction == expected && value.as_number() == Some(expected)),
            "{answer:?}"
        );
    }
}

#[test]
fn the_time_that_scripts_take_is_known_of_each_and_of_all_and_stays_when_they_end() {
    let (host, _) = host(2);
    let (idle, busy) =
        (Folder::new(""), Folder::new("function application.onAppStart() for _ = 1, 1000000 do end end"));
    let (first, second) = (open(&host, name("idle", "1"), &idle), open(&host, name("busy", "1"), &busy));
    wait_for(&first, ScriptState::Running);
    wait_for(&second, ScriptState::Running);
    second.try_send(AppEvent::Stop).unwrap();
    // A turn counts when it is over.
    while !second.is_over() || first.time().is_zero() || AppActors::time(&host) < first.time() + second.time() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(second.time() > Duration::from_micros(100), "{:?}", second.time());
}

#[test]
fn what_scripts_use_is_known_of_each_and_of_all_and_is_free_when_they_end() {
    let (host, _) = host(2);
    let (small, large) = (Folder::new(""), Folder::new("ballast = {} for i = 1, 10000 do ballast[i] = { i } end"));
    let broken = Folder::new("ballast = string.rep('x', 1000000) error('broken')");
    let (first, second) = (open(&host, name("small", "1"), &small), open(&host, name("large", "1"), &large));
    let third = open(&host, name("broken", "1"), &broken);
    wait_for(&first, ScriptState::Running);
    wait_for(&second, ScriptState::Running);
    wait_for(&third, ScriptState::Failed);
    let until = |holds: &dyn Fn() -> bool| {
        while !holds() {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    // A script that has failed to load does not count.
    until(&|| third.memory() == 0);
    let (small, of_large) = (first.memory(), second.memory());
    assert!(small > 10_000 && of_large > small + 500_000, "{small} {of_large}");
    assert_eq!(AppActors::memory(&host), small + of_large);
    // Loaded anew, it uses less: the old script is gone.
    large.write("main.lua", "");
    second.try_send(AppEvent::Reload).unwrap();
    until(&|| second.memory() < of_large / 2);
    first.try_send(AppEvent::Stop).unwrap();
    second.try_send(AppEvent::Stop).unwrap();
    until(&|| AppActors::memory(&host) == 0);
    assert_eq!((first.memory(), second.memory()), (0, 0));
}
