//! Certificates, endpoint discriminators and keying components (RFC 7425 §4.3 to §4.5).

use std::sync::LazyLock;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::component::Component;
use rtmfp::crypto::{
    Certificate, Epd, Group, HmacPreference, Identity, KeyPair, Offer, PeerId, Preferences, SequencePreference, respond,
};
use rtmfp::wire::option::{self, Element};

use super::input::Input;

/// An identity and a key pair made once.
static RESPONDER: LazyLock<(Identity, KeyPair)> = LazyLock::new(|| {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let identity = Identity::ephemeral(&[Group::Modp2], Some("fuzz.example"), true, &mut rng);
    (identity, KeyPair::generate(Group::Modp2, &mut rng))
});

/// Takes a certificate, a discriminator and a component, each with its length before it.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (certificate, epd) = (input.long_string(), input.string());
    let choices = input.u8();
    let component = input.rest();
    let certificate = Certificate::parse(certificate).ok().inspect(check_certificate);
    if let Ok(epd) = Epd::parse(epd) {
        let _ = epd.selects(RESPONDER.0.certificate());
        if let Some(certificate) = &certificate {
            check_selection(&epd, certificate);
        }
    }
    let Ok(parsed) = Component::parse(component) else { return };
    let mut out = Vec::new();
    parsed.negotiation.put(&mut out);
    assert_eq!(Component::parse(&out).unwrap().negotiation, parsed.negotiation);
    if let Some(certificate) = &certificate {
        key(certificate, component, &preferences(choices));
    }
}

fn check_certificate(certificate: &Certificate) {
    let canonical = Certificate::parse(certificate.canonical()).unwrap();
    assert!(certificate.as_bytes().starts_with(canonical.as_bytes()));
    assert_eq!(canonical.canonical(), canonical.as_bytes());
    assert_eq!(canonical.fingerprint(), certificate.fingerprint());
    let says = |of: &Certificate| {
        let groups: Vec<u64> = of.ephemeral_groups().collect();
        let hostname = of.hostname().map(<[u8]>::to_vec);
        (hostname, of.accepts_ancillary_data(), groups, of.has_static_keys())
    };
    assert_eq!(says(certificate), says(&canonical), "what follows the first marker counts");
    assert!(!(certificate.has_static_keys() && certificate.ephemeral_groups().next().is_some()));
    assert!(certificate.prevails_in_glare(&canonical) == (certificate == &canonical));
    let options = option::elements(certificate.canonical()).collect::<Result<Vec<_>, _>>().unwrap();
    assert!(!options.contains(&Element::Marker));
    let fingerprint = certificate.fingerprint();
    assert_eq!(fingerprint.to_string().parse::<PeerId>(), Ok(fingerprint));
    assert!(Epd::parse(&Epd::fingerprint(fingerprint)).unwrap().selects(certificate));
    let _ = Identity::from_certificate(certificate.clone());
}

/// RFC 7425 §4.4.3, said another way.
fn check_selection(epd: &Epd<'_>, certificate: &Certificate) {
    let expected = match epd {
        Epd { fingerprint: Some(fingerprint), .. } => *fingerprint == certificate.fingerprint(),
        Epd { hostname: None, ancillary_data: None, .. } => false,
        Epd { hostname, ancillary_data, .. } => {
            let host_fits = hostname.is_none_or(|wanted| certificate.hostname() == Some(wanted));
            host_fits && (ancillary_data.is_none() || certificate.accepts_ancillary_data())
        }
    };
    assert_eq!(epd.selects(certificate), expected, "{epd:?} {certificate:?}");
}

fn preferences(choices: u8) -> Preferences {
    let bit = |bit: u8| choices >> bit & 1 != 0;
    Preferences {
        hmac: HmacPreference {
            will_send_always: bit(0),
            will_send_on_request: bit(1),
            request: bit(2),
            require: bit(3),
            length: choices.wrapping_mul(37),
        },
        sequence: SequencePreference {
            will_send_always: bit(4),
            will_send_on_request: bit(5),
            request: bit(6),
            require: bit(7),
        },
        log_keys: true,
    }
}

/// A responder keys with the certificate and the component; an initiator with an offer of its own for the certificate.
fn key(certificate: &Certificate, component: &[u8], preferences: &Preferences) {
    let (identity, pair) = &*RESPONDER;
    let rng = &mut ChaCha20Rng::seed_from_u64(2);
    if let Ok(response) = respond(identity, certificate, component, preferences, Some(pair.clone()), rng) {
        let settled = response.keys.verification;
        for length in [settled.hmac_send_length, settled.hmac_receive_length] {
            assert!(length == 0 || (4..=32).contains(&length));
        }
        assert!(!preferences.hmac.require || settled.hmac_receive_length > 0);
        assert!(!preferences.sequence.require || settled.sequence_receive);
        Component::parse(&response.component).unwrap();
    }
    if let Ok(offer) = Offer::new(identity, certificate, preferences, Some(pair.clone()), rng) {
        Component::parse(&offer.component).unwrap();
        let _ = offer.complete(component);
    }
}
