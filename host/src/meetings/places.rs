//! Where the attempts of a table are, by their hashes.

use std::net::IpAddr;

use super::mixer::Mixer;

/// How many places a bucket has: as many as fit into half a cache line.
const WAYS: usize = 8;

/// A place: a part of the hash, and the number of the attempt from 1 on; 0 if the place is free.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    mark: u16,
    number: u16,
}

/// An index in buckets of [`WAYS`] places. It never grows, and a full bucket takes nothing more: whatever arrives, finding or adding an
/// attempt costs one bucket.
///
/// An asker's attempts go into a few buckets that its network alone decides, so that one network fills these and no others.
#[derive(Debug)]
pub(super) struct Places {
    buckets: Box<[[Place; WAYS]]>,
    /// How many buckets a network has: a power of two.
    share: u64,
}

impl Places {
    /// An index of as many buckets, a power of two. Each network has `share` of them.
    pub(super) fn new(buckets: usize, share: u64) -> Self {
        Self { buckets: vec![[Place::default(); WAYS]; buckets].into_boxed_slice(), share }
    }

    /// How many attempts have room in `buckets` buckets.
    pub(super) const fn room(buckets: usize) -> usize {
        buckets * WAYS
    }

    /// The bucket of an attempt.
    pub(super) fn bucket(&self, mixer: Mixer, asker: IpAddr, hash: u64) -> u32 {
        let place = mixer.place_of_network(asker, hash % self.share);
        // The number of buckets is a power of two that fits.
        (place as usize & (self.buckets.len() - 1)) as u32
    }

    fn mark(hash: u64) -> u16 {
        (hash >> 48) as u16
    }

    /// The attempts that may be the one with that hash.
    pub(super) fn candidates(&self, bucket: u32, hash: u64) -> impl Iterator<Item = usize> + '_ {
        let mark = Self::mark(hash);
        let places = self.buckets[bucket as usize].iter();
        places.filter(move |place| place.number > 0 && place.mark == mark).map(|place| usize::from(place.number) - 1)
    }

    /// Notes where an attempt is; false if its bucket is full.
    pub(super) fn add(&mut self, bucket: u32, hash: u64, at: usize) -> bool {
        let Some(number) = u16::try_from(at + 1).ok() else { return false };
        let Some(free) = self.buckets[bucket as usize].iter_mut().find(|place| place.number == 0) else { return false };
        *free = Place { mark: Self::mark(hash), number };
        true
    }

    /// Notes that an attempt is at another place, or gone.
    pub(super) fn change(&mut self, bucket: u32, from: usize, to: Option<usize>) {
        let known = self.buckets[bucket as usize].iter_mut().find(|place| usize::from(place.number) == from + 1);
        if let Some(known) = known {
            known.number = to.and_then(|to| u16::try_from(to + 1).ok()).unwrap_or_default();
        }
    }
}
