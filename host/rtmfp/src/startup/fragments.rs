//! Startup packets that are longer than a path takes, such as hellos with large certificates (RFC 7016 §3.4).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::wire::chunk::PacketFragment;

/// What one fragment adds to the bytes of its packet on the way: session id, checksum, flags, chunk header, flags, packet id and
/// fragment number. Several fragments add more.
pub(crate) const MIN_OVERHEAD: usize = 4 + 2 + 1 + 3 + 1 + 1 + 1;
/// How many packets may be incomplete at a time.
const MAX_PACKETS: usize = 256;
/// The longest packet, in bytes: a certificate with a key in every group takes some 1100.
const MAX_PACKET: usize = 8192;
/// The most fragments of one packet.
const MAX_FRAGMENTS: u64 = 64;
/// How long a packet may take to become whole while fragments come.
const MAX_AGE: Duration = Duration::from_secs(60);
/// A packet makes progress if a fragment came within this time.
const PROGRESS: Duration = Duration::from_secs(1);

/// Packets of which some fragments have come, from unproven addresses: 2 MiB at most.
///
/// When there are too many, the one that has been without a new fragment for the longest is given up: the fragments of an honest
/// packet come right after each other.
#[derive(Default)]
pub(crate) struct FragmentedPackets(Vec<Partial>);

struct Partial {
    from: SocketAddr,
    /// The session id that the packets were addressed to.
    session_id: u32,
    packet_id: u64,
    begun: Instant,
    progress: Instant,
    fragments: BTreeMap<u64, Box<[u8]>>,
    /// The number of the last fragment, once it is known.
    last: Option<u64>,
    len: usize,
}

impl FragmentedPackets {
    /// Takes in a fragment. When it is the one that was missing, the packet comes back: its header and its chunks.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        from: SocketAddr,
        session_id: u32,
        fragment: &PacketFragment<'_>,
    ) -> Option<Vec<u8>> {
        self.0.retain(|partial| now < partial.progress + PROGRESS && now < partial.begun + MAX_AGE);
        let place = self.0.iter().position(|partial| {
            (partial.from, partial.session_id, partial.packet_id) == (from, session_id, fragment.packet_id)
        });
        let place = place.unwrap_or_else(|| {
            if self.0.len() >= MAX_PACKETS
                && let Some((oldest, _)) = self.0.iter().enumerate().min_by_key(|(_, partial)| partial.progress)
            {
                self.0.swap_remove(oldest);
            }
            self.0.push(Partial::new(now, from, session_id, fragment.packet_id));
            self.0.len() - 1
        });
        let partial = self.0.get_mut(place)?;
        if !partial.add(now, fragment) || partial.len > MAX_PACKET {
            self.0.swap_remove(place);
            return None;
        }
        partial.is_whole().then(|| self.0.swap_remove(place).whole())
    }
}

impl Partial {
    fn new(now: Instant, from: SocketAddr, session_id: u32, packet_id: u64) -> Self {
        Self { from, session_id, packet_id, begun: now, progress: now, fragments: BTreeMap::new(), last: None, len: 0 }
    }

    /// False when the fragment does not go together with the others.
    fn add(&mut self, now: Instant, fragment: &PacketFragment<'_>) -> bool {
        let number = fragment.fragment_num;
        if number >= MAX_FRAGMENTS || self.last.is_some_and(|last| number > last) {
            return false;
        }
        if !fragment.more_fragments {
            let is_after_all = self.fragments.keys().next_back().is_none_or(|highest| *highest <= number);
            if !is_after_all || self.last.is_some_and(|last| last != number) {
                return false;
            }
            self.last = Some(number);
        }
        if let std::collections::btree_map::Entry::Vacant(vacant) = self.fragments.entry(number) {
            vacant.insert(fragment.fragment.into());
            self.len += fragment.fragment.len();
            self.progress = now;
        }
        true
    }

    fn is_whole(&self) -> bool {
        self.last.is_some_and(|last| self.fragments.len() as u64 == last + 1)
    }

    fn whole(self) -> Vec<u8> {
        self.fragments.into_values().collect::<Vec<_>>().concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::test_clock;

    fn fragment(packet_id: u64, fragment_num: u64, more_fragments: bool, fragment: &[u8]) -> PacketFragment<'_> {
        PacketFragment { more_fragments, packet_id, fragment_num, fragment }
    }

    fn address(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn fragments_in_any_order_make_the_packet_once() {
        let now = test_clock();
        let parts = [fragment(7, 0, true, b"ab"), fragment(7, 1, true, b"cd"), fragment(7, 2, false, b"e")];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut reassembly = FragmentedPackets::default();
            let whole: Vec<_> =
                order.iter().filter_map(|part| reassembly.add(now, address(1), 0, &parts[*part])).collect();
            assert_eq!(whole, [b"abcde"]);
            assert!(reassembly.0.is_empty());
        }
    }

    #[test]
    fn packets_are_told_apart_by_address_session_and_id() {
        let now = test_clock();
        let mut reassembly = FragmentedPackets::default();
        assert_eq!(reassembly.add(now, address(1), 0, &fragment(7, 0, true, b"a")), None);
        assert_eq!(reassembly.add(now, address(2), 0, &fragment(7, 1, false, b"b")), None);
        assert_eq!(reassembly.add(now, address(1), 5, &fragment(7, 1, false, b"b")), None);
        assert_eq!(reassembly.add(now, address(1), 0, &fragment(8, 1, false, b"b")), None);
        assert_eq!(reassembly.add(now, address(1), 0, &fragment(7, 0, true, b"x")), None, "the first counts");
        assert_eq!(reassembly.add(now, address(1), 0, &fragment(7, 1, false, b"b")), Some(b"ab".to_vec()));
    }

    #[test]
    fn a_packet_without_progress_is_given_up() {
        let now = test_clock();
        let mut reassembly = FragmentedPackets::default();
        reassembly.add(now, address(1), 0, &fragment(7, 0, true, b"a"));
        let late = now + PROGRESS;
        assert_eq!(reassembly.add(late, address(1), 0, &fragment(7, 1, false, b"b")), None);
    }

    #[test]
    fn a_packet_that_makes_progress_has_60_seconds() {
        for (millis, is_whole) in [(59_999, true), (60_000, false)] {
            let (now, mut reassembly) = (test_clock(), FragmentedPackets::default());
            // A new fragment every 990 ms is progress; one that came before is none.
            for number in 0..=60 {
                let at = now + Duration::from_millis(990 * number);
                assert_eq!(reassembly.add(at, address(1), 0, &fragment(7, number, true, b"a")), None);
            }
            let at = now + Duration::from_millis(millis);
            let whole = reassembly.add(at, address(1), 0, &fragment(7, 61, false, b"z"));
            assert_eq!(whole.map(|whole| whole.len()), is_whole.then_some(62));
        }
        for (is_new, is_whole) in [(true, true), (false, false)] {
            let (now, mut reassembly) = (test_clock(), FragmentedPackets::default());
            reassembly.add(now, address(1), 0, &fragment(7, 0, true, b"a"));
            let later = now + Duration::from_millis(900);
            reassembly.add(later, address(1), 0, &fragment(7, u64::from(is_new), true, b"b"));
            let at = later + Duration::from_millis(900);
            reassembly.add(at, address(1), 0, &fragment(7, 1, true, b"b"));
            let whole = reassembly.add(at, address(1), 0, &fragment(7, 2, false, b"c"));
            assert_eq!(whole.is_some(), is_whole);
        }
    }

    /// Numbers of fragments and whether each is the last; what contradicts itself is given up at once.
    #[test]
    fn fragments_that_contradict_each_other_make_no_packet() {
        let wholes = |parts: &[(u64, bool)]| {
            let (now, mut reassembly) = (test_clock(), FragmentedPackets::default());
            let add = |(number, is_last): &(u64, bool)| {
                reassembly.add(now, address(1), 0, &fragment(7, *number, !is_last, b"x"))
            };
            let wholes = parts.iter().filter_map(add).count();
            (wholes, reassembly.0.len())
        };
        assert_eq!(wholes(&[(0, false), (2, false), (1, true)]), (0, 0), "one behind the last came before it");
        assert_eq!(wholes(&[(1, true), (2, false)]), (0, 0), "one behind the last comes after it");
        assert_eq!(wholes(&[(2, true), (1, true)]), (0, 0), "two are the last");
        assert_eq!(wholes(&[(1, true), (1, true), (0, false)]), (1, 0), "one that comes twice is no contradiction");
        assert_eq!(wholes(&[(1, false), (1, true), (0, false)]), (1, 0));
    }

    #[test]
    fn a_packet_has_64_fragments_and_8192_bytes_at_most() {
        let now = test_clock();
        for (count, is_whole) in [(64, true), (65, false)] {
            let mut reassembly = FragmentedPackets::default();
            let wholes = (0..count).filter_map(|number| {
                reassembly.add(now, address(1), 0, &fragment(7, number, number + 1 < count, b"x"))
            });
            assert_eq!(wholes.count(), usize::from(is_whole), "{count}");
        }
        for (len, is_whole) in [(8192, true), (8193, false)] {
            let mut reassembly = FragmentedPackets::default();
            assert_eq!(reassembly.add(now, address(1), 0, &fragment(7, 0, true, &[0; 1000])), None);
            let whole = reassembly.add(now, address(1), 0, &fragment(7, 1, false, &vec![0; len - 1000]));
            assert_eq!((whole.is_some(), reassembly.0.len()), (is_whole, 0), "{len}");
        }
    }

    #[test]
    fn the_packet_that_has_waited_longest_makes_room() {
        let (now, mut reassembly) = (test_clock(), FragmentedPackets::default());
        let at = |millis| now + Duration::from_millis(millis);
        for packet in 0..MAX_PACKETS as u64 {
            reassembly.add(at(packet), address(1), 0, &fragment(packet, 0, true, b"a"));
        }
        // The first has made progress since.
        reassembly.add(at(300), address(1), 0, &fragment(0, 1, true, b"b"));
        reassembly.add(at(300), address(2), 0, &fragment(1000, 0, true, b"a"));
        assert_eq!(reassembly.0.len(), MAX_PACKETS);
        let mut is_there =
            |packet, number| reassembly.add(at(301), address(1), 0, &fragment(packet, number, false, b"z")).is_some();
        assert_eq!([is_there(0, 2), is_there(1, 1), is_there(2, 1)], [true, false, true]);
    }

    #[test]
    fn what_strangers_send_is_bounded() {
        let now = test_clock();
        let mut reassembly = FragmentedPackets::default();
        for packet in 0..10_000 {
            reassembly.add(now, address(packet as u16), 0, &fragment(packet, 0, true, &[0; 1000]));
        }
        assert_eq!(reassembly.0.len(), MAX_PACKETS);
        let mut reassembly = FragmentedPackets::default();
        for number in 0..100 {
            assert_eq!(reassembly.add(now, address(1), 0, &fragment(1, number, true, &[0; 1000])), None);
        }
        assert!(reassembly.0.iter().map(|partial| partial.len).sum::<usize>() <= MAX_PACKET);
        // Contradictions about which is the last.
        reassembly.add(now, address(2), 0, &fragment(1, 3, false, b"x"));
        assert_eq!(reassembly.add(now, address(2), 0, &fragment(1, 4, false, b"x")), None);
        assert_eq!(reassembly.add(now, address(3), 0, &fragment(1, u64::MAX, false, b"x")), None);
        assert!(reassembly.0.iter().all(|partial| partial.from == address(1)));
    }
}
