//! Numbers for local addresses, for the engine to carry.

use std::collections::HashMap;

use rtmfp::InterfaceId;

use super::local::LocalAddress;

/// Interfaces a worker keeps apart. A host that routes a whole prefix to itself answers on any number of addresses,
/// so what strangers send to must not decide how large the table grows.
pub const MAX_INTERFACES: usize = 1024;

/// Where a datagram came in, which is where the answer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interface {
    /// The worker's socket, counted from 0 in the order of the listening addresses.
    pub socket: u16,
    /// The address on this host.
    pub local: LocalAddress,
}

/// The interfaces one worker has seen. Numbers are never reused or forgotten.
#[derive(Debug)]
pub struct Interfaces {
    ids: HashMap<Interface, InterfaceId>,
    known: Vec<Interface>,
    last: (Interface, InterfaceId),
    refused: u64,
}

impl Interfaces {
    /// A table for a worker with `sockets` sockets. The ids `0..sockets` are the sockets' default interfaces
    /// ([`LocalAddress::ANY`]: the kernel chooses the source).
    pub fn new(sockets: u16) -> Self {
        let known: Vec<_> = (0..sockets.max(1)).map(|socket| Interface { socket, local: LocalAddress::ANY }).collect();
        let ids = known.iter().zip(0..).map(|(interface, id)| (*interface, InterfaceId(id))).collect();
        let last = (Interface { socket: 0, local: LocalAddress::ANY }, InterfaceId(0));
        Self { ids, known, last, refused: 0 }
    }

    /// The number of `local` on socket `socket`, a new one if it was never seen.
    ///
    /// A full table, and a socket that this worker does not have, give the socket's default interface.
    pub fn intern(&mut self, socket: u16, local: LocalAddress) -> InterfaceId {
        let interface = Interface { socket, local };
        // Most hosts have one address, so most datagrams ask what the one before asked.
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
        let Some(default) = self.ids.get(&default).copied() else {
            self.refused += 1;
            return InterfaceId(0);
        };
        if self.known.len() >= MAX_INTERFACES {
            self.refused += 1;
            return default;
        }
        let id = InterfaceId(self.known.len() as u32);
        self.known.push(interface);
        self.ids.insert(interface, id);
        id
    }

    /// What `id` stands for; `None` for a number that this table never gave.
    pub fn lookup(&self, id: InterfaceId) -> Option<Interface> {
        self.known.get(usize::try_from(id.0).ok()?).copied()
    }

    /// How many interfaces are known, the sockets' defaults included.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// A count that rises while addresses are answered with a default interface because the table is full. A run of
    /// datagrams to one such address counts once.
    pub fn refused(&self) -> u64 {
        self.refused
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
        assert_eq!(interfaces.count(), 5);
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
        assert_eq!(interfaces.count(), MAX_INTERFACES);
        assert_eq!(interfaces.intern(1, numbered(5000)), InterfaceId(1));
        assert_eq!(interfaces.intern(0, numbered(5000)), InterfaceId(0));
        assert_eq!(interfaces.intern(1, numbered(0)), InterfaceId(2));
        assert!(interfaces.refused() > 0);
    }

    #[test]
    fn an_unknown_socket_adds_nothing() {
        let mut interfaces = Interfaces::new(1);
        assert_eq!(interfaces.intern(9, numbered(1)), InterfaceId(0));
        assert_eq!(interfaces.count(), 1);
    }
}
