//! Datagrams that are ready to be sent: answers to startup packets, and packets to other addresses than that of a session.

use std::collections::VecDeque;

use crate::transmit::Transmit;

/// A driver drains after each batch of at most some hundred datagrams. Datagrams beyond this number are dropped and counted.
const MAX_DATAGRAMS: usize = 8192;

/// A queue of datagrams.
#[derive(Default)]
pub(crate) struct Outbox {
    /// The bytes of all datagrams, one after the other.
    bytes: Vec<u8>,
    /// Where each ends, and where it is to go.
    queue: VecDeque<(usize, Transmit)>,
    /// How much of `bytes` is taken.
    taken: usize,
}

impl Outbox {
    /// Appends a datagram that `write` writes. False when there is no room.
    pub(crate) fn push(&mut self, transmit: Transmit, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.queue.len() >= MAX_DATAGRAMS {
            return false;
        }
        write(&mut self.bytes);
        self.queue.push_back((self.bytes.len(), transmit));
        true
    }

    /// Copies the oldest datagram into `out`.
    pub(crate) fn pop(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        let (end, transmit) = self.queue.pop_front()?;
        out.extend_from_slice(&self.bytes[self.taken..end]);
        self.taken = end;
        if self.queue.is_empty() {
            self.bytes.clear();
            // One burst should not keep its memory for ever.
            self.bytes.shrink_to(1 << 16);
            self.taken = 0;
        }
        Some(transmit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transmit::InterfaceId;

    fn to(port: u16) -> Transmit {
        Transmit { interface: InterfaceId(0), to: ([192, 0, 2, 1], port).into() }
    }

    #[test]
    fn datagrams_come_out_as_they_went_in_and_leave_no_memory_behind() {
        let mut outbox = Outbox::default();
        for round in 0..3 {
            for port in 0..8192 {
                assert!(outbox.push(to(port), |out| out.extend_from_slice(&[port as u8; 100])));
            }
            assert!(!outbox.push(to(9999), |out| out.push(1)), "{round}");
            for port in 0..8192 {
                let mut datagram = vec![7];
                assert_eq!(outbox.pop(&mut datagram), Some(to(port)));
                assert_eq!(datagram[1..], [port as u8; 100], "appended");
            }
            assert_eq!(outbox.pop(&mut Vec::new()), None);
            assert!(outbox.bytes.capacity() <= 1 << 16 && outbox.bytes.is_empty());
        }
    }
}
