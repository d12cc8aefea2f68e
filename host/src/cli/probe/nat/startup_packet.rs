//! Startup packets (RFC 7016 §2.3.2 to §2.3.5): those that the probe makes itself, and those that it sees at its sockets.

use std::net::SocketAddr;

use introd_udp::{Ports, Tap};
use rtmfp::crypto::{Epd, Opener, Sealer, cipher};
use rtmfp::wire::chunk::IHello;
use rtmfp::wire::{Chunk, Mode, PacketHeader, packet};
use rtmfp::{PeerId, TaggedAddress};
use tokio::sync::mpsc;

use crate::cli::probe::failure::local_failure;
use introd_client::ClientFailure;

/// How many packets may wait until the probe looks at them.
const MAX_WAITING: usize = 256;

/// What a packet that is to be recognised carries.
pub(super) type Tag = [u8; 8];

/// A tag that no other packet has.
pub(super) fn new_tag() -> Result<Tag, ClientFailure> {
    let mut tag = Tag::default();
    getrandom::fill(&mut tag).map_err(local_failure)?;
    Ok(tag)
}

/// A startup packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StartupPacket {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) tag: Vec<u8>,
    pub(super) content: Content,
}

/// What a startup packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Hello,
    Answer,
    Redirect(Vec<TaggedAddress>),
}

impl StartupPacket {
    /// Reads a datagram; `None` if it is no hello, and no answer to one.
    pub(super) fn read(opener: &mut Opener, from: SocketAddr, to: SocketAddr, datagram: &[u8]) -> Option<Self> {
        if cipher::session_id(datagram) != Some(0) {
            return None;
        }
        let mut datagram = datagram.to_vec();
        let mut plain = opener.open(&mut datagram).ok()?;
        PacketHeader::take(&mut plain).ok()?;
        packet::chunks(plain).find_map(|raw| {
            let (tag, content) = match Chunk::parse(raw).ok()? {
                Chunk::IHello(hello) => (hello.tag, Content::Hello),
                Chunk::RHello(hello) => (hello.tag_echo, Content::Answer),
                Chunk::Redirect(redirect) => (redirect.tag_echo, Content::Redirect(redirect.destinations().collect())),
                _ => return None,
            };
            Some(Self { from, to, tag: tag.to_vec(), content })
        })
    }
}

/// A hello for a peer.
pub(super) fn hello(peer: PeerId, tag: Tag) -> Vec<u8> {
    let (mut sealer, mut datagram) = (Sealer::startup(), Vec::new());
    sealer.begin(&mut datagram);
    PacketHeader::new(Mode::Startup).put(&mut datagram);
    IHello { epd: &Epd::fingerprint(peer), tag: &tag }.put(&mut datagram);
    sealer.finish(0, 0, &mut datagram);
    datagram
}

/// Watches the startup packets that go out and come in at `ports` from now on.
pub(super) fn watch(ports: &mut Ports) -> mpsc::Receiver<StartupPacket> {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    let mut opener = Opener::startup();
    let tap: Tap = Box::new(move |_, from, to, datagram| {
        if let Some(packet) = StartupPacket::read(&mut opener, from, to, datagram) {
            // If there is no room, it counts as lost.
            let _ = sender.try_send(packet);
        }
    });
    ports.add_tap(tap);
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_read_as_it_was_made() {
        let [from, to]: [SocketAddr; 2] = [([192, 0, 2, 1], 5).into(), ([192, 0, 2, 2], 6).into()];
        let (tag, mut opener) = ([7; 8], Opener::startup());
        let datagram = hello(PeerId([1; 32]), tag);
        let read = StartupPacket::read(&mut opener, from, to, &datagram);
        assert_eq!(read, Some(StartupPacket { from, to, tag: tag.to_vec(), content: Content::Hello }));
        for end in 0..datagram.len() {
            assert_eq!(StartupPacket::read(&mut opener, from, to, &datagram[..end]), None);
        }
        assert_eq!(StartupPacket::read(&mut opener, from, to, &[0xff; 64]), None);
    }
}
