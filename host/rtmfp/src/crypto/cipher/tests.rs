use super::*;
use proptest::prelude::*;

use crate::crypto::component::Settled;

fn keys(verification: Settled) -> SessionKeys {
    SessionKeys {
        encrypt_key: [1; 16],
        decrypt_key: [1; 16],
        hmac_send_key: [2; 32],
        hmac_receive_key: [2; 32],
        near_nonce: [0; 32],
        far_nonce: [0; 32],
        verification,
    }
}

fn settled(hmac_length: u8, sequence: bool) -> Settled {
    Settled {
        hmac_send_length: hmac_length,
        hmac_receive_length: hmac_length,
        sequence_send: sequence,
        sequence_receive: sequence,
    }
}

fn pair(hmac_length: u8, sequence: bool) -> (Sealer, Opener) {
    let keys = keys(settled(hmac_length, sequence));
    (Sealer::new(&keys), Opener::new(&keys))
}

fn seal(sealer: &mut Sealer, id: u32, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    sealer.begin(&mut out);
    out.extend_from_slice(plain);
    sealer.finish(id, 0, &mut out);
    out
}

#[test]
fn a_recorded_startup_packet_both_ways() {
    // rtmfp-cpp-connect-sseq.json, packet 0: an IHello.
    let mut datagram = hex::decode(concat!(
        "947cdd3b05718b31910d560a9c67ba662618661d7a5721823d5c03e646087b622f696d59eb9f62b167d5c6e4d918ea915377",
        "60e637325548f1b17c47c42c446d64ef0733"
    ))
    .unwrap();
    let whole = datagram.clone();
    assert_eq!(session_id(&datagram), Some(0));
    let plain = Opener::startup().open(&mut datagram).unwrap();
    let expected = hex::decode(concat!(
        "0b000030003524230a72746d66703a2f2f3132372e302e302e313a31393335302f6c6976652f726f6f6d31c23d0b183a5056",
        "140b130818761729ddffffff"
    ))
    .unwrap();
    assert_eq!(plain, expected);
    assert_eq!(seal(&mut Sealer::startup(), 0, &expected[..expected.len() - 3]), whole, "padding is made again");
}

#[test]
fn an_odd_last_byte_is_the_low_half() {
    assert_eq!(checksum(&[0x12, 0x34, 0x56]), !(0x1234 + 0x56));
    assert_eq!(checksum(&[]), 0xffff);
    assert_eq!(checksum(&[0xff, 0xff, 0, 1]), !1);
    assert_eq!(checksum(&[0xff; 65536]), 0);
}

#[test]
fn unscrambling_short_datagrams() {
    assert_eq!(session_id(&[1, 2, 3]), None);
    assert_eq!(session_id(&[1, 2, 3, 4]), Some(0x01020304));
    assert_eq!(session_id(&[1, 2, 3, 4, 0xff]), Some(0xfe020304));
    assert_eq!(session_id(&[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]), Some(0x03030301));
    assert_eq!(session_id(&[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 99]), Some(0x03030303));
}

#[test]
fn every_flipped_bit_is_rejected() {
    for (hmac_length, sequence) in [(0, false), (0, true), (4, false), (16, true), (32, true)] {
        let (mut sealer, mut opener) = pair(hmac_length, sequence);
        let datagram = seal(&mut sealer, 7, b"a packet of more than one block");
        for bit in 8 * SESSION_ID..8 * datagram.len() {
            let mut changed = datagram.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opener.open(&mut changed), Err(Rejected::Unverified), "{hmac_length} {sequence} {bit}");
        }
        assert!(opener.open(&mut datagram.clone()).is_ok(), "none of that has touched the window");
    }
}

#[test]
fn truncations_are_rejected() {
    for (hmac_length, sequence) in [(0, false), (0, true), (10, true)] {
        let (mut sealer, mut opener) = pair(hmac_length, sequence);
        let datagram = seal(&mut sealer, 7, &[5; 40]);
        for end in 0..datagram.len() {
            assert!(opener.open(&mut datagram[..end].to_vec()).is_err(), "{end}");
        }
    }
}

/// RFC 7425 §4.7.2. Zeros are bytes that no checksum shows.
#[test]
fn bytes_that_fill_no_block_are_rejected() {
    for sequence in [false, true] {
        let (mut sealer, opener) = pair(0, sequence);
        let datagram = seal(&mut sealer, 7, &[5; 40]);
        for more in 1..BLOCK {
            let mut longer = [&datagram[..], &vec![0; more]].concat();
            assert_eq!(opener.verify(&mut longer), Err(Rejected::Unverified), "{more}");
        }
    }
    // An end with the right key that seals less than a block: its HMAC is good.
    let (sealer, opener) = pair(16, false);
    for (length, opens) in [(31, false), (32, true), (33, false)] {
        let mut out = vec![0; SESSION_ID + length];
        let mac = sealer.hmac.as_ref().unwrap().of(&out[SESSION_ID..]);
        out.extend_from_slice(&mac[..16]);
        assert_eq!(opener.verify(&mut out).is_ok(), opens, "{length}");
    }
}

#[test]
fn a_datagram_without_a_whole_block_is_too_short() {
    for (hmac_length, sequence) in [(0, false), (10, true)] {
        let (mut sealer, opener) = pair(hmac_length, sequence);
        let datagram = seal(&mut sealer, 7, b"x");
        for end in 0..datagram.len() {
            assert_eq!(opener.verify(&mut datagram[..end].to_vec()), Err(Rejected::TooShort), "{end}");
        }
        assert!(opener.verify(&mut datagram.clone()).is_ok());
    }
}

#[test]
fn replays_are_rejected_and_reordering_is_not() {
    let (mut sealer, mut opener) = pair(0, true);
    let datagrams: Vec<_> = (0..200u8).map(|number| seal(&mut sealer, 1, &[number])).collect();
    for (number, datagram) in datagrams.iter().enumerate().skip(72).rev() {
        assert_eq!(opener.open(&mut datagram.clone()).unwrap()[0], number as u8);
        assert_eq!(opener.open(&mut datagram.clone()), Err(Rejected::Duplicate));
    }
    let opened = opener.verify(&mut datagrams[71].clone()).map(|opened| opened.sequence);
    assert_eq!(opened, Ok(Some(71)), "128 behind the highest");
}

#[test]
fn a_sequence_number_over_64_bits_is_rejected() {
    let (sealer, opener) = pair(16, true);
    let mut out = vec![0; SESSION_ID];
    out.extend_from_slice(&[0xff; 10]);
    out.extend_from_slice(&[0x7f, 1, 2, 3, 4, 5]);
    sealer.key.encrypt(&mut out[SESSION_ID..]);
    let mac = sealer.hmac.as_ref().unwrap().of(&out[SESSION_ID..]);
    out.extend_from_slice(&mac[..16]);
    assert_eq!(opener.verify(&mut out), Err(Rejected::Unverified));
}

#[test]
fn sequence_numbers_count_up_and_grow() {
    let (mut sealer, mut opener) = pair(8, true);
    for number in 0..300 {
        let overhead = sealer.overhead();
        assert_eq!(overhead, 4 + 8 + if number < 128 { 1 } else { 2 });
        let mut datagram = seal(&mut sealer, 1, b"x");
        let opened = opener.verify(&mut datagram.clone()).unwrap().sequence;
        assert_eq!(opened, Some(number));
        opener.open(&mut datagram).unwrap();
    }
}

#[test]
fn other_keys_do_not_open() {
    let (mut sealer, _) = pair(0, false);
    let mut datagram = seal(&mut sealer, 0, b"not for the startup key");
    assert_eq!(Opener::startup().open(&mut datagram), Err(Rejected::Unverified));
}

#[test]
fn a_session_costs_little_memory() {
    assert!(size_of::<Sealer>() + size_of::<Opener>() <= 512, "{} {}", size_of::<Sealer>(), size_of::<Opener>());
}

proptest! {
    #[test]
    fn round_trip(
        plain in prop::collection::vec(any::<u8>(), 1..200),
        hmac_length in prop_oneof![Just(0u8), 4..=32u8],
        sequence: bool,
        id: u32,
        before in prop::collection::vec(any::<u8>(), 0..20),
        sent in 0..1u64 << 40,
    ) {
        let (mut sealer, mut opener) = pair(hmac_length, sequence);
        sealer.next_number = sent;
        let (overhead, start, sealer_before) = (sealer.overhead(), before.len(), sealer.clone());
        let mut out = before.clone();
        sealer.begin(&mut out);
        out.extend_from_slice(&plain);
        sealer.finish(id, start, &mut out);
        prop_assert_eq!(&out[..start], &before[..]);
        let mut datagram = out.split_off(start);
        prop_assert_eq!(sealer_before.datagram_len(plain.len()), datagram.len());
        let spare = datagram.len() - overhead - plain.len();
        prop_assert!(spare < BLOCK);
        prop_assert_eq!(session_id(&datagram), Some(id));
        let opened = opener.open(&mut datagram).unwrap();
        prop_assert_eq!(&opened[..plain.len()], &plain[..]);
        prop_assert!(opened[plain.len()..].iter().all(|byte| *byte == PADDING));
        prop_assert_eq!(opened.len(), plain.len() + spare);
    }

    #[test]
    fn the_longest_packet_fits_and_one_more_byte_does_not(
        room in 0usize..1500, hmac_length in prop_oneof![Just(0u8), 4..=32u8], sequence: bool,
    ) {
        let (mut sealer, _) = pair(hmac_length, sequence);
        let longest = sealer.max_plain(room);
        if longest > 0 {
            prop_assert!(seal(&mut sealer.clone(), 0, &vec![1; longest]).len() <= room);
        }
        prop_assert!(seal(&mut sealer, 0, &vec![1; longest + 1]).len() > room);
    }

    #[test]
    fn any_bytes_are_refused_quietly(bytes in prop::collection::vec(any::<u8>(), 0..100), hmac_length in 4..=32u8) {
        for (mut opener, mut bytes) in [(pair(hmac_length, true).1, bytes.clone()), (pair(32, false).1, bytes)] {
            prop_assert!(opener.open(&mut bytes).is_err());
        }
    }
}
