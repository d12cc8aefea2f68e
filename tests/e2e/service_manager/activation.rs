//! Sockets that the service manager has bound (socket activation).

use std::net::UdpSocket;

use introd_tests::program::{Process, Server, probe};
use introd_tests::startup_packets::{Answer, hello, tagged_answer};
use introd_tests::waiting::DEADLINE;
use rustix::process::Signal;

use crate::harness::http::get;
use crate::harness::service_manager::{activated, activated_by};

#[test]
fn datagrams_wait_at_a_passed_socket_while_the_server_is_started_again() {
    let passed = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = passed.local_addr().unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    // It ends well, and it is killed.
    for (number, signal) in [(1, Signal::TERM), (2, Signal::KILL)] {
        let server = activated_by(&passed, &[]);
        assert_eq!(server.addresses, [address]);
        let probed = probe(&["--meet", &server.uri(0)]);
        assert_eq!(probed.code, Some(0), "{probed:?}");
        server.signal(signal);
        let ended = server.ended();
        assert_eq!(
            (ended.code, ended.signal),
            if number == 1 { (Some(0), None) } else { (None, Some(9)) },
            "{ended:?}"
        );

        let tag = [number; 16];
        client.send_to(&hello("rtmfp://server.example/app", tag), address).unwrap();
        let next = activated_by(&passed, &[]);
        let mut datagram = [0; 2048];
        let length = client.recv(&mut datagram).expect("an answer of the next server");
        let answer = tagged_answer(&mut datagram[..length]);
        assert!(matches!(&answer, Some((of, Answer::Hello)) if *of == tag), "{answer:?}");
        assert_eq!(next.stop().code, Some(0));
    }
}

#[test]
fn each_worker_and_the_administration_use_the_sockets_that_are_passed_for_them() {
    let sockets = ["udp", "again", "tcp"];
    let server = Server::by(&mut activated(&sockets, &["run", "--listen", "{0}", "--admin", "{2}"]));
    assert!(server.log().contains("workers=2"), "one for each socket: {}", server.log());
    let [admin] = server.admin[..] else { panic!("{:?}", server.admin) };
    assert_eq!(get(admin, "/healthz").status, 200);
    // Whichever sockets the kernel chooses for these.
    for _ in 0..4 {
        let probed = probe(&["--meet", &server.uri(0)]);
        assert_eq!(probed.code, Some(0), "{probed:?}");
    }
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn sockets_that_cannot_be_used_are_named_with_what_to_do() {
    let listen = ["run", "--listen", "{0}", "--admin", "none"];
    let cases: [(&[&str], &[&str], &[&str]); 5] = [
        (
            &["udp"],
            &["run", "--listen", "{0}", "--admin", "none", "--workers", "2"],
            &["1 socket", "2 workers", "ReusePort=yes"],
        ),
        (&["udp", "udp"], &listen, &["descriptor 4 (udp)", "ListenDatagram="]),
        (&["udp", "tcp"], &listen, &["descriptor 4 (tcp)", "listens at nowhere", "ListenStream="]),
        (&["udp", "file"], &listen, &["descriptor 4 (file)", "neither a UDP socket nor a TCP socket"]),
        (&["udp"], &["run", "--listen", "127.0.0.1:0", "--admin", "none"], &["descriptor 3 (udp)", "127.0.0.1:0"]),
    ];
    for (sockets, arguments, said) in cases {
        let ended = Process::start(&mut activated(sockets, arguments)).ended();
        assert_eq!(ended.code, Some(1), "{sockets:?}: {ended:?}");
        assert!(said.iter().all(|part| ended.stderr.contains(part)), "{said:?}: {ended:?}");
    }
    let mut nonsense = introd_tests::program::introd(&["run", "--listen", "127.0.0.1:0", "--admin", "none"]);
    let ended = Process::start(nonsense.env("LISTEN_FDS", "many")).ended();
    assert!(ended.code == Some(1) && ended.stderr.contains("LISTEN_FDS=many"), "{ended:?}");
}
