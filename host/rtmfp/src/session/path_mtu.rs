//! How long the datagrams are that a session's path carries (RFC 7016 §3.5.4.3, after RFC 4821 and RFC 8899).
//!
//! All sizes are bytes of UDP payload. A session begins with [`MIN_DATAGRAM`], and sends nothing longer than what has been seen to
//! arrive. When a flow has more to say than such a packet holds, the session sends a ping in a packet of the largest size; its reply
//! shows, after one round trip, that the path carries it. Nearly all paths do. If none of some such probes is answered, a smaller one
//! tells whether the far end answers probes at all, and then a binary search finds what the path carries.
//!
//! A path may become narrower. Then fragments that are longer than [`MIN_DATAGRAM`] get lost again and again while shorter packets
//! arrive. Probes tell this from other losses: some of the present size, and if none is answered, one of the least size. If that one is
//! answered, and the present size once more is not, the path is narrower, and the search begins anew.
//!
//! A far end that is heard and answers no probe, not even of the least size, is taken to answer none. Its path is taken to carry the
//! largest size, as nearly all do; persistent loss of long fragments alone then shows that it does not.
//!
//! The far end can only make this end believe that more arrives than does, or less. In either case its own flows suffer. Nothing is sent
//! for it besides one probe in each retransmission timeout, to the address that the session has proven.

mod handover;

use std::time::{Duration, Instant};

use crate::datagram_size::MIN_DATAGRAM;
use crate::flow::LongChunks;

/// The first byte of a ping that is a probe: it tells the reply from those of an address check and of the application.
pub(super) const MARK: u8 = b'P';
const NONCE_LEN: usize = 4;
/// The length of the message of a probe: the mark, the search that it belongs to, the size.
pub(super) const MESSAGE_LEN: usize = 1 + NONCE_LEN + 2;

/// How often a probe is sent before its size counts as too large. If both are lost for another reason, the search ends at a smaller
/// size, until it is repeated.
const TRIES_OF_SIZE: u8 = 2;
/// The same for a probe that tells whether the far end answers at all, or whether a known size still arrives.
const TRIES_OF_PROOF: u8 = 3;
/// The search ends when it is as close as this: packets are padded to blocks of this many bytes.
const STEP: u16 = 16;
/// A path that carries less than the largest size is searched again after this many seconds.
const AGAIN: u32 = 600;
/// The same if nothing was heard of the far end during the search: then it says nothing about sizes.
const AGAIN_AFTER_SILENCE: u32 = 2;
/// How long the largest size is not used for a far end that answers no probe, in seconds, after its long fragments were lost.
const AGAIN_WITHOUT_PROBES: u32 = 60;
/// Losses of long fragments that make a path suspicious if none of them arrived between. A timeout counts twice.
const SUSPICIOUS: u8 = 4;
/// The same for a far end that answers no probe: there is no second proof.
const CONVINCING: u8 = 8;
/// Never.
const NEVER: u32 = u32::MAX;

/// What a session knows of its path. It stays small while nothing is searched.
#[derive(Debug)]
pub(super) struct PathMtu {
    /// What the path carries, as far as is known.
    size: u16,
    /// Losses of long fragments since one arrived.
    suspicion: u8,
    answers: Answers,
    /// How many oversized packets there were: each other one goes in pieces.
    oversized: u16,
    /// From when on a larger size may be looked for, in seconds since the session opened.
    again: u32,
    search: Option<Box<Search>>,
}

/// What is known of a far end's replies to probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    Unknown,
    Yes,
    No,
}

/// A search under way.
#[derive(Debug)]
struct Search {
    nonce: [u8; NONCE_LEN],
    why: Why,
    /// The least size that is not expected to arrive.
    high: u16,
    /// The size that is tried, and how often a probe of it was sent.
    probe: u16,
    tries: u8,
    /// A probe of this search has arrived.
    is_answered: bool,
    /// The probe is to be sent.
    is_due: bool,
    /// When its reply is not expected any more.
    expires: Instant,
    /// When the first probe of this size was sent.
    first_sent: Instant,
}

/// What a search is to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Does the path carry more?
    Raise,
    /// Does the path still carry the present size?
    Verify,
    /// As [`Why::Verify`], after its probes got no reply: does the path carry the least size?
    Confirm,
    /// As [`Why::Verify`], after the least size has arrived: everything may have been lost before, and not for its size.
    VerifyAgain,
    /// As [`Why::Raise`], when nothing is known to arrive: does the far end answer probes?
    Ask,
}

/// A probe to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) message: [u8; MESSAGE_LEN],
    /// How long the datagram is to be, at most.
    pub(super) size: usize,
}

/// What a session does because of what became of its probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Nothing,
    /// The path carries less than it did.
    Narrower,
}

impl PathMtu {
    pub(super) fn new(max: usize) -> Self {
        Self { size: least(max), suspicion: 0, answers: Answers::Unknown, oversized: 0, again: 0, search: None }
    }

    /// How long datagrams may be.
    pub(super) fn size(&self) -> usize {
        usize::from(self.size)
    }

    /// Another path: the far end has moved. Fragments that were sent on the old one may be too long for this one.
    pub(super) fn moved(&mut self, max: usize) {
        // Replies of the old path are worth nothing: they name another search.
        *self = Self { oversized: self.oversized, answers: self.answers, ..Self::new(max) };
    }

    /// A flow has more to say than a packet holds: may a larger size be looked for?
    pub(super) fn may_search(&self, elapsed: Duration, max: usize) -> bool {
        self.search.is_none() && usize::from(self.size) < max && seconds(elapsed) >= self.again
    }

    /// Begins to look for a larger size.
    pub(super) fn search(&mut self, now: Instant, max: usize, nonce: [u8; NONCE_LEN]) {
        let max = narrow(max);
        if self.answers == Answers::No {
            (self.size, self.suspicion, self.again) = (max, 0, NEVER);
            return;
        }
        self.begin(now, nonce, Why::Raise, max, max.saturating_add(1));
    }

    fn begin(&mut self, now: Instant, nonce: [u8; NONCE_LEN], why: Why, probe: u16, high: u16) {
        let search = Search {
            nonce,
            why,
            high,
            probe,
            tries: 0,
            is_answered: false,
            is_due: true,
            expires: now,
            first_sent: now,
        };
        self.search = Some(Box::new(search));
    }

    /// A probe waits to be sent.
    pub(super) fn is_probe_due(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.is_due)
    }

    /// Takes the probe that waits; its reply is waited for as long as `timeout`.
    pub(super) fn take_probe(&mut self, now: Instant, timeout: Duration) -> Option<Probe> {
        let search = self.search.as_mut().filter(|search| search.is_due)?;
        if search.tries == 0 {
            search.first_sent = now;
        }
        search.is_due = false;
        search.tries += 1;
        search.expires = now + timeout;
        let mut message = [MARK; MESSAGE_LEN];
        message[1..=NONCE_LEN].copy_from_slice(&search.nonce);
        message[1 + NONCE_LEN..].copy_from_slice(&search.probe.to_be_bytes());
        Some(Probe { message, size: usize::from(search.probe) })
    }

    /// When [`Self::on_timeout`] is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.search.as_ref().filter(|search| !search.is_due).map(|search| search.expires)
    }

    /// A reply to a ping with this message has come.
    pub(super) fn on_reply(&mut self, now: Instant, elapsed: Duration, message: &[u8], max: usize) {
        let Some((nonce, size)) = message.strip_prefix(&[MARK]).and_then(|rest| rest.split_at_checked(NONCE_LEN))
        else {
            return;
        };
        let Ok(size) = <[u8; 2]>::try_from(size).map(u16::from_be_bytes) else { return };
        match &self.search {
            Some(search) if nonce == search.nonce && size <= narrow(max) => self.arrived(now, elapsed, size, max),
            _ => (),
        }
    }

    /// A reply without a message has come, and no ping without one waits for its reply: some implementations answer every ping so.
    pub(super) fn on_empty_reply(&mut self, now: Instant, elapsed: Duration, max: usize) {
        match &self.search {
            Some(search) if search.tries > 0 => self.arrived(now, elapsed, search.probe, max),
            _ => (),
        }
    }

    fn arrived(&mut self, now: Instant, elapsed: Duration, size: u16, max: usize) {
        let Some(search) = &mut self.search else { return };
        self.answers = Answers::Yes;
        search.is_answered = true;
        match search.why {
            Why::Raise | Why::Ask => {
                search.why = Why::Raise;
                self.size = self.size.max(size);
                // A late reply to a shorter probe does not end the wait for this one.
                if size >= search.probe {
                    search.high = search.high.max(size.saturating_add(1));
                    self.next_step(now, elapsed, max);
                }
            }
            // The present size arrives.
            _ if size >= self.size => (self.search, self.suspicion) = (None, 0),
            Why::Confirm => {
                (search.why, search.probe) = (Why::VerifyAgain, self.size);
                (search.tries, search.is_due) = (0, true);
            }
            Why::Verify | Why::VerifyAgain => (),
        }
    }

    /// Chooses the next size to try, or ends the search.
    fn next_step(&mut self, now: Instant, elapsed: Duration, max: usize) {
        let Some(search) = &mut self.search else { return };
        let room = search.high.saturating_sub(self.size);
        if usize::from(self.size) >= max || room <= STEP {
            self.suspicion = 0;
            self.again = if usize::from(self.size) >= max { NEVER } else { seconds(elapsed).saturating_add(AGAIN) };
            self.search = None;
            return;
        }
        search.probe = self.size + room / 2;
        (search.tries, search.is_due, search.first_sent) = (0, true, now);
    }

    /// Does what is due. `heard` is when the last packet came.
    pub(super) fn on_timeout(&mut self, now: Instant, elapsed: Duration, heard: Instant, max: usize) -> Verdict {
        let present = self.size;
        let Some(search) = self.search.as_mut().filter(|search| !search.is_due && search.expires <= now) else {
            return Verdict::Nothing;
        };
        let tries = match search.why {
            Why::Raise | Why::VerifyAgain => TRIES_OF_SIZE,
            Why::Verify | Why::Confirm | Why::Ask => TRIES_OF_PROOF,
        };
        if search.tries < tries {
            search.is_due = true;
            return Verdict::Nothing;
        }
        // The far end has sent something since: it is there, and so is the path.
        let is_heard = heard > search.first_sent;
        match search.why {
            Why::Raise => {
                search.high = search.probe;
                if self.answers == Answers::Unknown {
                    (search.why, search.probe) = (Why::Ask, present);
                    (search.tries, search.is_due) = (0, true);
                } else if is_heard || search.is_answered {
                    self.next_step(now, elapsed, max);
                } else {
                    self.end_without_result(elapsed);
                }
            }
            Why::Ask if is_heard => {
                self.answers = Answers::No;
                (self.size, self.again) = (narrow(max), NEVER);
                self.search = None;
            }
            Why::Ask => self.end_without_result(elapsed),
            Why::Verify => {
                (search.why, search.probe) = (Why::Confirm, least(max));
                (search.tries, search.is_due) = (0, true);
            }
            // Nothing arrives, or the replies were lost: the size is not the cause.
            Why::Confirm => (self.search, self.suspicion) = (None, 0),
            Why::VerifyAgain => {
                (search.why, search.high) = (Why::Raise, present);
                (self.size, self.again) = (least(max), 0);
                self.next_step(now, elapsed, max);
                return Verdict::Narrower;
            }
        }
        Verdict::Nothing
    }

    fn end_without_result(&mut self, elapsed: Duration) {
        self.search = None;
        self.again = seconds(elapsed).saturating_add(AGAIN_AFTER_SILENCE);
    }

    /// Takes note of what became of long chunks, and begins to verify the present size when too many of them were lost.
    pub(super) fn observe(
        &mut self,
        now: Instant,
        elapsed: Duration,
        chunks: LongChunks,
        max: usize,
        nonce: impl FnOnce() -> [u8; NONCE_LEN],
    ) -> Verdict {
        let (least, present) = (least(max), self.size);
        if chunks.arrived || present <= least {
            self.suspicion = 0;
            return Verdict::Nothing;
        }
        self.suspicion = self.suspicion.saturating_add(chunks.suspicion);
        if self.answers == Answers::No {
            if self.suspicion >= CONVINCING {
                (self.size, self.suspicion) = (least, 0);
                self.again = seconds(elapsed).saturating_add(AGAIN_WITHOUT_PROBES);
                return Verdict::Narrower;
            }
        } else if self.suspicion >= SUSPICIOUS && self.search.is_none() {
            self.begin(now, nonce(), Why::Verify, present, present);
        }
        Verdict::Nothing
    }

    /// How the next packet goes that is longer than [`Self::size`] allows, because its fragment was cut for a wider path: by turns
    /// `None`, whole, in case the path carries it, and in pieces, with the number of that packet.
    pub(super) fn next_oversized(&mut self) -> Option<u16> {
        let count = self.oversized;
        self.oversized = count.wrapping_add(1);
        (count % 2 == 1).then_some(count / 2)
    }
}

fn narrow(size: usize) -> u16 {
    u16::try_from(size).unwrap_or(u16::MAX)
}

fn least(max: usize) -> u16 {
    narrow(max.min(MIN_DATAGRAM))
}

fn seconds(elapsed: Duration) -> u32 {
    u32::try_from(elapsed.as_secs()).unwrap_or(NEVER - 1)
}

#[cfg(test)]
mod tests;
