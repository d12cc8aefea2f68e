//! What a worker does first while more datagrams come in than it can handle.
//!
//! When thousands of clients come back at once, what they send fills the sockets, and the lookups of those who are connected would wait behind
//! it, or be lost. So a worker that is behind reads its sockets all the same: it answers lookups at once, puts the datagrams of sessions aside
//! until it has time for them, and lets few newcomers in. A newcomer repeats what is not answered, at longer and longer intervals
//! (RFC 7016 §3.5.1.1.1).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use rtmfp::InterfaceId;

/// For how long datagrams have waited at a socket without a break when the worker is behind. In this time it handles some thousand lookups.
const BEHIND: Duration = Duration::from_millis(5);

/// How many hellos, and how many keyings, a worker that is behind takes from each batch: a flood of lookups does not keep all newcomers out.
const MOST_NEWCOMERS: u32 = 1;

/// The most bytes that datagrams put aside may have, with what each takes besides.
const MAX_BYTES: usize = 4 << 20;
const BYTES_BESIDES: usize = size_of::<Datagram>() + 16;

/// A datagram of a session that is put aside.
pub(super) struct Datagram {
    pub(super) interface: InterfaceId,
    pub(super) from: SocketAddr,
    pub(super) bytes: Box<[u8]>,
}

/// The datagrams of sessions that a worker has put aside, in the order in which they came.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: VecDeque<Datagram>,
    bytes: usize,
    is_behind: bool,
}

impl Backlog {
    /// Notes for how long datagrams have waited at the sockets. Gives how many hellos, and how many keyings, the worker takes from its next
    /// batch; `None`: all.
    pub(super) fn heed(&mut self, behind: Duration) -> Option<u32> {
        self.is_behind = behind >= BEHIND;
        (self.is_behind || !self.is_empty()).then_some(MOST_NEWCOMERS)
    }

    /// Whether a datagram of a session is put aside: it may not overtake those that are.
    pub(super) fn is_growing(&self) -> bool {
        self.is_behind || !self.is_empty()
    }

    /// Puts a datagram aside. False if there is no room, and it is lost.
    pub(super) fn push(&mut self, interface: InterfaceId, from: SocketAddr, bytes: &[u8]) -> bool {
        let size = bytes.len() + BYTES_BESIDES;
        if self.bytes + size > MAX_BYTES {
            return false;
        }
        self.bytes += size;
        self.waiting.push_back(Datagram { interface, from, bytes: Box::from(bytes) });
        true
    }

    /// Takes the datagram that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Datagram> {
        let datagram = self.waiting.pop_front()?;
        self.bytes -= datagram.bytes.len() + BYTES_BESIDES;
        if self.waiting.is_empty() {
            // A worker is rarely behind: then it needs no memory for it.
            self.waiting = VecDeque::new();
        }
        Some(datagram)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_is_behind_lets_few_newcomers_in_until_nothing_waits() {
        let mut backlog = Backlog::default();
        assert_eq!((backlog.heed(Duration::ZERO), backlog.is_growing()), (None, false));
        assert_eq!((backlog.heed(BEHIND / 2), backlog.is_growing()), (None, false));
        assert_eq!((backlog.heed(BEHIND), backlog.is_growing()), (Some(1), true));
        assert!(backlog.push(InterfaceId(0), ([192, 0, 2, 1], 5).into(), &[1; 50]));
        // The sockets are empty, the backlog is not.
        assert_eq!((backlog.heed(Duration::ZERO), backlog.is_growing()), (Some(1), true));
        assert!(backlog.pop().is_some());
        assert_eq!((backlog.heed(Duration::ZERO), backlog.is_growing()), (None, false));
    }

    #[test]
    fn datagrams_keep_their_order_and_their_memory_is_bounded() {
        let mut backlog = Backlog::default();
        let from = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let mut count = 0;
        while backlog.push(InterfaceId(3), from(count), &[7; 1000]) {
            count += 1;
        }
        assert!((3000..4200).contains(&count), "{count}");
        // What is shorter may still fit.
        assert!(backlog.push(InterfaceId(3), from(count), &[]));
        for port in 0..=count {
            let datagram = backlog.pop().unwrap();
            assert_eq!((datagram.interface, datagram.from), (InterfaceId(3), from(port)));
        }
        assert!(backlog.pop().is_none() && backlog.bytes == 0);
        assert_eq!(backlog.waiting.capacity(), 0);
    }
}
