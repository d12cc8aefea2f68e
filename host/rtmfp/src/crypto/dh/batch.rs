//! Many exponentiations, eight at once where the processor can do that and it pays.

use super::arithmetic::{power, public_key};
use super::group::Group;

/// How many are computed at once.
pub(super) const BATCH: usize = 8;

/// A base and an exponent, big-endian. Neither is longer than the prime.
pub(super) type Job<'a> = (&'a [u8], &'a [u8]);

/// As [`power`], for each of these bases and exponents.
pub(super) fn powers(group: Group, jobs: &[Job<'_>]) -> Vec<Vec<u8>> {
    by_eights(group, jobs, |jobs| at_once(group, Work::Powers(jobs)), |(base, exponent)| power(group, base, exponent))
}

/// The public keys of these private keys, as [`public_key`] computes each.
pub(super) fn public_keys(group: Group, private_keys: &[&[u8]]) -> Vec<Vec<u8>> {
    by_eights(group, private_keys, |keys| at_once(group, Work::PublicKeys(keys)), |private| public_key(group, private))
}

/// At most [`BATCH`] computations.
#[derive(Clone, Copy)]
enum Work<'a> {
    Powers(&'a [Job<'a>]),
    /// Of these private keys.
    PublicKeys(&'a [&'a [u8]]),
}

/// Whether so many computations take less time at once than one after the other.
fn pays(group: Group, count: usize) -> bool {
    group != Group::Modp16 && count > 1
}

/// What `together` makes of each batch of the jobs, or `alone` of each job where that makes nothing or does not pay.
fn by_eights<J>(
    group: Group,
    jobs: &[J],
    together: impl Fn(&[J]) -> Option<Vec<Vec<u8>>>,
    alone: impl Fn(&J) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let one_by_one = |jobs: &[J]| jobs.iter().map(&alone).collect();
    let batch = |jobs: &[J]| if pays(group, jobs.len()) { together(jobs) } else { None };
    jobs.chunks(BATCH).flat_map(|jobs| batch(jobs).unwrap_or_else(|| one_by_one(jobs))).collect()
}

impl Group {
    /// How many key agreements in this group are best computed together on this processor: 8 with the instructions AVX-512 IFMA, in the groups
    /// in which they gain time, and else 1.
    pub fn most_at_once(self) -> usize {
        if pays(self, BATCH) && is_possible() { BATCH } else { 1 }
    }
}

/// Whether the processor has the instructions.
fn is_possible() -> bool {
    #[cfg(target_arch = "x86_64")]
    return super::eights::is_available();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// The results; `None` if the processor cannot, or in a group in which it does not pay.
#[cfg(target_arch = "x86_64")]
fn at_once(group: Group, work: Work<'_>) -> Option<Vec<Vec<u8>>> {
    use std::sync::OnceLock;

    use super::arithmetic::{comb_times, prime};
    use super::comb::Layout;
    use super::eights::{Comb, LIMB_BITS, Modulus};

    /// What is computed once for a group.
    struct Field<const L: usize> {
        modulus: OnceLock<Modulus<L>>,
        comb: OnceLock<Comb<L>>,
    }

    impl<const L: usize> Field<L> {
        const fn new() -> Self {
            Self { modulus: OnceLock::new(), comb: OnceLock::new() }
        }

        fn compute(&self, group: Group, work: Work<'_>) -> Option<Vec<Vec<u8>>> {
            let power_of_two = |exponent: usize| power(group, &[2], &exponent.to_be_bytes());
            let bits = LIMB_BITS * L;
            let modulus = self.modulus.get_or_init(|| Modulus::new(&prime(group), &power_of_two(2 * bits)));
            let comb = || Comb::new(Layout::new(group.private_bits()), &comb_times(group, &power_of_two(bits)));
            match work {
                Work::Powers(jobs) => modulus.powers(jobs),
                Work::PublicKeys(keys) => modulus.powers_of_two(self.comb.get_or_init(comb), keys),
            }
        }
    }

    static MODP2: Field<20> = Field::new();
    static MODP5: Field<30> = Field::new();
    static MODP14: Field<40> = Field::new();
    match group {
        Group::Modp2 => MODP2.compute(group, work),
        Group::Modp5 => MODP5.compute(group, work),
        Group::Modp14 => MODP14.compute(group, work),
        Group::Modp16 => None,
    }
}

/// No other processor can.
#[cfg(not(target_arch = "x86_64"))]
fn at_once(_group: Group, _work: Work<'_>) -> Option<Vec<Vec<u8>>> {
    None
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    use super::*;
    use crate::crypto::dh::arithmetic::prime;
    use crate::crypto::dh::comb::Layout;
    use crate::crypto::dh::primes::{MODP2, MODP5, MODP14, MODP16};
    use crate::crypto::dh::reference::Reference;

    fn bytes(len: usize, rng: &mut ChaCha20Rng) -> Vec<u8> {
        let mut bytes = vec![0; len];
        rng.fill_bytes(&mut bytes);
        bytes
    }

    /// Where the processor cannot, or it does not pay, each is computed by itself, in the same order.
    #[test]
    fn without_batches_the_results_are_the_same() {
        let jobs: Vec<u8> = (0..19).collect();
        let alone = |job: &u8| vec![*job];
        let expected: Vec<_> = jobs.iter().map(alone).collect();
        let group = Group::Modp2;
        assert_eq!(by_eights(group, &jobs, |_| None, alone), expected);
        // Where only a full batch pays, the rest is computed one by one.
        let together = |jobs: &[u8]| (jobs.len() == BATCH).then(|| jobs.iter().map(alone).collect());
        assert_eq!(by_eights(group, &jobs, together, |job| vec![*job, 1]), {
            let rest = |job: &u8| if *job < 16 { vec![*job] } else { vec![*job, 1] };
            jobs.iter().map(rest).collect::<Vec<_>>()
        });
    }

    /// What crypto-bigint computes in that group.
    fn expected(group: Group, jobs: &[Job<'_>]) -> Vec<Vec<u8>> {
        fn each<const L: usize>(prime: &[u64; L], jobs: &[Job<'_>]) -> Vec<Vec<u8>> {
            let reference = Reference::new(prime);
            jobs.iter().map(|(base, exponent)| reference.power(base, exponent)).collect()
        }
        match group {
            Group::Modp2 => each(&MODP2, jobs),
            Group::Modp5 => each(&MODP5, jobs),
            Group::Modp14 => each(&MODP14, jobs),
            Group::Modp16 => each(&MODP16, jobs),
        }
    }

    /// Says where the tests' output is seen although they pass that this processor cannot compute by eights.
    fn say_if_impossible() {
        if !is_possible() {
            let text =
                b"note: exponentiations by eights were not checked, because this processor has no AVX-512 IFMA\n";
            std::io::Write::write_all(&mut std::io::stderr(), text).unwrap();
        }
    }

    /// Both ways, one by one and by eights, give what crypto-bigint does.
    fn check(group: Group, jobs: &[(Vec<u8>, Vec<u8>)]) {
        let borrowed: Vec<Job<'_>> = jobs.iter().map(|(base, exponent)| (&base[..], &exponent[..])).collect();
        let one_by_one: Vec<_> = jobs.iter().map(|(base, exponent)| power(group, base, exponent)).collect();
        let expected = expected(group, &borrowed);
        assert_eq!(one_by_one, expected, "{group:?} {jobs:02x?}");
        assert_eq!(powers(group, &borrowed), expected, "{group:?} {jobs:02x?}");
    }

    /// Bases and exponents of all kinds, at the edges of the range among them.
    #[test]
    fn powers_are_those_of_crypto_bigint() {
        say_if_impossible();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for (group, rounds) in Group::ALL.into_iter().zip([300, 80, 40, 2]) {
            let (len, own) = (group.prime_len(), group.private_bits() as usize / 8);
            for round in 0..rounds {
                let jobs: Vec<_> = (0..round % 19 + 1)
                    .map(|_| {
                        let base_len = 1 + rng.next_u32() as usize % len;
                        let exponent_len = 1 + rng.next_u32() as usize % own;
                        match rng.next_u32() % 4 {
                            0 => (bytes(base_len, &mut rng), bytes(exponent_len, &mut rng)),
                            _ => (bytes(len, &mut rng), bytes(own, &mut rng)),
                        }
                    })
                    .collect();
                check(group, &jobs);
            }
        }
    }

    #[test]
    fn public_keys_are_powers_of_two() {
        say_if_impossible();
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for (group, rounds) in Group::ALL.into_iter().zip([400, 100, 50, 3]) {
            let own = group.private_bits() as usize / 8;
            let longest = Layout::new(group.private_bits()).capacity() / 8;
            let mut private_keys = vec![vec![], vec![0; own], vec![1], vec![0xff; own], vec![0xff; longest]];
            private_keys.extend([own - 1, longest, longest + 1].map(|len| bytes(len, &mut rng)));
            // A single bit in each place of the tables.
            private_keys.extend((0..if group == Group::Modp2 { 8 * own } else { 0 }).map(|bit| {
                let mut private = vec![0; own];
                private[own - 1 - bit / 8] = 1 << (bit % 8);
                private
            }));
            private_keys.extend((0..rounds).map(|_| bytes(own, &mut rng)));
            let private_keys: Vec<&[u8]> = private_keys.iter().map(Vec::as_slice).collect();
            let jobs: Vec<Job<'_>> = private_keys.iter().map(|private| (&[2][..], *private)).collect();
            let expected = expected(group, &jobs);
            let one_by_one: Vec<_> = private_keys.iter().map(|private| public_key(group, private)).collect();
            assert_eq!(one_by_one, expected, "{group:?}");
            assert_eq!(public_keys(group, &private_keys), expected, "{group:?}");
        }
    }

    #[test]
    fn the_edges_of_the_range_are_right() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        say_if_impossible();
        for group in &Group::ALL[..3] {
            let prime = prime(*group);
            let less = |number: u8| {
                let mut bytes = prime.clone();
                *bytes.last_mut().unwrap() -= number;
                bytes
            };
            let all_ones = vec![0xff; prime.len()];
            let bases = [vec![], vec![0], vec![1], vec![2], less(0), less(1), less(2), all_ones];
            for exponent in [vec![], vec![0], vec![1], vec![2], vec![0; 28], vec![0xff; 28], bytes(28, &mut rng)] {
                check(*group, &bases.clone().map(|base| (base, exponent.clone())));
            }
            // Limbs of 52 bits: numbers with a single bit, and with all bits but one, at all their borders.
            for bit in (0..prime.len() * 8).filter(|bit| bit % 52 < 2 || bit % 52 == 51) {
                let mut one = vec![0; prime.len()];
                one[prime.len() - 1 - bit / 8] |= 1 << (bit % 8);
                let others = one.iter().map(|byte| !byte).collect();
                check(*group, &[(one, vec![3]), (others, vec![3])]);
            }
            let longest = bytes(prime.len(), &mut rng);
            check(*group, &[(longest.clone(), longest), (vec![7], vec![5])]);
        }
    }

    /// What the batch does not do is said here: a lone job, and group 16, take the other way.
    #[test]
    fn a_batch_is_made_where_it_pays() {
        for group in Group::ALL {
            assert!(!pays(group, 1));
            assert_eq!(pays(group, 2), group != Group::Modp16);
        }
        let gained = if is_possible() { BATCH } else { 1 };
        assert_eq!(Group::ALL.map(Group::most_at_once), [gained, gained, gained, 1]);
        assert_eq!(powers(Group::Modp2, &[]), Vec::<Vec<u8>>::new());
    }
}
