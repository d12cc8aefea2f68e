//! Startup packets made by hand, and what answers them.

use rtmfp::crypto::{Epd, Opener, Sealer};
use rtmfp::wire::chunk::{IHello, IIKeying};
use rtmfp::wire::{Chunk, Mode, PacketHeader, packet};
use rtmfp::{PeerId, TaggedAddress};

/// What a startup packet that came in holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A responder hello.
    Hello,
    /// A redirect to these addresses.
    Redirect(Vec<TaggedAddress>),
}

fn startup(write: impl FnOnce(&mut Vec<u8>) -> bool) -> Vec<u8> {
    let mut sealer = Sealer::startup();
    let mut datagram = Vec::new();
    sealer.begin(&mut datagram);
    PacketHeader::new(Mode::Startup).put(&mut datagram);
    assert!(write(&mut datagram));
    sealer.finish(0, 0, &mut datagram);
    datagram
}

/// A hello to the server of `uri`.
pub fn hello(uri: &str, tag: [u8; 16]) -> Vec<u8> {
    startup(|out| IHello { epd: &Epd::ancillary(uri), tag: &tag }.put(out))
}

/// A hello that looks for a peer.
pub fn lookup(peer: PeerId, tag: [u8; 16]) -> Vec<u8> {
    startup(|out| IHello { epd: &Epd::fingerprint(peer), tag: &tag }.put(out))
}

/// A keying with this cookie and these components, which may be malformed.
pub fn keying(cookie: &[u8], certificate: &[u8], component: &[u8]) -> Vec<u8> {
    startup(|out| {
        IIKeying {
            session_id: 77,
            cookie_echo: cookie,
            certificate,
            component,
            signature: b"X",
            signed_parameters: &[],
        }
        .put(out)
    })
}

/// What the answer to one of these is, if it is one. Deciphers the datagram in place.
pub fn answer(datagram: &mut [u8]) -> Option<Answer> {
    tagged_answer(datagram).map(|(_, answer)| answer)
}

/// The tag that a redirect echoes. Deciphers the datagram in place.
pub fn redirected_tag(datagram: &mut [u8]) -> Option<Vec<u8>> {
    redirect(datagram).map(|(tag, _)| tag)
}

/// The tag that a redirect echoes, and where it leads. Deciphers the datagram in place.
pub fn redirect(datagram: &mut [u8]) -> Option<(Vec<u8>, Vec<TaggedAddress>)> {
    match tagged_answer(datagram)? {
        (tag, Answer::Redirect(to)) => Some((tag, to)),
        (_, Answer::Hello) => None,
    }
}

/// As [`answer`], with the tag that it echoes.
pub fn tagged_answer(datagram: &mut [u8]) -> Option<(Vec<u8>, Answer)> {
    let mut opener = Opener::startup();
    let mut plain = opener.open(datagram).ok()?;
    PacketHeader::take(&mut plain).ok()?;
    packet::chunks(plain).find_map(|raw| match Chunk::parse(raw) {
        Ok(Chunk::RHello(hello)) => Some((hello.tag_echo.to_vec(), Answer::Hello)),
        Ok(Chunk::Redirect(redirect)) => {
            Some((redirect.tag_echo.to_vec(), Answer::Redirect(redirect.destinations().collect())))
        }
        _ => None,
    })
}
