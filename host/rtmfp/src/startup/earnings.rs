//! What an unproven packet may earn: less than three bytes for each byte received (RFC 7016 §5, QUIC's RFC 9000 §8 for the number).
//!
//! Most packets earn their answer alone. One that is too short for that, as the hellos of librtmfp for short URIs are, is not answered;
//! but its bytes are remembered for a few seconds, so that a client that repeats it is answered as soon as all that has come from
//! its network covers the answer. So no network is sent three times what came from it, however its packets are cut.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::fixed_table::FixedTable;
use crate::network_prefix::NetworkPrefix;

/// How many bytes a byte may earn; the answers have to stay below that.
const FACTOR: usize = 3;
/// Networks that are remembered at a time.
const CELLS: usize = 1 << 16;
/// How long bytes are remembered after the last packet: clients repeat a hello within some seconds.
const MEMORY: Duration = Duration::from_secs(10);
/// No answer at startup is longer than this (RFC 7016 §3.4), so no network needs to save more for one.
const MAX_SAVED: usize = 4380 / FACTOR + 1;

/// The bytes of one network that have earned nothing yet.
#[derive(Clone, Copy, Default)]
struct Cell {
    /// Half of the network's hash: tells it from others that have the same cell.
    tag: u32,
    /// When its last packet came, in milliseconds since the endpoint was made, and one more: 0 is an empty cell.
    at: u64,
    saved: u16,
}

/// Decides which answers are earned.
pub(crate) struct Earnings {
    epoch: Instant,
    /// By network. It takes 1 MiB, from the first packet on that does not earn its answer alone.
    table: FixedTable<Cell>,
}

impl Earnings {
    pub(crate) fn new(now: Instant, secret: [u8; 16]) -> Self {
        Self { epoch: now, table: FixedTable::new(secret, CELLS) }
    }

    /// Has a packet of `received` bytes from `from`, together with what came from that network before, earned an answer of `answer`
    /// bytes? If not, the packet is to be dropped.
    pub(crate) fn earn(&mut self, now: Instant, from: IpAddr, received: usize, answer: usize) -> bool {
        if answer < FACTOR * received {
            return true;
        }
        let at = now.saturating_duration_since(self.epoch).as_millis() as u64 + 1;
        let Some((tag, cell)) = self.table.cell(NetworkPrefix::of(from)) else { return false };
        if cell.tag != tag || at.saturating_sub(cell.at) > MEMORY.as_millis() as u64 {
            *cell = Cell { tag, ..Cell::default() };
        }
        cell.at = at;
        let saved = (usize::from(cell.saved) + received).min(MAX_SAVED);
        // The least number of bytes that is worth more than the answer.
        let price = answer / FACTOR + 1;
        let is_earned = saved >= price;
        cell.saved = (if is_earned { saved - price } else { saved }) as u16;
        is_earned
    }

    /// Subtracts from what the network has saved the price of an answer that is sent in place of a longer one, which was not earned.
    pub(crate) fn spend(&mut self, from: IpAddr, answer: usize) {
        let cell = self.table.known(NetworkPrefix::of(from)).filter(|(tag, cell)| cell.tag == *tag);
        if let Some((_, cell)) = cell {
            cell.saved = cell.saved.saturating_sub((answer / FACTOR + 1) as u16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::test_clock;

    fn earnings() -> (Earnings, Instant) {
        let now = test_clock();
        (Earnings::new(now, [7; 16]), now)
    }

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn what_is_long_enough_earns_its_answer_without_a_trace() {
        let (mut earnings, now) = earnings();
        assert!(earnings.earn(now, HOST, 68, 180));
        assert!(earnings.earn(now, HOST, 61, 182));
        assert_eq!(earnings.table.bytes(), 0);
        assert!(!earnings.earn(now, HOST, 60, 180), "three times as much is too much");
    }

    #[test]
    fn what_is_repeated_is_answered_and_never_with_three_times_as_much() {
        for received in 1..60 {
            let (mut earnings, mut now) = earnings();
            let (mut sent, mut answered) = (0, 0);
            for round in 1..1000 {
                now += Duration::from_millis(100);
                answered += if earnings.earn(now, HOST, received, 180) { 180 } else { 0 };
                sent += received;
                assert!(answered < 3 * sent);
                assert!(round < 61_usize.div_ceil(received) || answered > 0, "{received} bytes, {round} times");
            }
            assert!(answered + 180 + 1000 * 3 >= 3 * sent, "what is earned is given");
        }
    }

    #[test]
    fn networks_do_not_spend_each_others_bytes_and_old_ones_are_forgotten() {
        let (mut earnings, now) = earnings();
        let other: IpAddr = [192, 0, 2, 2].into();
        assert!(!earnings.earn(now, HOST, 36, 180));
        assert!(!earnings.earn(now, other, 36, 180));
        assert!(!earnings.earn(now + MEMORY + Duration::from_millis(1), HOST, 36, 180));
        assert!(earnings.earn(now + MEMORY + Duration::from_secs(3), HOST, 36, 180));
    }

    #[test]
    fn no_more_is_saved_than_the_longest_answer_costs() {
        let (mut earnings, now) = earnings();
        (0..1000).for_each(|_| _ = earnings.earn(now, HOST, 1000, 100_000));
        assert!(earnings.earn(now, HOST, 1, 4380));
        assert!(!earnings.earn(now, HOST, 1, 180));
    }

    #[test]
    fn any_number_of_networks_takes_the_same_memory() {
        let (mut earnings, now) = earnings();
        for number in 0..200_000_u32 {
            assert!(!earnings.earn(now, IpAddr::from(number.to_be_bytes()), 36, 180));
        }
        assert_eq!(earnings.table.bytes(), 1 << 20);
    }

    #[test]
    fn bytes_are_saved_for_10_seconds_after_the_last_packet() {
        for (millis, is_earned) in [(10_000, true), (10_001, false)] {
            let (mut earnings, now) = earnings();
            assert!(!earnings.earn(now, HOST, 40, 180));
            assert_eq!(earnings.earn(now + Duration::from_millis(millis), HOST, 40, 180), is_earned, "{millis}");
        }
    }

    #[test]
    fn a_network_that_has_anothers_cell_pays_with_its_bytes_only() {
        let now = test_clock();
        // All networks share the one cell.
        let mut earnings = Earnings { epoch: now, table: FixedTable::new([7; 16], 1) };
        let other: IpAddr = [192, 0, 2, 2].into();
        assert!(!earnings.earn(now, HOST, 60, 180));
        earnings.spend(other, 90);
        assert!(earnings.earn(now, HOST, 1, 180), "nothing of its bytes was spent");
        assert!(!earnings.earn(now, HOST, 60, 180));
        assert!(!earnings.earn(now, other, 60, 180), "it does not get those of the other");
    }

    #[test]
    fn what_is_sent_instead_is_subtracted_from_what_is_saved() {
        let (mut earnings, now) = earnings();
        earnings.spend(HOST, 90);
        assert_eq!(earnings.table.bytes(), 0, "nothing was saved");
        assert!(!earnings.earn(now, HOST, 50, 180));
        earnings.spend(HOST, 90);
        // 50 - 31 are left, and an answer of 180 costs 61.
        assert!(!earnings.earn(now, HOST, 41, 180));
        assert!(earnings.earn(now, HOST, 1, 180));
        earnings.spend(HOST, 10_000);
        assert!(!earnings.earn(now, HOST, 60, 180));
    }
}
