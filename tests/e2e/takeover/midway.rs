//! Processes that end in the middle of a takeover: the clients go on where they can, and nothing is left behind.

use std::cell::Cell;
use std::convert::Infallible;
use std::path::Path;

use introd_client::Client;
use introd_tests::folder::Folder;
use introd_tests::program::{Process, Server};
use introd_tests::waiting::eventually;
use rtmfp::Event;
use rustix::process::{Pid, Signal};

use super::{answers, command, replace};
use crate::harness::between::{Between, Message};
use crate::harness::clients::{LOOPBACK, connect};

/// The moments, in their order, and whether the old process serves meanwhile.
const MOMENTS: [(Message, bool); 5] = [
    (Message::Ready, true),
    (Message::Copies, true),
    (Message::State, false),
    (Message::Imported, false),
    (Message::Yours, false),
];
const FAILED: &str = "the takeover has failed: this process goes on serving";

/// What is in a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_new_process_that_is_ended_before_it_serves_changes_nothing() {
    let (folder, between) = (Folder::new(), Folder::new());
    let socket = folder.join("takeover");
    let server = Server::by(&mut command(&socket, "127.0.0.1:0", &[]));
    let mut client = connect(&server.uri(0), LOOPBACK, 1).await;
    let mut failed = 0;
    for signal in [Signal::KILL, Signal::TERM] {
        for (moment, serves) in MOMENTS {
            failed += 1;
            let path = between.join(&failed.to_string());
            let holds = Between::start(&path, &socket, moment);
            let mut next = command(&path, "127.0.0.1:0", &[]);
            let begun = tokio::task::spawn_blocking(move || {
                let newcomer = Process::start(&mut next);
                holds.wait();
                (newcomer, holds)
            });
            let (newcomer, holds) = begun.await.expect("it comes to that");
            if serves {
                assert!(answers(&mut client).await, "{moment:?}");
            }
            let end = tokio::task::spawn_blocking(move || {
                newcomer.signal(signal);
                let ended = newcomer.ended();
                drop(holds);
                ended
            });
            // A call that comes while nobody serves waits.
            let (answers, ended) = tokio::join!(answers(&mut client), end);
            let ended = ended.expect("it ends");
            assert!(answers, "{signal:?} {moment:?}");
            match signal {
                Signal::KILL => assert_eq!(ended.signal, Some(signal.as_raw()), "{ended:?}"),
                _ => {
                    assert_eq!(ended.code, Some(1), "{ended:?}");
                    assert!(ended.stderr.contains("told to stop before it served"), "{ended:?}");
                }
            }
            assert!(!ended.stdout.contains("has taken over"), "{ended:?}");
            server.logged().wait_for(FAILED, failed);
            assert_eq!(files(folder.path()), ["takeover"], "{signal:?} {moment:?}");
        }
    }
    assert_eq!((server.logged().count(" ERROR "), server.logged().count(FAILED)), (failed, failed), "{}", server.log());
    let mut next = command(&socket, "127.0.0.1:0", &[]);
    let server = tokio::task::spawn_blocking(move || replace(server, &mut next)).await.expect("a takeover");
    assert!(answers(&mut client).await);
    client.close().await;
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(files(folder.path()), [""; 0]);
}

/// Whether all threads of a process stand still.
fn is_stopped(process: Pid) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process is there");
    tasks.filter_map(Result::ok).all(|task| {
        let state = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // After the name, which stands in brackets.
        state.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    })
}

/// A new process is killed when the old one has given the sessions away, and has not heard yet that the new one serves. `stops`: the new one
/// can do nothing more before it is killed; else it has said that it serves.
async fn kill_with_the_sessions(client: &mut Client, socket: &Path, stops: bool) {
    let between = Folder::new();
    let path = between.join("takeover");
    let holds = Between::start(&path, socket, if stops { Message::Yours } else { Message::Serving });
    let mut next = command(&path, "127.0.0.1:0", &[]);
    let begun = tokio::task::spawn_blocking(move || {
        let newcomer = Process::start(&mut next);
        holds.wait();
        (newcomer, holds)
    });
    let (newcomer, holds) = begun.await.expect("it comes to that");
    if stops {
        newcomer.signal(Signal::STOP);
        eventually("it stands still", || is_stopped(newcomer.id()));
        holds.pass();
        newcomer.signal(Signal::KILL);
    } else {
        // It is the one that serves now.
        assert!(answers(client).await);
        newcomer.signal(Signal::KILL);
        holds.pass();
    }
    let ended = tokio::task::spawn_blocking(move || newcomer.ended()).await.expect("it ends");
    assert_eq!(ended.signal, Some(Signal::KILL.as_raw()), "{ended:?}");
}

#[tokio::test]
async fn of_a_new_process_that_is_killed_with_the_sessions_the_old_one_goes_on_if_that_has_not_served_and_ends_if_it_has()
 {
    let folder = Folder::new();
    let socket = folder.join("takeover");
    let server = Server::by(&mut command(&socket, "127.0.0.1:0", &[]));
    let mut client = connect(&server.uri(0), LOOPBACK, 1).await;
    assert!(answers(&mut client).await);
    kill_with_the_sessions(&mut client, &socket, true).await;
    server.logged().wait_for(FAILED, 1);
    for _ in 0..3 {
        assert!(answers(&mut client).await, "no message is lost");
    }
    // What the client has been told by another process the old one does not know.
    kill_with_the_sessions(&mut client, &socket, false).await;
    let (address, failed) = (server.addresses[0], server.logged().clone());
    let ended = tokio::task::spawn_blocking(move || server.ended()).await.expect("it ends");
    assert_eq!((ended.code, failed.count(FAILED)), (Some(0), 1), "{ended:?}");
    assert!(ended.stdout.contains("another process has taken over"), "{ended:?}");
    // Nobody serves: the next process begins anew.
    let next = Server::by(&mut command(&socket, &address.to_string(), &[]));
    let mut client = connect(&next.uri(0), LOOPBACK, 2).await;
    assert!(answers(&mut client).await);
    client.close().await;
    assert_eq!(next.stop().code, Some(0));
    assert_eq!(files(folder.path()), [""; 0]);
}

/// Notes when the server closes the client's session, and goes on answering: the server waits for that.
async fn answer(mut client: Client, is_closed: &Cell<bool>) -> Infallible {
    let session = client.session();
    loop {
        let event = client.next().await.expect("its sockets work");
        if matches!(event, Event::Closed { session: closed, .. } if closed == session) {
            is_closed.set(true);
        }
    }
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_while_another_prepares_to_take_over_stops_and_the_other_does_not_serve() {
    for moment in [Message::Ready, Message::Imported] {
        let (folder, between) = (Folder::new(), Folder::new());
        let socket = folder.join("takeover");
        let server = Server::by(&mut command(&socket, "127.0.0.1:0", &[]));
        let client = connect(&server.uri(0), LOOPBACK, 1).await;
        let path = between.join("takeover");
        let holds = Between::start(&path, &socket, moment);
        let mut next = command(&path, "127.0.0.1:0", &[]);
        let stop = tokio::task::spawn_blocking(move || {
            let newcomer = Process::start(&mut next);
            holds.wait();
            server.signal(Signal::TERM);
            server.said().wait_for("introd stops", 1);
            drop(holds);
            (server.ended(), newcomer.ended())
        });
        let is_closed = Cell::new(false);
        let (old, new) = tokio::select! {
            stopped = stop => stopped.expect("both end"),
            never = answer(client, &is_closed) => match never {},
        };
        assert!(is_closed.get(), "{moment:?} {old:?}");
        assert_eq!(old.code, Some(0), "{moment:?} {old:?}");
        assert_eq!(new.code, Some(1), "{moment:?} {new:?}");
        assert!(new.stderr.contains("the takeover has failed"), "{moment:?} {new:?}");
        assert!(!new.stdout.contains("has taken over"), "{moment:?} {new:?}");
        assert_eq!(files(folder.path()), [""; 0], "{moment:?}");
    }
}
