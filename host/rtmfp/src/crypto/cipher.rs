//! Sealing and opening packets (RFC 7425 §4.7, RFC 7016 §2.2.2).
//!
//! A session keeps its AES keys raw, 16 bytes each: expanding one takes a fraction of what the rest of a packet takes, and
//! the expanded keys would be ten times as large. Keyed HMAC states are kept, because keying hashes two blocks.

mod block;
mod handover;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU8;

use subtle::ConstantTimeEq;

pub use self::block::DEFAULT_KEY;
use super::cipher::block::{BLOCK, DecryptKey, EncryptKey, checksum};
use super::keyed_hmac::KeyedHmac;
use super::replay::ReplayWindow;
use super::session_keys::SessionKeys;
use crate::wire::{take, vlu};

/// The length of the scrambled session id in bytes.
const SESSION_ID: usize = 4;
/// The length of the checksum in bytes.
const CHECKSUM: usize = 2;
/// What a plain packet is padded with (RFC 7425 §4.7.2); the packet parser skips it.
const PADDING: u8 = 0xff;
/// The most bytes of a session sequence number: no session lives for 2^35 packets.
pub(crate) const MAX_SEQUENCE_LEN: usize = 5;

/// The keyed HMAC of a session's packets, and how many bytes of the result are sent.
#[derive(Clone)]
struct TruncatedHmac {
    keyed: KeyedHmac,
    length: NonZeroU8,
}

impl TruncatedHmac {
    /// None for length 0: the checksum takes its place.
    fn new(key: &[u8; 32], length: u8) -> Option<Self> {
        NonZeroU8::new(length).map(|length| Self { keyed: KeyedHmac::new(key), length })
    }

    fn length(&self) -> usize {
        usize::from(self.length.get())
    }

    /// The HMAC of `data` in full.
    fn of(&self, data: &[u8]) -> [u8; 32] {
        self.keyed.of(&[data])
    }
}

/// Makes datagrams out of plain packets, in place: [`begin`](Self::begin), append the plain packet, [`finish`](Self::finish).
#[derive(Clone)]
pub struct Sealer {
    key: EncryptKey,
    hmac: Option<TruncatedHmac>,
    /// Packets have session sequence numbers.
    is_numbered: bool,
    /// The session sequence number of the next packet, where they are used.
    next_number: u64,
}

impl Sealer {
    /// For packets of the startup pseudo-session: the default key, a checksum, no sequence numbers (RFC 7425 §4.1).
    pub fn startup() -> Self {
        Self { key: EncryptKey::Startup, hmac: None, is_numbered: false, next_number: 0 }
    }

    /// For packets of a session.
    pub fn new(keys: &SessionKeys) -> Self {
        Self {
            key: EncryptKey::new(&keys.encrypt_key),
            hmac: TruncatedHmac::new(&keys.hmac_send_key, keys.verification.hmac_send_length),
            is_numbered: keys.verification.sequence_send,
            // §4.6.6: they start at zero.
            next_number: 0,
        }
    }

    /// Appends what comes before the plain packet: room for the session id and the checksum, the session sequence number.
    pub fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0; SESSION_ID]);
        if let Some(number) = self.next_sequence() {
            vlu::put(number, out);
        }
        if self.hmac.is_none() {
            out.extend_from_slice(&[0; CHECKSUM]);
        }
    }

    /// Turns everything in `out` from `start`, where [`begin`](Self::begin) began, into a datagram for the session that the
    /// receiver knows by `session_id`.
    pub fn finish(&mut self, session_id: u32, start: usize, out: &mut Vec<u8>) {
        let body = start + SESSION_ID;
        let plain_len = out.len().saturating_sub(body);
        out.resize(body + plain_len.next_multiple_of(BLOCK), PADDING);
        let Some(blocks) = out.get_mut(body..) else { return };
        if self.hmac.is_none() {
            let at = self.next_sequence().map_or(0, vlu::len);
            if let Some((field, checked)) = blocks.get_mut(at..).and_then(|rest| rest.split_first_chunk_mut()) {
                *field = checksum(checked).to_be_bytes();
            }
        }
        self.key.encrypt(blocks);
        if let Some(hmac) = &self.hmac {
            let mac = hmac.of(blocks);
            out.extend(mac.iter().take(hmac.length()));
        }
        if let Some(datagram) = out.get_mut(start..) {
            let scrambled = session_id ^ scrambling(datagram);
            if let Some(field) = datagram.first_chunk_mut() {
                *field = scrambled.to_be_bytes();
            }
        }
        self.next_number += u64::from(self.is_numbered);
    }

    /// The session sequence number of the next packet, where they are used.
    fn next_sequence(&self) -> Option<u64> {
        self.is_numbered.then_some(self.next_number)
    }

    /// How many bytes the next datagram has beside the plain packet and its padding.
    pub fn overhead(&self) -> usize {
        SESSION_ID + self.inner_overhead() + self.hmac.as_ref().map_or(0, TruncatedHmac::length)
    }

    /// The longest plain packet for which the next datagram takes no more than `datagram_len` bytes.
    pub fn max_plain(&self, datagram_len: usize) -> usize {
        let outer = SESSION_ID + self.hmac.as_ref().map_or(0, TruncatedHmac::length);
        let blocks = datagram_len.saturating_sub(outer) / BLOCK * BLOCK;
        blocks.saturating_sub(self.inner_overhead())
    }

    /// As [`max_plain`](Self::max_plain), for every datagram of the session to come: their sequence numbers become longer.
    pub(crate) fn max_plain_always(&self, datagram_len: usize) -> usize {
        let growth = self.next_sequence().map_or(0, |number| MAX_SEQUENCE_LEN.saturating_sub(vlu::len(number)));
        self.max_plain(datagram_len).saturating_sub(growth)
    }

    /// The length of the datagram that a plain packet of `plain` bytes becomes.
    pub(crate) fn datagram_len(&self, plain: usize) -> usize {
        let hmac = self.hmac.as_ref().map_or(0, TruncatedHmac::length);
        SESSION_ID + (self.inner_overhead() + plain).next_multiple_of(BLOCK) + hmac
    }

    /// The bytes before the plain packet that are encrypted with it.
    fn inner_overhead(&self) -> usize {
        self.next_sequence().map_or(0, vlu::len) + if self.hmac.is_none() { CHECKSUM } else { 0 }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hmac_length = self.hmac.as_ref().map(TruncatedHmac::length);
        f.debug_struct("Sealer")
            .field("hmac_length", &hmac_length)
            .field("next_sequence", &self.next_sequence())
            .finish_non_exhaustive()
    }
}

/// Why a datagram is dropped as though it was never received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is too short to hold a packet.
    #[error("too short")]
    TooShort,
    /// It was not sealed with this key, or it was changed on the way.
    #[error("not verified")]
    Unverified,
    /// Its session sequence number was seen, or is too old to tell (RFC 7425 §4.7.3.3).
    #[error("duplicate")]
    Duplicate,
}

/// A datagram opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The plain packet with its padding.
    pub plain: &'a [u8],
    /// The session sequence number, where they are used.
    pub sequence: Option<u64>,
}

/// Makes plain packets out of datagrams, in place.
#[derive(Clone)]
pub struct Opener {
    key: DecryptKey,
    hmac: Option<TruncatedHmac>,
    /// Packets have session sequence numbers.
    is_numbered: bool,
    /// Those that were seen, where they are used.
    window: ReplayWindow,
}

impl Opener {
    /// For packets of the startup pseudo-session: the default key, a checksum, no sequence numbers (RFC 7425 §4.1).
    pub fn startup() -> Self {
        Self { key: DecryptKey::Startup, hmac: None, is_numbered: false, window: ReplayWindow::default() }
    }

    /// For packets of a session.
    pub fn new(keys: &SessionKeys) -> Self {
        Self {
            key: DecryptKey::new(&keys.decrypt_key),
            hmac: TruncatedHmac::new(&keys.hmac_receive_key, keys.verification.hmac_receive_length),
            is_numbered: keys.verification.sequence_receive,
            window: ReplayWindow::default(),
        }
    }

    /// Verifies and decrypts a datagram, and remembers its sequence number. The result is the plain packet with its padding.
    ///
    /// Nothing about the session changes unless the packet is verified. The datagram's bytes are lost in any case.
    pub fn open<'a>(&mut self, datagram: &'a mut [u8]) -> Result<&'a [u8], Rejected> {
        let Opened { plain, sequence } = self.verify(datagram)?;
        if let Some(number) = sequence {
            self.window.insert(number);
        }
        Ok(plain)
    }

    /// As [`open`](Self::open), but the sequence number is not remembered: the same datagram could be opened again.
    pub fn verify<'a>(&self, datagram: &'a mut [u8]) -> Result<Opened<'a>, Rejected> {
        let hmac_length = self.hmac.as_ref().map_or(0, TruncatedHmac::length);
        if datagram.len() < SESSION_ID + BLOCK + hmac_length {
            return Err(Rejected::TooShort);
        }
        let (_, encrypted) = datagram.split_at_mut(SESSION_ID);
        let (blocks, tag) = encrypted.split_at_mut(encrypted.len() - hmac_length);
        // §4.7.2: blocks fill the packet up to the HMAC.
        if !blocks.len().is_multiple_of(BLOCK) {
            return Err(Rejected::Unverified);
        }
        if let Some(hmac) = &self.hmac {
            let mac = hmac.of(blocks);
            let expected = mac.get(..hmac_length).unwrap_or_default();
            if !bool::from(expected.ct_eq(tag)) {
                return Err(Rejected::Unverified);
            }
        }
        self.key.decrypt(blocks);
        let mut plain: &[u8] = blocks;
        let mut sequence = None;
        if self.is_numbered {
            sequence = Some(vlu::take(&mut plain).map_err(|_| Rejected::Unverified)?);
        }
        if self.hmac.is_none() {
            let field = take::u16(&mut plain).map_err(|_| Rejected::Unverified)?;
            if field != checksum(plain) {
                return Err(Rejected::Unverified);
            }
        }
        // Only now is the number more than a guess.
        if sequence.is_some_and(|number| self.window.is_duplicate(number)) {
            return Err(Rejected::Duplicate);
        }
        Ok(Opened { plain, sequence })
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hmac_length = self.hmac.as_ref().map(TruncatedHmac::length);
        f.debug_struct("Opener")
            .field("hmac_length", &hmac_length)
            .field("is_numbered", &self.is_numbered)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

/// The session id that a datagram is addressed to (RFC 7016 §2.2.2): none if it is too short to have one.
pub fn session_id(datagram: &[u8]) -> Option<u32> {
    let field = datagram.first_chunk()?;
    Some(u32::from_be_bytes(*field) ^ scrambling(datagram))
}

/// What a session id is scrambled with: the first two words of the encrypted packet, zeros where it is shorter.
fn scrambling(datagram: &[u8]) -> u32 {
    let encrypted = datagram.get(SESSION_ID..).unwrap_or_default();
    let words = match encrypted.first_chunk() {
        Some(words) => *words,
        None => {
            let mut words = [0; 8];
            words[..encrypted.len()].copy_from_slice(encrypted);
            words
        }
    };
    let words = u64::from_be_bytes(words);
    (words >> 32) as u32 ^ words as u32
}
