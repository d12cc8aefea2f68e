//! Tells native plugins of the clients of their applications, and closes clients for them.

use std::net::SocketAddr;

use introd_native::InstancePath;
use rtmfp::{PeerId, SessionId};

use super::client::Client;
use super::ending::Ending;
use super::table::Clients;
use crate::serve::turn::Turn;

impl Clients {
    /// Tells the plugins that were asked about a client that it is gone.
    pub(super) fn tell_plugins_gone(&mut self, session: SessionId, reason: &str) {
        let Some((peer, seat)) = self.clients.get(&session).and_then(|client| client.place.as_ref()) else { return };
        for plugin in seat.instance().plugins().iter() {
            plugin.disconnect(session, *peer, InstancePath::from(seat.instance().name()), reason);
        }
    }

    /// Tells the plugins that a client's packets come from another address.
    pub(super) fn tell_plugins_moved(&self, session: SessionId, address: SocketAddr) {
        if let Some(client) = self.clients.get(&session) {
            tell_addresses(client, session, address, None);
        }
    }

    /// Closes the connection of a client, if it is still that peer's.
    pub(in crate::serve) fn disconnect(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        peer: PeerId,
        by: &'static str,
    ) {
        if turn.endpoint.session(session).is_none_or(|info| info.peer_id != peer) {
            return;
        }
        self.with_client(turn, session, |client_turn, client| {
            tracing::info!(%session, %peer, by, "client is disconnected");
            client.ends(Ending::new(by, "disconnected"));
            client.connection.close(&mut client_turn.agenda.actions);
        });
    }
}

/// Tells the plugins of a client's application of its addresses.
pub(super) fn tell_addresses(
    client: &Client,
    session: SessionId,
    far_address: SocketAddr,
    reported: Option<&[SocketAddr]>,
) {
    let Some((peer, seat)) = &client.place else { return };
    if !client.connection.is_connected() {
        return;
    }
    for plugin in seat.instance().plugins().iter() {
        let place = InstancePath::from(seat.instance().name());
        plugin.addresses_changed(session, *peer, place, far_address, reported);
    }
}

#[cfg(test)]
mod tests;
