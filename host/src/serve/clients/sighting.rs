//! Counts clients at the addresses where they are seen, so that the server notices if something in front of it hides theirs.

use std::net::SocketAddr;

use super::client::Client;
use crate::network::Sighting;
use crate::serve::turn::Turn;

impl Client {
    /// Counts a client that is seen at that address and reports these.
    pub(super) fn sight(&mut self, turn: &Turn<'_>, observed: SocketAddr, reported: &[SocketAddr]) {
        let network = &turn.services().network;
        let sighting = Sighting::of(observed, reported, &network.standing());
        if self.sighting.as_deref() == sighting.as_ref() {
            return;
        }
        self.lose_sight(turn);
        if let Some(sighting) = sighting {
            network.crowds().add(sighting);
            self.sighting = Some(Box::new(sighting));
        }
    }

    /// Counts the client no more.
    pub(super) fn lose_sight(&mut self, turn: &Turn<'_>) {
        if let Some(sighting) = self.sighting.take() {
            turn.services().network.crowds().remove(*sighting);
        }
    }
}

#[cfg(test)]
mod tests;
