//! Exponentiation modulo the groups' primes, and the tests for public keys. Numbers are big-endian bytes outside.

use std::sync::OnceLock;

use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{Limb, U1024, U1536, U2048, U4096, Uint};
use zeroize::Zeroize;

use super::comb::Comb;
use super::group::Group;
use super::primes::{Prime2, Prime5, Prime14, Prime16};
use crate::crypto::error::UnacceptableKey;

/// `2^private`, without leading zero bytes; in time that depends on the private key's length alone, but for the leading
/// zeros of the result, which is public.
pub(super) fn public_key(group: Group, private: &[u8]) -> Vec<u8> {
    fn from_table<M: ConstMontyParams<LIMBS>, const LIMBS: usize>(
        table: &OnceLock<Comb<M, LIMBS>>,
        group: Group,
        private: &[u8],
    ) -> Vec<u8> {
        let table = table.get_or_init(|| Comb::new(group.private_bits()));
        if private.len() * 8 > table.capacity() {
            return power(group, &[2], private);
        }
        to_bytes(&table.power(private).retrieve())
    }
    static COMB2: OnceLock<Comb<Prime2, { U1024::LIMBS }>> = OnceLock::new();
    static COMB5: OnceLock<Comb<Prime5, { U1536::LIMBS }>> = OnceLock::new();
    static COMB14: OnceLock<Comb<Prime14, { U2048::LIMBS }>> = OnceLock::new();
    static COMB16: OnceLock<Comb<Prime16, { U4096::LIMBS }>> = OnceLock::new();
    match group {
        Group::Modp2 => from_table(&COMB2, group, private),
        Group::Modp5 => from_table(&COMB5, group, private),
        Group::Modp14 => from_table(&COMB14, group, private),
        Group::Modp16 => from_table(&COMB16, group, private),
    }
}

/// `base^exponent`, without leading zero bytes. The exponent's length may show in the time this takes, its value does not.
/// Both numbers must be no longer than the prime; excess is cut off at the front.
pub(super) fn power(group: Group, base: &[u8], exponent: &[u8]) -> Vec<u8> {
    fn modulo<M: ConstMontyParams<LIMBS>, const LIMBS: usize>(base: &[u8], exponent: &[u8]) -> Vec<u8> {
        let base = ConstMontyForm::<M, LIMBS>::new(&from_bytes(base));
        let bits = 8 * exponent.len() as u32;
        let mut exponent = from_bytes::<LIMBS>(exponent);
        let mut result = base.pow_amm_bounded_exp(&exponent, bits);
        let mut retrieved = result.retrieve();
        let bytes = to_bytes(&retrieved);
        exponent.zeroize();
        result.zeroize();
        retrieved.zeroize();
        bytes
    }
    match group {
        Group::Modp2 => modulo::<Prime2, { U1024::LIMBS }>(base, exponent),
        Group::Modp5 => modulo::<Prime5, { U1536::LIMBS }>(base, exponent),
        Group::Modp14 => modulo::<Prime14, { U2048::LIMBS }>(base, exponent),
        Group::Modp16 => modulo::<Prime16, { U4096::LIMBS }>(base, exponent),
    }
}

/// The prime of a group, big-endian.
pub(super) fn prime(group: Group) -> Vec<u8> {
    match group {
        Group::Modp2 => to_bytes(Prime2::PARAMS.modulus().as_ref()),
        Group::Modp5 => to_bytes(Prime5::PARAMS.modulus().as_ref()),
        Group::Modp14 => to_bytes(Prime14::PARAMS.modulus().as_ref()),
        Group::Modp16 => to_bytes(Prime16::PARAMS.modulus().as_ref()),
    }
}

/// The distance that a public key must keep from both ends of the range (RFC 7425 §4.6.2).
const MARGIN: u64 = 1 << 24;
/// How many bits of each kind it must have (§4.6.2).
const MIN_BITS: u32 = 16;

/// Whether a public key is acceptable (RFC 7425 §4.6.2). A key is public: this may take different times.
pub(in crate::crypto) fn check_public_key(group: Group, key: &[u8]) -> Result<(), UnacceptableKey> {
    fn check<M: ConstMontyParams<LIMBS>, const LIMBS: usize>(key: &[u8]) -> bool {
        let key = from_bytes::<LIMBS>(key);
        let margin = Uint::<LIMBS>::from_u64(MARGIN);
        let max = M::PARAMS.modulus().as_ref().wrapping_sub(&margin);
        let ones: u32 = key.as_words().iter().map(|word| word.count_ones()).sum();
        let zeros = key.bit_width_vartime() - ones;
        key >= margin && key <= max && ones >= MIN_BITS && zeros >= MIN_BITS
    }
    let key = strip(key);
    // Leading zeros do not make a key longer; anything else does.
    let acceptable = key.len() <= group.prime_len()
        && match group {
            Group::Modp2 => check::<Prime2, { U1024::LIMBS }>(key),
            Group::Modp5 => check::<Prime5, { U1536::LIMBS }>(key),
            Group::Modp14 => check::<Prime14, { U2048::LIMBS }>(key),
            Group::Modp16 => check::<Prime16, { U4096::LIMBS }>(key),
        };
    if acceptable { Ok(()) } else { Err(UnacceptableKey) }
}

/// A big-endian number without its leading zero bytes.
pub(super) fn strip(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

fn from_bytes<const LIMBS: usize>(bytes: &[u8]) -> Uint<LIMBS> {
    let mut number = Uint::<LIMBS>::ZERO;
    for (limb, chunk) in number.as_mut_limbs().iter_mut().zip(bytes.rchunks(Limb::BYTES)) {
        let word = chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        *limb = Limb(word as crypto_bigint::Word);
    }
    number
}

fn to_bytes<const LIMBS: usize>(number: &Uint<LIMBS>) -> Vec<u8> {
    let mut bytes: Vec<u8> = number.as_words().iter().rev().flat_map(|word| word.to_be_bytes()).collect();
    let zeros = bytes.len() - strip(&bytes).len();
    bytes.drain(..zeros);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Group; 4] = Group::ALL;

    /// `prime + delta`, for a delta so small that it stays within the last eight bytes.
    fn near_prime(group: Group, delta: i64) -> Vec<u8> {
        let mut bytes = prime(group);
        let at = bytes.len() - 8;
        let low = u64::from_be_bytes(bytes[at..].try_into().unwrap());
        bytes[at..].copy_from_slice(&low.checked_add_signed(delta).unwrap().to_be_bytes());
        bytes
    }

    #[test]
    fn primes_have_their_defined_shape() {
        for group in ALL {
            let prime = prime(group);
            assert_eq!(prime.len(), group.prime_len());
            assert!(prime[..8].iter().chain(&prime[prime.len() - 8..]).all(|byte| *byte == 0xff));
            // The fraction of pi that the formula puts next: pi = 3.243F6A88..., of which 2^(n-130) * pi drops two bits.
            assert_eq!(prime[8..12], [0xc9, 0x0f, 0xda, 0xa2]);
            // Fermat's test to base 2: 2^(p-1) = 1.
            let less_one = near_prime(group, -1);
            assert_eq!(power(group, &[2], &less_one), [1]);
        }
    }

    #[test]
    fn keys_at_the_edges_of_the_range() {
        for group in ALL {
            assert_eq!(check_public_key(group, &near_prime(group, -(1 << 24))), Ok(()));
            assert!(check_public_key(group, &near_prime(group, 1 - (1 << 24))).is_err());
            assert!(check_public_key(group, &near_prime(group, -1)).is_err());
            assert!(check_public_key(group, &prime(group)).is_err());
            assert!(check_public_key(group, &[]).is_err());
            assert!(check_public_key(group, &[0; 600]).is_err());
            // 2^24 itself is large enough but has one bit only.
            assert!(check_public_key(group, &[1, 0, 0, 0]).is_err());
        }
    }

    #[test]
    fn keys_need_sixteen_bits_of_each_kind() {
        let group = Group::Modp2;
        assert_eq!(check_public_key(group, &[0xff, 0xff, 0, 0]), Ok(()), "16 of each");
        assert!(check_public_key(group, &[0xff, 0xfe, 0, 0]).is_err(), "15 ones");
        assert!(check_public_key(group, &[0xff, 0xff, 0x80, 0]).is_err(), "15 zeros");
        assert!(check_public_key(group, &[0x7f, 0xff, 0x80, 0]).is_err(), "leading zero bits do not count");
        assert!(check_public_key(group, &[0x5a, 0x5a, 0x5a]).is_err(), "below 2^24");
    }

    #[test]
    fn leading_zeros_are_tolerated_and_longer_numbers_are_not() {
        for group in ALL {
            let key = vec![0x5a; group.prime_len()];
            assert_eq!(check_public_key(group, &[vec![0; 9], key.clone()].concat()), Ok(()));
            assert!(check_public_key(group, &[vec![1], key].concat()).is_err());
        }
    }
}
