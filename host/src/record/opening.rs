//! Finding the key of each recorded datagram and opening it.

use std::collections::HashMap;

use rtmfp::crypto::Opener;
use rtmfp::crypto::cipher;
use rtmfp::wire::chunk::kind;
use rtmfp::wire::packet::{RawChunk, RawChunks, chunks};
use rtmfp::wire::{Chunk, Mode, PacketHeader};

use super::recording::Captured;
use super::session::{Role, Session};

/// A datagram's plain packet, and what the datagram said beside it.
#[derive(Debug)]
pub(super) struct OpenedPacket {
    /// The id that the datagram is addressed to.
    pub(super) session_id: u32,
    /// The session whose key opens it, and who sent it; `None` for the default key.
    pub(super) key: Option<(usize, Role)>,
    /// Whether it was verified by an HMAC.
    pub(super) by_hmac: bool,
    /// The HMAC or the checksum.
    pub(super) tag: Vec<u8>,
    /// The session sequence number.
    pub(super) sequence: Option<u64>,
    /// The plain packet with its padding.
    pub(super) plain: Vec<u8>,
}

impl OpenedPacket {
    /// The header, and the chunks after it. The header was read before, when the packet was opened.
    pub(super) fn parse(&self) -> Option<(PacketHeader, RawChunks<'_>)> {
        let mut rest = self.plain.as_slice();
        let header = PacketHeader::take(&mut rest).ok()?;
        Some((header, chunks(rest)))
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = RawChunk<'_>> {
        self.parse().into_iter().flat_map(|(_, chunks)| chunks)
    }

    /// The keying component in it, who sent that, and the session id in it.
    pub(super) fn keying(&self) -> Option<(Role, &[u8], u32)> {
        self.chunks().find_map(|raw| match Chunk::parse(raw) {
            Ok(Chunk::IIKeying(keying)) => Some((Role::Initiator, keying.component, keying.session_id)),
            Ok(Chunk::RIKeying(keying)) => Some((Role::Responder, keying.component, keying.session_id)),
            _ => None,
        })
    }
}

/// Opens a startup packet with the default key.
pub(super) fn open_startup(datagram: &[u8]) -> Option<OpenedPacket> {
    let opened = open(&Opener::startup(), 0, None, datagram)?;
    let (header, mut chunks) = opened.parse()?;
    // One in 65536 packets of sessions has a checksum that fits by chance: what follows must look right, too.
    let first = chunks.next().map(|chunk| chunk.kind);
    let is_startup = first.is_some_and(|kind| {
        [kind::IHELLO, kind::RHELLO, kind::REDIRECT, kind::COOKIE_CHANGE, kind::IIKEYING, kind::RIKEYING]
            .contains(&kind)
    });
    (header.mode == Mode::Startup && is_startup).then_some(opened)
}

/// The keys of all sessions by the id on the packets that they open.
pub(super) struct Keyring<'a> {
    sessions: &'a [Session],
    by_id: HashMap<u32, Vec<Lock>>,
}

struct Lock {
    session: usize,
    sender: Role,
    opener: Opener,
}

impl<'a> Keyring<'a> {
    pub(super) fn new(sessions: &'a [Session]) -> Self {
        let mut by_id: HashMap<u32, Vec<Lock>> = HashMap::new();
        for (number, session) in sessions.iter().enumerate() {
            for sender in Role::BOTH {
                let Some(id) = session.record.end(sender.other()).place.session_id else { continue };
                let opener = Opener::new(&session.record.keys_from(sender));
                by_id.entry(id).or_default().push(Lock { session: number, sender, opener });
            }
        }
        Self { sessions, by_id }
    }

    /// Opens a datagram with the key that fits. Session ids are short and every end chooses its own, so several sessions may
    /// have the same: those with the datagram's addresses are tried first, but an end may have moved.
    pub(super) fn open(&self, captured: &Captured, datagram: &[u8]) -> Option<OpenedPacket> {
        if let Some(startup) = open_startup(datagram) {
            return Some(startup);
        }
        let locks = self.by_id.get(&cipher::session_id(datagram)?)?;
        let with_both = |lock: &&Lock| self.places_match(lock, captured) == 2;
        let with_one = |lock: &&Lock| self.places_match(lock, captured) == 1;
        let with_none = |lock: &&Lock| self.places_match(lock, captured) == 0;
        let mut in_order =
            locks.iter().filter(with_both).chain(locks.iter().filter(with_one)).chain(locks.iter().filter(with_none));
        in_order.find_map(|lock| {
            let hmac_length = self.sessions.get(lock.session)?.record.end(lock.sender).hmac_length;
            let opened = open(&lock.opener, usize::from(hmac_length), Some((lock.session, lock.sender)), datagram)?;
            (opened.parse()?.0.mode == lock.sender.mode()).then_some(opened)
        })
    }

    /// How many of the datagram's addresses are those of the session.
    fn places_match(&self, lock: &Lock, captured: &Captured) -> usize {
        self.sessions.get(lock.session).map_or(0, |session| {
            let from = session.record.end(lock.sender).place.address;
            let to = session.record.end(lock.sender.other()).place.address;
            usize::from(from == captured.from) + usize::from(to == captured.to)
        })
    }
}

fn open(opener: &Opener, hmac_length: usize, key: Option<(usize, Role)>, datagram: &[u8]) -> Option<OpenedPacket> {
    let session_id = cipher::session_id(datagram)?;
    let mut bytes = datagram.to_vec();
    let opened = opener.verify(&mut bytes).ok()?;
    let (plain, sequence) = (opened.plain.to_vec(), opened.sequence);
    let blocks_end = bytes.len().checked_sub(hmac_length)?;
    let tag = if hmac_length > 0 {
        bytes.get(blocks_end..)?
    } else {
        // The checksum stands before the plain packet (RFC 7425 §4.7.3.1).
        let at = blocks_end.checked_sub(plain.len())?.checked_sub(2)?;
        bytes.get(at..at + 2)?
    };
    Some(OpenedPacket { session_id, key, by_hmac: hmac_length > 0, tag: tag.to_vec(), sequence, plain })
}
