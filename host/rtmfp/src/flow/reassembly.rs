//! RECV_BUFFER (RFC 7016 §3.6.3.3): fragments become messages again, whatever the order they come in.

mod handover;

use std::collections::{BTreeMap, VecDeque};

use crate::wire::chunk::FragmentControl;

/// What a stored fragment is counted as, besides its bytes: about what it costs (§3.6.3, BUFFERED_SIZE).
const FRAGMENT_OVERHEAD: usize = 128;
/// The most bytes that a new message reserves at first.
const MAX_RESERVE: usize = 16 << 10;

/// A complete message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assembled {
    /// The sequence number of its first fragment.
    pub(super) first: u64,
    /// The sequence number of its last.
    pub(super) last: u64,
    pub(super) data: Vec<u8>,
}

/// A message whose fragments have come in order so far: everything before it is settled.
#[derive(Debug)]
struct Partial {
    first: u64,
    last: u64,
    data: Vec<u8>,
}

/// A run of fragments of one message, beyond a gap.
///
/// Kept in pieces so that joining runs never copies their bytes, in whatever order an attacker sends them.
#[derive(Debug)]
struct Segment {
    last: u64,
    begins: bool,
    ends: bool,
    bytes: usize,
    pieces: VecDeque<Vec<u8>>,
}

impl Segment {
    /// What this segment adds to the buffered size.
    fn cost(&self) -> usize {
        self.bytes + self.pieces.len() * FRAGMENT_OVERHEAD
    }

    /// Appends the run that follows this one. The shorter list of pieces moves.
    fn join(&mut self, mut next: Segment) {
        self.last = next.last;
        self.ends = next.ends;
        self.bytes += next.bytes;
        if self.pieces.len() >= next.pieces.len() {
            self.pieces.append(&mut next.pieces);
        } else {
            while let Some(piece) = self.pieces.pop_back() {
                next.pieces.push_front(piece);
            }
            self.pieces = next.pieces;
        }
    }

    fn is_whole(&self) -> bool {
        self.begins && self.ends
    }
}

/// Runs of fragments by their first sequence numbers. Mostly there are none, which takes the place of a pointer.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "an empty map takes three pointers")]
struct Segments(Option<Box<BTreeMap<u64, Segment>>>);

impl Segments {
    fn get(&self, first: u64) -> Option<&Segment> {
        self.0.as_ref()?.get(&first)
    }

    fn insert(&mut self, first: u64, segment: Segment) {
        self.0.get_or_insert_default().insert(first, segment);
    }

    fn remove(&mut self, first: u64) -> Option<Segment> {
        let segments = self.0.as_mut()?;
        let removed = segments.remove(&first);
        if segments.is_empty() {
            self.0 = None;
        }
        removed
    }

    /// The number of the first run of all.
    fn first(&self) -> Option<u64> {
        self.0.as_ref()?.first_key_value().map(|(first, _)| *first)
    }

    /// The last run that begins before `number`.
    fn last_before(&mut self, number: u64) -> Option<(u64, &mut Segment)> {
        self.0.as_mut()?.range_mut(..number).next_back().map(|(first, segment)| (*first, segment))
    }

    /// The first numbers of the runs that are whole messages.
    fn whole(&self) -> Vec<u64> {
        let all = self.0.iter().flat_map(|segments| segments.iter());
        all.filter(|(_, segment)| segment.is_whole()).map(|(first, _)| *first).collect()
    }
}

/// The fragments of one receiving flow that are not delivered yet.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    partial: Option<Box<Partial>>,
    /// By first sequence number. Runs that touch and belong to one message are one segment.
    segments: Segments,
    buffered: usize,
    /// The length of the last message of several fragments: what the next one reserves.
    expected: u32,
}

fn begins(control: FragmentControl) -> bool {
    matches!(control, FragmentControl::Whole | FragmentControl::Begin)
}

fn ends(control: FragmentControl) -> bool {
    matches!(control, FragmentControl::Whole | FragmentControl::End)
}

impl Reassembly {
    /// Bytes held, overhead included.
    pub(super) fn buffered(&self) -> usize {
        self.buffered
    }

    /// What storing `bytes` out of order adds to the buffered size.
    pub(super) fn cost_of(bytes: usize) -> usize {
        bytes + FRAGMENT_OVERHEAD
    }

    /// The length that the message in progress has.
    pub(super) fn in_progress(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.data.len())
    }

    /// Throws everything away.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes the fragment that follows everything settled so far, and returns the message that it completes.
    pub(super) fn take_next(&mut self, number: u64, control: FragmentControl, data: &[u8]) -> Option<Assembled> {
        match control {
            FragmentControl::Whole => {
                self.discard_partial();
                Some(Assembled { first: number, last: number, data: data.to_vec() })
            }
            FragmentControl::Begin => {
                self.discard_partial();
                let mut message =
                    Vec::with_capacity((self.expected as usize).clamp(data.len(), MAX_RESERVE.max(data.len())));
                message.extend_from_slice(data);
                self.set_partial(Partial { first: number, last: number, data: message });
                None
            }
            FragmentControl::Middle | FragmentControl::End => {
                let Some(partial) = &mut self.partial else { return None };
                // A gap before this fragment: it belongs to a message that was given up.
                if partial.last.checked_add(1) != Some(number) {
                    self.discard_partial();
                    return None;
                }
                partial.last = number;
                partial.data.extend_from_slice(data);
                self.buffered += data.len();
                if control == FragmentControl::End { self.finish_partial() } else { None }
            }
        }
    }

    /// Keeps a fragment that is not settled yet. Returns a message that it completes only if `deliver` is set: then the order
    /// of messages does not matter.
    pub(super) fn store(
        &mut self,
        number: u64,
        control: FragmentControl,
        data: &[u8],
        deliver: bool,
    ) -> Option<Assembled> {
        if deliver && control == FragmentControl::Whole {
            return Some(Assembled { first: number, last: number, data: data.to_vec() });
        }
        let mut first = number;
        let mut segment = Segment {
            last: number,
            begins: begins(control),
            ends: ends(control),
            bytes: data.len(),
            pieces: VecDeque::from([data.to_vec()]),
        };
        self.buffered += segment.cost();
        if !segment.ends
            && let Some(following) = number.checked_add(1)
            && self.segments.get(following).is_some_and(|next| !next.begins)
            && let Some(next) = self.segments.remove(following)
        {
            segment.join(next);
        }
        if !segment.begins
            && let Some((before, previous)) = self.segments.last_before(number)
            && previous.last.checked_add(1) == Some(number)
            && !previous.ends
        {
            previous.join(segment);
            first = before;
        } else {
            self.segments.insert(number, segment);
        }
        if deliver && self.segments.get(first).is_some_and(Segment::is_whole) {
            return self.segments.remove(first).map(|segment| self.assemble(first, segment));
        }
        None
    }

    /// Settles everything up to the cumulative acknowledgement, calling `deliver` with the messages it completes, in order,
    /// and forgets fragments whose message will never be complete (§3.6.3.3).
    pub(super) fn settle(&mut self, cumulative: u64, mut deliver: impl FnMut(Assembled)) {
        // A run is received without a gap, so the whole of it is settled if its first fragment is.
        while let Some(first) = self.segments.first().filter(|first| *first <= cumulative) {
            let Some(segment) = self.segments.remove(first) else { break };
            if let Some(message) = self.settle_segment(first, segment) {
                deliver(message);
            }
        }
        if self.partial.as_ref().is_some_and(|partial| partial.last < cumulative) {
            self.discard_partial();
        }
    }

    /// There is nothing for [`Self::settle`] to do.
    pub(super) fn is_settled(&self, cumulative: u64) -> bool {
        self.segments.first().is_none_or(|first| first > cumulative)
            && self.partial.as_ref().is_none_or(|partial| partial.last >= cumulative)
    }

    /// Delivers the complete messages that wait only for what comes before them.
    pub(super) fn take_whole(&mut self, mut deliver: impl FnMut(Assembled)) {
        for first in self.segments.whole() {
            if let Some(segment) = self.segments.remove(first) {
                deliver(self.assemble(first, segment));
            }
        }
    }

    fn settle_segment(&mut self, first: u64, segment: Segment) -> Option<Assembled> {
        if segment.begins {
            self.discard_partial();
            let whole = segment.ends;
            let Assembled { first, last, data } = self.assemble(first, segment);
            if whole {
                return Some(Assembled { first, last, data });
            }
            self.set_partial(Partial { first, last, data });
            return None;
        }
        self.buffered -= segment.cost();
        let partial = self.partial.as_mut().filter(|partial| partial.last.checked_add(1) == Some(first));
        let Some(partial) = partial else {
            self.discard_partial();
            return None;
        };
        partial.last = segment.last;
        partial.data.reserve(segment.bytes);
        segment.pieces.iter().for_each(|piece| partial.data.extend_from_slice(piece));
        self.buffered += segment.bytes;
        if segment.ends { self.finish_partial() } else { None }
    }

    /// The bytes of a segment, no longer counted as buffered.
    fn assemble(&mut self, first: u64, segment: Segment) -> Assembled {
        self.buffered -= segment.cost();
        let mut pieces = segment.pieces.into_iter();
        let mut data = pieces.next().unwrap_or_default();
        data.reserve_exact(segment.bytes - data.len());
        pieces.for_each(|piece| data.extend_from_slice(&piece));
        Assembled { first, last: segment.last, data }
    }

    fn set_partial(&mut self, partial: Partial) {
        self.buffered += partial.data.len();
        self.partial = Some(Box::new(partial));
    }

    fn discard_partial(&mut self) {
        if let Some(partial) = self.partial.take() {
            self.buffered -= partial.data.len();
        }
    }

    fn finish_partial(&mut self) -> Option<Assembled> {
        let Partial { first, last, data } = *self.partial.take()?;
        self.buffered -= data.len();
        self.expected = u32::try_from(data.len()).unwrap_or(u32::MAX);
        Some(Assembled { first, last, data })
    }
}

#[cfg(test)]
mod tests;
