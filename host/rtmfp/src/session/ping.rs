//! Pings with a message: those of the application, and those that check an address (RFC 7016 §3.5.4).

use std::net::SocketAddr;

use super::context::Context;
use super::mobility;
use super::mobility::Mobility;
use super::open::Session;
use super::path_mtu;
use crate::event::Event;
use crate::transmit::{InterfaceId, Transmit};
use crate::wire::chunk::kind;
use crate::wire::packet::put_chunk;
use crate::wire::{PacketHeader, packet};

/// The first byte of a ping that the application sent: it tells the reply from those of an address check and of a probe.
const APPLICATION_PING: u8 = b'A';

impl Session {
    /// Sends a ping with the application's message; the reply becomes an [`Event::Pong`].
    pub(crate) fn ping(&mut self, message: &[u8]) -> bool {
        self.is_open()
            && self.put_control(|out| {
                put_chunk(kind::PING, out, |out| {
                    out.push(APPLICATION_PING);
                    out.extend_from_slice(message);
                })
            })
    }

    /// A ping came back.
    pub(super) fn ping_reply(
        &mut self,
        context: &mut Context<'_>,
        interface: InterfaceId,
        from: SocketAddr,
        message: &[u8],
    ) {
        let is_keepalive_out = self.pinged.is_some();
        self.confirmed();
        if message.is_empty() {
            // The reply to a keepalive, or to a probe of a far end that does not echo messages.
            if !is_keepalive_out {
                self.probe_answered(context, None);
            }
            return;
        }
        if message.first() == Some(&path_mtu::MARK) {
            self.probe_answered(context, Some(message));
            return;
        }
        if let Some(application) = message.strip_prefix(&[APPLICATION_PING]) {
            let message = application.to_vec();
            context.events.push_back(Event::Pong { session: context.id, message });
            return;
        }
        let Some(mobility) = &mut self.mobility else { return };
        if mobility.confirm(context.now, message, from) && from != self.transmit.to {
            let previous = std::mem::replace(&mut self.transmit, Transmit { interface, to: from });
            let event = Event::AddressChanged { session: context.id, from: previous.to, to: from };
            context.events.push_back(event);
            self.path.moved(context.config.max_datagram);
        }
    }

    /// RFC 7016 §3.5.4.2: checks with a ping whether the far end is at the address that a packet of `received` bytes came from.
    ///
    /// It is not proven that the far end is there, and its packets can claim to come from anywhere. So a packet that is not longer than
    /// a third of the ping earns none. The shortest packet that the far end has to send, a ping or an acknowledgement, is longer.
    pub(super) fn check_address(&mut self, context: &mut Context<'_>, transmit: Transmit, received: usize) {
        let now = context.now;
        let ping = packet::MAX_HEADER_LEN + packet::CHUNK_HEADER_LEN + mobility::MESSAGE_LEN;
        if self.sealer.datagram_len(ping) >= 3 * received {
            return;
        }
        let mobility = self.mobility.get_or_insert_with(|| {
            let mut secret = [0; 16];
            (context.random)(&mut secret);
            Box::new(Mobility::new(now, secret))
        });
        let Some(message) = mobility.check(now, transmit.to) else { return };
        let (sealer, rtt, role, far_id) = (&mut self.sealer, &mut self.rtt, self.role, self.far_id);
        context.outbox.push(transmit, |out| {
            let start = out.len();
            sealer.begin(out);
            let mut header = PacketHeader::new(role);
            rtt.on_send(now, &mut header);
            header.put(out);
            put_chunk(kind::PING, out, |out| out.extend_from_slice(&message));
            sealer.finish(far_id, start, out);
        });
    }
}
