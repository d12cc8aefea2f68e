use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use rtmfp::PeerId;
use sha2::{Digest, Sha256};

use super::*;

/// From librtmfp's documentation; it is the group of the recording `librtmfp-netgroup.json`.
const TEST: &str = "G:027f0201010103010c050e74657374011b00";
/// Published in theintencity/rtmplite#67.
const ANS: &str =
    "G:01010102010321050a22aade0583f6f26b1d5edef57b27a92dec77fa22f5aef85b364528c2bb979f010d040e616e73011b00";

#[test]
fn the_digest_of_the_recorded_group() {
    let spec = Groupspec::parse(TEST).unwrap();
    assert_eq!(spec.digest().to_string(), "763f90e4b524a0e026052bb5696bd143246f26c6eb0b9fa31b0d1ed39a092620");
    assert_eq!(spec.canonical(), TEST.strip_suffix("00").unwrap());
    assert_eq!(spec.version(), Version::Two);
    assert_eq!(spec.name(), Some(&b"test"[..]));
    let kinds: Vec<_> = spec.options().map(|option| option.kind).collect();
    assert_eq!(kinds, [0x7f, 0x01, 0x03, 0x0c, 0x0e, 0x1b]);
}

#[test]
fn version_one_is_hashed_once() {
    let spec = Groupspec::parse(ANS).unwrap();
    assert_eq!(spec.version(), Version::One);
    let canonical = ANS.strip_suffix("00").unwrap();
    assert_eq!(spec.digest().0, <[u8; 32]>::from(Sha256::digest(canonical)));
    let kinds: Vec<_> = spec.options().map(|option| (option.kind, option.value.len())).collect();
    assert_eq!(kinds, [(1, 0), (2, 0), (3, 0), (5, 32), (0x0d, 0), (0x0e, 3), (0x1b, 0)]);
}

#[test]
fn what_follows_the_canonical_part_is_not_hashed() {
    let plain = Groupspec::parse(TEST).unwrap();
    let with = Groupspec::parse(&format!("{TEST}036061620561")).unwrap();
    assert_eq!(with.digest(), plain.digest());
    assert_eq!(with.suffix(), "036061620561");
    let read: Vec<_> = with.suffix_options().collect();
    assert_eq!(read, [SpecOption { kind: 0x60, value: b"ab" }], "up to the first that makes no sense");
    // What a member sent may end where the hashed text ends.
    let bare = Groupspec::parse(plain.canonical()).unwrap();
    assert_eq!((bare.digest(), bare.suffix()), (plain.digest(), ""));
    // The case of the digits is part of the text.
    assert_ne!(Groupspec::parse(&TEST.replace('f', "F")).unwrap().digest(), plain.digest());
}

#[test]
fn a_version_is_one_or_two_and_said_once() {
    let parse = |versions: &[u8]| {
        let versions: Vec<_> =
            versions.iter().map(|version| SpecOption { kind: 0x7f, value: std::slice::from_ref(version) }).collect();
        Groupspec::from_options(versions.into_iter().chain([SpecOption { kind: 0x0e, value: b"g" }]))
    };
    assert_eq!(
        [&[][..], &[1], &[2]].map(|said| parse(said).unwrap().version()),
        [Version::One, Version::One, Version::Two]
    );
    for wrong in [&[0][..], &[3], &[1, 1], &[2, 1]] {
        assert_eq!(parse(wrong).unwrap_err(), GroupspecError::Version, "{wrong:?}");
    }
}

#[test]
fn what_is_appended_to_a_groupspec_is_what_the_specifier_would_add() {
    let source = Some("192.0.2.1".parse().unwrap());
    let address = "224.0.0.254:30000".parse().unwrap();
    let mut specifier = GroupSpecifier::new("g").unwrap();
    let plain = specifier.with_authorizations().unwrap();
    specifier.add_ip_multicast_address(address, source).unwrap();
    let added = specifier.with_authorizations().unwrap();
    let text = GroupSpecifier::encode_ip_multicast_address_spec(address, source).unwrap();
    assert_eq!(format!("{}{text}", plain.as_str()), added.as_str());
    let wrong = GroupSpecifier::encode_ip_multicast_address_spec("192.0.2.1:5".parse().unwrap(), None);
    assert_eq!(wrong.unwrap_err(), GroupspecError::MulticastAddress);
}

#[test]
fn authorizations_are_appended_as_the_specifier_would_add_them() {
    let (mut specifier, password) = (GroupSpecifier::new("g").unwrap(), Password::new("secret", "salt"));
    specifier.set_publish_password(Some(password.clone()));
    let plain = specifier.without_authorizations().unwrap();
    let whole = specifier.with_authorizations().unwrap();
    let text = GroupSpecifier::encode_publish_authorization(&password);
    assert_eq!(format!("{}{text}", plain.as_str()), whole.as_str());
    let appended: Vec<_> = whole.suffix_options().map(|option| option.kind).collect();
    assert_eq!(appended, [kind::PUBLISH_AUTHORIZATION]);
    assert_ne!(text, GroupSpecifier::encode_posting_authorization(&password));
}

#[test]
fn a_groupspec_has_the_options_of_its_canonical_part() {
    let spec = Groupspec::parse(&format!("{TEST}0360616200")).unwrap();
    assert_eq!([0x7f, 0x0e, 0x1b, 0x02, 0x60].map(|kind| spec.has(kind)), [true, true, true, false, false]);
}

#[test]
fn other_text_is_refused() {
    for (text, error) in [
        ("", GroupspecError::Prefix),
        ("g:0101", GroupspecError::Prefix),
        ("G:", GroupspecError::Empty),
        ("G:00", GroupspecError::Empty),
        ("G:010", GroupspecError::Hexadecimal),
        ("G:01zz", GroupspecError::Hexadecimal),
        ("G:é", GroupspecError::Hexadecimal),
        ("G:0501", GroupspecError::Options),
        ("G:027f0300", GroupspecError::Version),
        ("G:017f00", GroupspecError::Version),
        ("G:027f02027f0200", GroupspecError::Version),
    ] {
        assert_eq!(Groupspec::parse(text), Err(error), "{text}");
    }
    let long = format!("G:{}", "00".repeat(MAX_LEN / 2));
    assert_eq!(Groupspec::parse(&long), Err(GroupspecError::TooLong(MAX_LEN + 2)));
}

#[test]
fn published_groupspecs_are_built_again() {
    let mut group = GroupSpecifier::new("test").unwrap();
    group.multicast_enabled = true;
    group.posting_enabled = true;
    // Which of Flash's properties they stand for is not established; the numbers are.
    group.ip_multicast_member_updates_enabled = true;
    group.server_channel_enabled = true;
    assert_eq!(group.with_authorizations().unwrap().as_str(), TEST);
    assert_eq!(group.unestablished(), ["serverChannelEnabled", "ipMulticastMemberUpdatesEnabled"]);
    group.routing_enabled = true;
    assert_eq!(group.with_authorizations().unwrap().as_str(), "G:027f02010101000103010c050e74657374011b00");

    let ans = Groupspec::parse(ANS).unwrap();
    assert_eq!(Groupspec::from_options(ans.options()).unwrap(), ans);
    let mut plain = GroupSpecifier::new("x").unwrap();
    plain.version = Version::One;
    plain.object_replication_enabled = true;
    assert_eq!(plain.with_authorizations().unwrap().as_str(), "G:0102020e7800");
    assert!(plain.unestablished().is_empty());
    assert!(GroupSpecifier::new("").is_err());
}

#[test]
fn passwords_are_part_of_the_identity_but_not_shown() {
    let mut group = GroupSpecifier::new("g").unwrap();
    let open = group.digest().unwrap();
    group.set_posting_password(Some(Password::new("secret", "salt")));
    group.set_publish_password(Some(Password::new("other", "")));
    let without = group.without_authorizations().unwrap();
    let with = group.with_authorizations().unwrap();
    assert_ne!(without.digest(), open);
    assert_eq!(without.digest(), with.digest());
    assert_eq!(format!("{}{}", without.as_str(), group.authorizations()), with.as_str());
    assert!(!without.as_str().contains(&hex::encode("secret")));
    let value = |spec: &Groupspec, kind| spec.options().find(|option| option.kind == kind).unwrap().value.to_vec();
    let hash = value(&without, kind::POSTING_PASSWORD);
    let authorization = with.suffix_options().find(|option| option.kind == kind::POSTING_AUTHORIZATION).unwrap();
    assert_eq!(Sha256::digest(authorization.value)[..], hash, "a member finds that it is authorized");
    assert_ne!(hash, value(&without, kind::PUBLISH_PASSWORD));
    group.set_posting_password(None);
    group.set_publish_password(None);
    assert_eq!(group.digest().unwrap(), open);
}

#[test]
fn where_to_begin_is_no_part_of_the_identity() {
    let mut group = GroupSpecifier::new("g").unwrap();
    let plain = group.digest().unwrap();
    group.add_bootstrap_peer(PeerId([7; 32]));
    group.add_ip_multicast_address("224.0.0.254:30000".parse().unwrap(), None).unwrap();
    group.add_ip_multicast_address("[ff03::ffff]:30000".parse().unwrap(), Some("::1".parse().unwrap())).unwrap();
    for (address, source) in [("192.0.2.1:1", None), ("224.0.0.1:1", Some("::1".parse().unwrap()))] {
        assert!(group.add_ip_multicast_address(address.parse().unwrap(), source).is_err());
    }
    let spec = group.without_authorizations().unwrap();
    assert_eq!(spec.digest(), plain);
    let read: Vec<_> = spec.suffix_options().map(|option| (option.kind, option.value.len())).collect();
    assert_eq!(read, [(kind::BOOTSTRAP_PEER, 32), (kind::IP_MULTICAST_ADDRESS, 7), (kind::IP_MULTICAST_ADDRESS, 35)]);
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    group.make_unique(&mut rng);
    let first = group.digest().unwrap();
    group.make_unique(&mut rng);
    assert!(![plain, first].contains(&group.digest().unwrap()));
    let unique = group.digest().unwrap();
    group.add_option(0x77, *b"??");
    assert_ne!(group.digest().unwrap(), unique);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "G:([0-9a-fA-F]{2}){0,40}|.{0,20}") {
        if let Ok(spec) = Groupspec::parse(&text) {
            prop_assert!(text.starts_with(spec.canonical()));
            prop_assert!(text.ends_with(spec.suffix()));
            let _ = (spec.digest(), spec.name(), spec.suffix_options().count());
        }
    }

    #[test]
    fn any_options_are_kept_in_order(options in proptest::collection::vec((0u64..0x7f, any::<Vec<u8>>()), 1..8)) {
        let given: Vec<_> = options.iter().map(|(kind, value)| SpecOption { kind: *kind, value }).collect();
        let spec = Groupspec::from_options(given.iter().copied()).unwrap();
        prop_assert_eq!(spec.options().collect::<Vec<_>>(), given);
        prop_assert_eq!(Groupspec::parse(spec.canonical()).unwrap().digest(), spec.digest());
    }
}

#[test]
fn a_groupspec_as_long_as_may_be_is_read() {
    let whole = format!("{TEST}{}", "00".repeat((MAX_LEN - TEST.len()) / 2));
    assert_eq!(whole.len(), MAX_LEN);
    assert_eq!(Groupspec::parse(&whole).map(|spec| spec.digest()), Ok(Groupspec::parse(TEST).unwrap().digest()));
    assert_eq!(Groupspec::parse(&format!("{whole}0")), Err(GroupspecError::TooLong(MAX_LEN + 1)));
}
