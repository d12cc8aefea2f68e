//! The methods by which `introd probe` has the server help: packets from addresses that the client has not sent to, a packet to an address that
//! has been silent, and which addresses are those of the relay. [`NatTests`](crate::serve::nat_tests::NatTests) has the bounds.
//!
//! The packets leave from a port that is bound for the call: it is another one than those that the server listens on, so that no client
//! has sent to it before.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use introd_flash::amf::Value;
use introd_flash::command::{Level, info};
use introd_flash::server::Call;
use introd_udp::LocalAddress;
use rtmfp::{Lookup, Origin, SessionInfo, TaggedAddress, is_private};

use super::client::Client;
use super::client_turn::ClientTurn;
use crate::serve::nat_tests::{self, TAG_LEN, Tag};

/// `introd.testNat(tag)`: sends test packets to the caller from another port, and from another address if the server has one.
const TEST_NAT: &str = "introd.testNat";
/// `introd.testBinding(ticket, tag)`: sends a test packet to the address that the ticket is for, from the address that the caller is
/// connected to.
const TEST_BINDING: &str = "introd.testBinding";
/// `introd.relayAddresses(address...)`: which of these addresses are those of the server's relay.
const RELAY_ADDRESSES: &str = "introd.relayAddresses";
/// The most addresses that a client may ask about in one call.
const MAX_ASKED: usize = 32;
/// The most addresses of the server that a client is told.
const MAX_TOLD: usize = 16;

/// Whether the server handles a call itself, whatever the application's script has.
pub(super) fn is_nat_test(call: &Call) -> bool {
    matches!(&*call.name, TEST_NAT | TEST_BINDING | RELAY_ADDRESSES)
}

/// Why no test packet was sent.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("Too many NAT tests: try again in a second.")]
    TooMany,
    #[error("The tag is not a text of {} hexadecimal digits.", 2 * TAG_LEN)]
    NoTag,
    #[error("The ticket is not one of this server, or is too old: get another one with introd.testNat.")]
    NoTicket,
    #[error("The session has ended.")]
    NoSession,
}

impl ClientTurn<'_, '_> {
    /// Handles a call of one of the methods.
    pub(super) fn test_nat(&mut self, client: &mut Client, call: &Call) {
        let outcome = match &*call.name {
            TEST_NAT => self.send_unasked(call),
            TEST_BINDING => self.send_to_binding(call),
            _ => self.relay_addresses(call),
        };
        let outcome = outcome.map_err(|error| {
            tracing::debug!(session = %self.session, method = %call.name, %error, "NAT test refused");
            info(Level::Error, "NetConnection.Call.Failed", error.to_string())
        });
        if let Err(error) = client.connection.answer(call.transaction, outcome, &mut self.agenda.actions) {
            tracing::debug!(session = %self.session, %error, "answer to a NAT test not sent");
        }
    }

    /// The caller's session, if the caller may have test packets sent now.
    fn tester(&self) -> Result<SessionInfo, Refused> {
        let session = self.turn.endpoint.session(self.session).ok_or(Refused::NoSession)?;
        let is_permitted = self.turn.services().nat_tests.permit(self.turn.now, session.far_address.ip());
        if is_permitted { Ok(session) } else { Err(Refused::TooMany) }
    }

    fn send_unasked(&self, call: &Call) -> Result<Value, Refused> {
        let session = self.tester()?;
        let packet = nat_tests::packet(tag(call.arguments.first())?);
        let far = session.far_address;
        let near = self.near(&session);
        let others = near.map(|near| self.other_addresses(near)).unwrap_or_default();
        let sent = |from: Option<IpAddr>| from.and_then(|from| send(from, far, &packet));
        let value = |sent: Option<SocketAddr>| sent.map_or(Value::Null, |from| from.to_string().into());
        let addresses = self.listening_addresses(far, near.into_iter().chain(others.iter().copied()));
        Ok(Value::object([
            ("otherPort", value(sent(near))),
            ("otherAddress", value(others.iter().find_map(|other| sent(Some(*other))))),
            ("addresses", Value::Array(addresses.into_iter().map(|address| address.to_string().into()).collect())),
            ("ticket", self.turn.services().nat_tests.ticket(self.turn.now, far).into()),
        ]))
    }

    fn send_to_binding(&mut self, call: &Call) -> Result<Value, Refused> {
        let session = self.tester()?;
        let ticket = call.arguments.first().and_then(Value::as_str).ok_or(Refused::NoTicket)?;
        let tag = tag(call.arguments.get(1))?;
        let address = self.turn.services().nat_tests.redeem(self.turn.now, ticket).ok_or(Refused::NoTicket)?;
        if address.is_ipv4() != session.far_address.is_ipv4() {
            return Err(Refused::NoTicket);
        }
        // The answer to a hello that the address never sent: it leaves from the address that the caller is connected to.
        let hello = Lookup {
            target: None,
            epd: smallvec::SmallVec::new(),
            initiator: address,
            tag: smallvec::SmallVec::from_slice(&tag),
            interface: session.interface,
            asker: Some(self.session),
            received: 0,
        };
        self.turn.endpoint.redirect(&hello, &[TaggedAddress::new(address, Origin::Observed)]);
        Ok(Value::Null)
    }

    /// Which of the addresses that the caller names are those of the relay: it knows a session that is relayed by them.
    fn relay_addresses(&self, call: &Call) -> Result<Value, Refused> {
        let session = self.tester()?;
        let named = call.arguments.iter().take(MAX_ASKED).filter_map(|address| address.as_str()?.parse().ok());
        let own: Vec<IpAddr> = self.own_ips(&session);
        let is_relay = |address: &SocketAddr| {
            let relay = self.turn.services().relay.as_ref();
            relay.is_some_and(|relay| {
                let is_own = relay.has_port(address.port(), address.is_ipv4()) && own.contains(&address.ip());
                is_own || relay.has_address(*address)
            })
        };
        Ok(Value::Array(named.filter(is_relay).map(|address| address.to_string().into()).collect()))
    }

    /// The addresses of this machine, as they were when its network last changed, and those by which others reach it. Without loopback and
    /// link-local addresses, unless the server listens there or the client has come to one.
    fn own_ips(&self, session: &SessionInfo) -> Vec<IpAddr> {
        let listeners = self.turn.info.listeners.iter();
        let listening = listeners.flat_map(|listener| [Some(listener.local), listener.public].into_iter().flatten());
        let standing = self.turn.services().network.standing();
        let known = listening.chain(standing.near_addresses.iter().copied()).map(|address| address.ip());
        let of_machine = standing.interfaces.iter().map(|interface| interface.addr());
        self.near(session).into_iter().chain(known).chain(of_machine).collect()
    }

    /// The address of this machine that the client sends to.
    fn near(&self, session: &SessionInfo) -> Option<IpAddr> {
        let near = self.turn.ports.address_of(session.interface)?.ip();
        if near.is_unspecified() { LocalAddress::towards(session.far_address) } else { Some(near) }
    }

    /// The other addresses of this machine from which packets reach the same clients, as far as that can be known: addresses that the
    /// server listens on, and that are no private ones.
    fn other_addresses(&self, near: IpAddr) -> Vec<IpAddr> {
        let listeners = || self.turn.info.listeners.iter().map(|listener| listener.local.ip());
        let is_any = listeners().any(|ip| ip.is_unspecified() && ip.is_ipv4() == near.is_ipv4());
        let bound = listeners().filter(|ip| !ip.is_unspecified());
        let standing = self.turn.services().network.standing();
        let of_machine = standing.interfaces.iter().filter(|_| is_any).map(|interface| interface.addr());
        let all = bound.chain(of_machine);
        let others: BTreeSet<IpAddr> = all.filter(|ip| is_like(*ip, near) && *ip != near).collect();
        others.into_iter().take(MAX_TOLD).collect()
    }

    /// Where the server can be reached by a client at `far`, as far as it knows: it may listen on ports of several addresses.
    fn listening_addresses(&self, far: SocketAddr, own: impl Iterator<Item = IpAddr> + Clone) -> BTreeSet<SocketAddr> {
        let mut addresses = BTreeSet::new();
        let standing = self.turn.services().network.standing();
        for listener in self.turn.info.listeners.iter().filter(|listener| listener.local.is_ipv4() == far.is_ipv4()) {
            match listener.advertised(&standing.public_ips) {
                Some(advertised) => _ = addresses.insert(advertised),
                None => addresses.extend(own.clone().map(|ip| SocketAddr::new(ip, listener.local.port()))),
            }
        }
        addresses.into_iter().take(MAX_TOLD).collect()
    }
}

/// Whether clients that reach `near` reach `ip` as well: both are loopback addresses, or `ip` is one that can be reached from everywhere.
fn is_like(ip: IpAddr, near: IpAddr) -> bool {
    ip.is_ipv4() == near.is_ipv4() && ip.is_loopback() == near.is_loopback() && !is_private(ip) && !is_private(near)
}

/// Sends a packet from a free port of this address, without waiting. Returns where it was sent from.
fn send(from: IpAddr, to: SocketAddr, packet: &[u8]) -> Option<SocketAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(from, 0)).ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.send_to(packet, to).ok()?;
    socket.local_addr().ok()
}

fn tag(argument: Option<&Value>) -> Result<Tag, Refused> {
    let mut tag = Tag::default();
    let text = argument.and_then(Value::as_str).ok_or(Refused::NoTag)?;
    hex::decode_to_slice(text, &mut tag).map_err(|_| Refused::NoTag)?;
    Ok(tag)
}

#[cfg(test)]
mod tests;
