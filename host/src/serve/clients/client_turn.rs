//! One client's part of a worker's turn.

use rtmfp::SessionId;

use super::agenda::Agenda;
use crate::serve::turn::Turn;

/// What is done for a client works with this: the worker's turn, the client's session, and what the worker's clients are due for.
pub(super) struct ClientTurn<'a, 't> {
    pub(super) turn: &'a mut Turn<'t>,
    pub(super) session: SessionId,
    pub(super) agenda: &'a mut Agenda,
}
