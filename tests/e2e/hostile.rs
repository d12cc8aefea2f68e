//! Packets of unknown senders cost the server no lasting memory.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use introd_client::{Client, Destination};
use introd_flash::client::ConnectOptions;
use introd_tests::program::Server;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use rtmfp::PeerId;

use crate::harness::clients::{TIMEOUT, client, create_stream, peer_on};
use introd_tests::startup_packets::{Answer, answer, hello, keying, lookup};

const HELLOS: u32 = 100_000;
/// Strangers that speak at a time: few enough for the server's socket to hold what they say.
const CROWD: u32 = 200;

/// Strangers, each with an address and port of its own, say hello to the server at as many of its addresses, and get an answer.
fn strangers(server_port: u16, numbers: std::ops::Range<u32>) {
    let datagram = hello("rtmfp://server.example/app", [7; 16]);
    for first in numbers.clone().step_by(CROWD as usize) {
        let crowd: Vec<UdpSocket> = (first..numbers.end.min(first + CROWD))
            .map(|number| {
                let [_, a, b, c] = number.to_be_bytes();
                let stranger = UdpSocket::bind((Ipv4Addr::new(127, 10 + a, b, c), 0)).expect("a free port");
                stranger.set_read_timeout(Some(TIMEOUT)).expect("a time out");
                let server = Ipv4Addr::new(127, 100 + a, b, c);
                stranger.send_to(&datagram, (server, server_port)).expect("it is sent");
                stranger
            })
            .collect();
        for stranger in crowd {
            let mut bytes = [0; 2048];
            let (len, _) = stranger.recv_from(&mut bytes).expect("an answer");
            assert_eq!(answer(&mut bytes[..len]), Some(Answer::Hello));
        }
    }
}

#[tokio::test]
async fn hellos_cost_no_memory() {
    let server = Server::start(2, &["0.0.0.0:0"]);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.addresses[0].port()));
    let mut client = client(address, 1).await;
    // What the server needs once and for all: batches, the table of its own addresses, the allocator's arenas.
    strangers(address.port(), 0..4_000);
    let before = server.resident();
    strangers(address.port(), 4_000..HELLOS);
    let grown = server.resident().saturating_sub(before);
    println!("{grown} KiB for {HELLOS} hellos");
    assert!(grown < 3_000, "{grown} KiB for {HELLOS} hellos");
    assert!(create_stream(&mut client, 2.0).await > 0.0);
}

#[tokio::test]
async fn lookups_of_unknown_peers_cost_no_memory() {
    let server = Server::start(2, &["127.0.0.1:0"]);
    let mut client = client(server.addresses[0], 1).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut before = 0;
    for round in 0..20 {
        for _ in 0..500 {
            let mut id = [0; 32];
            rng.fill_bytes(&mut id);
            stranger.send_to(&lookup(PeerId(id), [3; 16]), server.addresses[0]).unwrap();
        }
        // They get no answer; when this is answered, they have been seen.
        stranger.send_to(&hello("rtmfp://server.example/app", [3; 16]), server.addresses[0]).unwrap();
        let mut bytes = [0; 2048];
        let (len, _) = stranger.recv_from(&mut bytes).unwrap();
        assert_eq!(answer(&mut bytes[..len]), Some(Answer::Hello));
        if round == 4 {
            before = server.resident();
        }
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 2_000, "{grown} KiB");
    assert!(create_stream(&mut client, 2.0).await > 0.0);
    client.close().await;
    assert_eq!(server.stop().counter("rtmfp_lookups"), 10_000);
}

/// A client, every datagram that it sent while it connected, and the socket that the server saw them come from.
async fn recorded_client(server: SocketAddr) -> (Client, Vec<Vec<u8>>, Arc<tokio::net::UdpSocket>) {
    // The client watches its own packets, so these are taken down on the way, by a relay.
    let relay = Arc::new(tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let onward = Arc::new(tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let near = relay.local_addr().unwrap();
    let sent: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let client_address: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
    tokio::spawn({
        let (relay, onward, sent) = (Arc::clone(&relay), Arc::clone(&onward), Arc::clone(&sent));
        let client_address = Arc::clone(&client_address);
        async move {
            let mut bytes = [0; 2048];
            while let Ok((len, from)) = relay.recv_from(&mut bytes).await {
                *client_address.lock().unwrap() = Some(from);
                sent.lock().unwrap().push(bytes[..len].to_vec());
                let _ = onward.send_to(&bytes[..len], server).await;
            }
        }
    });
    let source = Arc::clone(&onward);
    tokio::spawn(async move {
        let mut bytes = [0; 2048];
        while let Ok((len, _)) = onward.recv_from(&mut bytes).await {
            let to = *client_address.lock().unwrap();
            if let Some(to) = to {
                let _ = relay.send_to(&bytes[..len], to).await;
            }
        }
    });
    let (peer, id) = peer_on("127.0.0.1:0".parse().unwrap(), 9);
    let destination = Destination::resolve(&format!("rtmfp://{near}/app"), |_| true).await.unwrap();
    let client = Client::connect(peer, id, destination, &ConnectOptions::default(), TIMEOUT).await.unwrap();
    let recorded = sent.lock().unwrap().clone();
    (client, recorded, source)
}

#[tokio::test]
async fn replays_truncations_and_noise_are_survived() {
    let server = Server::on_loopback(2);
    let address = server.addresses[0];
    let (mut client, recorded, source) = recorded_client(address).await;
    assert_eq!(client.connect_info().nat(), Some(true), "a relay is a NAT");
    assert!(recorded.len() >= 4, "a hello, a keying, connect, setPeerInfo");
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let strangers: Vec<UdpSocket> = (0..8).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let mut count = 0;
    let mut send = |bytes: &[u8]| {
        // An empty datagram too.
        strangers[count % strangers.len()].send_to(bytes, address).unwrap();
        count += 1;
        if count % 64 == 0 {
            // The socket of the server should not overflow: what is dropped tests nothing.
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    for datagram in &recorded {
        for _ in 0..100 {
            send(datagram);
        }
        for end in 0..datagram.len() {
            send(&datagram[..end]);
        }
        for place in 0..datagram.len() {
            let mut altered = datagram.clone();
            altered[place] ^= 1 << (place % 8);
            send(&altered);
        }
    }
    for _ in 0..3_000 {
        let mut noise = [0; 1400];
        rng.fill_bytes(&mut noise);
        let length = rng.next_u32() as usize % noise.len();
        send(&noise[..length]);
    }
    for length in (0..200).chain([1000]) {
        let mut cookie = vec![0; length];
        rng.fill_bytes(&mut cookie);
        send(&keying(&cookie, b"", b""));
        send(&keying(&cookie, &recorded[1][..64], &cookie));
    }
    for datagram in &recorded {
        for _ in 0..100 {
            source.send_to(datagram, address).await.unwrap();
        }
    }
    assert!(create_stream(&mut client, 2.0).await > 0.0, "the client is unharmed");
    let mut another = crate::harness::clients::client(address, 10).await;
    assert!(create_stream(&mut another, 2.0).await > 0.0, "and others are served");
    client.close().await;
    another.close().await;
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("panic") && !ended.stderr.contains("ERROR"), "{ended:?}");
    assert!(ended.stdout.contains("closing 0 clients"), "no client was made of all this: {ended:?}");
    assert_eq!(ended.stderr.matches("client connected").count(), 2, "{ended:?}");
}
