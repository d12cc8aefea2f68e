//! Keys and the secrets that two ends share.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::arithmetic;
use super::arithmetic::strip;
use super::batch::{BATCH, Job, powers, public_keys};
use super::group::Group;
use crate::crypto::error::UnacceptableKey;

/// A private key and the public key that belongs to it. The private key is wiped when dropped.
#[derive(Clone)]
pub struct KeyPair {
    group: Group,
    /// Big-endian.
    private: Zeroizing<Box<[u8]>>,
    /// Big-endian, no leading zero bytes.
    public: Box<[u8]>,
}

impl KeyPair {
    /// A fresh key pair whose public key is acceptable and takes the full length of the prime: librtmfp reads a key of 128
    /// bytes at a fixed place. One key in 256 is thrown away for that.
    pub fn generate(group: Group, rng: &mut impl CryptoRng) -> Self {
        loop {
            let mut private = Zeroizing::new(vec![0; group.private_bits() as usize / 8].into_boxed_slice());
            rng.fill_bytes(&mut private);
            let public = arithmetic::public_key(group, &private);
            if public.len() == group.prime_len() && arithmetic::check_public_key(group, &public).is_ok() {
                return Self { group, private, public: public.into_boxed_slice() };
            }
        }
    }

    /// As [`Self::generate`], so many at least: in batches they cost less.
    pub fn generate_many(group: Group, count: usize, rng: &mut impl CryptoRng) -> Vec<Self> {
        let mut pairs = Vec::with_capacity(count + 1);
        while pairs.len() < count {
            let mut seeds = Zeroizing::new(vec![0; BATCH * group.private_bits() as usize / 8]);
            rng.fill_bytes(&mut seeds);
            let private_keys: Vec<&[u8]> = seeds.chunks(group.private_bits() as usize / 8).collect();
            for (public, private) in public_keys(group, &private_keys).into_iter().zip(private_keys) {
                if public.len() == group.prime_len() && arithmetic::check_public_key(group, &public).is_ok() {
                    let private = Zeroizing::new(Box::from(private));
                    pairs.push(Self { group, private, public: public.into_boxed_slice() });
                }
            }
        }
        pairs
    }

    /// The key pair of a private key that was kept, big-endian and at most as long as the prime. Refused if its public key
    /// would be unacceptable.
    pub fn from_private(group: Group, private: &[u8]) -> Result<Self, UnacceptableKey> {
        if private.len() > group.prime_len() {
            return Err(UnacceptableKey);
        }
        let public = arithmetic::public_key(group, private);
        arithmetic::check_public_key(group, &public)?;
        Ok(Self { group, private: Zeroizing::new(private.into()), public: public.into_boxed_slice() })
    }

    /// The group of the keys.
    pub fn group(&self) -> Group {
        self.group
    }

    /// The public key, big-endian without leading zero bytes.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The private key, big-endian: for storing an identity, and for recording traffic.
    pub fn expose_private(&self) -> &[u8] {
        &self.private
    }

    /// The secret shared with the holder of `their_public` (§4.6.2). Takes the same time whatever the private key is.
    pub fn agree(&self, their_public: &[u8]) -> Result<SharedSecret, UnacceptableKey> {
        Self::agree_each(&[(self, their_public)]).pop().unwrap_or(Err(UnacceptableKey))
    }

    /// As [`Self::agree`], for each of these key pairs and the public key beside it: several at once take less time.
    pub fn agree_each(keys: &[(&Self, &[u8])]) -> Vec<Result<SharedSecret, UnacceptableKey>> {
        let mut secrets: Vec<_> = keys.iter().map(|_| Err(UnacceptableKey)).collect();
        for group in Group::ALL {
            let (mut places, mut jobs): (Vec<usize>, Vec<Job<'_>>) = (Vec::new(), Vec::new());
            for (place, (pair, their_public)) in keys.iter().enumerate() {
                if pair.group == group && arithmetic::check_public_key(group, their_public).is_ok() {
                    places.push(place);
                    jobs.push((strip(their_public), &pair.private));
                }
            }
            for (place, secret) in places.into_iter().zip(powers(group, &jobs)) {
                if let Some(slot) = secrets.get_mut(place) {
                    *slot = Ok(SharedSecret(Zeroizing::new(secret)));
                }
            }
        }
        secrets
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("group", &self.group).finish_non_exhaustive()
    }
}

/// DH_SECRET: big-endian, no leading zero bytes (RFC 7425 §4.6.2). Wiped when dropped.
#[derive(Clone)]
pub struct SharedSecret(Zeroizing<Vec<u8>>);

impl SharedSecret {
    /// A secret that was kept; leading zero bytes are dropped.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(strip(bytes).to_vec()))
    }

    /// The bytes of the secret.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const ALL: [Group; 4] = [Group::Modp2, Group::Modp5, Group::Modp14, Group::Modp16];

    #[test]
    fn both_ends_agree_in_every_group() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for group in ALL {
            assert_eq!(Group::from_id(group.id()), Some(group));
            let near = KeyPair::generate(group, &mut rng);
            let far = KeyPair::generate(group, &mut rng);
            assert_eq!(near.public().len(), group.prime_len());
            assert_eq!(near.expose_private().len() * 8, group.private_bits() as usize);
            let secret = near.agree(far.public()).unwrap();
            assert_eq!(secret.expose(), far.agree(near.public()).unwrap().expose());
            assert_ne!(secret.expose().first(), Some(&0));
        }
        assert_eq!(Group::from_id(15), None);
    }

    #[test]
    fn the_table_for_the_generator_gives_what_exponentiation_gives() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for group in ALL {
            let full = group.private_bits() as usize / 8;
            let mut private = vec![0; full];
            rand_core::Rng::fill_bytes(&mut rng, &mut private);
            let edges = [vec![0xff; full], vec![0x80, 0, 0, 0, 1], [vec![0x80], vec![0; full - 1]].concat(), private];
            for private in edges {
                assert_eq!(arithmetic::public_key(group, &private), arithmetic::power(group, &[2], &private));
            }
        }
    }

    #[test]
    fn a_long_private_key_is_used_in_full() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let mut private = [0u8; 128];
        rand_core::Rng::fill_bytes(&mut rng, &mut private);
        let long = KeyPair::from_private(Group::Modp2, &private).unwrap();
        let far = KeyPair::generate(Group::Modp2, &mut rng);
        assert_eq!(long.agree(far.public()).unwrap().expose(), far.agree(long.public()).unwrap().expose());
        assert!(KeyPair::from_private(Group::Modp2, &[1; 129]).is_err());
    }

    #[test]
    fn degenerate_private_keys_are_refused() {
        assert!(KeyPair::from_private(Group::Modp2, &[]).is_err(), "public key 1");
        assert!(KeyPair::from_private(Group::Modp2, &[200]).is_err(), "public key with a single one bit");
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let keys = KeyPair::generate(Group::Modp2, &mut ChaCha20Rng::seed_from_u64(4));
        assert_eq!(format!("{keys:?}"), "KeyPair { group: Modp2, .. }");
        assert_eq!(format!("{:?}", keys.agree(keys.public()).unwrap()), "SharedSecret(..)");
    }

    #[test]
    fn a_public_key_shorter_than_the_prime_is_thrown_away() {
        let group = Group::Modp2;
        let of = |seed| ChaCha20Rng::seed_from_u64(seed);
        let first = |seed| {
            let mut private = vec![0; group.private_bits() as usize / 8];
            rand_core::Rng::fill_bytes(&mut of(seed), &mut private);
            arithmetic::public_key(group, &private)
        };
        let seed = (0..10_000).find(|seed| first(*seed).len() < group.prime_len()).unwrap();
        assert_eq!(KeyPair::generate(group, &mut of(seed)).public().len(), group.prime_len());
    }

    /// Twice the strength of each group: see [`Group::private_bits`].
    #[test]
    fn private_keys_are_long_enough() {
        assert_eq!(ALL.map(Group::private_bits), [224, 256, 320, 480]);
        assert_eq!(ALL.map(Group::id), [2, 5, 14, 16]);
    }

    #[test]
    fn many_key_pairs_and_agreements_at_once_are_as_one_by_one() {
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let mut pairs = Vec::new();
        for (group, count) in Group::ALL.into_iter().zip([11, 9, 3, 1]) {
            let made = KeyPair::generate_many(group, count, &mut rng);
            assert!((count..count + 8).contains(&made.len()), "{}", made.len());
            for pair in &made {
                assert_eq!(pair.public(), KeyPair::from_private(group, pair.expose_private()).unwrap().public());
                assert_eq!(pair.public().len(), group.prime_len());
            }
            pairs.extend(made);
        }
        let far: Vec<_> = pairs.iter().rev().map(|pair| pair.public().to_vec()).collect();
        let mut keys: Vec<(&KeyPair, &[u8])> = pairs.iter().zip(far.iter().map(Vec::as_slice)).collect();
        // An unacceptable key fails alone, and leading zeros do not count.
        let longer = [vec![0; 9], pairs[1].public().to_vec()].concat();
        keys.extend([(&pairs[0], &[1, 2, 3][..]), (&pairs[0], &longer)]);
        let secrets = KeyPair::agree_each(&keys);
        assert_eq!(secrets.len(), keys.len());
        for ((pair, their_public), secret) in keys.iter().zip(secrets) {
            let expected = arithmetic::check_public_key(pair.group(), their_public)
                .map(|()| arithmetic::power(pair.group(), strip(their_public), pair.expose_private()));
            assert_eq!(secret.map(|secret| secret.expose().to_vec()), expected);
        }
        assert!(KeyPair::agree_each(&[]).is_empty());
    }
}
