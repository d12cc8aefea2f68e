//! Many exponentiations, eight at once where the processor can do that and it pays.

use super::arithmetic::{power, public_key};
use super::group::Group;

/// How many are computed at once.
pub(super) const BATCH: usize = 8;

/// One public key by itself takes a quarter of the time of a batch.
const MIN_PUBLIC_KEYS: usize = 5;

/// A base and an exponent, big-endian. Neither is longer than the prime.
pub(super) type Job<'a> = (&'a [u8], &'a [u8]);

/// As [`power`], for each of these bases and exponents.
pub(super) fn powers(group: Group, jobs: &[Job<'_>]) -> Vec<Vec<u8>> {
    by_eights(jobs, |jobs| at_once(group, jobs), |(base, exponent)| power(group, base, exponent))
}

/// The public keys of these private keys, as [`public_key`] computes each.
pub(super) fn public_keys(group: Group, private_keys: &[&[u8]]) -> Vec<Vec<u8>> {
    let in_batch = |keys: &[&[u8]]| {
        let jobs: Vec<Job<'_>> = keys.iter().map(|private| (&[2][..], *private)).collect();
        // A lone one has a table of its own.
        if jobs.len() < MIN_PUBLIC_KEYS { None } else { at_once(group, &jobs) }
    };
    by_eights(private_keys, in_batch, |private| public_key(group, private))
}

/// What `together` makes of each batch of the jobs, or `alone` of each job where that makes nothing.
fn by_eights<J>(
    jobs: &[J],
    together: impl Fn(&[J]) -> Option<Vec<Vec<u8>>>,
    alone: impl Fn(&J) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let one_by_one = |jobs: &[J]| jobs.iter().map(&alone).collect();
    jobs.chunks(BATCH).flat_map(|jobs| together(jobs).unwrap_or_else(|| one_by_one(jobs))).collect()
}

impl Group {
    /// How many key agreements in this group are best computed together on this processor: 8 with the instructions AVX-512 IFMA, in the groups
    /// in which they gain time, and else 1.
    pub fn most_at_once(self) -> usize {
        if pays(self, BATCH) && is_possible() { BATCH } else { 1 }
    }
}

/// Whether so many exponentiations at once take less time than one after the other.
fn pays(group: Group, jobs: usize) -> bool {
    match group {
        Group::Modp2 | Group::Modp5 => jobs > 0,
        Group::Modp14 => jobs > 1,
        Group::Modp16 => false,
    }
}

/// Whether the processor has the instructions.
fn is_possible() -> bool {
    #[cfg(target_arch = "x86_64")]
    return super::eights::is_available();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// The powers of at most [`BATCH`] jobs; `None` if the processor cannot, or if it does not pay.
#[cfg(target_arch = "x86_64")]
fn at_once(group: Group, jobs: &[Job<'_>]) -> Option<Vec<Vec<u8>>> {
    use std::sync::OnceLock;

    use super::arithmetic::prime;
    use super::eights::{LIMB_BITS, Modulus};

    fn modulus<const L: usize>(group: Group) -> Modulus<L> {
        let exponent = (2 * LIMB_BITS * L) as u32;
        Modulus::new(&prime(group), &power(group, &[2], &exponent.to_be_bytes()))
    }
    static MODP2: OnceLock<Modulus<20>> = OnceLock::new();
    static MODP5: OnceLock<Modulus<30>> = OnceLock::new();
    static MODP14: OnceLock<Modulus<40>> = OnceLock::new();
    if !pays(group, jobs.len()) || !is_possible() {
        return None;
    }
    match group {
        Group::Modp2 => MODP2.get_or_init(|| modulus(group)).powers(jobs),
        Group::Modp5 => MODP5.get_or_init(|| modulus(group)).powers(jobs),
        Group::Modp14 => MODP14.get_or_init(|| modulus(group)).powers(jobs),
        Group::Modp16 => None,
    }
}

/// No other processor can.
#[cfg(not(target_arch = "x86_64"))]
fn at_once(_group: Group, _jobs: &[Job<'_>]) -> Option<Vec<Vec<u8>>> {
    None
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    use super::*;
    use crate::crypto::dh::arithmetic::prime;

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
        assert_eq!(by_eights(&jobs, |_| None, alone), expected);
        // Where only a full batch pays, the rest is computed one by one.
        let together = |jobs: &[u8]| (jobs.len() == BATCH).then(|| jobs.iter().map(alone).collect());
        assert_eq!(by_eights(&jobs, together, |job| vec![*job, 1]), {
            let rest = |job: &u8| if *job < 16 { vec![*job] } else { vec![*job, 1] };
            jobs.iter().map(rest).collect::<Vec<_>>()
        });
    }

    fn check(group: Group, jobs: &[(Vec<u8>, Vec<u8>)]) {
        let borrowed: Vec<Job<'_>> = jobs.iter().map(|(base, exponent)| (&base[..], &exponent[..])).collect();
        let one_by_one: Vec<_> = jobs.iter().map(|(base, exponent)| power(group, base, exponent)).collect();
        assert_eq!(powers(group, &borrowed), one_by_one, "{group:?} {jobs:02x?}");
    }

    /// Bases and exponents of all kinds, at the edges of the range among them. Where the processor has no instructions for it, both sides
    /// are the same code.
    #[test]
    fn many_at_once_are_what_they_are_one_by_one() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for (group, rounds) in Group::ALL.into_iter().zip([150, 40, 20, 1]) {
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
    fn the_edges_of_the_range_are_right() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
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

    /// What the batch does not do is said here: a lone one in group 14, and group 16, take the other way.
    #[test]
    fn a_batch_is_made_where_it_pays() {
        assert!(pays(Group::Modp2, 1) && pays(Group::Modp5, 1) && !pays(Group::Modp14, 1) && pays(Group::Modp14, 2));
        assert!(!pays(Group::Modp16, 8));
        let gained = if is_possible() { BATCH } else { 1 };
        assert_eq!(Group::ALL.map(Group::most_at_once), [gained, gained, gained, 1]);
        assert_eq!(powers(Group::Modp2, &[]), Vec::<Vec<u8>>::new());
    }
}
