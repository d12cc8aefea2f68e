//! What the process that serves does when a new process ends in the middle of a takeover.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use introd_config::Config;
use introd_liveness::Pulse;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::CookieJar;

use super::channel::{Channel, ChannelError};
use super::message::{GREETING, Message, VERSIONS, WITH_SERVICES};
use super::state::ServerState;
use super::successor::{Estate, serve};
use crate::serve::{Copied, Drain, DrainRequest, Fate, HandedOver, Mail, WorkerState, mailbox, testing};

/// How long anything may take. Only a test that fails needs it.
const SOON: Duration = Duration::from_secs(60);

/// The state of a worker without sessions.
fn empty() -> WorkerState {
    postcard::from_bytes(&[0; 7]).unwrap()
}

/// A server with one worker, which does what it is asked to, and what becomes of the worker each time when it has given its state.
fn server() -> (Estate, mpsc::Receiver<Option<Fate>>) {
    let (sender, mut mails) = mailbox();
    let (fate_of, fates) = mpsc::channel();
    std::thread::spawn(move || {
        while let Some(mail) = mails.blocking_recv() {
            match mail {
                Mail::Copy(order) => {
                    drop(order.copied.send(Copied { copies: order.copies, state: empty(), places: 0 }));
                }
                Mail::HandOver(order) => {
                    let fate = order.give(HandedOver::new(0, Instant::now(), empty()));
                    let _ = fate_of.send(fate.and_then(|fate| fate.blocking_recv().ok()));
                }
                _ => (),
            }
        }
    });
    let cookies = CookieJar::new(Instant::now(), &mut ChaCha20Rng::seed_from_u64(1));
    let applications = Arc::clone(&testing::services(&Config::built_in(), None, None).applications);
    let (sockets, certificates) = (vec![Vec::new()], Vec::new());
    (
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
        },
        fates,
    )
}

/// A new process that ends after so many steps.
fn newcomer(channel: &mut Channel, version: u32, steps: usize) -> Result<(), ChannelError> {
    let mut left = steps;
    let mut is_over = || {
        let is_over = left == 0;
        left = left.saturating_sub(1);
        is_over
    };
    if is_over() {
        return Ok(());
    }
    channel.send(&Message::Hello { greeting: GREETING.to_owned(), version, program: "new".to_owned() }, SOON)?;
    if is_over() {
        return Ok(());
    }
    assert!(matches!(channel.receive(Some(SOON))?, Message::Offer(_)));
    if version >= WITH_SERVICES {
        assert!(matches!(channel.receive(Some(SOON))?, Message::Registry(None)));
        assert!(matches!(channel.receive(Some(SOON))?, Message::Relay { ports } if ports.is_empty()));
    }
    channel.send(&Message::Ready, SOON)?;
    loop {
        if is_over() {
            return Ok(());
        }
        match channel.receive(Some(SOON))? {
            Message::Copies { length } => drop(channel.receive_bytes(length, SOON)?),
            Message::Copied => channel.send(&Message::Copied, SOON)?,
            Message::Registry(None) => assert!(version >= WITH_SERVICES),
            Message::State { length } => {
                let state = ServerState::from_bytes(&channel.receive_bytes(length, SOON)?);
                assert_eq!(state.unwrap().workers.len(), 1);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    if is_over() {
        return Ok(());
    }
    channel.send(&Message::Imported { sessions: 0 }, SOON)?;
    assert!(matches!(channel.receive(Some(SOON))?, Message::Yours));
    if is_over() {
        return Ok(());
    }
    channel.send(&Message::Serving, SOON)
}

#[test]
fn wherever_a_new_process_ends_the_workers_go_on_until_it_has_said_that_it_serves() {
    for version in VERSIONS {
        let (estate, fates) = server();
        let mut last = None;
        for steps in 0..10 {
            let (near, far) = UnixStream::pair().unwrap();
            let new = std::thread::spawn(move || {
                let mut channel = Channel::new(far, Pulse::unwatched()).unwrap();
                newcomer(&mut channel, version, steps).is_ok()
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
    let (estate, _fates) = server();
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
    let (estate, _fates) = server();
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
