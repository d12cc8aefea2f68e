//! The sockets of an endpoint against plain sockets on the loopback interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket as PlainSocket};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use rtmfp::Config;
use rtmfp::crypto::{Certificate, Epd, Identity};

use super::*;
use crate::socket::BufferSizes;

/// Fails a test that would hang. No test's outcome depends on it otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);

fn ports(addresses: &[&str]) -> Ports {
    let bind = |address: &&str| UdpSocket::bind(address.parse().unwrap(), BufferSizes::default()).unwrap();
    Ports::new(addresses.iter().map(bind).collect()).unwrap()
}

fn plain(address: &str) -> (PlainSocket, SocketAddr) {
    let socket = PlainSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// An endpoint without sessions.
fn endpoint() -> Endpoint {
    let certificate = Certificate::parse(&[2, 0x0e, 1, 2, 0x15, 2]).unwrap();
    let identity = Arc::new(Identity::from_certificate(certificate).unwrap());
    Endpoint::new(Instant::now(), Config::peer(identity), [1; 32])
}

/// Has the endpoint send a hello.
fn greet(endpoint: &mut Endpoint, interface: InterfaceId, to: SocketAddr) {
    endpoint.open(Instant::now(), Epd::ancillary("rtmfp://test/"), &[(interface, to)]).unwrap();
}

fn heard(socket: &PlainSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (len, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..len].to_vec(), from)
}

/// What a tap saw: source, destination, bytes.
type Seen = Arc<Mutex<Vec<(SocketAddr, SocketAddr, Vec<u8>)>>>;

fn tapped(ports: &mut Ports) -> Seen {
    let seen = Seen::default();
    let kept = seen.clone();
    ports.add_tap(Box::new(move |_, from, to, bytes| kept.lock().unwrap().push((from, to, bytes.to_vec()))));
    seen
}

#[tokio::test]
async fn a_datagram_leaves_from_the_socket_of_its_address_family() {
    let mut ports = ports(&["127.0.0.1:0", "[::1]:0"]);
    let bound: Vec<SocketAddr> = ports.local_addresses().collect();
    let seen = tapped(&mut ports);
    let mut endpoint = endpoint();
    for (place, address) in ["127.0.0.1:0", "[::1]:0"].into_iter().enumerate() {
        let (far, to) = plain(address);
        let route = ports.route(to);
        assert_eq!(route.and_then(|interface| ports.address_of(interface)), Some(bound[place]));
        // Whatever interface is named, even one that does not exist.
        for interface in [InterfaceId(0), InterfaceId(1), InterfaceId(77)] {
            greet(&mut endpoint, interface, to);
            ports.transmit(&mut endpoint).await;
            let (bytes, from) = heard(&far);
            assert_eq!(from, bound[place], "{interface:?}");
            assert_eq!(seen.lock().unwrap().pop(), Some((from, to, bytes)));
        }
    }
}

#[tokio::test]
async fn a_datagram_for_which_there_is_no_socket_holds_none_back() {
    let mut ports = ports(&["127.0.0.1:0"]);
    let ((_, v6), (far, v4)) = (plain("[::1]:0"), plain("127.0.0.1:0"));
    assert_eq!(ports.route(v6), None);
    let seen = tapped(&mut ports);
    let mut endpoint = endpoint();
    greet(&mut endpoint, InterfaceId(0), v6);
    greet(&mut endpoint, InterfaceId(0), v4);
    ports.transmit(&mut endpoint).await;
    heard(&far);
    assert_eq!(seen.lock().unwrap().len(), 1, "what is not sent is not recorded either");
}

#[tokio::test]
async fn an_answer_leaves_from_the_address_that_was_asked() {
    let mut ports = ports(&["0.0.0.0:0"]);
    let port = ports.local_addresses().next().unwrap().port();
    let asked = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 9), port));
    let (far, from) = plain("127.0.0.1:0");
    let seen = tapped(&mut ports);
    far.send_to(b"hello", asked).unwrap();
    let mut came_to = None;
    while came_to.is_none() {
        ports
            .receive(|_, interface, source, bytes| {
                assert_eq!((source, &bytes[..]), (from, &b"hello"[..]));
                came_to = Some(interface);
            })
            .await
            .unwrap();
    }
    let interface = came_to.unwrap();
    assert_eq!(ports.address_of(interface), Some(asked));
    let known = ports.lookup(interface).unwrap();
    assert_eq!((known.socket, known.local.ip()), (0, Some(asked.ip())));
    assert_eq!(ports.intern(known), interface, "the same place has the same number");
    assert_eq!(seen.lock().unwrap().pop(), Some((from, asked, b"hello".to_vec())));
    let mut endpoint = endpoint();
    greet(&mut endpoint, interface, from);
    // From no address in particular the tap tells the one that the system chooses.
    greet(&mut endpoint, InterfaceId(0), from);
    ports.transmit(&mut endpoint).await;
    assert_eq!(heard(&far).1, asked);
    let chosen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    assert_eq!(heard(&far).1, chosen);
    let told: Vec<SocketAddr> = seen.lock().unwrap().iter().map(|(from, ..)| *from).collect();
    assert_eq!(told, [asked, chosen]);
    assert_eq!((ports.lookup(InterfaceId(9)), ports.address_of(InterfaceId(9))), (None, None));
}

#[tokio::test]
async fn more_datagrams_than_a_batch_holds_are_all_sent() {
    let mut ports = ports(&["127.0.0.1:0"]);
    // Many receivers, so that none has more waiting than the system keeps for it.
    let far: Vec<_> = (0..16).map(|_| plain("127.0.0.1:0")).collect();
    let mut endpoint = endpoint();
    for _ in 0..SEND_BATCH / 6 {
        for (_, to) in &far {
            greet(&mut endpoint, InterfaceId(0), *to);
        }
    }
    ports.transmit(&mut endpoint).await;
    for (far, _) in &far {
        for _ in 0..SEND_BATCH / 6 {
            heard(far);
        }
    }
}

#[tokio::test]
async fn each_socket_hands_over_what_the_filter_accepts_and_taps_see_all() {
    let mut ports = ports(&["127.0.0.1:0", "[::1]:0"]);
    let bound: Vec<SocketAddr> = ports.local_addresses().collect();
    let seen = tapped(&mut ports);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    ports.set_filter(Box::new(move |_, place, _, bytes| {
        noted.lock().unwrap().push((place, bytes.to_vec()));
        bytes.starts_with(b"good")
    }));
    for (place, address) in ["127.0.0.1:0", "[::1]:0"].into_iter().enumerate() {
        let (far, from) = plain(address);
        for text in ["good", "bad"] {
            far.send_to(text.as_bytes(), bound[place]).unwrap();
        }
        let mut handed = Vec::new();
        while seen.lock().unwrap().len() < 2 {
            ports
                .receive(|_, interface, source, bytes| handed.push((interface, source, bytes.to_vec())))
                .await
                .unwrap();
        }
        let interface = handed[0].0;
        assert_eq!(handed, [(interface, from, b"good".to_vec())]);
        assert_eq!(ports.address_of(interface), Some(bound[place]));
        let expected = [(place, b"good".to_vec()), (place, b"bad".to_vec())];
        assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), expected);
        let tapped: Vec<_> = seen.lock().unwrap().drain(..).map(|(from, to, _)| (from, to)).collect();
        assert_eq!(tapped, [(from, bound[place]); 2]);
    }
}

#[tokio::test]
async fn without_a_datagram_there_is_nothing_to_receive() {
    let mut ports = ports(&["127.0.0.1:0"]);
    let to = ports.local_addresses().next().unwrap();
    let (far, _) = plain("127.0.0.1:0");
    assert!(!ports.receive_now(|_, _, _, _| panic!("nothing came")).unwrap());
    let mut context = Context::from_waker(Waker::noop());
    assert!(ports.poll_receive(&mut context, |_, _, _, _| panic!("nothing came")).is_pending());
    // On the loopback interface a datagram waits as soon as it is sent. The runtime has not been told of it yet.
    far.send_to(b"hello", to).unwrap();
    let mut count = 0;
    assert!(ports.receive_now(|_, _, _, bytes| count += bytes.len()).unwrap());
    assert_eq!(count, 5);
    assert!(!ports.receive_now(|_, _, _, _| panic!("it came once")).unwrap());
}

#[test]
fn the_address_towards_a_target_is_the_one_that_would_be_used() {
    assert_eq!(LocalAddress::towards("127.0.0.1:9".parse().unwrap()), Some(Ipv4Addr::LOCALHOST.into()));
    assert_eq!(LocalAddress::towards("[::1]:9".parse().unwrap()), Some(IpAddr::from(Ipv6Addr::LOCALHOST)));
}

#[tokio::test]
async fn of_several_sockets_the_one_with_the_address_that_leads_there_is_used() {
    let route = |ports: &Ports, to: &str| ports.route(to.parse().unwrap()).map(|InterfaceId(place)| place);
    // This machine reaches all of 127.0.0.0/8 from 127.0.0.1.
    let several = ports(&["127.0.0.2:0", "127.0.0.1:0", "[::1]:0"]);
    assert_eq!(["127.0.0.3:9", "[::1]:9"].map(|to| route(&several, to)), [Some(1), Some(2)]);
    let with_all = ports(&["127.0.0.2:0", "0.0.0.0:0", "127.0.0.1:0"]);
    assert_eq!([route(&with_all, "127.0.0.3:9"), route(&with_all, "[::1]:9")], [Some(1), None]);
    // If none fits, it is the first.
    assert_eq!(route(&ports(&["127.0.0.2:0", "127.0.0.3:0"]), "127.0.0.4:9"), Some(0));
}

#[tokio::test]
async fn ports_are_behind_from_a_full_batch_on_until_their_sockets_were_read_empty() {
    let mut ports = ports(&["127.0.0.1:0", "127.0.0.1:0"]);
    let to: Vec<_> = ports.local_addresses().collect();
    let (far, _) = plain("127.0.0.1:0");
    let later = || Instant::now() + TIMEOUT;
    let read = |ports: &mut Ports| ports.receive_now(|_, _, _, _| ()).unwrap();
    assert_eq!(ports.behind(later()), Duration::ZERO);
    far.send_to(b"one", to[1]).unwrap();
    assert!(read(&mut ports));
    assert_eq!(ports.behind(later()), Duration::ZERO, "one datagram fills no batch");
    let many = |count: usize, to| (0..count).for_each(|_| assert_eq!(far.send_to(b"many", to).unwrap(), 4));
    many(2 * RECEIVE_BATCH + 1, to[1]);
    let before = Instant::now();
    assert!(read(&mut ports));
    let since = ports.behind(later());
    assert!(since > Duration::ZERO && since <= later() - before);
    // The other socket is empty all the time.
    assert!(read(&mut ports));
    assert!(ports.behind(later()) >= since, "another full batch does not begin anew");
    assert!(read(&mut ports));
    assert_eq!(ports.behind(later()), Duration::ZERO);
    // Batches that happen to be full, and nothing after them.
    many(RECEIVE_BATCH, to[0]);
    assert!(read(&mut ports));
    assert!(ports.behind(later()) > Duration::ZERO);
    assert!(!read(&mut ports));
    assert_eq!(ports.behind(later()), Duration::ZERO);
}
