//! What a worker does first while more datagrams come in than it can handle.
//!
//! When thousands of clients come back at once, what they send fills the sockets, and the lookups of those who are connected would wait behind
//! it, or be lost. So a worker that is behind reads its sockets all the same: it answers hellos and lookups at once, and puts the datagrams of
//! sessions aside until it has time for them. It takes as many newcomers as ever: one that is not answered repeats itself after a second or more,
//! in which the worker may have nothing to do.

use std::collections::VecDeque;
use std::time::Duration;

use rtmfp::InterfaceId;

use super::datagram::SessionDatagram;

/// For how long datagrams have waited at a socket without a break when the worker is behind. In this time it handles some thousand lookups.
const BEHIND: Duration = Duration::from_millis(5);

/// The most bytes that datagrams put aside may have, with what each takes besides.
const MAX_BYTES: usize = 4 << 20;
const BYTES_BESIDES: usize = size_of::<Datagram>() + 16;

type Datagram = SessionDatagram<InterfaceId>;

/// The datagrams of sessions that a worker has put aside, in the order in which they came.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: VecDeque<Datagram>,
    bytes: usize,
    is_behind: bool,
}

impl Backlog {
    /// Notes for how long datagrams have waited at the sockets.
    pub(super) fn heed(&mut self, behind: Duration) {
        self.is_behind = behind >= BEHIND;
    }

    /// Whether a datagram of a session is put aside: it may not overtake those that are.
    pub(super) fn is_growing(&self) -> bool {
        self.is_behind || !self.is_empty()
    }

    /// Puts a datagram aside. False if there is no room, and it is lost.
    pub(super) fn push(&mut self, datagram: Datagram) -> bool {
        let size = datagram.bytes.len() + BYTES_BESIDES;
        if self.bytes + size > MAX_BYTES {
            return false;
        }
        self.bytes += size;
        self.waiting.push_back(datagram);
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

    fn datagram(port: u16, bytes: &[u8]) -> Datagram {
        let from = ([192, 0, 2, 1], port).into();
        Datagram { interface: InterfaceId(3), from, bytes: Box::from(bytes) }
    }

    #[test]
    fn datagrams_are_put_aside_while_the_worker_is_behind_and_until_none_is_left() {
        let mut backlog = Backlog::default();
        let grows = |backlog: &mut Backlog, behind| {
            backlog.heed(behind);
            backlog.is_growing()
        };
        assert!(!grows(&mut backlog, Duration::ZERO) && !grows(&mut backlog, BEHIND / 2));
        assert!(grows(&mut backlog, BEHIND));
        assert!(backlog.push(datagram(5, &[1; 50])));
        assert!(grows(&mut backlog, Duration::ZERO), "the sockets are empty, the backlog is not");
        assert!(backlog.pop().is_some());
        assert!(!grows(&mut backlog, Duration::ZERO));
    }

    #[test]
    fn datagrams_keep_their_order_and_their_memory_is_bounded() {
        let mut backlog = Backlog::default();
        let mut count = 0;
        while backlog.push(datagram(count, &[7; 1000])) {
            count += 1;
        }
        assert!((3000..4200).contains(&count), "{count}");
        // What is shorter may still fit.
        assert!(backlog.push(datagram(count, &[])));
        for port in 0..=count {
            let taken = backlog.pop().unwrap();
            assert_eq!((taken.interface, taken.from), (InterfaceId(3), datagram(port, &[]).from));
        }
        assert!(backlog.pop().is_none() && backlog.bytes == 0);
        assert_eq!(backlog.waiting.capacity(), 0);
    }
}
