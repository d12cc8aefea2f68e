//! The relay's pairs: which datagrams of two peers that cannot reach each other are passed on, and to where.
//!
//! A pair has two ports of the server. What the asker sends to one of them leaves from the other to the target, unread and unchanged, and back.
//! [`Pairs::allocate`] makes a pair for an asker's attempt to reach a target, [`Pairs::datagram`] decides about each datagram.
//!
//! This crate is sans-IO: it must not know sockets, threads, clocks, policies or the configuration. Begin reading with [`Pairs`].
//!
//! # How the real addresses are learnt
//!
//! Where a side's datagrams will come from is not known before: a NAT may give it another address at each port of the server. A side is *pinned*
//! by the first startup packet (RFC 7016 §2.3) that comes to its port with the tag of the attempt and is of the side's kind: an IHello for the
//! asker, an RHello or a Redirect for the target. These packets are sealed under a key that everybody knows, so that the tag can be read.
//! Nothing else is ever opened. A pinned side moves by a new attempt alone, which has a new tag.
//!
//! # What the tag proves
//!
//! The asker chooses the tag. The server and the target know it, and who sees their packets. So a stranger cannot enter a pair, but the two clients
//! can lie about where they are, to have the relay send to somebody else. These bounds make that useless:
//!
//! - An address of this server's network, of this server, or of nobody (multicast, port 0) is a side only if the client itself is known to be at that
//!   address. A client cannot reach what it could not reach without the relay.
//! - A side at the address where the server knows the client displaces one that is elsewhere. A forged packet keeps no client out.
//! - At most three times the bytes that came from an address go to it, until a packet of a session has come from it after something was sent
//!   there. A client whose address a handshake with this server has proven starts with room for a handshake.
//! - After that, at most one mebibyte goes to a side that sends nothing: real peers acknowledge what they get.
//!
//! An attacker has to hold both ends of the pair, and to send each byte itself that is to reach somebody else: it gains nothing over sending it
//! directly, and the pair's rate bounds it.
#![forbid(unsafe_code)]

mod addresses;
mod attempt;
mod counts;
mod limits;
#[cfg(test)]
mod misuse;
mod pair;
mod pairs;
mod startup;
#[cfg(test)]
mod testing;

pub use addresses::{OwnAddresses, Standing};
pub use attempt::{Attempt, Client, Party, Side};
pub use counts::{Counts, DropReason, End, Refusal};
pub use limits::{Limits, OPENING_TIME, Terms};
pub use pair::PairRecord;
pub use pairs::{Families, Forward, PairView, Pairs, RelayPorts};
