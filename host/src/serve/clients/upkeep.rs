//! Acts on the deadlines of a worker's clients, and closes all clients at the worker's end.

use std::time::{Duration, Instant};

use introd_flash::command::Level;
use rtmfp::SessionId;

use super::client::Client;
use super::ending::Ending;
use super::table::Clients;
use crate::serve::turn::Turn;

impl Clients {
    /// Tells the clients that the server stops. AIR notices a close only when its control flow is rejected too.
    pub(in crate::serve) fn say_goodbye(&mut self, turn: &mut Turn<'_>) {
        let all: Vec<SessionId> = self.clients.keys().collect();
        for session in all {
            self.with_client(turn, session, |client_turn, client| {
                client.ends(Ending::by_server("the server stops"));
                client.connection.close(&mut client_turn.agenda.actions);
            });
        }
        let others: Vec<SessionId> = turn.endpoint.session_ids().filter(|id| !self.clients.contains_key(id)).collect();
        others.into_iter().for_each(|id| turn.endpoint.close(turn.now, id));
    }

    /// Closes the sessions that are due to be closed and the idle clients, and acts on all other deadlines.
    pub(in crate::serve) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        while let Some((_, session)) = self.agenda.closing.take_due(turn.now) {
            turn.endpoint.close(turn.now, session);
        }
        self.pass_on_address_changes(turn);
        self.check_doubts(turn);
        self.check_silence(turn);
        self.republish(turn);
        if turn.now >= self.idle_check {
            self.idle_check = turn.now + turn.services().applications.config().server.idle_check_interval;
            self.close_idle(turn);
            turn.services().applications.end_idle(turn.now);
        }
    }

    /// Postpones the closing of clients by the time for which the worker stood still, since it could receive nothing meanwhile.
    pub(in crate::serve) fn stood_still(&mut self, stood: Duration) {
        self.clients.values_mut().for_each(|client| client.active = (client.active.instant() + stood).into());
        self.agenda.closing.postpone(stood);
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub(in crate::serve) fn next_timeout(&self) -> Option<Instant> {
        let agenda = &self.agenda;
        let times = [
            agenda.closing.next(),
            agenda.address_changes.next(),
            agenda.silence.next(),
            self.doubts.next_timeout(),
            agenda.republishing.next,
            Some(self.idle_check),
        ];
        times.into_iter().flatten().min()
    }

    /// AutoCloseIdleClients: clients that have sent no message for too long are told so and closed.
    fn close_idle(&mut self, turn: &mut Turn<'_>) {
        let is_idle = |client: &Client| {
            let Some((_, seat)) = &client.place else { return false };
            let limit = seat.instance().settings().idle_clients;
            limit.enable
                && !client.is_closing()
                && turn.now.saturating_duration_since(client.active.instant()) >= limit.max_idle_time
        };
        let idle: Vec<SessionId> =
            self.clients.iter().filter(|(_, client)| is_idle(client)).map(|(id, _)| id).collect();
        for session in idle {
            tracing::info!(%session, "client has been idle for too long: closed");
            let code = "NetConnection.Connect.IdleTimeout";
            self.close_with(turn, session, Level::Status, code, "Idle for too long.", "idle for too long");
        }
    }
}

#[cfg(test)]
mod tests;
