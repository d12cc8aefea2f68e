//! Probes of the path: sent, answered, and what follows (RFC 7016 §3.5.4.3).

use std::time::{Duration, Instant};

use super::context::{Context, Sending};
use super::open::Session;
use super::path_mtu::{Probe, Verdict};
use crate::transmit::Transmit;
use crate::wire::PacketHeader;
use crate::wire::chunk::kind;
use crate::wire::packet::put_chunk;

/// RFC 7016 §2.2.4.
const PADDING: u8 = 0xff;

impl Session {
    fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened())
    }

    /// There is more user data than a packet holds: looks for a larger size, if that is not known to be in vain.
    pub(super) fn want_longer_packets(&mut self, sending: &mut Sending<'_>) {
        let (elapsed, max) = (self.elapsed(sending.now), sending.config.max_datagram);
        if self.path.may_search(elapsed, max) {
            let mut nonce = [0; 4];
            (sending.random)(&mut nonce);
            self.path.search(sending.now, max, nonce);
        }
    }

    /// Appends a probe, a packet of its own, if one is due.
    ///
    /// RFC 7016 §3.5.4.3 suggests a Padding chunk before the ping, so that a packet that is cut short on the way gets no reply. Here the
    /// padding follows, as in every packet: there are implementations that read no further than the first padding, and a packet that is
    /// cut short is not verified, so that it gets no reply either.
    pub(super) fn put_path_probe(&mut self, sending: &mut Sending<'_>, out: &mut Vec<u8>) -> Option<Transmit> {
        let now = sending.now;
        let Probe { message, size } = self.path.take_probe(now, self.rtt.timeout())?;
        sending.counters.path_probes += 1;
        let start = out.len();
        self.sealer.begin(out);
        let limit = out.len() + self.sealer.max_plain(size);
        let mut header = PacketHeader::new(self.role);
        self.rtt.on_send(now, &mut header);
        header.put(out);
        put_chunk(kind::PING, out, |out| out.extend_from_slice(&message));
        out.resize(out.len().max(limit), PADDING);
        self.sealer.finish(self.far_id, start, out);
        Some(self.transmit)
    }

    /// A reply to a probe has come; `None`: one that does not say to which.
    pub(super) fn probe_answered(&mut self, context: &mut Context<'_>, message: Option<&[u8]>) {
        let (now, elapsed, max) = (context.now, self.elapsed(context.now), context.config.max_datagram);
        match message {
            Some(message) => self.path.on_reply(now, elapsed, message, max),
            None => self.path.on_empty_reply(now, elapsed, max),
        }
    }

    /// Probes again, or goes on without a reply.
    pub(super) fn path_timeout(&mut self, context: &mut Context<'_>) {
        let elapsed = self.elapsed(context.now);
        let verdict = self.path.on_timeout(context.now, elapsed, self.heard(), context.config.max_datagram);
        conclude(context, verdict);
        self.observe_path(context);
    }

    /// Draws conclusions from the long chunks that arrived or were lost.
    pub(super) fn observe_path(&mut self, context: &mut Context<'_>) {
        let chunks = self.flows.take_long_chunks();
        if chunks == Default::default() {
            return;
        }
        let (now, elapsed, max) = (context.now, self.elapsed(context.now), context.config.max_datagram);
        let nonce = || {
            let mut nonce = [0; 4];
            (context.random)(&mut nonce);
            nonce
        };
        let verdict = self.path.observe(now, elapsed, chunks, max, nonce);
        conclude(context, verdict);
    }
}

fn conclude(context: &mut Context<'_>, verdict: Verdict) {
    context.counters.path_narrowed += u64::from(verdict == Verdict::Narrower);
}
