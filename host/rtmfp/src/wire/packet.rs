//! The plain packet: its header and its sequence of chunks (RFC 7016 §2.2.4).

use super::malformed::Malformed;
use super::take;

/// What kind of packet this is, and which end of a session sent it (§2.2.4). Mode 0 is forbidden and has no name here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mode {
    /// Sent in a session by the end that initiated it.
    Initiator = 1,
    /// Sent in a session by the end that responded.
    Responder = 2,
    /// Part of a session's startup.
    Startup = 3,
}

impl Mode {
    /// The mark of the other end of the same session; startup packets have the same mark both ways.
    pub fn opposite(self) -> Self {
        match self {
            Mode::Initiator => Mode::Responder,
            Mode::Responder => Mode::Initiator,
            Mode::Startup => Mode::Startup,
        }
    }
}

/// What stands before the chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketHeader {
    /// This packet carries real-time user data (time critical forward notification).
    pub time_critical: bool,
    /// The sender is receiving time critical packets in other sessions (reverse notification).
    pub time_critical_reverse: bool,
    /// The sender's clock in ticks of 4 ms, its low 16 bits.
    pub timestamp: Option<u16>,
    /// The sender's estimate of what the timestamp of the receiver is now (§3.5.2.2).
    pub timestamp_echo: Option<u16>,
    /// The kind of packet.
    pub mode: Mode,
}

/// Milliseconds per tick of a packet's timestamp.
pub const TICK_MS: u64 = 4;
/// A chunk's type and length.
pub const CHUNK_HEADER_LEN: usize = 3;
/// The longest header: flags, timestamp, echo.
pub const MAX_HEADER_LEN: usize = 5;

const TIME_CRITICAL: u8 = 0x80;
const TIME_CRITICAL_REVERSE: u8 = 0x40;
const TIMESTAMP: u8 = 0x08;
const TIMESTAMP_ECHO: u8 = 0x04;

impl PacketHeader {
    /// A header with nothing in it but the mode.
    pub fn new(mode: Mode) -> Self {
        Self { time_critical: false, time_critical_reverse: false, timestamp: None, timestamp_echo: None, mode }
    }

    /// Takes a header from the front of `input`.
    pub fn take(input: &mut &[u8]) -> Result<Self, Malformed> {
        let flags = take::u8(input)?;
        let mode = match flags & 3 {
            1 => Mode::Initiator,
            2 => Mode::Responder,
            3 => Mode::Startup,
            _ => return Err(Malformed("packet: mode 0")),
        };
        let timestamp = if flags & TIMESTAMP != 0 { Some(take::u16(input)?) } else { None };
        let timestamp_echo = if flags & TIMESTAMP_ECHO != 0 { Some(take::u16(input)?) } else { None };
        Ok(Self {
            time_critical: flags & TIME_CRITICAL != 0,
            time_critical_reverse: flags & TIME_CRITICAL_REVERSE != 0,
            timestamp,
            timestamp_echo,
            mode,
        })
    }

    /// Appends the header.
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut flags = self.mode as u8;
        let mut set = |on: bool, flag: u8| flags |= if on { flag } else { 0 };
        set(self.time_critical, TIME_CRITICAL);
        set(self.time_critical_reverse, TIME_CRITICAL_REVERSE);
        set(self.timestamp.is_some(), TIMESTAMP);
        set(self.timestamp_echo.is_some(), TIMESTAMP_ECHO);
        out.push(flags);
        for stamp in [self.timestamp, self.timestamp_echo].into_iter().flatten() {
            out.extend_from_slice(&stamp.to_be_bytes());
        }
    }
}

/// One chunk as it stands in a packet, its payload not yet understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawChunk<'a> {
    /// The chunk type code.
    pub kind: u8,
    /// The payload.
    pub payload: &'a [u8],
}

/// Iterates over the chunks of a packet; what remains when no whole chunk fits any more is padding (§2.2.4).
#[derive(Clone, Debug)]
pub struct RawChunks<'a>(&'a [u8]);

/// The chunks in what follows a packet's header.
pub fn chunks(after_header: &[u8]) -> RawChunks<'_> {
    RawChunks(after_header)
}

impl RawChunks<'_> {
    /// What has not been read yet: the padding, once the iteration is over.
    pub fn remainder(&self) -> &[u8] {
        self.0
    }
}

impl<'a> Iterator for RawChunks<'a> {
    type Item = RawChunk<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&[kind, high, low], rest) = self.0.split_first_chunk()?;
        let (payload, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        self.0 = rest;
        Some(RawChunk { kind, payload })
    }
}

/// Appends a chunk whose payload `write` appends; its length is filled in afterwards.
///
/// A payload over 65535 bytes has no encoding: such a chunk is taken back and `false` returned.
pub fn put_chunk(kind: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
    let start = out.len();
    out.extend_from_slice(&[kind, 0, 0]);
    write(out);
    match u16::try_from(out.len() - start - CHUNK_HEADER_LEN) {
        Ok(length) => {
            out[start + 1..start + 3].copy_from_slice(&length.to_be_bytes());
            true
        }
        Err(_) => {
            out.truncate(start);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_both_ways() {
        for flags in 0..=255u8 {
            let bytes = [flags, 1, 2, 3, 4];
            let mut input = &bytes[..];
            let header = PacketHeader::take(&mut input);
            if flags & 3 == 0 {
                assert!(header.is_err());
                continue;
            }
            let header = header.unwrap();
            // RFC 7016 §2.2.4: the bits, and the order of the fields after them.
            assert_eq!(header.mode as u8, flags & 3);
            assert_eq!((header.time_critical, header.time_critical_reverse), (flags & 0x80 != 0, flags & 0x40 != 0));
            let stamps = [header.timestamp, header.timestamp_echo];
            assert_eq!(stamps.map(|stamp| stamp.is_some()), [flags & 0x08 != 0, flags & 0x04 != 0]);
            let sent: Vec<u16> = stamps.into_iter().flatten().collect();
            assert_eq!(sent, [0x0102, 0x0304][..sent.len()]);
            let mut out = Vec::new();
            header.put(&mut out);
            assert_eq!(out[0], flags & !0x30, "reserved bits are not sent");
            assert_eq!(out[1..], bytes[1..out.len()]);
            assert_eq!(out.len() + input.len(), bytes.len());
        }
    }

    #[test]
    fn what_no_chunk_fits_into_is_padding() {
        let mut out = Vec::new();
        assert!(put_chunk(0x01, &mut out, |out| out.extend_from_slice(b"hi")));
        assert!(put_chunk(0x4c, &mut out, |_| ()));
        out.extend_from_slice(&[0xff; 5]);
        let mut read = chunks(&out);
        assert_eq!(read.next(), Some(RawChunk { kind: 1, payload: b"hi" }));
        assert_eq!(read.next(), Some(RawChunk { kind: 0x4c, payload: b"" }));
        assert_eq!(read.next(), None);
        assert_eq!(read.remainder(), [0xff; 5]);
    }

    #[test]
    fn a_payload_too_long_is_taken_back() {
        let mut out = vec![9];
        assert!(!put_chunk(0x01, &mut out, |out| out.resize(out.len() + 65536, 0)));
        assert_eq!(out, [9]);
    }

    #[test]
    fn the_ends_of_a_session_are_each_others_opposite() {
        let modes = [Mode::Initiator, Mode::Responder, Mode::Startup];
        assert_eq!(modes.map(Mode::opposite), [Mode::Responder, Mode::Initiator, Mode::Startup]);
    }
}
