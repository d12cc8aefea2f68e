//! Any of the chunks.

use super::ack::{Ack, AckForm};
use super::control::{BufferProbe, FlowException, PacketFragment};
use super::data::{NextUserData, UserData};
use super::kind;
use super::startup::{CookieChange, ForwardedIHello, IHello, IIKeying, RHello, RIKeying, Redirect};
use crate::wire::malformed::Malformed;
use crate::wire::packet::RawChunk;

/// A chunk, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// §2.3.1
    PacketFragment(PacketFragment<'a>),
    /// §2.3.2
    IHello(IHello<'a>),
    /// §2.3.3
    ForwardedIHello(ForwardedIHello<'a>),
    /// §2.3.4
    RHello(RHello<'a>),
    /// §2.3.5
    Redirect(Redirect<'a>),
    /// §2.3.6
    CookieChange(CookieChange<'a>),
    /// §2.3.7
    IIKeying(IIKeying<'a>),
    /// §2.3.8
    RIKeying(RIKeying<'a>),
    /// §2.3.9: a message to be returned unaltered.
    Ping(&'a [u8]),
    /// §2.3.10: the message of a ping.
    PingReply(&'a [u8]),
    /// §2.3.11
    UserData(UserData<'a>),
    /// §2.3.12
    NextUserData(NextUserData<'a>),
    /// §2.3.13 and §2.3.14
    Ack(Ack<'a>),
    /// §2.3.15
    BufferProbe(BufferProbe),
    /// §2.3.16
    FlowException(FlowException),
    /// §2.3.17
    Close,
    /// §2.3.18
    CloseAck,
    /// A type this version does not know, or padding: to be ignored (§2.3).
    Unknown(RawChunk<'a>),
}

impl<'a> Chunk<'a> {
    /// Understands a chunk. An error means that this chunk, and only it, is to be ignored (§2.3).
    pub fn parse(raw: RawChunk<'a>) -> Result<Self, Malformed> {
        let payload = raw.payload;
        Ok(match raw.kind {
            kind::PACKET_FRAGMENT => Chunk::PacketFragment(PacketFragment::parse(payload)?),
            kind::IHELLO => Chunk::IHello(IHello::parse(payload)?),
            kind::FORWARDED_IHELLO => Chunk::ForwardedIHello(ForwardedIHello::parse(payload)?),
            kind::RHELLO => Chunk::RHello(RHello::parse(payload)?),
            kind::REDIRECT => Chunk::Redirect(Redirect::parse(payload)?),
            kind::COOKIE_CHANGE => Chunk::CookieChange(CookieChange::parse(payload)?),
            kind::IIKEYING => Chunk::IIKeying(IIKeying::parse(payload)?),
            kind::RIKEYING => Chunk::RIKeying(RIKeying::parse(payload)?),
            kind::PING => Chunk::Ping(payload),
            kind::PING_REPLY => Chunk::PingReply(payload),
            kind::USER_DATA => Chunk::UserData(UserData::parse(payload)?),
            kind::NEXT_USER_DATA => Chunk::NextUserData(NextUserData::parse(payload)?),
            kind::ACK_BITMAP => Chunk::Ack(Ack::parse(AckForm::Bitmap, payload)?),
            kind::ACK_RANGES => Chunk::Ack(Ack::parse(AckForm::Ranges, payload)?),
            kind::BUFFER_PROBE => Chunk::BufferProbe(BufferProbe::parse(payload)?),
            kind::FLOW_EXCEPTION => Chunk::FlowException(FlowException::parse(payload)?),
            kind::CLOSE => Chunk::Close,
            kind::CLOSE_ACK => Chunk::CloseAck,
            _ => Chunk::Unknown(raw),
        })
    }
}
