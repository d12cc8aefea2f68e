//! One client's part of a worker's turn.

use rtmfp::SessionId;

use super::agenda::Agenda;
use crate::serve::turn::Turn;

/// What the work for one client needs: the worker's turn, the client's session, and the deadlines of the worker's clients.
pub(super) struct ClientTurn<'a, 't> {
    pub(super) turn: &'a mut Turn<'t>,
    pub(super) session: SessionId,
    pub(super) agenda: &'a mut Agenda,
}
