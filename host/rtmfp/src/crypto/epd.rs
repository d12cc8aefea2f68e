//! Endpoint discriminators (RFC 7425 §4.4).

use super::certificate::Certificate;
use super::peer_id::PeerId;
use crate::wire::option::Element;
use crate::wire::{Malformed, option};

/// Required Hostname (§4.4.2.1).
const REQUIRED_HOSTNAME: u64 = 0x00;
/// Ancillary Data (§4.4.2.2).
const ANCILLARY_DATA: u64 = 0x0a;
/// Fingerprint (§4.4.2.3).
const FINGERPRINT: u64 = 0x0f;

/// What an initiator says about the endpoint it wants to reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epd<'a> {
    /// The fingerprint of the one certificate wanted.
    pub fingerprint: Option<PeerId>,
    /// The hostname the certificate must have.
    pub hostname: Option<&'a [u8]>,
    /// The URI that the initiator connects to, in full or only its path; not checked to be either.
    pub ancillary_data: Option<&'a [u8]>,
}

impl<'a> Epd<'a> {
    /// Reads an endpoint discriminator. An option that occurs twice makes it malformed (§4.4.2.1, .2, .3); options not
    /// understood are ignored (§4.4.2).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut epd = Self::default();
        for element in option::elements(bytes) {
            let Element::Option { kind, value } = element? else { continue };
            let again = match kind {
                FINGERPRINT => {
                    let value = value.try_into().map_err(|_| Malformed("endpoint discriminator: fingerprint"))?;
                    epd.fingerprint.replace(PeerId(value)).is_some()
                }
                REQUIRED_HOSTNAME => epd.hostname.replace(value).is_some(),
                ANCILLARY_DATA => epd.ancillary_data.replace(value).is_some(),
                _ => false,
            };
            if again {
                return Err(Malformed("endpoint discriminator: an option occurs twice"));
            }
        }
        Ok(epd)
    }

    /// Whether this discriminator selects `certificate` (§4.4.3, figure 1).
    pub fn selects(&self, certificate: &Certificate) -> bool {
        if let Some(fingerprint) = self.fingerprint {
            return certificate.fingerprint() == fingerprint;
        }
        if self.hostname.is_some() && certificate.hostname() != self.hostname {
            return false;
        }
        if self.ancillary_data.is_some() { certificate.accepts_ancillary_data() } else { self.hostname.is_some() }
    }

    /// The discriminator as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let fingerprint = self.fingerprint.as_ref().map(|peer| &peer.0[..]);
        let options =
            [(REQUIRED_HOSTNAME, self.hostname), (ANCILLARY_DATA, self.ancillary_data), (FINGERPRINT, fingerprint)];
        for (kind, value) in options {
            if let Some(value) = value {
                option::put(kind, value, &mut bytes);
            }
        }
        bytes
    }

    /// The canonical discriminator of a certificate with this fingerprint (§4.4.4).
    pub fn fingerprint(peer: PeerId) -> [u8; 34] {
        let mut bytes = [0; 34];
        bytes[0] = 0x21;
        bytes[1] = FINGERPRINT as u8;
        bytes[2..].copy_from_slice(&peer.0);
        bytes
    }

    /// A discriminator that selects any endpoint that serves this URI.
    pub fn ancillary(uri: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        option::put(ANCILLARY_DATA, uri.as_bytes(), &mut bytes);
        bytes
    }

    /// A discriminator that selects any endpoint with this hostname.
    pub fn hostname(hostname: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        option::put(REQUIRED_HOSTNAME, hostname.as_bytes(), &mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::certificate::{ACCEPTS_ANCILLARY_DATA, EXTRA_RANDOMNESS, HOSTNAME};

    fn certificate(hostname: Option<&[u8]>, ancillary: bool) -> Certificate {
        let mut bytes = Vec::new();
        option::put(EXTRA_RANDOMNESS, &[7; 64], &mut bytes);
        if let Some(hostname) = hostname {
            option::put(HOSTNAME, hostname, &mut bytes);
        }
        if ancillary {
            option::put(ACCEPTS_ANCILLARY_DATA, &[], &mut bytes);
        }
        Certificate::parse(&bytes).unwrap()
    }

    #[test]
    fn the_selection_table_in_full() {
        let uri = Some(&b"rtmfp://a/b"[..]);
        for own_name in [None, Some(&b"a"[..]), Some(b"b")] {
            for accepts in [false, true] {
                let certificate = certificate(own_name, accepts);
                for hostname in [None, Some(&b"a"[..])] {
                    for ancillary_data in [None, uri] {
                        let name_fits = hostname.is_none() || hostname == own_name;
                        let data_fits = ancillary_data.is_none() || accepts;
                        let asks = hostname.is_some() || ancillary_data.is_some();
                        let mut epd = Epd { fingerprint: None, hostname, ancillary_data };
                        assert_eq!(epd.selects(&certificate), asks && name_fits && data_fits, "{epd:?} {own_name:?}");
                        epd.fingerprint = Some(certificate.fingerprint());
                        assert!(epd.selects(&certificate), "a fingerprint decides alone");
                        epd.fingerprint = Some(PeerId([0; 32]));
                        assert!(!epd.selects(&certificate));
                    }
                }
            }
        }
    }

    #[test]
    fn builders_are_read_back() {
        let peer = PeerId([9; 32]);
        let canonical = Epd::fingerprint(peer);
        assert_eq!(canonical[..3], [0x21, 0x0f, 9]);
        assert_eq!(Epd::parse(&canonical), Ok(Epd { fingerprint: Some(peer), ..Epd::default() }));
        let uri = Epd::ancillary("rtmfp://127.0.0.1:19350/live/room1");
        assert_eq!(uri[..2], [0x23, 0x0a], "as recorded");
        assert_eq!(Epd::parse(&uri).unwrap().ancillary_data, Some(&b"rtmfp://127.0.0.1:19350/live/room1"[..]));
        assert_eq!(Epd::parse(&Epd::hostname("x")).unwrap().hostname, Some(&b"x"[..]));
        let whole = Epd { fingerprint: Some(peer), hostname: Some(b"a.example"), ancillary_data: Some(b"rtmfp:") };
        assert_eq!(Epd::parse(&whole.encode()), Ok(whole));
        assert_eq!(Epd { fingerprint: Some(peer), ..Epd::default() }.encode(), canonical);
        let long = "u".repeat(300);
        assert_eq!(Epd::parse(&Epd::ancillary(&long)).unwrap().ancillary_data, Some(long.as_bytes()));
    }

    #[test]
    fn options_not_understood_and_repetitions() {
        let mut bytes = Epd::ancillary("x");
        option::put(0x77, b"??", &mut bytes);
        assert!(Epd::parse(&bytes).is_ok());
        for extra in [Epd::ancillary("x"), Epd::ancillary("y")] {
            assert!(Epd::parse(&[bytes.clone(), extra].concat()).is_err());
        }
        assert!(Epd::parse(&[Epd::hostname("x"), Epd::hostname("x")].concat()).is_err());
        let canonical = Epd::fingerprint(PeerId([1; 32]));
        assert!(Epd::parse(&[canonical, canonical].concat()).is_err());
    }

    #[test]
    fn truncations_are_malformed() {
        let canonical = Epd::fingerprint(PeerId([1; 32]));
        for end in 1..canonical.len() {
            assert!(Epd::parse(&canonical[..end]).is_err(), "{end}");
        }
        assert!(Epd::parse(&[0x03, 0x0f, 1, 2]).is_err(), "a short fingerprint");
        assert_eq!(Epd::parse(&[]), Ok(Epd::default()));
    }
}
