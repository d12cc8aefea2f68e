//! Hellos that look up a peer, and the redirects that answer them.

use rtmfp::crypto::{Opener, Sealer};
use rtmfp::wire::chunk::IHello;
use rtmfp::wire::{Chunk, Mode, PacketHeader, packet};

/// Makes hellos with numbers in their tags, and finds the numbers in the redirects that answer them.
pub(super) struct Hellos {
    sealer: Sealer,
    opener: Opener,
    /// In the tags, so that late answers of another run are not counted.
    run: u64,
    datagram: Vec<u8>,
}

impl Hellos {
    pub(super) fn new() -> Self {
        let run = getrandom::u64().unwrap_or_default();
        Self { sealer: Sealer::startup(), opener: Opener::startup(), run, datagram: Vec::with_capacity(256) }
    }

    /// The datagram of a hello with this endpoint discriminator.
    pub(super) fn hello(&mut self, epd: &[u8], number: u64) -> &[u8] {
        let mut tag = [0; 16];
        tag[..8].copy_from_slice(&self.run.to_be_bytes());
        tag[8..].copy_from_slice(&number.to_be_bytes());
        let out = &mut self.datagram;
        out.clear();
        self.sealer.begin(out);
        PacketHeader::new(Mode::Startup).put(out);
        IHello { epd, tag: &tag }.put(out);
        self.sealer.finish(0, 0, out);
        out
    }

    /// The number of the hello that a datagram answers; `None` if it is no redirect for one of these hellos.
    pub(super) fn answered(&mut self, datagram: &mut [u8]) -> Option<u64> {
        let mut plain = self.opener.open(datagram).ok()?;
        PacketHeader::take(&mut plain).ok()?;
        packet::chunks(plain).find_map(|raw| {
            let Ok(Chunk::Redirect(redirect)) = Chunk::parse(raw) else { return None };
            let (run, number) = redirect.tag_echo.split_first_chunk::<8>()?;
            let number = <[u8; 8]>::try_from(number).map(u64::from_be_bytes).ok()?;
            (u64::from_be_bytes(*run) == self.run).then_some(number)
        })
    }
}

#[cfg(test)]
mod tests {
    use rtmfp::PeerId;
    use rtmfp::crypto::Epd;
    use rtmfp::wire::chunk::Redirect;

    use super::*;

    fn redirect(tag: &[u8]) -> Vec<u8> {
        let (mut sealer, mut out) = (Sealer::startup(), Vec::new());
        sealer.begin(&mut out);
        PacketHeader::new(Mode::Startup).put(&mut out);
        Redirect::put(tag, &[], &mut out);
        sealer.finish(0, 0, &mut out);
        out
    }

    #[test]
    fn a_redirect_tells_which_hello_it_answers() {
        let (mut hellos, mut other) = (Hellos::new(), Hellos::new());
        let mut hello = hellos.hello(&Epd::fingerprint(PeerId([1; 32])), 77).to_vec();
        let mut opener = Opener::startup();
        let mut plain = opener.open(&mut hello).unwrap();
        PacketHeader::take(&mut plain).unwrap();
        let raw = packet::chunks(plain).next().unwrap();
        let Ok(Chunk::IHello(IHello { tag, .. })) = Chunk::parse(raw) else { panic!("no hello") };
        assert_eq!(hellos.answered(&mut redirect(tag)), Some(77));
        assert_eq!(other.answered(&mut redirect(tag)), None, "a hello of another run");
        assert_eq!(hellos.answered(&mut redirect(&tag[..15])), None);
        assert_eq!(hellos.answered(&mut [0; 64]), None);
    }
}
