//! A server with one client, whose packets a test can make by hand.

use std::time::Duration;

use super::bench::*;
use crate::config::Config;
use crate::crypto::Sealer;
use crate::session_id::SessionId;
use crate::wire::chunk::kind;
use crate::wire::{Mode, PacketHeader};

/// A server, a client with a session to it, and the session's id at each.
pub(super) struct Pair {
    pub(super) bench: Bench,
    pub(super) server: usize,
    pub(super) client: usize,
    pub(super) at_server: SessionId,
    pub(super) at_client: SessionId,
}

pub(super) fn pair_of(server_config: Config) -> Pair {
    let mut bench = Bench::new();
    let (server, client) = (bench.add(server_config), bench.add(peer(2)));
    let (at_client, at_server) = bench.connect(client, server);
    bench.sent.clear();
    Pair { bench, server, client, at_server, at_client }
}

pub(super) fn pair() -> Pair {
    pair_of(server(1))
}

impl Pair {
    /// A packet of the client's, made by hand.
    pub(super) fn client_says(&mut self, chunks: &[(u8, &[u8])]) -> Vec<Datagram> {
        self.client_says_at(address(1), chunks)
    }

    pub(super) fn client_says_at(&mut self, from: std::net::SocketAddr, chunks: &[(u8, &[u8])]) -> Vec<Datagram> {
        let mut sealer: Sealer = self.bench.far_sealer(self.client);
        let data = packet(&mut sealer, self.at_server, PacketHeader::new(Mode::Initiator), chunks);
        self.bench.deliver(self.server, from, &data)
    }

    pub(super) fn is_open(&self) -> bool {
        self.bench.endpoint(self.server).session(self.at_server).is_some()
    }

    /// The chunks of what the server has sent.
    pub(super) fn chunks(&self, datagrams: &[Datagram]) -> Vec<(u8, Vec<u8>)> {
        datagrams.iter().flat_map(|datagram| self.bench.opened(self.client, datagram)).collect()
    }

    /// The pings that the server sends within some time, as milliseconds from now.
    pub(super) fn pings(&mut self, time: Duration) -> Vec<u128> {
        let begun = self.bench.now;
        self.bench.sent.clear();
        let mut at = Vec::new();
        while let Some(next) = self.bench.endpoint(self.server).poll_timeout().filter(|next| *next <= begun + time) {
            self.bench.pass(next.saturating_duration_since(self.bench.now));
            let sent = std::mem::take(&mut self.bench.sent);
            let pings = self.chunks(&sent).into_iter().filter(|(kind, _)| *kind == kind::PING);
            at.extend(pings.map(|(_, message)| {
                assert_eq!(message, b"", "a keepalive ping is empty");
                (self.bench.now - begun).as_millis()
            }));
        }
        at
    }
}
