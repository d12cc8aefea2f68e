//! Packets of session startup: sealed with the Default Session Key (RFC 7016 §2.2.3, RFC 7425 §4.1).

use std::time::Instant;

use super::backoff::Backoff;
use crate::crypto::Sealer;
use crate::datagram_size::MIN_DATAGRAM;
use crate::outbox::Outbox;
use crate::transmit::Transmit;
use crate::wire::chunk::PacketFragment;
use crate::wire::packet::TICK_MS;
use crate::wire::{Mode, PacketHeader, packet};

/// RFC 7016 §3.4: at startup an end sends no more packets than this at once to another.
const MAX_FRAGMENTS: usize = 4;
/// Nor more bytes than this.
const MAX_BYTES: usize = 4380;
/// What sealing adds to a packet at most, besides padding: session id and checksum.
const SEAL_OVERHEAD: usize = 6;
/// Packets are padded to a multiple of this.
const CIPHER_BLOCK: usize = 16;
/// What a fragment takes besides its bytes: packet header, chunk header, flags, packet id and fragment number.
const FRAGMENT_OVERHEAD: usize = 3 + 3 + 1 + 2 + 1;
/// The flags, and a timestamp.
const HEADER_LEN: usize = 3;
/// Packet ids are below this: two bytes on the wire.
const PACKET_IDS: u64 = 1 << 14;

/// The path that a packet is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// It carries datagrams of the largest size.
    Wide,
    /// It carries [`MIN_DATAGRAM`].
    Narrow,
}

impl Width {
    /// The path that an attempt is meant for: the first one for a wide path, then by turns for a narrow and a wide one, because there are
    /// implementations that do not know fragments.
    pub(super) fn of_attempt(attempt: &Backoff) -> Self {
        if attempt.sent() > 0 && attempt.sent().is_multiple_of(2) { Self::Narrow } else { Self::Wide }
    }
}

/// Seals startup packets.
pub(crate) struct StartupSealer {
    sealer: Sealer,
    max_datagram: usize,
    /// The packet that is to be sent, while it is not known whether it needs fragments.
    plain: Vec<u8>,
    next_packet: u64,
    /// The origin of the clock whose ticks are sent.
    epoch: Instant,
    header: PacketHeader,
}

impl StartupSealer {
    /// `max_datagram` bytes is the longest UDP payload that is sent unfragmented.
    pub(crate) fn new(now: Instant, max_datagram: usize) -> Self {
        let header = PacketHeader { timestamp: Some(0), ..PacketHeader::new(Mode::Startup) };
        Self { sealer: Sealer::startup(), max_datagram, plain: Vec::new(), next_packet: 0, epoch: now, header }
    }

    /// Sets the time of the packets that are sealed from now on.
    ///
    /// No round trip is measured before a session is open. The timestamps are there because librtmfp accepts no startup packet without
    /// one: the flags have to be exactly those of a startup packet with a timestamp.
    pub(crate) fn set_time(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.epoch).as_millis() as u64;
        self.header.timestamp = Some((elapsed / TICK_MS) as u16);
    }

    /// Seals a packet with the one chunk that `write` writes, for the session id that the receiver knows, 0 for none. One that is
    /// too long is sent in fragments (RFC 7016 §3.4).
    ///
    /// False when the chunk has no encoding, is longer than a few fragments take, or the outbox has no room.
    pub(crate) fn push(
        &mut self,
        outbox: &mut Outbox,
        transmit: Transmit,
        session_id: u32,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> bool {
        self.push_for(Width::Wide, outbox, transmit, session_id, write)
    }

    /// As [`Self::push`], for a path that may be narrow.
    pub(crate) fn push_for(
        &mut self,
        width: Width,
        outbox: &mut Outbox,
        transmit: Transmit,
        session_id: u32,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> bool {
        self.plain.clear();
        self.header.put(&mut self.plain);
        if !write(&mut self.plain) {
            return false;
        }
        let max_plain = self.max_plain(width);
        if self.plain.len() <= max_plain {
            return outbox.push(transmit, |out| {
                let start = out.len();
                self.sealer.begin(out);
                out.extend_from_slice(&self.plain);
                self.sealer.finish(session_id, start, out);
            });
        }
        self.push_fragments(outbox, transmit, session_id, max_plain.saturating_sub(FRAGMENT_OVERHEAD))
    }

    /// The longest plain packet that goes unfragmented.
    fn max_plain(&self, width: Width) -> usize {
        self.sealer.max_plain(match width {
            Width::Wide => self.max_datagram,
            Width::Narrow => self.max_datagram.min(MIN_DATAGRAM),
        })
    }

    /// Would a narrow path carry a chunk with a payload of this length only in fragments?
    pub(crate) fn is_long(&self, payload: usize) -> bool {
        HEADER_LEN + packet::CHUNK_HEADER_LEN + payload > self.max_plain(Width::Narrow)
    }

    /// The bytes of the datagrams that [`Self::push`] sends for a chunk with a payload of this length.
    pub(crate) fn datagrams(&self, payload: usize) -> usize {
        self.datagrams_for(Width::Wide, payload)
    }

    /// The same of [`Self::push_for`].
    pub(crate) fn datagrams_for(&self, width: Width, payload: usize) -> usize {
        let sealed = |plain: usize| self.sealer.datagram_len(plain);
        let plain = HEADER_LEN + packet::CHUNK_HEADER_LEN + payload;
        let max_plain = self.max_plain(width);
        if plain <= max_plain {
            return sealed(plain);
        }
        let room = max_plain.saturating_sub(FRAGMENT_OVERHEAD).max(1);
        let (full, rest) = (plain / room, plain % room);
        full * sealed(FRAGMENT_OVERHEAD + room) + if rest == 0 { 0 } else { sealed(FRAGMENT_OVERHEAD + rest) }
    }

    fn push_fragments(&mut self, outbox: &mut Outbox, transmit: Transmit, session_id: u32, room: usize) -> bool {
        let count = self.plain.len().checked_div(room).map_or(usize::MAX, |_| self.plain.len().div_ceil(room));
        let max_overhead = FRAGMENT_OVERHEAD + SEAL_OVERHEAD + CIPHER_BLOCK;
        if count > MAX_FRAGMENTS || self.plain.len() + count * max_overhead > MAX_BYTES {
            return false;
        }
        let packet_id = self.next_packet;
        self.next_packet = (packet_id + 1) % PACKET_IDS;
        let (sealer, header) = (&mut self.sealer, self.header);
        self.plain.chunks(room).enumerate().all(|(number, bytes)| {
            let fragment = PacketFragment {
                more_fragments: number + 1 < count,
                packet_id,
                fragment_num: number as u64,
                fragment: bytes,
            };
            outbox.push(transmit, |out| {
                let start = out.len();
                sealer.begin(out);
                header.put(out);
                fragment.put(out);
                sealer.finish(session_id, start, out);
            })
        })
    }

    /// Appends the datagram to `out`; nothing when the chunk has no encoding.
    pub(crate) fn seal(
        &mut self,
        session_id: u32,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        self.sealer.begin(out);
        self.header.put(out);
        if !write(out) {
            out.truncate(start);
            return false;
        }
        self.sealer.finish(session_id, start, out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::test_clock;
    use crate::wire::chunk::RHello;

    /// RFC 7016 §3.4: four packets and 4380 bytes at most.
    #[test]
    fn what_is_too_long_for_a_startup_packet_is_not_sent() {
        let transmit = Transmit { interface: Default::default(), to: ([192, 0, 2, 1], 1935).into() };
        let mut longest = 0;
        for length in (1000..6000).step_by(50) {
            let (certificate, mut outbox) = (vec![0; length], Outbox::default());
            let hello = RHello { tag_echo: &[1; 16], cookie: &[2; 64], certificate: &certificate };
            let is_sent = StartupSealer::new(test_clock(), 1192).push(&mut outbox, transmit, 0, |out| hello.put(out));
            let mut sizes = Vec::new();
            loop {
                let mut datagram = Vec::new();
                if outbox.pop(&mut datagram).is_none() {
                    break;
                }
                sizes.push(datagram.len());
            }
            assert_eq!(is_sent, !sizes.is_empty());
            let told = StartupSealer::new(test_clock(), 1192).datagrams(RHello::payload_len(16, 64, length));
            // Fragment numbers may be a byte shorter than is reckoned with.
            assert!(!is_sent || (0..=64).contains(&(told as isize - sizes.iter().sum::<usize>() as isize)), "{length}");
            assert!(sizes.len() <= 4 && sizes.iter().sum::<usize>() <= 4380 && sizes.iter().all(|size| *size <= 1192));
            longest = if is_sent { length } else { longest };
        }
        assert!((4000..4300).contains(&longest), "{longest}");
    }

    /// Number, place, and whether more follow.
    type Fragment = Option<(u64, u64, bool)>;

    /// What is sent for an answer with a certificate of this length: to which session id, and of which packet.
    fn sent(sealer: &mut StartupSealer, session_id: u32, length: usize) -> Vec<(u32, Fragment)> {
        let transmit = Transmit { interface: Default::default(), to: ([192, 0, 2, 1], 1935).into() };
        let (certificate, mut outbox) = (vec![0; length], Outbox::default());
        let hello = RHello { tag_echo: &[1; 16], cookie: &[2; 64], certificate: &certificate };
        assert!(sealer.push(&mut outbox, transmit, session_id, |out| hello.put(out)));
        let mut datagrams = Vec::new();
        loop {
            let mut datagram = Vec::new();
            if outbox.pop(&mut datagram).is_none() {
                return datagrams;
            }
            let to = crate::crypto::cipher::session_id(&datagram).unwrap();
            let mut plain = crate::crypto::Opener::startup().open(&mut datagram).unwrap();
            PacketHeader::take(&mut plain).unwrap();
            let raw = packet::chunks(plain).next().unwrap();
            let fragment = PacketFragment::parse(raw.payload)
                .ok()
                .filter(|_| raw.kind == crate::wire::chunk::kind::PACKET_FRAGMENT);
            datagrams.push((to, fragment.map(|part| (part.packet_id, part.fragment_num, part.more_fragments))));
        }
    }

    #[test]
    fn each_packet_in_fragments_has_a_number_of_its_own_and_its_receivers_session_id() {
        let mut sealer = StartupSealer::new(test_clock(), 1192);
        assert_eq!(sent(&mut sealer, 7, 77), [(7, None)]);
        for packet in 0..3 {
            let parts = [(0, true), (1, true), (2, false)].map(|(number, more)| (7, Some((packet, number, more))));
            assert_eq!(sent(&mut sealer, 7, 3000), parts);
        }
        sealer.next_packet = PACKET_IDS - 1;
        assert_eq!([(); 2].map(|()| sent(&mut sealer, 7, 3000)[0].1.unwrap().0), [PACKET_IDS - 1, 0]);
    }

    /// librtmfp compares the flags of what it gets at startup with this very byte, and looks for the chunk behind a timestamp.
    #[test]
    fn every_startup_packet_has_the_flags_that_librtmfp_takes() {
        let start = test_clock();
        let transmit = Transmit { interface: Default::default(), to: ([192, 0, 2, 1], 1935).into() };
        let mut seal = StartupSealer::new(start, 1192);
        seal.set_time(start + std::time::Duration::from_millis(4 * 0x1234));
        let (mut outbox, mut datagrams) = (Outbox::default(), vec![Vec::new()]);
        let certificate = [0; 2000];
        for certificate in [&certificate[..77], &certificate[..]] {
            let hello = RHello { tag_echo: &[1; 16], cookie: &[2; 64], certificate };
            assert!(seal.push(&mut outbox, transmit, 0, |out| hello.put(out)));
            assert!(certificate.len() > 77 || seal.seal(7, |out| hello.put(out), &mut datagrams[0]));
        }
        loop {
            let mut datagram = Vec::new();
            if outbox.pop(&mut datagram).is_none() {
                break;
            }
            datagrams.push(datagram);
        }
        assert!(datagrams.len() >= 4, "two fragments at least");
        for mut datagram in datagrams {
            let plain = crate::crypto::Opener::startup().open(&mut datagram).unwrap();
            assert_eq!(plain[..3], [0x0b, 0x12, 0x34]);
        }
    }

    #[test]
    fn a_packet_is_sent_in_4_fragments_at_most_however_short_they_are() {
        let transmit = Transmit { interface: Default::default(), to: ([192, 0, 2, 1], 1935).into() };
        for (length, is_sent) in [(1900, true), (2100, false)] {
            let (certificate, mut outbox) = (vec![0; length], Outbox::default());
            let hello = RHello { tag_echo: &[1; 16], cookie: &[2; 64], certificate: &certificate };
            let sealed = StartupSealer::new(test_clock(), 548).push(&mut outbox, transmit, 0, |out| hello.put(out));
            assert_eq!(sealed, is_sent, "{length} bytes");
        }
    }
}
