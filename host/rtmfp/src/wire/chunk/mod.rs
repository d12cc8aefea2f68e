//! The chunks of RFC 7016 §2.3, one type each.

mod ack;
mod control;
mod data;
mod startup;

pub use ack::{Ack, AckForm, Ranges};
pub use control::{BufferProbe, FlowException, PacketFragment};
pub use data::{FragmentControl, NextUserData, UserData, UserDataOptions, metadata_option, return_association_option};
pub use startup::{CookieChange, ForwardedIHello, IHello, IIKeying, RHello, RIKeying, Redirect};

use super::Malformed;
use super::packet::RawChunk;

/// Chunk type codes (§2.3).
pub mod kind {
    #![allow(missing_docs, reason = "the names are those of RFC 7016 §2.3")]
    pub const PACKET_FRAGMENT: u8 = 0x7f;
    pub const IHELLO: u8 = 0x30;
    pub const FORWARDED_IHELLO: u8 = 0x0f;
    pub const RHELLO: u8 = 0x70;
    pub const REDIRECT: u8 = 0x71;
    pub const COOKIE_CHANGE: u8 = 0x79;
    pub const IIKEYING: u8 = 0x38;
    pub const RIKEYING: u8 = 0x78;
    pub const PING: u8 = 0x01;
    pub const PING_REPLY: u8 = 0x41;
    pub const USER_DATA: u8 = 0x10;
    pub const NEXT_USER_DATA: u8 = 0x11;
    pub const ACK_BITMAP: u8 = 0x50;
    pub const ACK_RANGES: u8 = 0x51;
    pub const BUFFER_PROBE: u8 = 0x18;
    pub const FLOW_EXCEPTION: u8 = 0x5e;
    pub const CLOSE: u8 = 0x0c;
    pub const CLOSE_ACK: u8 = 0x4c;
}

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

#[cfg(test)]
mod tests;
