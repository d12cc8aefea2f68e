//! Programs that run on a host.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use introd_tests::program::{Ended, Peer, Process, Server, binary};
use introd_tests::redis::serve;

use crate::hosts::Host;

/// The script of a server that is a member of a group.
pub(crate) const POSTING_SERVER: &str = include_str!("posting_server.lua");

/// Starts a server on a host, at the default port, and waits until it serves.
pub(crate) fn server(host: &Host, more: &[&str]) -> Server {
    Server::by(host.command(binary()).args(["run", "--log-limit", "0", "--workers", "2", "--admin", "none"]).args(more))
}

/// Starts a server on a host, at the default port, with an administration on its loopback address, and waits until it serves.
pub(crate) fn administered(host: &Host, more: &[&str]) -> Server {
    let admin = ["--admin", "127.0.0.1:0", "--listen", "0.0.0.0:1935"];
    Server::by(host.command(binary()).args(["run", "--log-limit", "0", "--workers", "2"]).args(admin).args(more))
}

/// Starts a Redis server on a host, at the default port, and waits until it serves.
pub(crate) fn redis(host: &Host) -> Process {
    serve(host.command("redis-server").args(["--protected-mode", "no"]))
}

/// A peer on a host that stays, for others to find.
pub(crate) fn peer(host: &Host, uri: &str) -> Peer {
    Peer::by(&mut host.command(binary()), uri)
}

/// Runs `introd probe` on a host to its end.
pub(crate) fn probe(host: &Host, arguments: &[&str]) -> Ended {
    Process::start(host.command(binary()).arg("probe").args(arguments)).ended()
}

/// What the administration of a server on a host, at that address there, says of its metrics.
pub(crate) fn metrics(host: &Host, admin: SocketAddr) -> String {
    let text = host.inside(|| {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}
