//! Answers what the administration asks.

use rtmfp::{Moment, SessionId};

use super::table::Clients;
use crate::serve::inquiry::{ClientLine, ClientReport, Inquiry, WorkerReport};
use crate::serve::turn::Turn;

impl Clients {
    pub(in crate::serve) fn answer_inquiry(&self, turn: &Turn<'_>, inquiry: Inquiry) {
        // An error means that the asker does not wait any more.
        match inquiry {
            Inquiry::Worker(reply) => drop(reply.send(self.report_worker(turn))),
            Inquiry::Client(session, reply) => drop(reply.send(self.report_client(turn, session))),
            Inquiry::Clients(sessions, reply) => {
                drop(reply.send(sessions.iter().map(|session| self.client_line(turn, *session)).collect()));
            }
        }
    }

    fn report_worker(&self, turn: &Turn<'_>) -> WorkerReport {
        WorkerReport {
            endpoint: *turn.endpoint.counters(),
            too_long: turn.ports.too_long(),
            sessions: turn.endpoint.session_count(),
            clients: self.count(),
            pending: turn.pending.len(),
            buffered: turn.endpoint.bytes_buffered(),
        }
    }

    fn client_line(&self, turn: &Turn<'_>, session: SessionId) -> Option<ClientLine> {
        let client = self.clients.get(&session)?;
        let connected_for = turn.now.saturating_duration_since(client.accepted?.instant());
        Some(ClientLine { connected_for, is_proven: client.is_proven })
    }

    fn report_client(&self, turn: &Turn<'_>, session: SessionId) -> Option<ClientReport> {
        let (peer, seat) = self.place(session)?;
        let (client, info) = (self.clients.get(&session)?, turn.endpoint.session(session)?);
        Some(ClientReport {
            session,
            peer: *peer,
            is_proven: info.is_proven,
            instance: seat.instance().clone(),
            address: info.far_address,
            connected_for: turn.now.saturating_duration_since(client.accepted.map_or(turn.now, Moment::instant)),
            silent_for: turn.now.saturating_duration_since(info.heard),
            stats: client.counts.stats(info.smoothed_rtt),
            memberships: client
                .groups
                .iter()
                .flat_map(|groups| &groups.memberships)
                .map(|of| (of.group, of.key))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests;
