//! Which transmissions were lost (RFC 7016 §3.6.2.5): a fragment counts as lost once three acknowledgements have named fragments sent
//! after it.

use std::collections::VecDeque;

/// How many negative acknowledgements make a loss.
const NAKS_OF_A_LOSS: u8 = 3;

/// One transmission of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transmission {
    /// The Transmission Sequence Number: counts fragments sent in the session, from 1.
    pub(super) tsn: u64,
    pub(super) flow: u64,
    pub(super) sequence_number: u64,
}

#[derive(Debug)]
struct Suspect {
    transmission: Transmission,
    naks: u8,
}

/// The order of transmission over all sending flows of a session.
///
/// Every transmission is looked at once when one sent later is acknowledged, and up to three times more if it is missing
/// then; so an acknowledgement costs what it acknowledges, not what is in flight.
#[derive(Debug, Default)]
pub(super) struct Transmissions {
    /// TSN of the last transmission.
    last: u64,
    /// MAX_TSN_ACK, or what it will be when this packet is done.
    newest_acknowledged: u64,
    /// The newest transmission that this packet has acknowledged; 0: none.
    acknowledged_now: u64,
    /// Most sessions have nothing in flight most of the time.
    in_flight: Option<Box<InFlight>>,
}

/// Transmissions that are neither acknowledged nor lost.
#[derive(Debug, Default)]
struct InFlight {
    /// Flow and sequence number of the transmissions up to the last, the newest at the back.
    later: VecDeque<(u64, u64)>,
    /// Transmissions before `later`, in flight when one sent after them had already arrived.
    suspects: VecDeque<Suspect>,
}

/// What a packet of acknowledgements says about what it does not acknowledge.
#[derive(Debug, Default)]
pub(super) struct LossReport {
    /// There was a negative acknowledgement.
    pub(super) nak: bool,
    /// These are lost.
    pub(super) lost: Vec<Transmission>,
    /// How many transmissions were looked at.
    pub(super) steps: u32,
}

impl Transmissions {
    /// Numbers a transmission.
    pub(super) fn sent(&mut self, flow: u64, sequence_number: u64) -> u64 {
        self.last += 1;
        self.in_flight.get_or_insert_default().later.push_back((flow, sequence_number));
        self.last
    }

    /// The TSN of the last transmission.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The highest TSN acknowledged.
    pub(super) fn newest_acknowledged(&self) -> u64 {
        self.newest_acknowledged
    }

    /// A transmission was acknowledged.
    pub(super) fn acknowledged(&mut self, tsn: u64) {
        self.newest_acknowledged = self.newest_acknowledged.max(tsn);
        self.acknowledged_now = self.acknowledged_now.max(tsn);
    }

    /// After all acknowledgements in a packet: what is missing? `in_flight` tells whether a transmission still is.
    pub(super) fn end_of_packet(&mut self, in_flight: impl Fn(&Transmission) -> bool) -> LossReport {
        let acknowledged_now = std::mem::take(&mut self.acknowledged_now);
        let mut report = LossReport::default();
        if acknowledged_now == 0 {
            return report;
        }
        let Some(InFlight { later, suspects }) = self.in_flight.as_deref_mut() else { return report };
        let mut tsn = self.last - later.len() as u64;
        while tsn < self.newest_acknowledged
            && let Some((flow, sequence_number)) = later.pop_front()
        {
            tsn += 1;
            report.steps += 1;
            let transmission = Transmission { tsn, flow, sequence_number };
            if in_flight(&transmission) {
                suspects.push_back(Suspect { transmission, naks: 0 });
            }
        }
        // They are in the order of their transmission. Those that this packet says nothing about are left alone: looking at them
        // each time would make many packets with old news cost as many times what is in flight.
        let mut kept = Vec::new();
        while let Some(mut suspect) = suspects.pop_front_if(|suspect| suspect.transmission.tsn < acknowledged_now) {
            report.steps += 1;
            if !in_flight(&suspect.transmission) {
                continue;
            }
            suspect.naks += 1;
            report.nak = true;
            if suspect.naks >= NAKS_OF_A_LOSS {
                report.lost.push(suspect.transmission);
            } else {
                kept.push(suspect);
            }
        }
        kept.into_iter().rev().for_each(|suspect| suspects.push_front(suspect));
        while suspects.pop_front_if(|suspect| !in_flight(&suspect.transmission)).is_some() {
            report.steps += 1;
        }
        match (later.is_empty(), suspects.is_empty()) {
            (true, true) => self.in_flight = None,
            (true, false) => *later = VecDeque::new(),
            (false, true) => *suspects = VecDeque::new(),
            (false, false) => (),
        }
        report
    }

    /// Places reserved: tests make sure that none stay behind.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |lists| lists.later.capacity() + lists.suspects.capacity())
    }

    /// Forgets all transmissions: they have timed out (§3.6.2.6).
    pub(super) fn clear(&mut self) {
        self.in_flight = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_later_acknowledgements_make_a_loss() {
        let mut order = Transmissions::default();
        let mut flying: Vec<u64> = (1..=6).map(|number| order.sent(7, number)).collect();
        flying.retain(|&tsn| tsn != 2);
        order.acknowledged(2);
        let check = |order: &mut Transmissions, flying: &[u64]| {
            let report = order.end_of_packet(|transmission| flying.contains(&transmission.tsn));
            (report.nak, report.lost.iter().map(|lost| lost.sequence_number).collect::<Vec<_>>())
        };
        assert_eq!(check(&mut order, &flying), (true, vec![]));
        // A packet that acknowledges nothing new says nothing about 1.
        assert_eq!(check(&mut order, &flying), (false, vec![]));
        for (tsn, lost) in [(3, vec![]), (4, vec![1]), (5, vec![])] {
            flying.retain(|&other| other != tsn);
            order.acknowledged(tsn);
            let (_, found) = check(&mut order, &flying);
            assert_eq!(found, lost);
            flying.retain(|other| !lost.contains(other));
        }
    }

    #[test]
    fn fragments_sent_later_are_not_suspected() {
        let mut order = Transmissions::default();
        let first = order.sent(1, 1);
        order.sent(2, 1);
        order.acknowledged(first);
        assert!(!order.end_of_packet(|transmission| transmission.tsn != first).nak);
    }

    #[test]
    fn an_old_fragment_acknowledged_late_does_not_count_against_newer_ones() {
        let mut order = Transmissions::default();
        (1..=4).for_each(|number| _ = order.sent(1, number));
        order.acknowledged(4);
        assert!(order.end_of_packet(|transmission| transmission.tsn < 4).nak);
        order.acknowledged(1);
        assert!(!order.end_of_packet(|transmission| matches!(transmission.tsn, 2 | 3)).nak);
    }

    /// The steps that `count` transmissions take, when one is acknowledged in each packet, in the order of `order_of`.
    fn steps_of(count: u64, order_of: impl Fn(u64) -> u64) -> u64 {
        let mut order = Transmissions::default();
        let mut flying: std::collections::BTreeSet<u64> = (1..=count).map(|number| order.sent(1, number)).collect();
        let mut steps = 0;
        for at in 0..count {
            let tsn = order_of(at);
            if flying.remove(&tsn) {
                order.acknowledged(tsn);
                let report = order.end_of_packet(|transmission| flying.contains(&transmission.tsn));
                report.lost.iter().for_each(|lost| _ = flying.remove(&lost.tsn));
                steps += u64::from(report.steps);
            }
        }
        steps
    }

    #[test]
    fn acknowledgements_cost_what_they_acknowledge() {
        type Order = fn(u64, u64) -> u64;
        let orders: [(&str, Order); 4] = [
            ("as sent", |at, _| at + 1),
            ("the last first", |at, count| count - at),
            ("the last, then as sent", |at, count| if at == 0 { count } else { at }),
            ("every other one", |at, count| if at < count / 2 { 2 * at + 1 } else { 2 * (at - count / 2) + 2 }),
        ];
        for (what, order) in orders {
            let [once, twice, four_times] = [1, 2, 4].map(|factor| {
                let count = factor * 2000;
                steps_of(count, |at| order(at, count))
            });
            assert!(once <= 5 * 2000, "{what}: {once}");
            assert!(
                twice <= 2 * once + once / 4 && four_times <= 4 * once + once / 2,
                "{what}: {once}, {twice}, {four_times}"
            );
        }
    }
}
