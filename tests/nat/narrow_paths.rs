//! Paths that drop packets longer than 1000 bytes without a word, with real sockets and a real router.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use introd_client::{Client, Destination, PeerEndpoint};
use introd_flash::amf::Value;
use introd_flash::client::{ConnectOptions, Incoming};
use introd_flash::command::{Command, Encoding};
use introd_tests::program::Files;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{Group, Identity};
use rtmfp::flow::{Delivery, FlowError, FlowEvent, FlowOptions};
use rtmfp::{Config, Event, SessionId};

use crate::hosts::{Host, Internet};
use crate::nats::Nat;
use crate::programs::server;

/// Fails a test that would hang. No test's outcome depends on it otherwise.
const TIMEOUT: Duration = Duration::from_secs(240);
/// The longest packets that pass, with their headers.
const NARROW: u16 = 1000;
/// What a client sends and gets back in one call, and how often it calls: a megabyte each way.
const TEXT: usize = 20_000;
const CALLS: usize = 50;
/// The same for peers: messages of a flow.
const MESSAGE: usize = 20_000;
const MESSAGES: usize = 50;

const SCRIPT: &str = "function Client:give_back(text) return text end";

/// A client in this thread's network. Its certificate has static keys in the groups of rtmfp-cpp's tools, so that its hellos are longer
/// than the path carries.
async fn connect(uri: &str, number: u64) -> Client {
    let groups = [Group::Modp2, Group::Modp14, Group::Modp16];
    let identity = Identity::fixed(&groups, &mut ChaCha20Rng::seed_from_u64(number));
    let id = identity.peer_id();
    let endpoint = PeerEndpoint::new(Config::peer(Arc::new(identity))).unwrap();
    let destination = Destination::resolve(uri, |_| true).await.unwrap();
    Client::connect(endpoint, id, destination, &ConnectOptions::default(), TIMEOUT).await.unwrap()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(TIMEOUT, work).await.expect("it takes too long") })
}

/// Calls a method of the server's script that returns what it is given.
async fn exchange_with_server(client: &mut Client) {
    for call in 0..CALLS {
        let (transaction, text) = (10.0 + call as f64, char::from(b'0' + call as u8).to_string().repeat(TEXT));
        let command = Command::new("give_back", transaction, vec![Value::String(text.clone())]);
        client.send_to_server(command.to_message(Encoding::Amf0, 0).unwrap()).unwrap();
        loop {
            let event = client.next().await.unwrap();
            assert!(!matches!(&event, Event::Closed { .. }), "{event:?}");
            match client.server_message(&event) {
                Some(Incoming::Result { transaction: of, values, .. }) if of == transaction => {
                    assert!(values.contains(&Value::String(text)), "another text came back");
                    break;
                }
                Some(error @ Incoming::Error { .. }) => panic!("{error:?}"),
                _ => (),
            }
        }
    }
}

/// Sends a megabyte to a peer, and receives as much from it. Stays until both ends have done so: `finished` counts them.
async fn exchange_with_peer(client: &mut Client, mut session: Option<SessionId>, finished: &AtomicUsize) {
    let (mut flow, mut sent, mut came, mut delivered, mut is_counted) = (None, 0, 0, 0, false);
    while finished.load(Ordering::SeqCst) < 2 {
        if let Some(session) = session {
            let (endpoint, now) = (&mut client.peer().endpoint, Instant::now());
            let mut open = || endpoint.open_flow(now, session, b"bulk", FlowOptions::default()).unwrap();
            let flow = *flow.get_or_insert_with(&mut open);
            while sent < MESSAGES {
                let delivery = Delivery { notify: true, ..Delivery::default() };
                match endpoint.send(now, session, flow, vec![sent as u8; MESSAGE], delivery) {
                    Ok(_) => sent += 1,
                    Err(FlowError::Full) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        // The other end may finish while nothing more happens here. The client itself would reject a flow that is no stream.
        let event = tokio::time::timeout(Duration::from_millis(100), client.peer().next()).await;
        let Ok(event) = event else { continue };
        match event.unwrap() {
            // The peer has opened the session.
            Event::Opened { session: opened, is_initiator: false } => session = Some(opened),
            Event::Flow { session: of, event } if Some(of) == session => match event {
                FlowEvent::Message { data, .. } if data.len() == MESSAGE => {
                    assert!(data.iter().all(|byte| usize::from(*byte) == came), "message {came}");
                    came += 1;
                }
                FlowEvent::Delivered { .. } => delivered += 1,
                _ => (),
            },
            Event::Closed { session: closed, reason } => panic!("{closed:?} closed: {reason}"),
            _ => (),
        }
        if (came, delivered, is_counted) == (MESSAGES, MESSAGES, false) {
            is_counted = true;
            finished.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Clients on two hosts exchange a megabyte each way with the server, and then with each other.
fn exchange(host: &Host, server_address: IpAddr, [one, other]: [&Host; 2]) {
    let files = Files::new();
    files.script("narrow", SCRIPT, "");
    let conf = files.path().to_string_lossy().into_owned();
    let running = server(host, &["--conf", &conf, "--listen", "0.0.0.0:1935", "--listen", "[::]:1935"]);
    let uri = format!("rtmfp://{}/narrow", SocketAddr::new(server_address, 1935));
    let (finished, (tell, told)) = (AtomicUsize::new(0), std::sync::mpsc::channel());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (uri, finished) = (&uri, &finished);
            one.inside(move || {
                run(async {
                    let mut client = connect(uri, 1).await;
                    exchange_with_server(&mut client).await;
                    tell.send(client.id()).unwrap();
                    exchange_with_peer(&mut client, None, finished).await;
                });
            });
        });
        let (uri, finished) = (&uri, &finished);
        other.inside(move || {
            run(async {
                // The other one is connected by then, and waits to be found.
                let id = told.recv_timeout(TIMEOUT).unwrap();
                let mut client = connect(uri, 2).await;
                exchange_with_server(&mut client).await;
                let meeting = client.meet(id, TIMEOUT).await.unwrap();
                exchange_with_peer(&mut client, Some(meeting.session), finished).await;
            });
        });
    });
    drop(running.stop());
}

#[test]
fn clients_of_a_server_behind_a_narrow_path_exchange_a_megabyte_with_it_and_each_other() {
    let net = Internet::new();
    let (host, one, other) = (net.host("a"), net.host("c1"), net.host("c2"));
    net.drop_longer_than(NARROW);
    exchange(&host, host.v4.unwrap().into(), [&one, &other]);
    assert!(net.dropped() > 0, "nothing was too long");
}

#[test]
fn over_ipv6_too() {
    let net = Internet::new();
    let (host, one, other) = (net.host("a"), net.host_v6("c1"), net.host_v6("c2"));
    net.drop_longer_than(NARROW);
    exchange(&host, host.v6.unwrap().into(), [&one, &other]);
    assert!(net.dropped() > 0, "nothing was too long");
}

#[test]
fn behind_nats_too() {
    let net = Internet::new();
    let host = net.host("a");
    let (one, other) = (net.nat("n1", Nat::PortRestricted), net.nat("n2", Nat::PortRestricted));
    let (one, other) = (one.into_host("c1"), other.into_host("c2"));
    net.drop_longer_than(NARROW);
    exchange(&host, host.v4.unwrap().into(), [&one, &other]);
    assert!(net.dropped() > 0, "nothing was too long");
}

/// The interface of the client itself carries no more: the kernel refuses what is longer.
#[test]
fn a_host_with_a_small_interface_exchanges_a_megabyte_as_well() {
    let net = Internet::new();
    let (host, one, other) = (net.host("a"), net.host("c1"), net.host("c2"));
    one.set_mtu(NARROW);
    // The way back is as narrow, as on any such link.
    net.drop_longer_than(NARROW);
    exchange(&host, host.v4.unwrap().into(), [&one, &other]);
}
