//! Exponentiation modulo the groups' primes, and the tests for public keys. Numbers are big-endian bytes outside.

use std::sync::{LazyLock, OnceLock};

use zeroize::Zeroize as _;

use super::comb::Comb;
use super::group::Group;
use super::montgomery::{Modulus, Number};
use super::primes::{MODP2, MODP5, MODP14, MODP16};
use crate::crypto::error::UnacceptableKey;

/// `2^private`, without leading zero bytes; in time that depends on the private key's length alone, but for the leading
/// zeros of the result, which is public.
pub(super) fn public_key(group: Group, private: &[u8]) -> Vec<u8> {
    field(group).power_of_two(private)
}

/// `base^exponent`, without leading zero bytes. The exponent's length may show in the time this takes, its value does not.
/// Of a base that is longer than the prime, what exceeds it is cut off at the front.
pub(super) fn power(group: Group, base: &[u8], exponent: &[u8]) -> Vec<u8> {
    field(group).power(base, exponent)
}

/// The prime of a group, big-endian.
pub(super) fn prime(group: Group) -> Vec<u8> {
    field(group).prime()
}

/// The tables for powers of the generator, entry by entry, each multiplied by `factor`: big-endian, without leading zero bytes.
pub(super) fn comb_times(group: Group, factor: &[u8]) -> Vec<Vec<u8>> {
    field(group).comb_times(factor)
}

/// What is computed in the field of a group, however long its numbers are.
trait Field: Sync {
    fn power_of_two(&self, exponent: &[u8]) -> Vec<u8>;
    fn power(&self, base: &[u8], exponent: &[u8]) -> Vec<u8>;
    fn prime(&self) -> Vec<u8>;
    fn comb_times(&self, factor: &[u8]) -> Vec<Vec<u8>>;
}

fn field(group: Group) -> &'static dyn Field {
    static FIELD2: LazyLock<PrimeField<16>> = LazyLock::new(|| PrimeField::new(Group::Modp2, &MODP2));
    static FIELD5: LazyLock<PrimeField<24>> = LazyLock::new(|| PrimeField::new(Group::Modp5, &MODP5));
    static FIELD14: LazyLock<PrimeField<32>> = LazyLock::new(|| PrimeField::new(Group::Modp14, &MODP14));
    static FIELD16: LazyLock<PrimeField<64>> = LazyLock::new(|| PrimeField::new(Group::Modp16, &MODP16));
    match group {
        Group::Modp2 => &*FIELD2,
        Group::Modp5 => &*FIELD5,
        Group::Modp14 => &*FIELD14,
        Group::Modp16 => &*FIELD16,
    }
}

struct PrimeField<const L: usize> {
    modulus: Modulus<L>,
    /// The length of the private keys for which there are tables.
    private_bits: u32,
    comb: OnceLock<Comb<L>>,
}

impl<const L: usize> PrimeField<L> {
    fn new(group: Group, prime: &Number<L>) -> Self {
        Self { modulus: Modulus::new(prime), private_bits: group.private_bits(), comb: OnceLock::new() }
    }

    fn comb(&self) -> &Comb<L> {
        self.comb.get_or_init(|| Comb::new(&self.modulus, self.private_bits))
    }

    /// The bytes of a secret number, which is wiped.
    fn bytes(&self, mut number: Number<L>) -> Vec<u8> {
        let bytes = self.modulus.bytes(&number);
        number.zeroize();
        bytes
    }
}

impl<const L: usize> Field for PrimeField<L> {
    fn power_of_two(&self, exponent: &[u8]) -> Vec<u8> {
        let comb = self.comb();
        if exponent.len() * 8 > comb.layout.capacity() {
            return self.power(&[2], exponent);
        }
        self.bytes(comb.power(&self.modulus, exponent))
    }

    fn power(&self, base: &[u8], exponent: &[u8]) -> Vec<u8> {
        self.bytes(self.modulus.power(&self.modulus.number(base), exponent))
    }

    fn prime(&self) -> Vec<u8> {
        self.modulus.to_bytes()
    }

    fn comb_times(&self, factor: &[u8]) -> Vec<Vec<u8>> {
        let factor = self.modulus.number(factor);
        let entries = self.comb().tables.as_flattened().iter();
        entries.map(|entry| self.modulus.bytes(&self.modulus.product(entry, &factor))).collect()
    }
}

/// A public key must be at least `2^24`, and less than the prime by at least as much (RFC 7425 §4.6.2): it has four bytes, and this one counts.
const MARGIN_BYTES: usize = 4;
/// How many bits of each kind it must have (§4.6.2).
const MIN_BITS: u32 = 16;

/// Whether a public key is acceptable (RFC 7425 §4.6.2). A key is public: this may take different times.
pub(in crate::crypto) fn check_public_key(group: Group, key: &[u8]) -> Result<(), UnacceptableKey> {
    let key = strip(key);
    // The last bytes of all primes are 0xff: to subtract 2^24 is to subtract 1 from one of them.
    let mut largest = prime(group);
    let margin = largest.len() - MARGIN_BYTES;
    largest[margin] -= 1;
    let ones: u32 = key.iter().map(|byte| byte.count_ones()).sum();
    let leading = key.first().map_or(0, |byte| byte.leading_zeros());
    // Leading zeros do not make a key longer; anything else does.
    let is_in_range = key.len() >= MARGIN_BYTES && (key.len(), key) <= (largest.len(), &largest[..]);
    let is_acceptable = is_in_range && ones >= MIN_BITS && key.len() as u32 * 8 - leading - ones >= MIN_BITS;
    if is_acceptable { Ok(()) } else { Err(UnacceptableKey) }
}

/// A big-endian number without its leading zero bytes.
pub(super) fn strip(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
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
