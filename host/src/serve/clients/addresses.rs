//! Passes on the addresses that clients report, at a limited rate.
//!
//! Each change is written into the directory, published for other servers, and told to the application's script and plugins. A
//! client can make one with a few bytes, so they are limited for each client. Of the changes that come too soon, the last one counts.

use super::client::{Client, client_id};
use super::client_turn::ClientTurn;
use super::table::Clients;
use crate::introducer::Counter;
use crate::introducer::reported::believed;
use crate::meetings::NatKind;
use crate::serve::turn::Turn;
use crate::stories::{Event, EventKind};
use introd_flash::peer_info::PeerInfo;
use introd_policy::message::AppEvent;

impl ClientTurn<'_, '_> {
    /// Handles the addresses that a client reports.
    pub(super) fn set_peer_info(&mut self, client: &mut Client, info: PeerInfo) {
        let (now, session) = (self.turn.now, self.session);
        match client.changes.take(now, info) {
            Ok(info) => self.pass_on_peer_info(client, &info),
            Err(Some(at)) => self.agenda.address_changes.insert(at, session),
            Err(None) => (),
        }
    }

    fn pass_on_peer_info(&mut self, client: &mut Client, info: &PeerInfo) {
        let session = self.session;
        for skipped in &info.skipped {
            tracing::debug!(%session, entry = %skipped.text, reason = %skipped.reason, "setPeerInfo entry skipped");
        }
        let Some(known) = self.turn.endpoint.session(session) else { return };
        let addresses = believed(known.far_address, &info.addresses);
        client.nat = NatKind::of(known.far_address, &addresses);
        client.sight(self.turn, known.far_address, &addresses);
        if let Some((peer, seat)) = &client.place {
            let kind = EventKind::Addresses { reported: addresses.as_slice().into() };
            let event = Event::new(self.turn.now, kind).of(*peer, known.far_address);
            self.turn.info.tell(event.in_place(seat.instance().shared_name()));
        }
        tracing::debug!(%session, ?addresses, not_believed = info.addresses.len() - addresses.len(), "setPeerInfo");
        if self.turn.services().directory.set_reported(&known.peer_id, session, &addresses) {
            self.turn.services().announce(known.peer_id, session, known.is_proven);
        }
        if let Some(script) = client.script() {
            let event = AppEvent::ReportedAddressesChange { client: client_id(session), addresses: addresses.clone() };
            if script.tell(event).is_err() {
                self.turn.counters().add(Counter::ApplicationBusy);
            }
        }
        super::plugins::tell_addresses(client, session, known.far_address, Some(&addresses));
        self.advise_keepalive(client, &addresses);
    }
}

impl Clients {
    /// Passes on the addresses that clients reported too soon after an earlier report, and whose time has come.
    pub(super) fn pass_on_address_changes(&mut self, turn: &mut Turn<'_>) {
        while let Some((_, session)) = self.agenda.address_changes.take_due(turn.now) {
            self.with_client(turn, session, |client_turn, client| {
                if let Some(info) = client.changes.due() {
                    client_turn.pass_on_peer_info(client, &info);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
