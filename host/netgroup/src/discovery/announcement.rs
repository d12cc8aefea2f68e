//! Announcements: with one, a member says on the local network with which peer ID and at which port it is there (WIRE.md §5.2).
//!
//! Their key is made of the groupspec, so that only a member can make one. The source's IP address is not in it but counts for the proof:
//! nobody can send an announcement again from another address and so lead members there.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use rtmfp::PeerId;
use sha2::Sha256;

use crate::groupspec::Groupspec;
use crate::member::proof::Prover;

/// The length of an announcement, in bytes.
pub const ANNOUNCEMENT_LEN: usize = PROVEN_LEN + 32;

/// The first bytes of every announcement. The last one is the version.
const MAGIC: [u8; 4] = *b"iMA\x01";
/// How many bytes stand before the proof: the first bytes, the tag, the time, the peer ID, the port.
const PROVEN_LEN: usize = 4 + TAG_LEN + 8 + 32 + 2;
const TAG_LEN: usize = 8;
/// What the key is made for. It must not be as long as a nonce, of which proofs between members are made.
const KEY_LABEL: &[u8] = b"introd announcement key";
const TAG_LABEL: &[u8] = b"tag";

/// What a member announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// When it was sent: milliseconds since 1970 (UTC), by the sender's clock.
    pub sent: u64,
    /// The sender.
    pub peer: PeerId,
    /// The UDP port at which it is reached, at the source's IP address. Not 0.
    pub port: u16,
}

/// Why a datagram is no announcement of a group's member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnnounced {
    /// It is of another group, or something else.
    Foreign,
    /// It claims to be of the group, but whoever made it does not know the groupspec, or it comes from another address than that of its
    /// sender.
    Forged,
}

/// Makes and reads the announcements of one group. It is as secret as the groupspec, since it holds a key made of it.
#[derive(Clone)]
pub struct AnnouncementKey {
    mac: Hmac<Sha256>,
    tag: [u8; TAG_LEN],
}

impl AnnouncementKey {
    /// The key of a group.
    pub fn new(group: &Groupspec) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&Prover::new(group).derive(KEY_LABEL));
        let mac = Hmac::<Sha256>::new((&block).into());
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&mac.clone().chain_update(TAG_LABEL).finalize().into_bytes()[..TAG_LEN]);
        Self { mac, tag }
    }

    /// An announcement to be sent from this IP address.
    pub fn write(&self, announcement: &Announcement, source: IpAddr) -> [u8; ANNOUNCEMENT_LEN] {
        let Announcement { sent, peer, port } = announcement;
        let parts: [&[u8]; 5] = [&MAGIC, &self.tag, &sent.to_be_bytes(), &peer.0, &port.to_be_bytes()];
        let mut written = [0; ANNOUNCEMENT_LEN];
        let (proven, proof) = written.split_at_mut(PROVEN_LEN);
        proven.copy_from_slice(&parts.concat());
        proof.copy_from_slice(&self.proving(proven, source).finalize().into_bytes());
        written
    }

    /// Whether a datagram claims to be an announcement of the group. That costs a comparison of a few bytes.
    pub fn claims(&self, datagram: &[u8]) -> bool {
        let (magic, tag) = (datagram.get(..MAGIC.len()), datagram.get(MAGIC.len()..MAGIC.len() + TAG_LEN));
        datagram.len() == ANNOUNCEMENT_LEN && magic == Some(&MAGIC) && tag == Some(&self.tag)
    }

    /// Reads a datagram that came from this IP address.
    ///
    /// # Errors
    /// If it is no announcement of a member of the group. One with the port 0 counts as forged.
    pub fn read(&self, datagram: &[u8], source: IpAddr) -> Result<Announcement, NotAnnounced> {
        if !self.claims(datagram) {
            return Err(NotAnnounced::Foreign);
        }
        let (proven, proof) = datagram.split_at(PROVEN_LEN);
        self.proving(proven, source).verify_slice(proof).map_err(|_| NotAnnounced::Forged)?;
        let fields = &proven[MAGIC.len() + TAG_LEN..];
        let read = || {
            let (sent, fields) = fields.split_first_chunk::<8>()?;
            let (peer, port) = fields.split_first_chunk::<32>()?;
            let port = u16::from_be_bytes(port.try_into().ok()?);
            (port != 0).then_some(Announcement { sent: u64::from_be_bytes(*sent), peer: PeerId(*peer), port })
        };
        read().ok_or(NotAnnounced::Forged)
    }

    fn proving(&self, proven: &[u8], source: IpAddr) -> Hmac<Sha256> {
        // Both spellings of an IPv4 address are the same source.
        let source = match source.to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        self.mac.clone().chain_update(source.octets()).chain_update(proven)
    }
}

impl std::fmt::Debug for AnnouncementKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnnouncementKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groupspec::GroupSpecifier;

    const HERE: [&str; 2] = ["192.0.2.7", "2001:db8::7"];

    fn key(name: &str) -> AnnouncementKey {
        AnnouncementKey::new(&GroupSpecifier::new(name).unwrap().with_authorizations().unwrap())
    }

    fn announcement() -> Announcement {
        Announcement { sent: 0x0102_0304_0506_0708, peer: PeerId([9; 32]), port: 1936 }
    }

    #[test]
    fn members_read_what_members_write_in_both_families() {
        for here in HERE.map(|here| here.parse().unwrap()) {
            let written = key("g").write(&announcement(), here);
            assert_eq!(key("g").read(&written, here), Ok(announcement()));
        }
        let mapped = key("g").write(&announcement(), HERE[0].parse().unwrap());
        assert_eq!(key("g").read(&mapped, "::ffff:192.0.2.7".parse().unwrap()), Ok(announcement()));
    }

    #[test]
    fn the_form_is_that_of_the_document() {
        let (key, here) = (key("g"), HERE[0].parse().unwrap());
        let written = key.write(&announcement(), here);
        assert_eq!(written.len(), 86);
        assert_eq!(written[..4], *b"iMA\x01");
        assert_eq!(written[12..20], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(written[20..52], [9; 32]);
        assert_eq!(written[52..54], 1936u16.to_be_bytes());
        // The key, the tag and the proof, made anew of the canonical groupspec.
        let canonical = GroupSpecifier::new("g").unwrap().with_authorizations().unwrap();
        let hmac = |key: &[u8], parts: &[&[u8]]| -> [u8; 32] {
            Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(parts.concat()).finalize().into_bytes().into()
        };
        let own = hmac(canonical.canonical().as_bytes(), &[b"introd announcement key"]);
        assert_eq!(written[4..12], hmac(&own, &[b"tag"])[..8]);
        let source = [&[0; 10][..], &[0xff, 0xff, 192, 0, 2, 7]].concat();
        assert_eq!(written[54..], hmac(&own, &[&source, &written[..54]]));
    }

    #[test]
    fn what_is_changed_cut_or_lengthened_is_believed_by_nobody() {
        let (key, here) = (key("g"), HERE[1].parse().unwrap());
        let written = key.write(&announcement(), here);
        for at in 0..written.len() {
            for bit in 0..8 {
                let mut changed = written;
                changed[at] ^= 1 << bit;
                let expected = if at < 12 { NotAnnounced::Foreign } else { NotAnnounced::Forged };
                assert_eq!(key.read(&changed, here), Err(expected), "byte {at}");
            }
            assert_eq!(key.read(&written[..at], here), Err(NotAnnounced::Foreign), "{at} bytes");
        }
        assert_eq!(key.read(&[&written[..], &[0]].concat(), here), Err(NotAnnounced::Foreign));
    }

    #[test]
    fn another_address_is_not_the_senders() {
        let key = key("g");
        for (from, to) in [(HERE[0], HERE[1]), (HERE[1], HERE[0]), (HERE[0], "192.0.2.8"), (HERE[1], "2001:db8::8")] {
            let written = key.write(&announcement(), from.parse().unwrap());
            assert_eq!(key.read(&written, to.parse().unwrap()), Err(NotAnnounced::Forged), "{from} {to}");
        }
    }

    #[test]
    fn another_group_does_not_take_it_for_its_own() {
        let here = HERE[0].parse().unwrap();
        let written = key("g").write(&announcement(), here);
        assert_eq!(key("h").read(&written, here), Err(NotAnnounced::Foreign));
        // With the tag of the other group it is forged.
        let mut claimed = written;
        claimed[4..12].copy_from_slice(&key("h").write(&announcement(), here)[4..12]);
        assert!(key("h").claims(&claimed) && !key("h").claims(&written));
        assert_eq!(key("h").read(&claimed, here), Err(NotAnnounced::Forged));
    }

    #[test]
    fn port_0_is_no_port() {
        let here = HERE[0].parse().unwrap();
        let written = key("g").write(&Announcement { port: 0, ..announcement() }, here);
        assert_eq!(key("g").read(&written, here), Err(NotAnnounced::Forged));
    }
}
