//! What is examined: computations with a secret.

use std::hint::black_box;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use rtmfp::crypto::component::Settled;
use rtmfp::crypto::signature::{sign, verify};
use rtmfp::crypto::{CookieJar, Group, KeyPair, Opener, Sealer, SessionKeys};

/// A computation on one secret.
pub(crate) type Computation = Box<dyn FnMut()>;

/// A computation that is to take the same steps for each secret of the same length.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// The computation on the secret of this number. The first secrets are at the edges of their range, the others random.
    pub(crate) on_secret: fn(u64) -> Computation,
    /// How many times it is done between two looks at the clock.
    pub(crate) repeat: u32,
    /// It is there to be found: its steps depend on the secret.
    pub(crate) is_control: bool,
}

const fn subject(name: &'static str, repeat: u32, on_secret: fn(u64) -> Computation) -> Subject {
    Subject { name, on_secret, repeat, is_control: false }
}

/// What is examined step by step: millions of steps at most. The arithmetic of all groups is the same code.
pub(crate) fn short_subjects() -> Vec<Subject> {
    vec![
        subject("public key, group 2", 1, |number| public_key(Group::Modp2, number)),
        subject("key agreement, group 2", 1, |number| agreement(Group::Modp2, number)),
        subject("HMAC of a packet", 8, packet),
        subject("HMAC of a cookie", 8, cookie),
        subject("HMAC of a password", 8, password),
        Subject { is_control: true, ..subject("control: a comparison that ends early", 64, early_end) },
        Subject { is_control: true, ..subject("control: a table read at a secret place", 64, secret_place) },
    ]
}

/// All subjects. Those that need AVX-512 IFMA are among them where the processor has it: valgrind's has not.
pub(crate) fn subjects() -> Vec<Subject> {
    let mut subjects = short_subjects();
    subjects.extend([
        subject("key agreement, group 5", 1, |number| agreement(Group::Modp5, number)),
        subject("key agreement, group 14", 1, |number| agreement(Group::Modp14, number)),
    ]);
    if Group::Modp2.most_at_once() > 1 {
        subjects.extend([
            subject("eight public keys at once, group 2", 1, public_keys),
            subject("eight key agreements at once, group 2", 1, |number| agreements(Group::Modp2, number)),
            subject("eight key agreements at once, group 5", 1, |number| agreements(Group::Modp5, number)),
            subject("eight key agreements at once, group 14", 1, |number| agreements(Group::Modp14, number)),
        ]);
    }
    subjects
}

fn random(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The private key of this number: a single bit, all ones, leading zero bytes, or random.
fn private_key(group: Group, number: u64) -> Vec<u8> {
    let mut key = vec![0; group.private_bits() as usize / 8];
    match number {
        0 => key[0] = 0x80,
        1 => key.fill(0xff),
        2 => random(number).fill_bytes(&mut key[8..]),
        _ => random(number).fill_bytes(&mut key),
    }
    key
}

fn key_pair(group: Group, number: u64) -> KeyPair {
    KeyPair::from_private(group, &private_key(group, number)).expect("its public key is acceptable")
}

fn public_key(group: Group, number: u64) -> Computation {
    let private = private_key(group, number);
    Box::new(move || drop(black_box(KeyPair::from_private(group, black_box(&private)))))
}

fn agreement(group: Group, number: u64) -> Computation {
    let (far, pair) = (far_public_key(group), key_pair(group, number));
    Box::new(move || drop(black_box(black_box(&pair).agree(&far))))
}

fn far_public_key(group: Group) -> Vec<u8> {
    // Any acceptable number will do.
    (0..group.prime_len()).map(|place| (place as u8).wrapping_mul(7) | 1).collect()
}

fn public_keys(number: u64) -> Computation {
    let numbers = std::iter::successors(Some(number), |number| Some(number + (1 << 41)));
    // One batch is enough if none of its keys is thrown away.
    let is_enough = |number: &u64| KeyPair::generate_many(Group::Modp2, 1, &mut random(*number)).len() == 8;
    let number = numbers.into_iter().find(is_enough).expect("most batches are complete");
    Box::new(move || drop(black_box(KeyPair::generate_many(Group::Modp2, 1, &mut random(black_box(number))))))
}

fn agreements(group: Group, number: u64) -> Computation {
    let far = far_public_key(group);
    let pairs: Vec<_> = (0..8).map(|lane| key_pair(group, number + (lane << 50))).collect();
    Box::new(move || {
        let keys: Vec<_> = pairs.iter().map(|pair| (pair, &far[..])).collect();
        drop(black_box(KeyPair::agree_each(black_box(&keys))));
    })
}

/// A packet whose HMAC is wrong: in which byte depends on the number, so that a comparison that ended early would be seen.
fn packet(number: u64) -> Computation {
    let keys = SessionKeys {
        encrypt_key: [1; 16],
        decrypt_key: [1; 16],
        hmac_send_key: [2; 32],
        hmac_receive_key: [2; 32],
        near_nonce: [3; 32],
        far_nonce: [3; 32],
        verification: Settled {
            hmac_send_length: 16,
            hmac_receive_length: 16,
            sequence_send: true,
            sequence_receive: true,
        },
    };
    let (mut sealer, opener) = (Sealer::new(&keys), Opener::new(&keys));
    let mut datagram = Vec::new();
    sealer.begin(&mut datagram);
    datagram.extend([0x10; 100]);
    sealer.finish(7, 0, &mut datagram);
    let tag = datagram.len() - 16;
    spoil(&mut datagram[tag..], number);
    Box::new(move || assert!(black_box(&opener).verify(black_box(&mut datagram)).is_err()))
}

fn cookie(number: u64) -> Computation {
    let (now, from) = (Instant::now(), ([192, 0, 2, 1], 1935).into());
    let jar = CookieJar::new(now, &mut random(1));
    let mut cookie = jar.bake(now, from, 0, &mut random(2));
    spoil(&mut cookie[16..32], number);
    Box::new(move || {
        black_box(black_box(&jar).check(now, from, black_box(&cookie)));
    })
}

fn password(number: u64) -> Computation {
    let mut signature = Vec::new();
    sign(b"id", b"secret", b"signed", &mut signature);
    // The option's length and kind come before the HMAC of 32 bytes, and the name of the password after it.
    let hmac = signature.len() - 34;
    spoil(&mut signature[hmac..hmac + 32], number);
    Box::new(move || {
        black_box(verify(black_box(&signature), b"signed", |_| Some(b"secret".to_vec())));
    })
}

/// Makes a tag wrong: in the last byte, in the first, in all of them, or in random ones.
fn spoil(tag: &mut [u8], number: u64) {
    let last = tag.len() - 1;
    // Computed for each number, so that the same is done before each measurement.
    let mut changes = vec![0; tag.len()];
    random(number).fill_bytes(&mut changes);
    changes[last] |= 1;
    match number {
        0 => changes[..last].fill(0),
        1 => changes[1..].fill(0),
        2 => changes.fill(0xff),
        _ => (),
    }
    changes[0] |= u8::from(number == 1);
    tag.iter_mut().zip(changes).for_each(|(byte, change)| *byte ^= change);
}

fn early_end(number: u64) -> Computation {
    let right = [0x5a; 64];
    let mut tag = right;
    spoil(&mut tag, number);
    Box::new(move || {
        black_box(black_box(&tag).iter().zip(&right).all(|(one, other)| one == other));
    })
}

fn secret_place(number: u64) -> Computation {
    let table: Vec<u64> = (0..4096).collect();
    let mut random = random(number);
    let places: Vec<usize> =
        (0..64).map(|_| if number == 0 { 0 } else { random.next_u32() as usize % table.len() }).collect();
    Box::new(move || {
        black_box(black_box(&places).iter().fold(0, |sum, place| sum ^ table[*place]));
    })
}
