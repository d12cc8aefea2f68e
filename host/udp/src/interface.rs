//! The interface ids that the protocol engine carries: each is a number for a socket and a local address.

use std::collections::HashMap;

use rtmfp::InterfaceId;

use crate::local::LocalAddress;

/// The most interfaces in a table. A host may route a whole prefix to itself and so receive on any number of addresses: the
/// addresses that strangers send to must not decide how large the table grows.
const MAX_INTERFACES: usize = 1024;

/// Where a datagram came in. The answer leaves from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interface {
    /// The socket's place in its [`Ports`](crate::Ports), from 0.
    pub socket: u16,
    /// The address on this host.
    pub local: LocalAddress,
}

/// The interfaces that one worker has seen. Ids are never reused or forgotten.
#[derive(Debug)]
pub(super) struct Interfaces {
    ids: HashMap<Interface, InterfaceId>,
    known: Vec<Interface>,
    last: (Interface, InterfaceId),
}

impl Interfaces {
    /// A table for a worker with `sockets` sockets. The ids `0..sockets` are the sockets' default interfaces
    /// ([`LocalAddress::ANY`]: the kernel chooses the source).
    pub(super) fn new(sockets: u16) -> Self {
        let known: Vec<_> = (0..sockets.max(1)).map(|socket| Interface { socket, local: LocalAddress::ANY }).collect();
        let ids = known.iter().zip(0..).map(|(interface, id)| (*interface, InterfaceId(id))).collect();
        let last = (Interface { socket: 0, local: LocalAddress::ANY }, InterfaceId(0));
        Self { ids, known, last }
    }

    /// The id of `local` on socket `socket`: a new one if this interface was never seen.
    ///
    /// If the table is full, this is the socket's default interface; for a socket that this worker does not have, it is the first
    /// socket's.
    pub(super) fn intern(&mut self, socket: u16, local: LocalAddress) -> InterfaceId {
        let interface = Interface { socket, local };
        // Most hosts have one address, so most datagrams have the interface of the one before.
        if self.last.0 == interface {
            return self.last.1;
        }
        let id = match self.ids.get(&interface) {
            Some(id) => *id,
            None => self.add(interface),
        };
        self.last = (interface, id);
        id
    }

    fn add(&mut self, interface: Interface) -> InterfaceId {
        let default = Interface { local: LocalAddress::ANY, ..interface };
        let Some(default) = self.ids.get(&default).copied() else { return InterfaceId(0) };
        if self.known.len() >= MAX_INTERFACES {
            return default;
        }
        let id = InterfaceId(self.known.len() as u32);
        self.known.push(interface);
        self.ids.insert(interface, id);
        id
    }

    /// The interface whose id is `id`; `None` if this table has given no such id.
    pub(super) fn lookup(&self, id: InterfaceId) -> Option<Interface> {
        self.known.get(usize::try_from(id.0).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn numbered(n: u128) -> LocalAddress {
        LocalAddress::new(Ipv6Addr::from((0x2001_0db8 << 96) + n).into(), 0)
    }

    #[test]
    fn the_same_interface_keeps_its_number() {
        let mut interfaces = Interfaces::new(2);
        let a = interfaces.intern(0, numbered(1));
        let b = interfaces.intern(1, numbered(1));
        let c = interfaces.intern(0, numbered(2));
        assert_ne!(a, b);
        assert_ne!(a, c);
        assert_eq!(interfaces.intern(1, numbered(1)), b);
        assert_eq!(interfaces.intern(0, numbered(1)), a);
        assert_eq!(interfaces.lookup(b), Some(Interface { socket: 1, local: numbered(1) }));
        assert_eq!(interfaces.known.len(), 5);
    }

    #[test]
    fn defaults_come_first() {
        let mut interfaces = Interfaces::new(2);
        assert_eq!(interfaces.intern(1, LocalAddress::ANY), InterfaceId(1));
        assert_eq!(interfaces.lookup(InterfaceId(1)), Some(Interface { socket: 1, local: LocalAddress::ANY }));
        assert_eq!(interfaces.lookup(InterfaceId(2)), None);
        assert_eq!(interfaces.lookup(InterfaceId(u32::MAX)), None);
    }

    #[test]
    fn a_full_table_answers_with_the_default() {
        let mut interfaces = Interfaces::new(2);
        for n in 0..2000 {
            interfaces.intern(1, numbered(n));
        }
        assert_eq!(interfaces.known.len(), MAX_INTERFACES);
        assert_eq!(interfaces.intern(1, numbered(5000)), InterfaceId(1));
        assert_eq!(interfaces.intern(0, numbered(5000)), InterfaceId(0));
        assert_eq!(interfaces.intern(1, numbered(0)), InterfaceId(2));
    }

    #[test]
    fn an_unknown_socket_adds_nothing() {
        let mut interfaces = Interfaces::new(1);
        assert_eq!(interfaces.intern(9, numbered(1)), InterfaceId(0));
        assert_eq!(interfaces.known.len(), 1);
    }
}
