//! Scripts whose commands find no room at a worker.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::host::{client, connect, is_denied, lookup, name, open, wait_for};
use super::*;
use crate::Surroundings;
use crate::testing::Sent;
use crate::{Host, HostSettings, ScriptHandle, ScriptState};
use introd_flash::amf::Value;
use introd_flash::server::Call;
use introd_policy::message::{AppEvent, Commands, SendError};
use introd_policy::{AppActor, RequestId, Verdict};

/// A worker with room for so many commands.
#[derive(Default)]
struct Worker {
    state: Mutex<WorkerState>,
    arrived: Condvar,
}

#[derive(Default)]
struct WorkerState {
    room: usize,
    sent: Vec<Sent>,
    lost: usize,
}

impl Worker {
    /// Waits until that many commands and verdicts have come, and takes them.
    fn take(&self, count: usize) -> Vec<Sent> {
        let mut state = self.state.lock().unwrap();
        while state.sent.len() < count {
            state = self.arrived.wait(state).unwrap();
        }
        std::mem::take(&mut state.sent)
    }

    fn set_room(&self, room: usize) {
        self.state.lock().unwrap().room = room;
    }

    fn lost(&self) -> usize {
        self.state.lock().unwrap().lost
    }
}

impl Commands for Worker {
    fn decide(&self, request: RequestId, verdict: Verdict) {
        self.state.lock().unwrap().sent.push(Sent::Verdict(request, verdict));
        self.arrived.notify_all();
    }

    fn send(&self, command: ClientCommand) -> Result<(), SendError> {
        let mut state = self.state.lock().unwrap();
        let Some(room) = state.room.checked_sub(1) else { return Err(SendError::Full(Box::new(command))) };
        state.room = room;
        state.sent.push(Sent::Command(command));
        self.arrived.notify_all();
        Ok(())
    }

    fn count_lost(&self, _: u8) {
        self.state.lock().unwrap().lost += 1;
    }
}

/// A host of one thread, its worker, and an application on that thread that denies every lookup.
fn host(room: usize) -> (Host, Arc<Worker>, ScriptHandle, Folder) {
    let worker = Arc::new(Worker::default());
    worker.set_room(room);
    // No standstill is meant here: a loaded machine must not make one.
    let settings = HostSettings { threads: 1, stuck_after: Duration::from_secs(60), ..HostSettings::default() };
    let host = Host::start(settings, worker.clone(), Surroundings::default()).unwrap();
    let folder = Folder::new("function application.onPeerLookup(event) application.denyPeerLookup(event) end");
    let other = open(&host, name("other", "1"), &folder);
    wait_for(&other, ScriptState::Running);
    (host, worker, other, folder)
}

/// Lets the other application answer so many lookups: the thread has had that many turns since.
fn other_goes_on(other: &ScriptHandle, worker: &Worker, lookups: usize) {
    for _ in 0..lookups {
        other.try_send(lookup()).unwrap();
        assert!(worker.take(1).iter().all(is_denied));
    }
}

fn call(method: &str, transaction: f64) -> AppEvent {
    let (name, object) = (method.to_owned(), Value::Null);
    AppEvent::Call { client: client(1), call: Call { name, transaction, object, arguments: Vec::new() } }
}

#[test]
fn a_script_faster_than_a_worker_is_slowed_and_loses_nothing_and_others_of_its_thread_go_on() {
    let (host, worker, other, _folder) = host(10);
    let folder = Folder::new(
        "n = 0
        function Client:burst() for i = 1, 100 do n = n + 1 assert(self:call('count', nil, n)) end return n end",
    );
    let busy = open(&host, name("busy", "1"), &folder);
    wait_for(&busy, ScriptState::Running);
    busy.try_send(connect(1)).unwrap();
    worker.take(1);
    for transaction in 1..=20 {
        busy.try_send(call("burst", f64::from(transaction))).unwrap();
    }
    let mut sent = Vec::new();
    while sent.len() < 10 {
        sent.extend(worker.take(1));
    }
    other_goes_on(&other, &worker, 100);
    assert_eq!(
        (busy.open_requests(), sent.len(), worker.lost()),
        (19, 10, 0),
        "one handler has run, and no other since"
    );
    // Its inbox fills, until what comes is refused.
    let moved = |number| AppEvent::FarAddressChange { client: client(number), address: "192.0.2.9:9".parse().unwrap() };
    let taken = (2..1_000_000).take_while(|number| busy.try_send(moved(*number)).is_ok()).count();
    assert!(taken < 100_000 && busy.tell(lookup()).is_err(), "{taken}");
    worker.set_room(usize::MAX);
    while sent.len() < 2020 {
        sent.extend(worker.take(1));
    }
    let mut sent = sent.into_iter();
    for transaction in 1..=20 {
        for number in 1..=100 {
            let expected = Value::Number(f64::from((transaction - 1) * 100 + number));
            let command = sent.next();
            assert!(
                matches!(&command, Some(Sent::Command(ClientCommand::Call { arguments, .. })) if arguments[..] == [expected]),
                "{command:?}"
            );
        }
        let answer = sent.next();
        assert!(
            matches!(&answer, Some(Sent::Command(ClientCommand::Answer { transaction: of, outcome: Ok(_), .. }))
                if *of == f64::from(transaction)),
            "{answer:?}"
        );
    }
    assert_eq!((sent.next().is_none(), worker.lost()), (true, 0));
}

#[test]
fn an_instance_that_ends_sends_what_is_left_first() {
    let (host, worker, other, _folder) = host(0);
    let folder = Folder::new("function application.onDisconnect() application.broadcastMsg('bye') end");
    let ending = open(&host, name("ending", "1"), &folder);
    wait_for(&ending, ScriptState::Running);
    for number in [1, 2] {
        ending.try_send(connect(number)).unwrap();
        worker.take(1);
    }
    ending.try_send(AppEvent::Stop).unwrap();
    other_goes_on(&other, &worker, 100);
    assert!(ending.is_over() && ending.state() == ScriptState::Running);
    worker.set_room(9);
    let mut sent = worker.take(1);
    wait_for(&ending, ScriptState::Stopped);
    while sent.len() < 3 {
        sent.extend(worker.take(1));
    }
    assert!(
        matches!(
            &sent[..],
            [
                Sent::Command(ClientCommand::Disconnect { client: first, .. }),
                Sent::Command(ClientCommand::Call { client: other, method, .. }),
                Sent::Command(ClientCommand::Disconnect { client: second, .. })
            ] if method == "bye" && other == second && first < second
        ),
        "{sent:?}"
    );
}

#[test]
fn a_script_is_told_what_exceeds_its_outbox_and_that_is_counted() {
    let (host, worker, other, _folder) = host(0);
    let folder = Folder::new(
        "function Client:flood()
            local data, sent = ByteArray(string.rep('x', 1 << 20)), 0
            for i = 1, 40 do if self:call('x', nil, data) then sent = sent + 1 end end
            return sent
        end",
    );
    let flooding = open(&host, name("flooding", "1"), &folder);
    wait_for(&flooding, ScriptState::Running);
    flooding.try_send(connect(1)).unwrap();
    worker.take(1);
    flooding.try_send(call("flood", 1.0)).unwrap();
    while worker.lost() == 0 {
        other_goes_on(&other, &worker, 1);
    }
    assert!(flooding.memory() > 30 << 20, "what waits counts as the script's memory");
    worker.set_room(usize::MAX);
    let mut sent = Vec::new();
    while !sent.iter().any(|sent| matches!(sent, Sent::Command(ClientCommand::Answer { .. }))) {
        sent.extend(worker.take(1));
    }
    let kept = sent.iter().filter(|sent| matches!(sent, Sent::Command(ClientCommand::Call { .. }))).count();
    assert!((16..40).contains(&kept) && worker.lost() == 40 - kept, "{kept} {}", worker.lost());
    let is_told = |sent: &Sent| match sent {
        Sent::Command(ClientCommand::Answer { outcome: Ok(value), .. }) => value.as_number() == Some(kept as f64),
        _ => false,
    };
    assert!(sent.iter().any(is_told));
}
