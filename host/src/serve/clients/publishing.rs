//! What clients publish to the server: the script of their application decides, and no media is passed on.

use introd_flash::server::Publication;
use introd_policy::message::AppEvent;

use super::client::{Client, client_id};
use super::client_turn::ClientTurn;
use crate::introducer::Counter;

impl ClientTurn<'_, '_> {
    /// A client wants to publish a stream. It may, unless the script of its application refuses.
    pub(super) fn publish(&mut self, client: &mut Client, publication: Publication) {
        let Some(script) = client.script() else {
            self.decide_publication(client, publication.number, true);
            return;
        };
        let number = publication.number;
        if script.tell(AppEvent::Publish { client: client_id(self.session), publication }).is_err() {
            self.turn.counters().add(Counter::ApplicationBusy);
            self.decide_publication(client, number, false);
        }
    }

    /// Answers a client that wants to publish.
    pub(super) fn decide_publication(&mut self, client: &mut Client, number: u64, is_allowed: bool) {
        let (session, actions) = (self.session, &mut self.agenda.actions);
        if !is_allowed {
            tracing::info!(%session, "may not publish to this server");
            client.connection.refuse_publication(number, actions);
        } else if client.connection.allow_publication(number, actions) {
            tracing::info!(%session, "publishes to this server, which passes no media on: it is dropped");
        }
    }

    /// A client wants a publication no more, about which the script may have yet to decide.
    pub(super) fn unpublished(&self, client: &Client, publication: Publication) {
        if let Some(script) = client.script()
            && script.tell(AppEvent::Unpublish { client: client_id(self.session), publication }).is_err()
        {
            self.turn.counters().add(Counter::ApplicationBusy);
        }
    }
}

#[cfg(test)]
mod tests;
