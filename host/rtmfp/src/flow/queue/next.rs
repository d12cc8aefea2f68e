//! What is sent next (RFC 7016 §3.6.2.3).

use std::cmp::Reverse;

use super::entries::{Fragment, Outcome, Place};
use super::send_queue::SendQueue;
use crate::wire::chunk::FragmentControl;

/// What can be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flow) enum Next {
    /// The fragment with this sequence number.
    Fragment(u64),
    /// A new fragment with this sequence number, of at most `remaining` bytes.
    Cut { number: u64, remaining: usize },
}

impl Next {
    pub(in crate::flow) fn number(self) -> u64 {
        match self {
            Next::Fragment(number) | Next::Cut { number, .. } => number,
        }
    }
}

/// A fragment as it is put into a chunk.
#[derive(Debug)]
pub(in crate::flow) struct Outgoing<'a> {
    pub(in crate::flow) control: FragmentControl,
    pub(in crate::flow) abandoned: bool,
    pub(in crate::flow) is_final: bool,
    pub(in crate::flow) data: &'a [u8],
}

impl SendQueue {
    fn is_here(&self, number: u64) -> bool {
        self.fragment(number).is_some_and(|fragment| fragment.place == Place::Here)
    }

    /// There is a message to cut, and room for one more fragment.
    fn can_cut(&self, max_fragments: usize) -> bool {
        self.uncut < self.first_message + self.messages.len() as u64 && self.fragments.len() < max_fragments
    }

    /// An entry is eligible to send (§3.6.2.3). Errs only towards yes.
    pub(in crate::flow) fn has_eligible(&self, max_fragments: usize) -> bool {
        !self.lost.is_empty()
            || self.can_cut(max_fragments)
            || self.fragments.front().is_some_and(|first| first.place == Place::Here)
            || self.final_number != 0 && self.is_here(self.final_number)
    }

    /// The lowest lost fragment that is to be sent again; forgets those that are not.
    fn next_lost(&mut self) -> Option<u64> {
        while let Some(&Reverse(number)) = self.lost.peek() {
            if self.fragment(number).is_some_and(|fragment| fragment.place == Place::Here && !fragment.abandoned) {
                return Some(number);
            }
            self.lost.pop();
        }
        None
    }

    /// Removes abandoned fragments from the front, then says what is to be sent next, lowest number first (§3.6.2.3).
    ///
    /// An abandoned fragment goes only when a later one will carry the Forward Sequence Number past it: if all that follow are
    /// already in flight, it is itself sent, empty (§3.6.2.7.1, line 25 of the example in §3.6.2.8).
    pub(in crate::flow) fn next(&mut self, max_fragments: usize, mut report: impl FnMut(Outcome)) -> Option<Next> {
        let lost = self.next_lost();
        let final_here = self.final_number != 0 && self.is_here(self.final_number);
        let carrier = lost.is_some() || self.can_cut(max_fragments) || final_here;
        while self.fragments.front().is_some_and(|first| first.abandoned && first.place == Place::Here) {
            let mut later = self.settled + 2;
            while let Some(Fragment { place: Place::Acknowledged { until }, .. }) = self.fragment(later) {
                later = until.max(&later) + 1;
            }
            let next_takes_over = self.fragment(later).is_some_and(|next| next.abandoned && next.place == Place::Here);
            let is_final = self.settled + 1 == self.final_number;
            if is_final || !(next_takes_over || carrier) {
                return Some(Next::Fragment(self.settled + 1));
            }
            self.pop_front(&mut report);
            self.pop_acknowledged();
        }
        if let Some(number) = lost {
            return Some(Next::Fragment(number));
        }
        if self.can_cut(max_fragments) {
            let remaining = self.message(self.uncut).map_or(0, |message| message.data.len() - message.cut as usize);
            return Some(Next::Cut { number: self.last_number() + 1, remaining });
        }
        final_here.then_some(Next::Fragment(self.final_number))
    }

    /// The Forward Sequence Number to send (§3.6.2.3), after [`Self::next`].
    pub(in crate::flow) fn forward_number(&self) -> u64 {
        match self.fragments.front() {
            Some(Fragment {
                abandoned: true, place: Place::Here | Place::InFlight { as_abandoned: true, .. }, ..
            }) => self.settled + 1,
            _ => self.settled,
        }
    }

    /// How many bytes the fragment has: those that a cut may not change any more.
    pub(in crate::flow) fn length(&self, number: u64) -> usize {
        self.fragment(number).map_or(0, |fragment| if fragment.abandoned { 0 } else { fragment.length as usize })
    }

    /// Makes the fragment that [`Next::Cut`] spoke of, `length` bytes long.
    pub(in crate::flow) fn cut(&mut self, length: usize) {
        self.push_fragment(length, false);
        self.cut_abandoned();
    }

    /// What to put into the chunk for a fragment.
    pub(in crate::flow) fn outgoing(&self, number: u64) -> Option<Outgoing<'_>> {
        let fragment = self.fragment(number)?;
        let data = if fragment.abandoned {
            &[][..]
        } else {
            let start = fragment.offset as usize;
            self.message(fragment.message)?.data.get(start..start + fragment.length as usize)?
        };
        Some(Outgoing {
            control: fragment.control,
            abandoned: fragment.abandoned,
            is_final: number == self.final_number,
            data,
        })
    }

    /// A fragment goes into the network, in a chunk of `size` bytes.
    pub(in crate::flow) fn sent(&mut self, number: u64, tsn: u64, size: usize) {
        if let Some(fragment) = self.index(number).and_then(|index| self.fragments.get_mut(index)) {
            fragment.place = Place::InFlight {
                tsn,
                size: u32::try_from(size).unwrap_or(u32::MAX),
                as_abandoned: fragment.abandoned,
            };
            fragment.ever_sent = true;
        }
        if self.lost.peek() == Some(&Reverse(number)) {
            self.lost.pop();
        }
    }
}
