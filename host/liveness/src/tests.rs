//! Threads that panic, end and stand still.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use super::supervisor::Heartbeats;
use super::watched::watched;
use super::{AtStandstill, spawn};

#[test]
fn a_thread_that_panics_is_restarted() {
    let (runs, (sender, receiver)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel());
    let counted = Arc::clone(&runs);
    let thread = spawn("panics-twice", AtStandstill::EndProcess, move |_| {
        assert!(counted.fetch_add(1, Ordering::Relaxed) >= 2, "not yet");
        sender.send(()).expect("the test waits");
        Ok(())
    });
    receiver.recv_timeout(Duration::from_secs(60)).expect("the third run");
    thread.unwrap().join().unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 3);
}

#[test]
fn a_thread_that_stands_still_is_named_once_and_one_that_beats_is_not() {
    let (still, stop) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (at, end) = (Arc::clone(&still), Arc::clone(&stop));
    let thread = spawn("stands-still", AtStandstill::EndProcess, move |pulse| {
        pulse.beat();
        at.wait();
        end.wait();
        Ok(())
    });
    still.wait();
    let beats = super::this_thread("beats", AtStandstill::EndProcess);
    let mut heartbeats = Heartbeats::default();
    let mut named = Vec::new();
    for _ in 0..12 {
        beats.beat();
        named.extend(heartbeats.look(&watched(), Duration::from_millis(500)).failed);
    }
    beats.end();
    stop.wait();
    thread.unwrap().join().unwrap();
    assert_eq!(named.iter().filter(|name| *name == "stands-still").count(), 1);
    assert!(!named.iter().any(|name| name == "beats"));
}

#[test]
fn a_look_is_good_only_while_each_thread_that_clients_depend_on_goes_on() {
    let depended = super::this_thread("depended", AtStandstill::EndProcess);
    // Its standstill is logged, and no client waits for it.
    let other = super::this_thread("not depended", AtStandstill::Say);
    let threads: Vec<_> = watched().into_iter().filter(|thread| thread.name.ends_with("depended")).collect();
    assert_eq!(threads.len(), 2);
    let mut heartbeats = Heartbeats::default();
    let mut is_good = || heartbeats.look(&threads, Duration::from_millis(500)).is_good;
    for _ in 0..20 {
        depended.beat();
        assert!(is_good());
    }
    let looks: Vec<bool> = (0..6).map(|_| is_good()).collect();
    assert_eq!(looks, [true, true, true, true, false, false]);
    depended.beat();
    assert!(is_good(), "it goes on again");
    depended.end();
    other.end();
}
