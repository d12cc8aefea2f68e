//! The timers of a session: what is due, and when.

use std::time::Instant;

use super::context::Context;
use super::open::Session;
use super::state::State;
use crate::config::Config;
use crate::event::CloseReason;

impl Session {
    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        match self.state {
            State::Open => {
                let timing = self.timing(now);
                if self.flows.on_timeout(&timing) {
                    self.rtt.back_off();
                }
                self.path_timeout(context);
                self.drain_flow_events(context);
                if self.unacknowledged_until(context.config).is_some_and(|until| until <= now) {
                    self.close_because(context, CloseReason::Unacknowledged);
                    return;
                }
                self.check_life(context);
            }
            State::NearClose(_) | State::FarCloseLinger { .. } => self.closing_timeout(now),
            State::Closed => (),
        }
    }

    /// When a far end that sends packets has had its time to acknowledge what was sent on a flow. A far end that is silent altogether
    /// is given up for its silence.
    pub(super) fn unacknowledged_until(&self, config: &Config) -> Option<Instant> {
        let limit = config.unacknowledged_limit?;
        let until = self.flows.unacknowledged_since()?.checked_add(limit)?;
        (self.heard() + limit / 2 > until).then_some(until)
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub(crate) fn deadline(&self, config: &Config) -> Option<Instant> {
        match &self.state {
            State::Open => {
                let at = self.ping_at(config).min(self.dead_at(config));
                let others = [self.flows.next_timeout(), self.unacknowledged_until(config), self.path.deadline()];
                Some(others.into_iter().flatten().fold(at, Instant::min))
            }
            State::NearClose(closing) => Some(closing.next_request.min(closing.until)),
            State::FarCloseLinger { until } => Some(until.instant()),
            State::Closed => None,
        }
    }
}
