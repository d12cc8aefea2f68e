//! The chunks that open sessions and introduce endpoints (RFC 7016 §2.3.2 to §2.3.8).

use super::kind;
use crate::wire::address::TaggedAddress;
use crate::wire::malformed::Malformed;
use crate::wire::packet::put_chunk;
use crate::wire::{take, vlu};

/// The length of `len` bytes with their length before them.
fn prefixed_len(len: usize) -> usize {
    vlu::len(len as u64) + len
}

/// Initiator Hello (§2.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IHello<'a> {
    /// The endpoint discriminator: which endpoint is wanted.
    pub epd: &'a [u8],
    /// To be returned, so that the initiator knows the answer from whatever address it comes.
    pub tag: &'a [u8],
}

impl<'a> IHello<'a> {
    /// Reads a payload.
    pub fn parse(mut payload: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self { epd: vlu::take_prefixed(&mut payload)?, tag: payload })
    }

    /// The length of the payload with a discriminator and a tag of these lengths.
    pub(crate) fn payload_len(epd: usize, tag: usize) -> usize {
        prefixed_len(epd) + tag
    }

    /// Appends the chunk.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        put_chunk(kind::IHELLO, out, |out| {
            vlu::put_prefixed(self.epd, out);
            out.extend_from_slice(self.tag);
        })
    }
}

/// Forwarded Initiator Hello (§2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardedIHello<'a> {
    /// The endpoint discriminator of the initiator's hello.
    pub epd: &'a [u8],
    /// Where the hello came from, and where to answer.
    pub reply_address: TaggedAddress,
    /// The tag of the initiator's hello.
    pub tag: &'a [u8],
}

impl<'a> ForwardedIHello<'a> {
    /// Reads a payload.
    pub fn parse(mut payload: &'a [u8]) -> Result<Self, Malformed> {
        let epd = vlu::take_prefixed(&mut payload)?;
        let reply_address = TaggedAddress::take(&mut payload)?;
        Ok(Self { epd, reply_address, tag: payload })
    }

    /// The length of the payload.
    pub(crate) fn payload_len(&self) -> usize {
        prefixed_len(self.epd.len()) + self.reply_address.encoded_len() + self.tag.len()
    }

    /// Appends the chunk.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        put_chunk(kind::FORWARDED_IHELLO, out, |out| {
            vlu::put_prefixed(self.epd, out);
            self.reply_address.put(out);
            out.extend_from_slice(self.tag);
        })
    }
}

/// Responder Hello (§2.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RHello<'a> {
    /// The tag of the hello that this answers.
    pub tag_echo: &'a [u8],
    /// To be returned in the initiator's keying.
    pub cookie: &'a [u8],
    /// The responder's certificate.
    pub certificate: &'a [u8],
}

impl<'a> RHello<'a> {
    /// Reads a payload.
    pub fn parse(mut payload: &'a [u8]) -> Result<Self, Malformed> {
        let tag_echo = vlu::take_prefixed(&mut payload)?;
        let cookie = vlu::take_prefixed(&mut payload)?;
        Ok(Self { tag_echo, cookie, certificate: payload })
    }

    /// The length of the payload with a tag, a cookie and a certificate of these lengths.
    pub(crate) fn payload_len(tag: usize, cookie: usize, certificate: usize) -> usize {
        prefixed_len(tag) + prefixed_len(cookie) + certificate
    }

    /// Appends the chunk.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        put_chunk(kind::RHELLO, out, |out| {
            vlu::put_prefixed(self.tag_echo, out);
            vlu::put_prefixed(self.cookie, out);
            out.extend_from_slice(self.certificate);
        })
    }
}

/// Responder Redirect (§2.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect<'a> {
    /// The tag of the hello that this answers.
    pub tag_echo: &'a [u8],
    /// The addresses, encoded; none means the address that the redirect itself came from (Implied Redirect).
    destinations: &'a [u8],
}

impl<'a> Redirect<'a> {
    /// Reads a payload; all its addresses must be whole.
    pub fn parse(mut payload: &'a [u8]) -> Result<Self, Malformed> {
        let tag_echo = vlu::take_prefixed(&mut payload)?;
        let mut rest = payload;
        while !rest.is_empty() {
            TaggedAddress::take(&mut rest)?;
        }
        Ok(Self { tag_echo, destinations: payload })
    }

    /// The length of the payload with a tag of this length, without its addresses.
    pub(crate) fn payload_len(tag: usize) -> usize {
        prefixed_len(tag)
    }

    /// The addresses, in the order sent.
    pub fn destinations(&self) -> impl Iterator<Item = TaggedAddress> + use<'a> {
        let mut rest = self.destinations;
        std::iter::from_fn(move || TaggedAddress::take(&mut rest).ok())
    }

    /// Appends a chunk that redirects to `destinations`.
    pub fn put(tag_echo: &[u8], destinations: &[TaggedAddress], out: &mut Vec<u8>) -> bool {
        put_chunk(kind::REDIRECT, out, |out| {
            vlu::put_prefixed(tag_echo, out);
            destinations.iter().for_each(|destination| destination.put(out));
        })
    }
}

/// RHello Cookie Change (§2.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieChange<'a> {
    /// The cookie that the responder does not take from this address.
    pub old_cookie: &'a [u8],
    /// The cookie to key with instead.
    pub new_cookie: &'a [u8],
}

impl<'a> CookieChange<'a> {
    /// Reads a payload.
    pub fn parse(mut payload: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self { old_cookie: vlu::take_prefixed(&mut payload)?, new_cookie: payload })
    }

    /// The length of the payload with cookies of these lengths.
    pub(crate) fn payload_len(old: usize, new: usize) -> usize {
        prefixed_len(old) + new
    }

    /// Appends the chunk.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        put_chunk(kind::COOKIE_CHANGE, out, |out| {
            vlu::put_prefixed(self.old_cookie, out);
            out.extend_from_slice(self.new_cookie);
        })
    }
}

/// Initiator Initial Keying (§2.3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IIKeying<'a> {
    /// The id by which the responder is to send to the initiator.
    pub session_id: u32,
    /// The cookie from the responder's hello.
    pub cookie_echo: &'a [u8],
    /// The initiator's certificate.
    pub certificate: &'a [u8],
    /// The Session Key Initiator Component.
    pub component: &'a [u8],
    /// The signature over [`Self::signed_parameters`].
    pub signature: &'a [u8],
    /// The payload up to the signature, as it was read; empty in a value made to be written.
    pub signed_parameters: &'a [u8],
}

impl<'a> IIKeying<'a> {
    /// Reads a payload.
    pub fn parse(mut payload: &'a [u8]) -> Result<Self, Malformed> {
        let whole = payload;
        let session_id = take::u32(&mut payload)?;
        let cookie_echo = vlu::take_prefixed(&mut payload)?;
        let certificate = vlu::take_prefixed(&mut payload)?;
        let component = vlu::take_prefixed(&mut payload)?;
        let signed_parameters = &whole[..whole.len() - payload.len()];
        Ok(Self { session_id, cookie_echo, certificate, component, signature: payload, signed_parameters })
    }

    /// Appends the signed parameters: the payload up to the signature.
    pub fn put_signed_parameters(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session_id.to_be_bytes());
        vlu::put_prefixed(self.cookie_echo, out);
        vlu::put_prefixed(self.certificate, out);
        vlu::put_prefixed(self.component, out);
    }

    /// Appends the chunk.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        put_chunk(kind::IIKEYING, out, |out| {
            self.put_signed_parameters(out);
            out.extend_from_slice(self.signature);
        })
    }
}

/// Responder Initial Keying (§2.3.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RIKeying<'a> {
    /// The id by which the initiator is to send to the responder.
    pub session_id: u32,
    /// The Session Key Responder Component.
    pub component: &'a [u8],
    /// The signature over [`Self::signed_portion`] followed by the Session Key Initiator Component.
    pub signature: &'a [u8],
    /// The payload up to the signature, as it was read; empty in a value made to be written.
    pub signed_portion: &'a [u8],
}

impl<'a> RIKeying<'a> {
    /// Reads a payload.
    pub fn parse(mut payload: &'a [u8]) -> Result<Self, Malformed> {
        let whole = payload;
        let session_id = take::u32(&mut payload)?;
        let component = vlu::take_prefixed(&mut payload)?;
        let signed_portion = &whole[..whole.len() - payload.len()];
        Ok(Self { session_id, component, signature: payload, signed_portion })
    }

    /// Appends the payload up to the signature.
    pub fn put_signed_portion(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session_id.to_be_bytes());
        vlu::put_prefixed(self.component, out);
    }

    /// Appends the chunk.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        put_chunk(kind::RIKEYING, out, |out| {
            self.put_signed_portion(out);
            out.extend_from_slice(self.signature);
        })
    }
}
