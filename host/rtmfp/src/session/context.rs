//! What a session is given while it works, and what it leaves for the endpoint.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use smallvec::SmallVec;

use super::control::SpareBuffers;
use crate::config::Config;
use crate::counters::Counters;
use crate::event::Event;
use crate::outbox::Outbox;
use crate::session_id::SessionId;
use crate::startup::fragments::FragmentedPackets;
use crate::transmit::InterfaceId;
use crate::wire::chunk::ForwardedIHello;

/// What a session borrows from the endpoint while it works.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) id: SessionId,
    pub(crate) config: &'a Config,
    pub(crate) events: &'a mut VecDeque<Event>,
    /// Packets to elsewhere than the session's address.
    pub(crate) outbox: &'a mut Outbox,
    /// Hellos that the far end forwards, for the endpoint to answer.
    pub(crate) forwarded: &'a mut Vec<Forwarded>,
    /// Packets in pieces that far ends of sessions have sent.
    pub(crate) fragments: &'a mut FragmentedPackets,
    /// For control chunks.
    pub(crate) spare_buffers: &'a mut SpareBuffers,
    pub(crate) counters: &'a mut Counters,
    pub(crate) random: &'a mut dyn FnMut(&mut [u8]),
}

/// What a session borrows from the endpoint while it makes a packet.
pub(crate) struct Sending<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a Config,
    /// Packets besides the one that is asked for.
    pub(crate) outbox: &'a mut Outbox,
    /// Where the buffers of control chunks go.
    pub(crate) spare_buffers: &'a mut SpareBuffers,
    pub(crate) counters: &'a mut Counters,
    pub(crate) random: &'a mut dyn FnMut(&mut [u8]),
    /// Other sessions receive time critical data.
    pub(crate) time_critical_reverse: bool,
}

/// A hello that the far end forwards (RFC 7016 §2.3.3).
pub(crate) struct Forwarded {
    pub(crate) interface: InterfaceId,
    pub(crate) epd: SmallVec<[u8; 64]>,
    pub(crate) reply_to: SocketAddr,
    pub(crate) tag: SmallVec<[u8; 16]>,
}

impl Forwarded {
    pub(super) fn new(interface: InterfaceId, hello: &ForwardedIHello<'_>) -> Self {
        Self {
            interface,
            epd: SmallVec::from_slice(hello.epd),
            reply_to: hello.reply_address.address,
            tag: SmallVec::from_slice(hello.tag),
        }
    }
}
