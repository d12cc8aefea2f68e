//! What the process that serves does when a new process ends in the middle of a takeover, or it is told to stop itself.

use std::cell::Cell;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use introd_config::Config;
use introd_liveness::Pulse;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::CookieJar;

use super::channel::{Channel, ChannelError};
use super::ending::Ending;
use super::estate::Estate;
use super::message::{GREETING, Message, VERSIONS, WITH_SERVICES};
use super::predecessor::Predecessor;
use super::state::ServerState;
use super::successor::serve;
use crate::serve::{Copied, Drain, DrainRequest, Fate, HandedOver, Mail, WorkerState, mailbox, testing};

/// How long anything may take. Only a test that fails needs it.
const SOON: Duration = Duration::from_secs(60);

/// The state of a worker without sessions.
fn empty() -> WorkerState {
    postcard::from_bytes(&[0; 7]).unwrap()
}

/// A server with one worker, which does what it is asked to, and what becomes of the worker each time when it has given its state. It gives so
/// many sessions as unchanged.
fn server(unchanged: usize) -> (Estate, mpsc::Receiver<Option<Fate>>) {
    let (fate_of, fates) = mpsc::channel();
    let estate = server_with(move |mail| match mail {
        Mail::Copy(order) => drop(order.copied.send(Copied { copies: order.copies, state: empty(), places: 0 })),
        Mail::HandOver(order) => {
            let unchanged = vec![u32::MAX; unchanged];
            let fate = order.give(HandedOver { unchanged, ..HandedOver::new(0, Instant::now(), empty()) });
            let _ = fate_of.send(fate.and_then(|fate| fate.blocking_recv().ok()));
        }
        _ => (),
    });
    (estate, fates)
}

/// A server with one worker, which does `work` with what it is asked.
fn server_with(mut work: impl FnMut(Mail) + Send + 'static) -> Estate {
    let (sender, mut mails) = mailbox();
    std::thread::spawn(move || {
        while let Some(mail) = mails.blocking_recv() {
            work(mail);
        }
    });
    let cookies = CookieJar::new(Instant::now(), &mut ChaCha20Rng::seed_from_u64(1));
    let applications = Arc::clone(&testing::services(&Config::built_in(), None, None).applications);
    let (sockets, certificates) = (vec![Vec::new()], Vec::new());
    Estate {
        sockets,
        certificates,
        cookies,
        mailboxes: Arc::from([sender]),
        applications,
        directory: Arc::default(),
        relay: None,
        registry: None,
        drain: Arc::new(Drain::new(1, |_| ())),
    }
}

/// What a new process does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hello,
    Ready,
    Listen,
    ReadState,
    Imported,
    Serving,
}

/// A new process that ends before the step of which `is_over` says so.
fn newcomer(channel: &mut Channel, version: u32, mut is_over: impl FnMut(Step) -> bool) -> Result<(), ChannelError> {
    if is_over(Step::Hello) {
        return Ok(());
    }
    channel.send(&Message::Hello { greeting: GREETING.to_owned(), version, program: "new".to_owned() }, SOON)?;
    if is_over(Step::Ready) {
        return Ok(());
    }
    assert!(matches!(channel.receive(Some(SOON))?, Message::Offer(_)));
    if version >= WITH_SERVICES {
        assert!(matches!(channel.receive(Some(SOON))?, Message::Registry(None)));
        assert!(matches!(channel.receive(Some(SOON))?, Message::Relay { ports } if ports.is_empty()));
    }
    channel.send(&Message::Ready, SOON)?;
    loop {
        if is_over(Step::Listen) {
            return Ok(());
        }
        match channel.receive(Some(SOON))? {
            Message::Copies { length } => drop(channel.receive_bytes(length, SOON)?),
            Message::Copied => channel.send(&Message::Copied, SOON)?,
            Message::Registry(None) => assert!(version >= WITH_SERVICES),
            Message::State { .. } if is_over(Step::ReadState) => return Ok(()),
            Message::State { length } => {
                let state = ServerState::from_bytes(&channel.receive_bytes(length, SOON)?);
                assert_eq!(state.unwrap().workers.len(), 1);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    if is_over(Step::Imported) {
        return Ok(());
    }
    channel.send(&Message::Imported { sessions: 0 }, SOON)?;
    assert!(matches!(channel.receive(Some(SOON))?, Message::Yours));
    if is_over(Step::Serving) {
        return Ok(());
    }
    channel.send(&Message::Serving, SOON)
}

#[test]
fn wherever_a_new_process_ends_the_workers_go_on_until_it_has_said_that_it_serves() {
    for version in VERSIONS {
        let (estate, fates) = server(0);
        let mut last = None;
        for steps in 0..20 {
            let (near, far) = UnixStream::pair().unwrap();
            let new = std::thread::spawn(move || {
                let mut channel = Channel::new(far, Pulse::unwatched()).unwrap();
                let mut left = (0..steps).rev();
                newcomer(&mut channel, version, |_| left.next().is_none()).is_ok()
            });
            let result = serve(near, &estate, &Arc::default(), &Pulse::unwatched());
            assert!(new.join().unwrap(), "version {version}, {steps} steps");
            if let Ok(Some(process)) = result {
                assert_eq!(process, std::process::id());
                // The worker may have gone on after the earlier ones by now, and ends after the last one alone.
                last = std::iter::from_fn(|| fates.recv_timeout(SOON).ok()).find(|fate| *fate == Some(Fate::End));
                break;
            }
            let fates: Vec<_> = fates.try_iter().collect();
            assert!(!fates.contains(&Some(Fate::End)), "version {version}, {steps} steps: {fates:?}");
        }
        assert_eq!(last, Some(Some(Fate::End)), "version {version}");
    }
}

#[test]
fn a_program_that_speaks_another_version_is_refused_and_told_which_are_spoken() {
    let (estate, _fates) = server(0);
    let (near, far) = UnixStream::pair().unwrap();
    let new = std::thread::spawn(move || {
        let mut channel = Channel::new(far, Pulse::unwatched()).unwrap();
        let hello = Message::Hello { greeting: GREETING.to_owned(), version: 99, program: "9.9.9".to_owned() };
        channel.send(&hello, SOON).unwrap();
        channel.receive(Some(SOON)).unwrap()
    });
    assert!(matches!(serve(near, &estate, &Arc::default(), &Pulse::unwatched()), Ok(None)));
    let Message::Refused(why) = new.join().unwrap() else { panic!("another message") };
    assert!(why.contains("introd 9.9.9 speaks version 99") && why.contains("without a takeover"), "{why}");
}

#[test]
fn a_server_that_drains_is_not_taken_over_whenever_the_drain_has_begun() {
    let version = *VERSIONS.end();
    let (estate, _fates) = server(0);
    // Before the new process comes.
    estate.drain.begin(Instant::now(), SystemTime::now(), &DrainRequest::default());
    let (near, far) = UnixStream::pair().unwrap();
    let new = std::thread::spawn(move || {
        let mut channel = Channel::new(far, Pulse::unwatched()).unwrap();
        channel
            .send(&Message::Hello { greeting: GREETING.to_owned(), version, program: "new".to_owned() }, SOON)
            .unwrap();
        channel.receive(Some(SOON)).unwrap()
    });
    assert!(matches!(serve(near, &estate, &Arc::default(), &Pulse::unwatched()), Ok(None)));
    let Message::Refused(why) = new.join().unwrap() else { panic!("another message") };
    assert!(why.contains("drains") && why.contains("--cancel"), "{why}");
    // While it prepares.
    assert!(estate.drain.cancel());
    let (near, far) = UnixStream::pair().unwrap();
    let drain = Arc::clone(&estate.drain);
    let new = std::thread::spawn(move || {
        let mut channel = Channel::new(far, Pulse::unwatched()).unwrap();
        channel
            .send(&Message::Hello { greeting: GREETING.to_owned(), version, program: "new".to_owned() }, SOON)
            .unwrap();
        assert!(matches!(channel.receive(Some(SOON)).unwrap(), Message::Offer(_)));
        drain.begin(Instant::now(), SystemTime::now(), &DrainRequest::default());
        channel.send(&Message::Ready, SOON).unwrap();
        loop {
            match channel.receive(Some(SOON)).unwrap() {
                Message::Copies { length } => drop(channel.receive_bytes(length, SOON).unwrap()),
                Message::Copied => channel.send(&Message::Copied, SOON).unwrap(),
                Message::Registry(_) | Message::Relay { .. } => (),
                other => break other,
            }
        }
    });
    assert!(matches!(serve(near, &estate, &Arc::default(), &Pulse::unwatched()), Ok(None)));
    assert!(matches!(new.join().unwrap(), Message::Refused(_)));
}

/// What comes of a takeover in which the old process is told to stop before that step of the new one. `ends`: the new one does not do that step.
fn told_to_stop(estate: &Estate, ending: &Arc<Ending>, before: Step, ends: bool) -> Result<Option<u32>, ChannelError> {
    let (near, far) = UnixStream::pair().unwrap();
    let its_ending = Arc::clone(ending);
    let new = std::thread::spawn(move || {
        let mut channel = Channel::new(far, Pulse::unwatched()).unwrap();
        let result = newcomer(&mut channel, *VERSIONS.end(), |step| {
            if step == before {
                its_ending.set();
            }
            step == before && ends
        });
        // It stays connected, and says no more.
        (channel, result.is_ok())
    });
    let result = serve(near, estate, ending, &Pulse::unwatched());
    new.join().unwrap();
    result
}

#[test]
fn a_process_that_is_told_to_stop_gives_the_takeover_up_whatever_it_waits_for_until_the_new_one_has_the_sessions() {
    // The new process is silent, or does not read a state that is larger than what the system keeps for it.
    for before in [Step::Ready, Step::Listen, Step::ReadState, Step::Imported] {
        let (estate, fates) = server(1 << 20);
        let result = told_to_stop(&estate, &Arc::default(), before, true);
        assert!(matches!(result, Err(ChannelError::Stops)), "{before:?}: {result:?}");
        drop(estate);
        assert!(fates.iter().all(|fate| fate.is_none()), "{before:?}: the worker does not end for the other process");
    }
    // A worker does not answer.
    let ending = Arc::new(Ending::default());
    let (its_ending, mut orders) = (Arc::clone(&ending), Vec::new());
    let estate = server_with(move |order| {
        orders.push(order);
        its_ending.set();
    });
    let (near, far) = UnixStream::pair().unwrap();
    let new = std::thread::spawn(move || {
        newcomer(&mut Channel::new(far, Pulse::unwatched()).unwrap(), *VERSIONS.end(), |_| false)
    });
    let result = serve(near, &estate, &ending, &Pulse::unwatched());
    assert!(matches!(result, Err(ChannelError::Stops)), "{result:?}");
    assert!(new.join().unwrap().is_err(), "the other process hears of it");
    // It had been told before the other process came.
    let result = told_to_stop(&server(0).0, &ending, Step::Serving, false);
    assert!(matches!(result, Ok(None) | Err(ChannelError::Stops)), "{result:?}");
    // The sessions are the other process's own: it is to say whether it serves.
    let (estate, fates) = server(0);
    assert!(matches!(told_to_stop(&estate, &Arc::default(), Step::Serving, false), Ok(Some(_))));
    assert_eq!(fates.recv_timeout(SOON), Ok(Some(Fate::End)));
}

#[test]
fn a_new_process_serves_when_it_has_said_so_and_not_before() {
    let (estate, fates) = server(0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let its_path = path.clone();
    let new = std::thread::spawn(move || {
        let (predecessor, _) = Predecessor::find(&its_path).unwrap().unwrap();
        let is_decided = Cell::new(false);
        let serve = |(): &mut (), _| {
            assert!(is_decided.get());
            // The old process has heard of it: no worker of it goes on.
            assert_eq!(fates.recv_timeout(SOON), Ok(Some(Fate::End)));
        };
        predecessor.replace(&mut (), |(), _| Ok(()), |(), _| Ok(5), || is_decided.set(true), serve).unwrap()
    });
    let (near, _) = listener.accept().unwrap();
    let result = serve(near, &estate, &Arc::default(), &Pulse::unwatched());
    assert!(matches!(result, Ok(Some(_))), "{result:?}");
    assert_eq!(new.join().unwrap(), 5);
}
