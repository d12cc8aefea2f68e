//! What the relay reads of a startup packet: its kind and its tag.

use rtmfp::crypto::{Opener, cipher};
use rtmfp::wire::chunk::{IHello, PacketFragment, kind};
use rtmfp::wire::packet::{self, RawChunk};
use rtmfp::wire::{Mode, PacketHeader, vlu};

use crate::attempt::{Side, Tag};

/// The shortest tag that is not guessed within the life of a pair: RFC 7016 §2.3.2 wants 8 bytes at least.
pub(crate) const MIN_TAG: usize = 8;
/// The longest tag that is kept.
pub(crate) const MAX_TAG: usize = 64;
/// Longer datagrams are no startup packets of any known client.
const MAX_STARTUP: usize = 1500;

/// Reads startup packets. The datagram stays as it is.
pub(crate) struct Reader {
    opener: Opener,
    scratch: Vec<u8>,
}

/// Whether a datagram belongs to a session, as its session id says.
pub(crate) fn is_of_session(datagram: &[u8]) -> bool {
    cipher::session_id(datagram).is_some_and(|id| id != 0)
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { opener: Opener::startup(), scratch: Vec::with_capacity(MAX_STARTUP) }
    }

    /// The side that sends such a packet, and the tag; `None` if it is none with a tag.
    pub(crate) fn read(&mut self, datagram: &[u8]) -> Option<(Side, Tag)> {
        if datagram.len() > MAX_STARTUP || cipher::session_id(datagram) != Some(0) {
            return None;
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(datagram);
        let mut plain = self.opener.open(&mut self.scratch).ok()?;
        let header = PacketHeader::take(&mut plain).ok()?;
        // One packet of an honest peer has one of these chunks.
        let raw = packet::chunks(plain).next().filter(|_| header.mode == Mode::Startup)?;
        let (side, tag) = match raw.kind {
            kind::PACKET_FRAGMENT => beginning(raw)?,
            _ => tag_of(raw.kind, raw.payload)?,
        };
        (MIN_TAG..=MAX_TAG).contains(&tag.len()).then(|| (side, Tag::from_slice(tag)))
    }
}

/// The tag of a chunk; the payload may be cut off behind a tag that stands at its front.
fn tag_of(chunk: u8, mut payload: &[u8]) -> Option<(Side, &[u8])> {
    match chunk {
        kind::IHELLO => Some((Side::Asker, IHello::parse(payload).ok()?.tag)),
        kind::RHELLO | kind::REDIRECT => Some((Side::Target, vlu::take_prefixed(&mut payload).ok()?)),
        _ => None,
    }
}

/// An RHello with a long certificate comes in fragments (RFC 7016 §3.4). The first one has the tag.
fn beginning(raw: RawChunk<'_>) -> Option<(Side, &[u8])> {
    let fragment = PacketFragment::parse(raw.payload).ok().filter(|fragment| fragment.fragment_num == 0)?;
    let mut plain = fragment.fragment;
    PacketHeader::take(&mut plain).ok().filter(|header| header.mode == Mode::Startup)?;
    let ([chunk, _, _], payload) = plain.split_first_chunk()?;
    // The tag of an IHello stands at its end.
    tag_of(*chunk, payload).filter(|(side, _)| *side == Side::Target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fragments, ihello, redirect, rhello, session_datagram, startup};

    const TAG: [u8; 16] = [7; 16];

    #[test]
    fn each_kind_of_startup_packet_says_whose_it_is() {
        let mut reader = Reader::new();
        let mut read = |datagram: &[u8]| reader.read(datagram).map(|(side, tag)| (side, tag.to_vec()));
        assert_eq!(read(&ihello(&TAG)), Some((Side::Asker, TAG.to_vec())));
        assert_eq!(read(&rhello(&TAG)), Some((Side::Target, TAG.to_vec())));
        assert_eq!(read(&redirect(&TAG)), Some((Side::Target, TAG.to_vec())));
        let [first, second] = fragments(&TAG);
        assert_eq!([read(&first), read(&second)], [Some((Side::Target, TAG.to_vec())), None]);
    }

    #[test]
    fn what_is_no_startup_packet_with_a_tag_is_not_read() {
        let mut reader = Reader::new();
        let mut flipped = ihello(&TAG);
        *flipped.last_mut().unwrap() ^= 1;
        let keying = startup(|out| packet::put_chunk(kind::IIKEYING, out, |out| out.extend([0; 40])));
        for datagram in [
            flipped,
            ihello(&TAG[..7]),
            rhello(&[7; 65]),
            keying,
            session_datagram(5, 100),
            Vec::new(),
            vec![0; 4],
            vec![0; 20],
            vec![0; 2000],
        ] {
            assert_eq!(reader.read(&datagram), None, "{} bytes", datagram.len());
        }
    }

    #[test]
    fn a_datagram_is_read_without_being_changed() {
        let hello = ihello(&TAG);
        let copy = hello.clone();
        assert!(Reader::new().read(&hello).is_some());
        assert_eq!(hello, copy);
        assert!(!is_of_session(&hello) && is_of_session(&session_datagram(9, 64)) && !is_of_session(&[1, 2]));
    }
}
