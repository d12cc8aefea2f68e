//! Which worker a datagram is for, and whether it waits: the kernel gives some to the wrong worker.

use std::net::SocketAddr;
use std::time::Instant;

use rtmfp::crypto::cipher;
use rtmfp::{Endpoint, InterfaceId, prefix_of};

use super::backlog::Backlog;
use super::datagram::SessionDatagram;

/// A datagram that the kernel gave to the wrong worker.
pub(super) struct Stray {
    pub(super) worker: u8,
    pub(super) datagram: SessionDatagram<InterfaceId>,
}

/// Gives each datagram to the endpoint whose session it names, or puts it aside.
pub(super) struct Sorter<'a> {
    endpoint: &'a mut Endpoint,
    index: u8,
    workers: usize,
    strays: &'a mut Vec<Stray>,
    backlog: Option<&'a mut Backlog>,
    lost: u64,
}

impl<'a> Sorter<'a> {
    /// Of the worker with the number `index`, one of `workers`. What is for others becomes a stray.
    pub(super) fn new(endpoint: &'a mut Endpoint, index: u8, workers: usize, strays: &'a mut Vec<Stray>) -> Self {
        Self { endpoint, index, workers, strays, backlog: None, lost: 0 }
    }

    /// Puts the datagrams of sessions aside while the backlog grows.
    pub(super) fn with_backlog(self, backlog: &'a mut Backlog) -> Self {
        Self { backlog: Some(backlog), ..self }
    }

    /// How many datagrams were lost, because no more could be put aside.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn take(&mut self, now: Instant, interface: InterfaceId, from: SocketAddr, datagram: &mut [u8]) {
        let copy = |datagram: &[u8]| SessionDatagram { interface, from, bytes: Box::from(datagram) };
        match cipher::session_id(datagram) {
            // The kernel chooses workers by address; a session's worker stands in its id.
            Some(id) if id != 0 && prefix_of(id) != self.index && usize::from(prefix_of(id)) < self.workers => {
                self.strays.push(Stray { worker: prefix_of(id), datagram: copy(datagram) });
            }
            Some(id)
                if id != 0
                    && let Some(backlog) = self.backlog.as_deref_mut().filter(|backlog| backlog.is_growing()) =>
            {
                self.lost += u64::from(!backlog.push(copy(datagram)));
            }
            // What names no session begins one, or looks a peer up.
            _ => self.endpoint.handle_datagram(now, interface, from, datagram),
        }
    }
}

#[cfg(test)]
mod tests {
    use rtmfp::{Config, SessionId};

    use super::*;

    #[test]
    fn a_datagram_goes_to_the_worker_whose_number_its_session_id_begins_with() {
        let now = Instant::now();
        let mut endpoint = Endpoint::new(now, Config::server(Vec::new()), [1; 32]);
        let from: SocketAddr = ([203, 0, 113, 1], 5).into();
        let (mut strays, mut own) = (Vec::new(), 0);
        // The session id of a packet is that number, combined with the eight bytes after it.
        for (id, is_stray) in [
            (0, false),
            (7, false),
            (1 << 26, false),
            (1 << 26 | 7, false),
            (2 << 26 | 7, true),
            (u32::from(SessionId::from_wire(7).prefix()) << 26 | 8, false),
            (3 << 26 | 7, false),
        ] {
            let mut datagram = [&u32::to_be_bytes(id)[..], &[0; 8], &[5; 20]].concat();
            let whole = datagram.clone();
            let index = if id >> 26 == 0 { 0 } else { 1 };
            Sorter::new(&mut endpoint, index, 3, &mut strays).take(now, InterfaceId(4), from, &mut datagram);
            own += u64::from(!is_stray);
            assert_eq!(endpoint.counters().datagrams, own, "{id:#x}");
            match strays.pop() {
                Some(Stray { worker, datagram: stray }) if is_stray => {
                    assert_eq!((worker, stray.interface, stray.from), (2, InterfaceId(4), from));
                    assert_eq!(*stray.bytes, whole);
                }
                None if !is_stray => (),
                _ => panic!("{id:#x}"),
            }
        }
        // What is too short for a session id is counted as malformed.
        Sorter::new(&mut endpoint, 0, 3, &mut strays).take(now, InterfaceId(0), from, &mut [1, 2, 3]);
        assert!(strays.is_empty());
        assert_eq!(endpoint.counters().malformed, 1);
    }
}
