//! The method `introd.connectivity`: tells a client what the server sees of its network.

use std::net::SocketAddr;

use introd_config::RelayMode;
use introd_flash::amf::Value;
use introd_flash::command::{Level, info};
use introd_policy::ServerMethod;
use rtmfp::is_private;

use super::client::Client;
use super::client_turn::ClientTurn;
use crate::meetings::{NatKind, Outlook, Sight, outlook};

impl ClientTurn<'_, '_> {
    /// Answers a client's call of a method of the server.
    pub(super) fn answer_by_server(&mut self, client: &mut Client, transaction: f64, method: ServerMethod) {
        let outcome = match method {
            ServerMethod::Connectivity => self.connectivity(client),
        };
        let none = || info(Level::Error, "NetConnection.Call.Failed", "The client is not connected.");
        let outcome = outcome.ok_or_else(none);
        if let Err(error) = client.connection.answer(transaction, outcome, &mut self.agenda.actions) {
            tracing::debug!(session = %self.session, %error, "answer to a call not sent");
        }
    }

    fn connectivity(&self, client: &Client) -> Option<Value> {
        let (peer, seat) = client.place.as_ref()?;
        let observed = self.turn.endpoint.session(self.session)?.far_address;
        // Another session with the same peer ID may be the one that the directory knows.
        let known = self.turn.services().directory.lookup(peer).filter(|known| known.owner == self.session);
        let reported = known.as_ref().map_or(&[][..], |known| &known.reported);
        let mode = seat.instance().settings().relay_mode;
        let services = self.turn.services();
        let server = Server {
            is_relaying: mode != RelayMode::None && services.relay.as_ref().is_some_and(|relay| relay.is_for_pairs()),
            mode,
            finds_outside: !services.network.standing().site.outside_of(observed).is_empty(),
        };
        Some(facts(observed, reported, &server))
    }
}

/// What the server has for a client.
struct Server {
    /// Whether it relays what the client and others send each other.
    is_relaying: bool,
    /// The setting of the client's application for that.
    mode: RelayMode,
    /// Whether the client stands in the server's network, and the server knows where others reach it.
    finds_outside: bool,
}

/// What the server sees of a client at that address, which reports these.
fn facts(observed: SocketAddr, reported: &[SocketAddr], server: &Server) -> Value {
    let canonical = |address: &SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let seen = canonical(&observed);
    let reported: Vec<SocketAddr> = reported.iter().map(canonical).collect();
    // Addresses of the other family say nothing about a NAT of this one.
    let mut same_family = reported.iter().filter(|own| own.is_ipv4() == seen.is_ipv4()).peekable();
    let is_known = same_family.peek().is_some();
    let known = |is_so: bool| if is_known { Value::Boolean(is_so) } else { Value::Null };
    let is_port_preserved = same_family.any(|own| own.port() == seen.port());
    let nat = NatKind::of(seen, &reported);
    let has_ipv4 = seen.is_ipv4() || reported.iter().any(SocketAddr::is_ipv4);
    let (is_private, is_found_outside) = (is_private(seen.ip()), server.finds_outside);
    let Outlook { problem, advice } = outlook(Sight { nat, is_private, is_found_outside, has_ipv4 });
    Value::object([
        ("publicAddress", Value::String(seen.ip().to_string())),
        ("publicPort", Value::Number(seen.port().into())),
        ("family", if seen.is_ipv4() { "IPv4" } else { "IPv6" }.into()),
        ("reportedAddresses", Value::Number(reported.len() as f64)),
        ("behindNAT", known(!reported.contains(&seen))),
        ("portPreserved", known(is_port_preserved)),
        ("nat", nat.name().into()),
        ("relay", Value::Boolean(server.is_relaying)),
        ("relayMode", server.mode.name().into()),
        ("problem", problem.map_or(Value::Null, Value::from)),
        ("advice", advice.into()),
    ])
}

#[cfg(test)]
mod tests;
