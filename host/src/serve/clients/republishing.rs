//! Publishes the clients again after others reach the server at other addresses: the registry that servers share names the server's
//! addresses beside those of each client.
//!
//! There may be many clients, so each turn publishes some of them.

use std::time::Duration;

use super::table::Clients;
use crate::serve::turn::Turn;

/// How many clients are published in one turn.
const BATCH: usize = 256;
/// The time between two batches: the registry takes some ten thousand publications in a second.
const INTERVAL: Duration = Duration::from_millis(10);

impl Clients {
    /// Begins to publish all clients of the worker again.
    pub(in crate::serve) fn republish_all(&mut self, turn: &Turn<'_>) {
        // Without a registry that servers share, nothing is published.
        if turn.services().announcer.is_none() {
            return;
        }
        // What waited of an earlier change is among them.
        self.agenda.republishing.waiting = self.clients.keys().collect();
        self.agenda.republishing.next = Some(turn.now);
    }

    /// Publishes the clients whose turn it is.
    pub(super) fn republish(&mut self, turn: &Turn<'_>) {
        if self.agenda.republishing.next.is_none_or(|next| turn.now < next) {
            return;
        }
        let first = self.agenda.republishing.waiting.len().saturating_sub(BATCH);
        for session in self.agenda.republishing.waiting.split_off(first) {
            // One that is gone meanwhile, or was published since, is published as it is.
            let Some(client) = self.clients.get(&session) else { continue };
            let Some((peer, _)) = client.place.as_ref().filter(|_| client.accepted.is_some()) else { continue };
            let services = turn.services();
            if services.directory.lookup(peer).is_some_and(|holder| holder.owner == session) {
                services.announce(*peer, session, client.is_proven);
            }
        }
        self.agenda.republishing.next = (!self.agenda.republishing.waiting.is_empty()).then(|| turn.now + INTERVAL);
    }
}

#[cfg(test)]
mod tests;
