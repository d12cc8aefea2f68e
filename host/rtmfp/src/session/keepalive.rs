//! Pings that find out whether the far end is still there (RFC 7016 §3.5.4.1).

use std::time::{Duration, Instant};

use super::context::Context;
use super::open::Session;
use crate::config::Config;
use crate::event::CloseReason;
use crate::wire::Mode;
use crate::wire::chunk::kind;
use crate::wire::packet::put_chunk;

/// Keepalive pings are at least this far apart.
const MIN_PING_INTERVAL: Duration = Duration::from_secs(2);
/// After this long an initiator sends a ping even if it has nothing to send: otherwise its responder would not learn that the session
/// is open at both ends, and give it up ([`Config::first_packet_limit`]).
const FIRST_PING: Duration = Duration::from_secs(1);
/// How long a session has to show that it lives once another endpoint sends from its address.
const SUSPECT_LIMIT: Duration = Duration::from_secs(10);

/// After the driver stood still, a far end has at least this long to answer a ping: one may be lost.
const STANDSTILL_GRACE: Duration = Duration::from_secs(10);

impl Session {
    /// A packet has come and is verified.
    pub(super) fn heard_from(&mut self, now: Instant) {
        self.heard = now.into();
        self.suspect_until = None;
        self.rikeying = None;
        // A responder's packet proves nothing by itself: it may have crossed with the initiator's first, or that may be lost. An echoed
        // timestamp is an answer.
        if self.is_confirmed || self.role == Mode::Responder || self.rtt.smoothed().is_some() {
            self.confirmed();
        }
    }

    /// The session is open at the far end, too.
    pub(super) fn confirmed(&mut self) {
        self.is_confirmed = true;
        self.pinged = None;
    }

    /// Another endpoint sends from the session's address: asks the far end for a sign of life.
    pub(crate) fn suspect(&mut self, now: Instant) {
        if self.is_open() && self.suspect_until.is_none() {
            self.suspect_until = Some((now + SUSPECT_LIMIT).into());
            self.send_keepalive(now);
        }
    }

    pub(super) fn send_keepalive(&mut self, now: Instant) {
        self.pinged = Some(now.into());
        self.put_control(|out| put_chunk(kind::PING, out, |_| ()));
    }

    /// Gives the far end up, or asks it for a sign of life, if it is time to.
    pub(super) fn check_life(&mut self, context: &mut Context<'_>) {
        let (now, config) = (context.now, context.config);
        if now >= self.dead_at(config) {
            self.abort(context, CloseReason::Silence, true);
        } else if now >= self.ping_at(config) {
            // RFC 7016 §3.5.4.1: no reply to the last one within ERTO.
            if self.pinged.is_some() {
                self.rtt.back_off();
            }
            self.send_keepalive(now);
        }
    }

    /// The driver stood still for the time `stood`: for that reason nothing was received from the far end, and pings got no answer. The
    /// far end is given up only if it is silent from now on as well.
    pub(crate) fn stood_still(&mut self, now: Instant, stood: Duration, config: &Config) {
        if !self.is_open() {
            return;
        }
        let mut heard = (self.heard() + stood).min(now);
        let (limit, least) = (self.silence_limit(config), now + STANDSTILL_GRACE);
        if heard + limit < least {
            heard = (heard + (least - (heard + limit))).min(now);
        }
        self.heard = heard.into();
        self.suspect_until = self.suspect_until.map(|until| (until.instant() + stood).max(least).into());
        self.pinged = None;
    }

    /// How long the far end may be silent.
    pub(super) fn silence_limit(&self, config: &Config) -> Duration {
        let is_owed_proof = self.role == Mode::Responder && !self.is_confirmed;
        let silence = config.silence_limit;
        if is_owed_proof { silence.min(config.first_packet_limit) } else { silence }
    }

    /// When the far end is given up, unless a packet comes before.
    pub(super) fn dead_at(&self, config: &Config) -> Instant {
        let limit = self.heard() + self.silence_limit(config);
        self.suspect_until.map_or(limit, |until| until.instant().min(limit))
    }

    /// When the next keepalive ping is due.
    pub(super) fn ping_at(&self, config: &Config) -> Instant {
        let is_first = self.role == Mode::Initiator && !self.is_confirmed;
        let idle = if is_first { self.opened() + FIRST_PING } else { self.heard() + config.keepalive };
        match self.pinged {
            // RFC 7016 §3.5.4.1: not more often than once per ERTO.
            Some(pinged) => pinged.instant() + self.rtt.timeout().max(MIN_PING_INTERVAL),
            // The ping that was sent when the doubt arose does not count after a standstill: its reply may have been lost.
            None if self.suspect_until.is_some() => self.heard(),
            None => idle,
        }
    }
}
