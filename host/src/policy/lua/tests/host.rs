//! Threads, queues and the watchdog.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rtmfp::{Lookup, SessionId};

use super::super::{Host, HostSettings, ScriptError, ScriptHandle, ScriptState};
use super::*;
use crate::apps::message::{AppEvent, ClientId, Commands, PendingLookup};
use crate::apps::{Actor, Actors, InstanceName};
use crate::registry::InMemory;

/// Takes commands, and can be made to hold up whoever sends a ping: a place that no limit of a script reaches.
#[derive(Default)]
struct Desk {
    sent: Mutex<Vec<AppCommand>>,
    arrived: Condvar,
    is_held: Mutex<bool>,
    released: Condvar,
}

impl Desk {
    /// Waits until that many commands have come, and takes them.
    fn take(&self, count: usize) -> Vec<AppCommand> {
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
    fn send(&self, command: AppCommand) -> bool {
        if matches!(command, AppCommand::Ping { .. }) {
            let mut is_held = self.is_held.lock().unwrap();
            while *is_held {
                is_held = self.released.wait(is_held).unwrap();
            }
        }
        self.sent.lock().unwrap().push(command);
        self.arrived.notify_all();
        true
    }
}

fn name(application: &str, instance: &str) -> InstanceName {
    InstanceName {
        adaptor: "a".to_owned(),
        vhost: "v".to_owned(),
        application: application.to_owned(),
        instance: instance.to_owned(),
    }
}

fn lookup() -> AppEvent {
    let lookup = Lookup {
        target: None,
        epd: Default::default(),
        initiator: "192.0.2.1:1".parse().unwrap(),
        tag: Default::default(),
        interface: rtmfp::InterfaceId(0),
        asker: None,
        received: 68,
    };
    AppEvent::PeerLookup(PendingLookup::new(0, lookup, None, crate::apps::InstanceId(0)))
}

fn connect(number: u32) -> AppEvent {
    let (_, info) = scene("").stage.next_client();
    AppEvent::Connect { client: client(number), info: Box::new(info) }
}

fn client(number: u32) -> ClientId {
    ClientId { worker: 0, session: SessionId::from_wire(number) }
}

fn host(threads: usize) -> (Host, Arc<Desk>) {
    let desk = Arc::new(Desk::default());
    let settings = HostSettings { threads, patience: Duration::from_millis(50), trim: None };
    (Host::start(settings, desk.clone(), Arc::new(InMemory::default())).unwrap(), desk)
}

fn open(host: &Host, name: InstanceName, folder: &Folder) -> ScriptHandle {
    host.open(name, folder.path(), Arc::new(settings(|_| ()))).unwrap()
}

fn wait_for(handle: &ScriptHandle, state: ScriptState) {
    while handle.state() != state {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn instances_of_one_application_have_machines_of_their_own() {
    let (host, desk) = host(2);
    let folder = Folder::new(
        "count = 0 function application.onConnect(client) count = count + 1
            return count == 1 end",
    );
    let (first, second) = (open(&host, name("app", "1"), &folder), open(&host, name("app", "2"), &folder));
    first.try_send(connect(1)).unwrap();
    second.try_send(connect(2)).unwrap();
    assert!(desk.take(2).iter().all(|command| matches!(command, AppCommand::Accept { .. })));
    first.try_send(connect(3)).unwrap();
    assert!(matches!(desk.take(1)[..], [AppCommand::Reject { .. }]));
}

#[test]
fn a_folder_without_a_script_has_none() {
    let (host, _) = host(1);
    let empty = Folder::new("");
    std::fs::remove_file(empty.path().join("main.lua")).unwrap();
    let result = host.open(name("app", "1"), empty.path(), Arc::new(settings(|_| ())));
    assert!(matches!(result, Err(ScriptError::NoScript(_))));
    assert!(Actors::open(&host, &name("app", "1"), empty.path(), &Arc::new(settings(|_| ()))).is_none());
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
    assert!(matches!(desk.take(2)[..], [AppCommand::Reject { .. }, AppCommand::Deny { .. }]));
    folder.write("main.lua", "");
    handle.reconfigure(Arc::new(settings(|_| ())));
    wait_for(&handle, ScriptState::Running);
    handle.try_send(connect(2)).unwrap();
    assert!(matches!(desk.take(1)[..], [AppCommand::Accept { .. }]));
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
    // A lookup waits in the machine; then the script hangs, with another lookup in its queue.
    stuck.try_send(lookup()).unwrap();
    desk.hold(true);
    stuck.try_send(connect(1)).unwrap();
    stuck.try_send(lookup()).unwrap();
    wait_for(&stuck, ScriptState::Wedged);
    let denied = |command: &AppCommand| matches!(command, AppCommand::Deny { .. });
    let mut sent = desk.take(3);
    assert!(matches!(sent.remove(0), AppCommand::Accept { .. }));
    assert!(sent.iter().all(denied) && sent.len() == 2, "{sent:?}");
    // What comes now is answered at once.
    stuck.try_send(lookup()).unwrap();
    stuck.try_send(connect(2)).unwrap();
    assert!(matches!(desk.take(2)[..], [AppCommand::Deny { .. }, AppCommand::Reject { .. }]));
    // The other application has not noticed, and a new one finds a thread that is well.
    fine.try_send(lookup()).unwrap();
    assert!(matches!(desk.take(1)[..], [AppCommand::Redirect { .. }]));
    let late = open(&host, name("late", "1"), &well);
    late.try_send(lookup()).unwrap();
    assert!(matches!(desk.take(1)[..], [AppCommand::Redirect { .. }]));
    let again = open(&host, name("stuck", "2"), &well);
    again.try_send(lookup()).unwrap();
    assert!(matches!(desk.take(1)[..], [AppCommand::Redirect { .. }]));
    // It comes back, and has heard of what ended meanwhile.
    stuck.try_send(AppEvent::Disconnect { client: client(1) }).unwrap();
    desk.hold(false);
    wait_for(&stuck, ScriptState::Running);
    assert!(matches!(desk.take(1)[..], [AppCommand::Ping { .. }]));
    desk.hold(true);
    desk.hold(false);
    stuck.try_send(connect(3)).unwrap();
    assert!(matches!(desk.take(2)[..], [AppCommand::Accept { .. }, AppCommand::Ping { .. }]));
    assert_eq!(stuck.open_questions(), 0);
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
    let moved = || AppEvent::FarAddressChange { client: client(1), address: "192.0.2.9:9".parse().unwrap() };
    let mut taken = 0;
    while handle.try_send(moved()).is_ok() {
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
    while handle.open_questions() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    host.stop();
    assert_eq!(handle.state(), ScriptState::Stopped);
    let sent = desk.take(2);
    assert!(
        matches!(&sent[..], [AppCommand::Reject { rejection, .. }, AppCommand::Deny { .. }]
        if rejection.code == "NetConnection.Connect.AppShutdown"),
        "{sent:?}"
    );
    handle.try_send(connect(2)).unwrap();
    assert!(matches!(desk.take(1)[..], [AppCommand::Reject { .. }]));
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
        let call = crate::flash::server::Call {
            name: "count".to_owned(),
            transaction: f64::from(transaction),
            object: crate::flash::amf::Value::Null,
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
            matches!(answer, AppCommand::Answer { transaction, outcome: Ok(value), .. }
            if *transaction == expected && value.as_number() == Some(expected)),
            "{answer:?}"
        );
    }
}
