//! Clients in this process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use introd_client::{Client, ClientFailure, ClientStep, Destination, EchoReply, PeerEndpoint};
use introd_flash::amf::Value;
use introd_flash::client::{ConnectOptions, Incoming};
use introd_flash::command::{Command, Encoding};
use introd_udp::{BufferSizes, UdpSocket};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{Group, Identity, cipher};
use rtmfp::{Config, Event, PeerId};

/// How long anything may take. Only a server that never answers needs it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// A free port of 127.0.0.1.
pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// An identity of its own for each number.
pub(crate) fn identity(number: u64) -> Arc<Identity> {
    Arc::new(Identity::ephemeral(&[Group::Modp2], None, false, &mut ChaCha20Rng::seed_from_u64(number)))
}

pub(crate) fn socket(address: SocketAddr) -> UdpSocket {
    UdpSocket::bind(address, BufferSizes { receive: 1 << 18, send: 1 << 18 }).expect("a free port")
}

/// A peer with one socket, on a free port of `ip`.
pub(crate) fn peer_on(address: SocketAddr, number: u64) -> (PeerEndpoint, PeerId) {
    let identity = identity(number);
    let id = identity.peer_id();
    (PeerEndpoint::with_sockets(Config::peer(identity), vec![socket(address)]).expect("a peer"), id)
}

/// Connects as a client, with these arguments of `connect`.
pub(crate) async fn try_connect(
    uri: &str,
    from: SocketAddr,
    number: u64,
    arguments: Vec<Value>,
) -> Result<Client, ClientFailure> {
    connect_with(uri, from, number, &ConnectOptions { arguments, ..ConnectOptions::default() }).await
}

/// Connects as a client, with whatever `connect` can say.
pub(crate) async fn connect_with(
    uri: &str,
    from: SocketAddr,
    number: u64,
    options: &ConnectOptions,
) -> Result<Client, ClientFailure> {
    let (peer, id) = peer_on(from, number);
    let destination = Destination::resolve(uri, |_| true).await?;
    Client::connect(peer, id, destination, options, TIMEOUT).await
}

pub(crate) async fn connect(uri: &str, from: SocketAddr, number: u64) -> Client {
    try_connect(uri, from, number, Vec::new()).await.unwrap_or_else(|failure| panic!("{failure}"))
}

/// Why the server rejects a client's connect.
pub(crate) async fn rejection(uri: &str, from: SocketAddr, number: u64, arguments: Vec<Value>) -> String {
    let failure = try_connect(uri, from, number, arguments).await.err().expect("a rejection");
    assert_eq!(failure.step, ClientStep::Connect, "{failure}");
    failure.problem
}

/// A client on a free port of 127.0.0.1 that proves its peer id: its key is static, the same for each number.
pub(crate) async fn proven_client(uri: &str, number: u64) -> Client {
    let identity = Arc::new(Identity::fixed(&[Group::Modp2], &mut ChaCha20Rng::seed_from_u64(number)));
    let id = identity.peer_id();
    let peer = PeerEndpoint::with_sockets(Config::peer(identity), vec![socket(LOOPBACK)]).expect("a peer");
    let destination = Destination::resolve(uri, |_| true).await.expect("a server's address");
    let client = Client::connect(peer, id, destination, &ConnectOptions::default(), TIMEOUT).await;
    client.unwrap_or_else(|failure| panic!("{failure}"))
}

/// A client on a free port of the loopback address of the server's family.
pub(crate) async fn client(server: SocketAddr, number: u64) -> Client {
    let any = SocketAddr::new(
        if server.is_ipv4() { IpAddr::from([127, 0, 0, 1]) } else { IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]) },
        0,
    );
    connect(&format!("rtmfp://{server}/app/room"), any, number).await
}

/// The server's session id for a client, which says which worker has it: it stands on what the client sends.
pub(crate) struct ServerSession(Arc<AtomicU32>);

impl ServerSession {
    /// Watches what the client sends to the server from now on.
    pub(crate) fn watch(client: &mut Client) -> Self {
        let seen = Arc::new(AtomicU32::new(0));
        let (noted, server) = (Arc::clone(&seen), client.connect_info().server_address);
        client.peer().ports.add_tap(Box::new(move |_, _, to, datagram| {
            if to == server
                && let Some(id) = cipher::session_id(datagram)
                && id != 0
            {
                noted.store(id, Ordering::Relaxed);
            }
        }));
        Self(seen)
    }

    pub(crate) fn id(&self) -> u32 {
        let id = self.0.load(Ordering::Relaxed);
        assert_ne!(id, 0, "nothing was sent");
        id
    }

    pub(crate) fn worker(&self) -> u8 {
        rtmfp::prefix_of(self.id())
    }
}

/// The next message of the server that `wanted` makes something of.
pub(crate) async fn server_says<T>(client: &mut Client, mut wanted: impl FnMut(Incoming) -> Option<T>) -> T {
    let found = tokio::time::timeout(TIMEOUT, async {
        loop {
            let event = client.next().await.expect("its sockets work");
            // Peers that the client has met may go; the server may not.
            if let Event::Closed { session, reason } = &event
                && *session == client.session()
            {
                panic!("closed: {reason}");
            }
            if let Some(found) = client.server_message(&event).and_then(&mut wanted) {
                return found;
            }
        }
    });
    found.await.expect("the server says what is waited for")
}

/// Calls a method of the server and returns the answer: `_result` or `_error`.
pub(crate) async fn call(client: &mut Client, method: &str, transaction: f64, arguments: Vec<Value>) -> Incoming {
    let command = Command::new(method, transaction, arguments).to_message(Encoding::Amf0, 0).expect("a command");
    client.send_to_server(command).expect("it can be sent");
    server_says(client, |message| match message {
        Incoming::Result { transaction: of, .. } | Incoming::Error { transaction: of, .. } if of == transaction => {
            Some(message)
        }
        _ => None,
    })
    .await
}

/// `asker` finds `target`, which does not expect it.
pub(crate) async fn meet(asker: &mut Client, target: &mut Client) {
    let id = target.id();
    tokio::select! {
        () = async {
            let meeting = asker.meet(id, TIMEOUT).await.expect("an introduction");
            assert_eq!(asker.echo(meeting.session, TIMEOUT).await, Ok(EchoReply::Echoed));
        } => (),
        failure = target.stay() => panic!("{failure}"),
    }
    assert!(target.echoed_peers().contains(&asker.id()));
}

/// Proves that the session lives: the number of the stream that the server creates.
pub(crate) async fn create_stream(client: &mut Client, transaction: f64) -> f64 {
    match call(client, "createStream", transaction, Vec::new()).await {
        Incoming::Result { values, .. } => values.get(1).and_then(Value::as_number).expect("a number"),
        other => panic!("{other:?}"),
    }
}
