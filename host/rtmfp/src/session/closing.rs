//! The end of a session (RFC 7016 §3.5.5).

use std::sync::Arc;
use std::time::Instant;

use super::context::Context;
use super::open::Session;
use super::state::State;
use crate::event::{CloseReason, Event};
use crate::flow::Flows;
use crate::wire::PacketHeader;
use crate::wire::chunk::kind;
use crate::wire::packet::put_chunk;

impl Session {
    /// Starts an orderly close (RFC 7016 §3.5.5).
    pub(crate) fn close(&mut self, context: &mut Context<'_>) {
        self.close_because(context, CloseReason::Near);
    }

    /// As [`Self::close`], for another reason than that the application asked for it. What the flows held is freed at once.
    pub(crate) fn close_because(&mut self, context: &mut Context<'_>, reason: CloseReason) {
        if self.is_open() {
            self.leave_open(context, State::near_close(context.now), reason);
            self.put_control(|out| put_chunk(kind::CLOSE, out, |_| ()));
        }
    }

    /// Ends the session at once; `tell` says whether the far end is told.
    pub(crate) fn abort(&mut self, context: &mut Context<'_>, reason: CloseReason, tell: bool) {
        if self.is_closed() {
            return;
        }
        if tell {
            let (sealer, role, far_id) = (&mut self.sealer, self.role, self.far_id);
            context.outbox.push(self.transmit, |out| {
                let start = out.len();
                sealer.begin(out);
                PacketHeader::new(role).put(out);
                put_chunk(kind::CLOSE_ACK, out, |_| ());
                sealer.finish(far_id, start, out);
            });
        }
        self.leave_open(context, State::Closed, reason);
    }

    /// RFC 7016 §3.5.5: flows exist only in open sessions.
    pub(super) fn leave_open(&mut self, context: &mut Context<'_>, next: State, reason: CloseReason) {
        if self.is_open() {
            self.drain_flow_events(context);
            self.flows = Flows::new(Arc::clone(&context.config.flow));
            context.events.push_back(Event::Closed { session: context.id, reason });
        }
        self.state = next;
    }

    /// The far end asks for the close, perhaps not for the first time.
    pub(super) fn close_requested(&mut self, context: &mut Context<'_>) {
        self.put_control(|out| put_chunk(kind::CLOSE_ACK, out, |_| ()));
        if self.is_open() {
            self.leave_open(context, State::far_close_linger(context.now), CloseReason::Far);
        }
    }

    /// The far end has closed, asked or not.
    pub(super) fn close_acknowledged(&mut self, context: &mut Context<'_>) {
        if self.is_open() {
            self.leave_open(context, State::Closed, CloseReason::FarAbrupt);
        }
        self.state = State::Closed;
    }

    /// Asks again, or stops waiting.
    pub(super) fn closing_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::NearClose(closing) => {
                if now >= closing.until {
                    self.state = State::Closed;
                } else if now >= closing.next_request {
                    closing.repeat(now);
                    self.put_control(|out| put_chunk(kind::CLOSE, out, |_| ()));
                }
            }
            State::FarCloseLinger { until } => {
                if now >= until.instant() {
                    self.state = State::Closed;
                }
            }
            State::Open | State::Closed => (),
        }
    }
}
