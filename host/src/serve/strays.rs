//! Datagrams that the kernel gave to the wrong worker.

use std::net::SocketAddr;
use std::time::Instant;

use rtmfp::crypto::cipher;
use rtmfp::{Endpoint, InterfaceId, prefix_of};

/// A datagram that the kernel gave to the wrong worker.
pub(super) struct Stray {
    pub(super) worker: u8,
    pub(super) interface: InterfaceId,
    pub(super) from: SocketAddr,
    pub(super) bytes: Box<[u8]>,
}

/// Gives each datagram to the endpoint whose session it names.
pub(super) struct Sorter<'a> {
    endpoint: &'a mut Endpoint,
    index: u8,
    workers: usize,
    strays: &'a mut Vec<Stray>,
}

impl<'a> Sorter<'a> {
    pub(super) fn new(endpoint: &'a mut Endpoint, index: u8, workers: usize, strays: &'a mut Vec<Stray>) -> Self {
        Self { endpoint, index, workers, strays }
    }

    pub(super) fn take(&mut self, now: Instant, interface: InterfaceId, from: SocketAddr, datagram: &mut [u8]) {
        match cipher::session_id(datagram) {
            // The kernel chooses workers by address; a session's worker stands in its id.
            Some(id) if id != 0 && prefix_of(id) != self.index && usize::from(prefix_of(id)) < self.workers => {
                self.strays.push(Stray { worker: prefix_of(id), interface, from, bytes: Box::from(&*datagram) });
            }
            _ => self.endpoint.handle_datagram(now, interface, from, datagram),
        }
    }
}
