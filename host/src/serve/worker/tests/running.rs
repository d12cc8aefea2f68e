//! The loop of a worker, with a real client over the loopback interface.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_client::{Client, Destination, PeerEndpoint};
use introd_config::Config;
use introd_flash::client::ConnectOptions;
use introd_liveness::Pulse;
use introd_udp::{BufferSizes, Ports, UdpSocket};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rtmfp::crypto::{Epd, Group, Identity};
use rtmfp::{CloseReason, Endpoint, Event, InterfaceId, PeerId};
use tokio::sync::watch;

use crate::introducer::Counter;
use crate::network::Listener;
use crate::record::Recorder;
use crate::serve::datagram::SessionDatagram;
use crate::serve::keying_pool::KeyingPool;
use crate::serve::mail::{Mail, mailbox};
use crate::serve::testing::services;
use crate::serve::worker::{Worker, WorkerParts};

/// Ample, on a machine under any load: it only ends a test that would never end.
const TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn a_worker_serves_a_client_records_it_and_says_goodbye_when_it_is_told_to_stop() {
    serves_a_client(Duration::ZERO);
}

#[test]
fn a_worker_that_polls_busily_does_the_same() {
    serves_a_client(Duration::from_micros(200));
}

fn serves_a_client(busy_poll: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("introd.recording.json");
    let recorder = Recorder::create(&path, "a worker").unwrap();
    let mut config = Config::built_in();
    config.server.busy_poll = busy_poll;
    let services = Arc::new(services(&config, None, None));
    let directory = Arc::clone(&services);
    let bound = socket();
    let local = bound.local_address();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut identity = |is_server| Arc::new(Identity::ephemeral(&[Group::Modp2], None, is_server, &mut rng));
    let (server, own) = (identity(true), identity(false));
    let id = own.peer_id();
    let (stop, stopped) = watch::channel(false);
    let (sender, receiver) = mailbox();
    let closed = Cell::new(None);
    runtime.block_on(async {
        let mut config = rtmfp::Config::server(vec![server]);
        config.keying.log_keys = true;
        let worker = Worker::new(WorkerParts {
            index: 0,
            endpoint: Endpoint::new(Instant::now(), config, [1; 32]),
            ports: Ports::new(vec![bound]).unwrap(),
            listeners: vec![Listener { adaptor: 0, local, public: None }],
            mailbox: receiver,
            mailboxes: Arc::from([sender]),
            keying: Arc::new(KeyingPool::start(1, Group::Modp2, 10).unwrap()),
            services,
            stop: stopped,
            recorder: Some(recorder.clone()),
            pulse: Pulse::unwatched(),
        });
        let visit = async {
            let peer = PeerEndpoint::with_sockets(rtmfp::Config::peer(own), vec![socket()]).unwrap();
            let uri = format!("rtmfp://127.0.0.1:{}/chat", local.port());
            let destination = Destination { uri, addresses: vec![local] };
            let connected = Client::connect(peer, id, destination, &ConnectOptions::default(), TIMEOUT).await;
            let mut client = connected.unwrap_or_else(|failure| panic!("{failure:?}"));
            assert!(directory.directory.lookup(&id).is_some());
            stop.send(true).unwrap();
            loop {
                if let Event::Closed { reason, .. } = client.next().await.unwrap() {
                    closed.set(Some(reason));
                }
            }
        };
        let both = async {
            tokio::select! {
                ended = worker.run() => ended,
                () = visit => Ok(()),
            }
        };
        let ended = tokio::time::timeout(TIMEOUT, both).await.unwrap();
        assert!(ended.is_ok());
    });
    assert_eq!(closed.get(), Some(CloseReason::Far));
    assert!(directory.directory.is_empty() && directory.applications.clients() == 0);
    let summary = recorder.finish().unwrap();
    assert_eq!(summary.sessions, 1);
}

/// A worker with these sockets, and what tells it to stop.
fn worker(sockets: Vec<UdpSocket>) -> (Worker, watch::Sender<bool>) {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let server = Arc::new(Identity::ephemeral(&[Group::Modp2], None, true, &mut rng));
    let (stop, stopped) = watch::channel(false);
    let (sender, receiver) = mailbox();
    let listeners =
        sockets.iter().map(|socket| Listener { adaptor: 0, local: socket.local_address(), public: None }).collect();
    let worker = Worker::new(WorkerParts {
        index: 0,
        endpoint: Endpoint::new(Instant::now(), rtmfp::Config::server(vec![server]), [1; 32]),
        ports: Ports::new(sockets).unwrap(),
        listeners,
        mailbox: receiver,
        mailboxes: Arc::from([sender]),
        keying: Arc::new(KeyingPool::without_threads(1)),
        services: Arc::new(services(&Config::built_in(), None, None)),
        stop: stopped,
        recorder: None,
        pulse: Pulse::unwatched(),
    });
    (worker, stop)
}

/// A worker with one socket, the socket's address, and what tells the worker to stop.
fn listening() -> (Worker, SocketAddr, watch::Sender<bool>) {
    let socket = socket();
    let local = socket.local_address();
    let (worker, stop) = worker(vec![socket]);
    (worker, local, stop)
}

fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0".parse().unwrap(), BufferSizes::default()).unwrap()
}

#[test]
fn a_worker_without_clients_stops_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (worker, stop) = worker(Vec::new());
        stop.send(true).unwrap();
        assert!(tokio::time::timeout(TIMEOUT, worker.run()).await.unwrap().is_ok());
    });
}

#[test]
fn a_worker_that_catches_up_reads_what_waits_in_its_sockets() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut worker, local, _stop) = listening();
        assert!(!worker.receive_now().unwrap());
        // A datagram over the loopback interface has arrived when the call returns.
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        far.send_to(&[0; 40], local).unwrap();
        assert!(worker.receive_now().unwrap());
        assert!(!worker.receive_now().unwrap(), "there was one");
    });
}

#[test]
fn a_worker_polls_busily_until_there_is_something_to_do_or_its_time_is_up() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut worker, local, _stop) = listening();
        let later = Instant::now() + 2 * TIMEOUT;
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        far.send_to(&[0; 40], local).unwrap();
        assert!(!worker.poll_busily(later).await.unwrap(), "it does not unless the setting says so");
        worker.busy_poll = TIMEOUT;
        assert!(worker.poll_busily(later).await.unwrap());
        assert!(!worker.poll_busily(Instant::now()).await.unwrap(), "a deadline has passed");
        worker.busy_poll = Duration::from_millis(1);
        assert!(!worker.poll_busily(later).await.unwrap(), "nothing has come");
        // With a message in the mailbox it does not wait for datagrams.
        worker.busy_poll = TIMEOUT;
        worker.info.mailboxes[0].try_send(Mail::Wake).unwrap();
        assert!(!worker.poll_busily(later).await.unwrap());
    });
}

/// A datagram for a session that there is not.
fn to_no_session<I>(interface: I, from: SocketAddr) -> SessionDatagram<I> {
    SessionDatagram { interface, from, bytes: Box::from([&[0, 0, 0, 9][..], &[0; 60]].concat()) }
}

/// Sends `count` datagrams: lookups of a peer that nobody knows, and as many for sessions that there are not, by turns.
fn crowd(far: &std::net::UdpSocket, local: SocketAddr, count: u32) {
    let identity = Arc::new(Identity::ephemeral(&[Group::Modp2], None, false, &mut ChaCha20Rng::seed_from_u64(5)));
    let mut asker = Endpoint::new(Instant::now(), rtmfp::Config::peer(identity), [2; 32]);
    let mut lookup = Vec::new();
    asker.open(Instant::now(), Epd::fingerprint(PeerId([9; 32])).to_vec(), &[(InterfaceId(0), local)]).unwrap();
    asker.poll_transmit(Instant::now(), &mut lookup).unwrap();
    for _ in 0..count / 2 {
        far.send_to(&lookup, local).unwrap();
        far.send_to(&to_no_session((), local).bytes, local).unwrap();
    }
}

#[test]
fn a_worker_that_is_behind_answers_lookups_and_puts_aside_what_is_for_sessions() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut worker, local, stop) = listening();
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        crowd(&far, local, 200);
        let counts = |worker: &Worker| {
            let counters = worker.endpoint.counters();
            (counters.lookups, counters.unknown_session)
        };
        // A batch is 64 datagrams. The first does not tell that the worker is behind, and those after it do once time has passed.
        assert!(worker.receive_now().unwrap());
        assert_eq!(counts(&worker), (32, 32));
        std::thread::sleep(Duration::from_millis(20));
        while worker.receive_now().unwrap() {}
        assert_eq!(counts(&worker), (100, 32), "all is read");
        // What is put aside is overtaken neither by what comes in later nor by what another worker passes on.
        crowd(&far, local, 2);
        assert!(worker.receive_now().unwrap());
        let interface = worker.ports.lookup(InterfaceId(0)).unwrap();
        worker.take_mail(Instant::now(), Some(Mail::Datagram(to_no_session(interface, local))));
        assert_eq!(counts(&worker), (101, 32));
        worker.work_off_backlog();
        assert_eq!(counts(&worker), (101, 64));
        worker.finish_backlog();
        assert_eq!(counts(&worker), (101, 102));
        crowd(&far, local, 2);
        assert!(worker.receive_now().unwrap());
        assert_eq!(counts(&worker), (102, 103), "it is not behind any more");
        // A running worker does all of that by itself, and then ends when it is told to.
        crowd(&far, local, 200);
        let (services, lookups) = (Arc::clone(&worker.info.services), 102 + 100);
        let stops = async {
            while services.counters.snapshot().get(Counter::Lookups) < lookups {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            stop.send(true).unwrap();
        };
        let (ended, ()) = tokio::time::timeout(TIMEOUT, async { tokio::join!(worker.run(), stops) }).await.unwrap();
        ended.unwrap();
    });
}

#[test]
fn a_worker_that_catches_up_after_a_standstill_puts_nothing_aside() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut worker, local, _stop) = listening();
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        crowd(&far, local, 200);
        assert!(worker.backlog.push(to_no_session(InterfaceId(0), local)));
        worker.begin_turn(Instant::now() + TIMEOUT);
        assert_eq!(worker.endpoint.counters().unknown_session, 1, "what was put aside before");
        assert!(worker.receive_now().unwrap());
        std::thread::sleep(Duration::from_millis(20));
        while worker.receive_now().unwrap() {}
        assert_eq!(worker.endpoint.counters().unknown_session, 101);
        assert!(worker.backlog.is_empty());
    });
}
