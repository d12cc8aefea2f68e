//! Hashes for the table of attempts: quick, and with a secret seed.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};

use rtmfp::NetworkPrefix;

/// A quick hash with a secret seed. Askers choose their tags and, within their networks, their addresses: without the seed they could choose
/// them so that they collide. It is no cryptographic hash; who finds a collision all the same spoils the count of two attempts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixer {
    seeds: [u64; 2],
}

/// Folds the product of two words into one: each bit of it depends on many of both.
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ (product >> 64) as u64
}

fn words(ip: IpAddr) -> [u64; 2] {
    match ip {
        IpAddr::V4(ip) => [u64::from(u32::from(ip)), 4],
        IpAddr::V6(ip) => {
            let bits = u128::from(ip);
            [(bits >> 64) as u64, bits as u64]
        }
    }
}

impl Mixer {
    pub(super) fn new() -> Self {
        let random = || RandomState::new().hash_one(0u64) | 1;
        Self { seeds: [random(), random()] }
    }

    fn mix(self, state: u64, word: u64) -> u64 {
        fold(state ^ self.seeds[0], word ^ self.seeds[1])
    }

    /// The hash of an asker's address, a tag, and the first bytes of the target's id.
    pub(super) fn attempt(self, asker: SocketAddr, tag: &[u8], target: u64) -> u64 {
        let [high, low] = words(asker.ip().to_canonical());
        let mut state = self.mix(high, low);
        state = self.mix(state, u64::from(asker.port()) << 16 | tag.len() as u64);
        state = self.mix(state, target);
        for chunk in tag.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            state = self.mix(state, u64::from_le_bytes(word));
        }
        state
    }

    /// The hash of the network of an address, and one of its `places`.
    pub(super) fn place_of_network(self, ip: IpAddr, place: u64) -> u64 {
        let [high, low] = words(NetworkPrefix::of(ip).first());
        self.mix(self.mix(high, low), place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_tell_askers_tags_and_targets_apart_and_fill_a_table_evenly() {
        let (mixer, asker) = (Mixer::new(), SocketAddr::from(([192, 0, 2, 1], 5)));
        let other = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let first = mixer.attempt(asker, &[1; 16], 7);
        assert_eq!(first, mixer.attempt(asker, &[1; 16], 7));
        assert_eq!(first, mixer.attempt("[::ffff:192.0.2.1]:5".parse().unwrap(), &[1; 16], 7));
        for different in [
            mixer.attempt(other(6), &[1; 16], 7),
            mixer.attempt(asker, &[1; 15], 7),
            mixer.attempt(asker, &[2; 16], 7),
            mixer.attempt(asker, &[1; 16], 8),
        ] {
            assert_ne!(first, different);
        }
        let known = Mixer { seeds: [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7345] };
        let mut counts = [0; 256];
        for number in 0..25_600u32 {
            counts[known.attempt(asker, &number.to_be_bytes(), 7) as usize % 256] += 1;
        }
        assert!(counts.iter().all(|count| (50..=160).contains(count)), "{counts:?}");
        assert_ne!(Mixer::new().attempt(asker, &[1; 16], 7), first, "each table has a seed of its own");
    }

    #[test]
    fn a_network_has_the_same_places_for_all_of_its_addresses() {
        let mixer = Mixer::new();
        let of = |text: &str, place| mixer.place_of_network(text.parse().unwrap(), place);
        assert_eq!(of("2001:db8::1", 3), of("2001:db8::2", 3));
        assert_ne!(of("2001:db8::1", 3), of("2001:db8::1", 4));
        assert_ne!(of("2001:db8::1", 3), of("2001:db8:0:1::1", 3));
        assert_ne!(of("192.0.2.1", 3), of("192.0.2.2", 3));
    }
}
