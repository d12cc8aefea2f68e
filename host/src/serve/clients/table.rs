//! The table of the clients of one worker.

use std::sync::Arc;
use std::time::Instant;

use introd_flash::command::{Level, info};
use introd_policy::InstanceName;
use rtmfp::{PeerId, SessionId};

use super::agenda::Agenda;
use super::client::Client;
use super::client_table::ClientTable;
use super::client_turn::ClientTurn;
use super::doubts::Doubts;
use super::ending::Ending;
use crate::apps::{AppInstance, Seat};
use crate::meetings::NatKind;
use crate::serve::turn::{Turn, WorkerInfo};

/// The clients of one worker.
pub(in crate::serve) struct Clients {
    pub(super) clients: ClientTable,
    pub(super) agenda: Agenda,
    /// Sessions whose ids other sessions show too.
    pub(super) doubts: Doubts,
    /// When to look for idle clients next.
    pub(super) idle_check: Instant,
}

impl Clients {
    pub(in crate::serve) fn new(info: &WorkerInfo, now: Instant) -> Self {
        let idle_check = now + info.services.applications.config().server.idle_check_interval;
        Self { clients: ClientTable::default(), agenda: Agenda::default(), doubts: Doubts::default(), idle_check }
    }

    /// How many sessions have opened a flow: clients, and those that ask to be.
    pub(in crate::serve) fn count(&self) -> usize {
        self.clients.len()
    }

    /// The application instance that a client is connected to. A session that waits to be accepted, or was rejected, is no client of it.
    pub(in crate::serve) fn instance(&self, session: SessionId) -> Option<&Arc<AppInstance>> {
        let (_, seat) = self.place(session)?;
        Some(seat.instance())
    }

    /// The peer id of a client.
    pub(in crate::serve) fn peer(&self, session: SessionId) -> Option<PeerId> {
        let (peer, _) = self.place(session)?;
        Some(*peer)
    }

    /// What an introduction tells of a client: its peer id, its instance, and its NAT.
    pub(in crate::serve) fn end(&self, session: SessionId) -> Option<(PeerId, Arc<InstanceName>, NatKind)> {
        let client = self.clients.get(&session)?;
        let (peer, seat) = client.place.as_ref().filter(|_| client.connection.is_connected())?;
        Some((*peer, seat.instance().shared_name(), client.nat))
    }

    pub(super) fn place(&self, session: SessionId) -> Option<&(PeerId, Seat)> {
        let client = self.clients.get(&session)?;
        client.place.as_ref().filter(|_| client.connection.is_connected())
    }

    /// Whether a client may look up another peer now, by the rate that its application allows.
    pub(in crate::serve) fn permit_lookup(&mut self, now: Instant, session: SessionId) -> bool {
        let Some(client) = self.clients.get_mut(&session) else { return true };
        let limit = client.place.as_ref().and_then(|(_, seat)| seat.instance().max_lookup_rate());
        limit.is_none_or(|limit| client.seldom().lookups.permits(now, limit))
    }

    /// Runs `work` for a client, if it is there, and executes the actions that its connection asks for then.
    pub(super) fn with_client(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        work: impl FnOnce(&mut ClientTurn<'_, '_>, &mut Client),
    ) {
        let Some(client) = self.clients.get_mut(&session) else { return };
        let mut client_turn = ClientTurn { turn, session, agenda: &mut self.agenda };
        work(&mut client_turn, client);
        client_turn.perform_actions(client);
    }

    /// Executes the actions of a client's connection.
    pub(super) fn perform_actions(&mut self, turn: &mut Turn<'_>, session: SessionId) {
        match self.clients.get_mut(&session) {
            Some(client) => ClientTurn { turn, session, agenda: &mut self.agenda }.perform_actions(client),
            None => self.agenda.actions.clear(),
        }
    }

    /// Sends a client a status, and closes its connection for a reason of the server's own.
    pub(super) fn close_with(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        level: Level,
        code: &str,
        description: &str,
        reason: &'static str,
    ) {
        self.with_client(turn, session, |client_turn, client| {
            client.ends(Ending::by_server(reason));
            let actions = &mut client_turn.agenda.actions;
            let _ = client.connection.call("onStatus", vec![info(level, code, description)], false, actions);
            client.connection.close(actions);
        });
    }
}
