//! Reads what the next hellos need of their targets' sessions, before they are handled one after the other.
//!
//! With some thousand sessions and more, the processor's caches do not hold a session any more when it is looked at again, and each of
//! its cache lines is waited for. Handled one after the other, hellos wait for their own lines; read in one go, those of many sessions
//! are waited for together.

use std::hint::black_box;

use super::occupant::Occupant;
use super::state::Endpoint;
use crate::crypto::PeerId;
use crate::event::Event;
use crate::session_id::SessionId;

impl Endpoint {
    /// The targets of the lookups among the events that wait for [`poll_event`](Self::poll_event), in their order.
    pub fn waiting_targets(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.events.iter().filter_map(|event| match event {
            Event::Lookup(lookup) => lookup.target,
            _ => None,
        })
    }

    /// Brings into the processor's caches what [`forward`](Self::forward) and [`poll_transmit`](Self::poll_transmit) need of a session.
    /// Changes nothing.
    pub fn read_ahead(&self, session: SessionId) {
        if let Some(Occupant::Session(session)) = self.slots.get(session) {
            black_box(session.read_ahead());
        }
    }
}
