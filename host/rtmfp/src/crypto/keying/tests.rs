use super::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const G2: &[Group] = &[Group::Modp2];

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(5)
}

fn ephemeral(groups: &[Group]) -> Identity {
    Identity::ephemeral(groups, None, true, &mut rng())
}

fn fixed(groups: &[Group], seed: u64) -> Identity {
    Identity::fixed(groups, &mut ChaCha20Rng::seed_from_u64(seed))
}

/// Keys a session and checks that the ends are each other's mirror image.
fn key(initiator: &Identity, responder: &Identity, preferences: &Preferences) -> (Offer, Response) {
    let rng = &mut rng();
    let offer = Offer::new(initiator, responder.certificate(), preferences, None, rng).unwrap();
    let response = respond(responder, initiator.certificate(), &offer.component, preferences, None, rng).unwrap();
    let near = offer.complete(&response.component).unwrap();
    assert_eq!(near.keys.encrypt_key, response.keys.decrypt_key);
    assert_eq!(near.keys.decrypt_key, response.keys.encrypt_key);
    assert_eq!(near.keys.hmac_send_key, response.keys.hmac_receive_key);
    assert_eq!(near.keys.hmac_receive_key, response.keys.hmac_send_key);
    assert_eq!(near.keys.near_nonce, response.keys.far_nonce);
    assert_eq!(near.keys.far_nonce, response.keys.near_nonce);
    assert_eq!(near.log.is_some(), preferences.log_keys);
    if let (Some(near), Some(far)) = (near.log, response.log.as_ref()) {
        assert_eq!(near.dh_secret, far.dh_secret);
        assert_eq!(near.encrypt_key, far.decrypt_key);
        assert_eq!(near.group, offer.group().id());
    }
    (offer, response)
}

#[test]
fn all_four_pairings() {
    let logging = Preferences { log_keys: true, ..Preferences::default() };
    for initiator in [ephemeral(G2), fixed(G2, 1)] {
        for responder in [ephemeral(G2), fixed(G2, 2)] {
            let (offer, response) = key(&initiator, &responder, &logging);
            let sent = Component::parse(&offer.component).unwrap();
            assert_eq!(sent.ephemeral_key.is_some(), !initiator.is_static());
            assert_eq!(sent.group_select, initiator.is_static().then_some(2));
            let answered = Component::parse(&response.component).unwrap();
            assert_eq!(answered.ephemeral_key.is_some(), !responder.is_static());
            assert_eq!(answered.group_select, None);
            let start: &[u8] = match responder.is_static() {
                true => &[0x03, 0x1a, 0, 0, 0x02, 0x1e, 0, 0x41, 0x0e],
                false => &[0x03, 0x1a, 0, 0, 0x02, 0x1e, 0, 0x81, 0x02, 0x0d, 0x02],
            };
            assert!(response.component.starts_with(start), "where librtmfp looks for it");
            assert_eq!(response.component.len(), start.len() + if responder.is_static() { 64 } else { 128 });
        }
    }
}

#[test]
fn the_initiators_order_decides_the_group() {
    let responder = ephemeral(&[Group::Modp2, Group::Modp5, Group::Modp14]);
    for (groups, expected) in [
        (&[Group::Modp14, Group::Modp2][..], Group::Modp14),
        (&[Group::Modp16, Group::Modp5, Group::Modp2], Group::Modp5),
        (&[Group::Modp2, Group::Modp14], Group::Modp2),
    ] {
        let (offer, _) = key(&ephemeral(groups), &responder, &Preferences::default());
        assert_eq!(offer.group(), expected);
    }
    let lone = ephemeral(&[Group::Modp16]);
    let refused = Offer::new(&lone, responder.certificate(), &Preferences::default(), None, &mut rng());
    assert_eq!(refused.unwrap_err(), KeyingError::NoCommonGroup);
}

#[test]
fn ready_made_keys_are_used_if_they_fit() {
    let (initiator, responder, rng) = (ephemeral(G2), ephemeral(G2), &mut rng());
    let preferences = Preferences::default();
    let ready = KeyPair::generate(Group::Modp2, rng);
    let offer = Offer::new(&initiator, responder.certificate(), &preferences, Some(ready.clone()), rng).unwrap();
    assert_eq!(Component::parse(&offer.component).unwrap().ephemeral_key, Some((2, ready.public())));
    for (group, used) in [(Group::Modp2, true), (Group::Modp5, false)] {
        let ready = KeyPair::generate(group, rng);
        let answer =
            respond(&responder, initiator.certificate(), &offer.component, &preferences, Some(ready.clone()), rng);
        let component = answer.unwrap().component;
        let (group, key) = Component::parse(&component).unwrap().ephemeral_key.unwrap();
        assert_eq!((group, key == ready.public()), (2, used));
    }
}

#[test]
fn verification_is_negotiated_both_ways() {
    let mut strict = Preferences::default();
    (strict.hmac.require, strict.sequence.require, strict.hmac.length) = (true, true, 10);
    let (_, response) = key(&fixed(G2, 1), &ephemeral(G2), &strict);
    let all = Settled { hmac_send_length: 10, hmac_receive_length: 10, sequence_send: true, sequence_receive: true };
    assert_eq!(response.keys.verification, all);
    let (_, response) = key(&fixed(G2, 1), &ephemeral(G2), &Preferences::default());
    assert_eq!(response.keys.verification, Settled::default());
}

#[test]
fn requirements_that_the_far_end_does_not_meet() {
    let (initiator, responder, rng) = (fixed(G2, 1), ephemeral(G2), &mut rng());
    let mut mute = Preferences::default();
    (mute.hmac.will_send_on_request, mute.sequence.will_send_on_request) = (false, false);
    let (mut hmac, mut sequence) = (Preferences::default(), Preferences::default());
    (hmac.hmac.require, sequence.sequence.require) = (true, true);
    for (strict, error) in [(hmac, KeyingError::HmacRequired), (sequence, KeyingError::SequenceNumbersRequired)] {
        let offer = Offer::new(&initiator, responder.certificate(), &mute, None, rng).unwrap();
        let answer = respond(&responder, initiator.certificate(), &offer.component, &strict, None, rng);
        assert_eq!(answer.unwrap_err(), error);
        let offer = Offer::new(&initiator, responder.certificate(), &strict, None, rng).unwrap();
        let answer = respond(&responder, initiator.certificate(), &offer.component, &mute, None, rng).unwrap();
        assert_eq!(offer.complete(&answer.component).unwrap_err(), error);
    }
}

fn one(kind: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    option::put(kind, value, &mut bytes);
    bytes
}

#[test]
fn initiators_that_are_refused() {
    let responder = ephemeral(&[Group::Modp2, Group::Modp14]);
    let answer = |initiator: &Identity, component: &[u8]| {
        respond(&responder, initiator.certificate(), component, &Preferences::default(), None, &mut rng()).map(drop)
    };
    let good_key = group_value(Group::Modp2, &[0x5a; 128]);
    let initiator = ephemeral(G2);
    assert_eq!(answer(&initiator, &one(component::EPHEMERAL_KEY, &good_key)), Ok(()));
    for (component, error) in [
        (vec![], KeyingError::KeyMissing),
        (one(component::GROUP_SELECT, &[2]), KeyingError::KeyMissing),
        (one(component::EPHEMERAL_KEY, &[2]), KeyingError::UnacceptableKey),
        (one(component::EPHEMERAL_KEY, &group_value(Group::Modp2, &[0xff; 128])), KeyingError::UnacceptableKey),
        (one(component::EPHEMERAL_KEY, &group_value(Group::Modp2, &[0x5a; 129])), KeyingError::UnacceptableKey),
        (one(component::EPHEMERAL_KEY, &group_value(Group::Modp5, &[0x5a; 192])), KeyingError::NoCommonGroup),
        (one(component::EPHEMERAL_KEY, &[1, 2, 3]), KeyingError::NoCommonGroup),
        ([one(component::EPHEMERAL_KEY, &good_key), vec![3, 0x1a, 4, 3]].concat(), KeyingError::HmacLength),
    ] {
        assert_eq!(answer(&initiator, &component), Err(error), "{component:02x?}");
    }
    let twice = one(component::EPHEMERAL_KEY, &good_key).repeat(2);
    assert!(matches!(answer(&initiator, &twice), Err(KeyingError::Malformed(_))));

    let initiator = fixed(&[Group::Modp2, Group::Modp5], 1);
    assert_eq!(answer(&initiator, &one(component::GROUP_SELECT, &[2])), Ok(()));
    for (component, error) in [
        (one(component::EPHEMERAL_KEY, &good_key), KeyingError::KeyMissing),
        (one(component::GROUP_SELECT, &[14]), KeyingError::KeyMissing),
        (one(component::GROUP_SELECT, &[5]), KeyingError::NoCommonGroup),
        (one(component::GROUP_SELECT, &[0x81, 0]), KeyingError::NoCommonGroup),
    ] {
        assert_eq!(answer(&initiator, &component), Err(error), "{component:02x?}");
    }
}

#[test]
fn responders_that_are_refused() {
    let responder = ephemeral(&[Group::Modp2, Group::Modp14]);
    let offer = Offer::new(&ephemeral(G2), responder.certificate(), &Preferences::default(), None, &mut rng()).unwrap();
    let outcome = |component: &[u8]| offer.complete(component).map(drop);
    assert_eq!(outcome(&one(component::EPHEMERAL_KEY, &group_value(Group::Modp2, &[0x5a; 128]))), Ok(()));
    assert_eq!(outcome(&[]), Err(KeyingError::KeyMissing));
    let other = one(component::EPHEMERAL_KEY, &group_value(Group::Modp14, &[0x5a; 256]));
    assert_eq!(outcome(&other), Err(KeyingError::NoCommonGroup));
    let weak = one(component::EPHEMERAL_KEY, &[2, 1]);
    assert_eq!(outcome(&weak), Err(KeyingError::UnacceptableKey));
    assert!(matches!(outcome(&[9]), Err(KeyingError::Malformed(_))));
}

#[test]
fn jobs_can_move_to_other_threads() {
    fn is_send<T: Send>() {}
    is_send::<Offer>();
    is_send::<Completed>();
    is_send::<Response>();
    is_send::<KeyPair>();
    fn is_sync<T: Send + Sync>() {}
    is_sync::<Identity>();
    is_sync::<Certificate>();
}

/// RFC 7425 §4.5.2.2: without it two sessions between the same ends would have the same keys.
#[test]
fn static_keys_are_salted_anew_for_each_session() {
    let (initiator, responder, rng) = (fixed(G2, 1), fixed(G2, 2), &mut rng());
    let preferences = Preferences::default();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..3 {
        let offer = Offer::new(&initiator, responder.certificate(), &preferences, None, rng).unwrap();
        let response = respond(&responder, initiator.certificate(), &offer.component, &preferences, None, rng).unwrap();
        assert!(seen.insert(offer.component.clone()) && seen.insert(response.component.clone()));
        assert!(seen.insert(response.keys.encrypt_key.to_vec()));
        // The initiator's salt alone makes other keys.
        let mut same = ChaCha20Rng::seed_from_u64(9);
        let again = respond(&responder, initiator.certificate(), &offer.component, &preferences, None, &mut same);
        assert!(seen.insert(again.unwrap().keys.encrypt_key.to_vec()));
    }
}

/// What is refused here never becomes a job.
#[test]
fn a_key_that_is_unacceptable_is_refused_before_anything_is_computed() {
    let (responder, initiator) = (ephemeral(G2), ephemeral(G2));
    let test = |key: &[u8]| {
        let component = one(component::EPHEMERAL_KEY, &group_value(Group::Modp2, key));
        accept(&responder, initiator.certificate(), &component, &Preferences::default()).map(|found| found.group)
    };
    assert_eq!(test(&[0x5a; 128]), Ok(Group::Modp2));
    for weak in [&[1][..], &[0; 128], &[0xff; 128], &[0x5a; 129]] {
        assert_eq!(test(weak), Err(KeyingError::UnacceptableKey), "{weak:02x?}");
    }
}

#[test]
fn secrets_are_revealed_on_request_only() {
    for log_keys in [false, true] {
        let preferences = Preferences { log_keys, ..Preferences::default() };
        let (_, response) = key(&ephemeral(G2), &ephemeral(G2), &preferences);
        assert_eq!(response.log.is_some(), log_keys);
    }
}
