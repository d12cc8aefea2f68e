//! A sending flow (RFC 7016 §3.6.2): states, flow control and the chunks it writes.

mod handover;

use std::time::{Duration, Instant};

use thin_vec::ThinVec;

use super::config::FlowConfig;
use super::event::{FlowEvent, SendFlowId};
use super::options::Priority;
use super::queue::{Acknowledged, Next, Outcome, Outgoing, Resume, SendQueue};
use super::timing::Timing;
use crate::moment::Moment;
use crate::wire::chunk::{BUFFER_BLOCK, BufferProbe, NextUserData, UserData};
use crate::wire::packet::CHUNK_HEADER_LEN;
use crate::wire::vlu;

/// RX_BUFFER_SIZE before the first acknowledgement (§3.6.2).
const INITIAL_WINDOW: u64 = 65536;
/// With an advertisement no greater than this, a full packet may not fit: blocks are rounded up (§3.6.3.5), and a receiver may count
/// more than the bytes of a fragment.
const CRAMPED: u64 = 2 * BUFFER_BLOCK;
/// A message is not cut to fit what is left of a packet if that is less than this many bytes.
const SMALLEST_CUT: usize = 256;
/// A message, or the end of one, with no more than this many bytes is not cut if a packet by itself has room for it: it then waits for
/// one packet, not for two that may be lost.
const LONGEST_WHOLE: usize = 512;
/// No chunk is longer than 65535 bytes.
const LONGEST_FRAGMENT: usize = 60_000;
/// Bounds of the time between buffer probes (§3.6.2.9.1); the ERTO, if greater, takes their place.
const PROBE_MIN: Duration = Duration::from_secs(1);
const PROBE_MAX: Duration = Duration::from_secs(60);

/// Probing of a closed window.
#[derive(Debug)]
struct Probing {
    at: Instant,
    period: Duration,
}

/// The wait after a fragment got lost for which the far end had hardly any room: it was probably refused, and not lost. A far end that
/// holds a flow's messages back may go on advertising a block, because there are clients that close the session on 0.
#[derive(Debug)]
struct Refused {
    until: Instant,
    period: Duration,
    /// Nothing is sent before `until`.
    held: bool,
}

/// How long a packet may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The length that the packet may reach, with what is in it already.
    pub limit: usize,
    /// Bytes for chunks that every packet of the session offers from now on: fragments are cut so that each fits a packet of its own,
    /// with its flow's startup options (§3.6.2.2).
    pub payload: usize,
    /// The packet is for one fragment alone, which is too long for the others.
    pub is_for_one: bool,
}

/// The last user data chunk put into a packet: a Next User Data chunk can follow it (§3.6.2.3.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct LastPut {
    flow: u64,
    number: u64,
}

/// What came of [`SendFlow::put`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// The fragment with this number was put, in a chunk of this size.
    Chunk { number: u64, size: usize },
    /// The next fragment does not fit.
    NoSpace,
    /// There is nothing to send.
    Nothing,
}

/// What came of a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// Bytes no longer outstanding.
    pub(super) bytes: usize,
    /// The size of the longest chunk among them.
    pub(super) longest: usize,
    /// The far end had no room for them: that says nothing about the path.
    pub(super) by_refusal: bool,
}

#[derive(Debug)]
pub(super) struct SendFlow {
    pub(super) id: u64,
    pub(super) priority: Priority,
    pub(super) time_critical: bool,
    /// F_CLOSING rather than F_OPEN.
    pub(super) closing: bool,
    /// A message was refused for want of room.
    pub(super) wants_room: bool,
    /// EXCEPTION.
    exception: bool,
    /// STARTUP_OPTIONS, encoded, without a marker; empty once acknowledged.
    startup: ThinVec<u8>,
    /// SEND_QUEUE, while there is something in it.
    queue: Option<Box<SendQueue>>,
    /// Where the next queue goes on.
    resume: Resume,
    /// RX_BUFFER_SIZE.
    window: u64,
    /// F_OUTSTANDING_BYTES.
    outstanding: usize,
    probing: Option<Box<Probing>>,
    refused: Option<Box<Refused>>,
    /// Since when something has been waiting for the far end: sent and not acknowledged, with everything before it acknowledged, or
    /// queued while the far end has no room.
    unacknowledged: Option<Moment>,
}

/// Makes an event of what became of a message.
pub(super) fn event(flow: u64, outcome: Outcome) -> FlowEvent {
    let flow = SendFlowId(flow);
    match outcome {
        Outcome::Delivered(message) => FlowEvent::Delivered { flow, message },
        Outcome::Dropped(message) => FlowEvent::Dropped { flow, message },
    }
}

impl SendFlow {
    pub(super) fn new(id: u64, priority: Priority, time_critical: bool, startup: ThinVec<u8>) -> Self {
        Self {
            id,
            priority,
            time_critical,
            closing: false,
            wants_room: false,
            exception: false,
            startup,
            queue: None,
            resume: Resume::default(),
            window: INITIAL_WINDOW,
            outstanding: 0,
            probing: None,
            refused: None,
            unacknowledged: None,
        }
    }

    /// Everything queued is done with.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_none()
    }

    /// Bytes waiting or unacknowledged.
    pub(super) fn queued(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.queued())
    }

    /// Bytes of what is queued, and of what is kept about fragments.
    pub(super) fn bytes_held(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes_held())
    }

    /// Since when the far end has acknowledged nothing, though it had something to acknowledge.
    pub(super) fn unacknowledged_since(&self) -> Option<Instant> {
        self.unacknowledged.filter(|_| !self.is_idle()).map(Moment::instant)
    }

    /// When the first message becomes too late.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.queue.as_ref().and_then(|queue| queue.deadline())
    }

    /// Whether that transmission is still outstanding.
    pub(super) fn in_flight(&self, number: u64, tsn: u64) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.in_flight(number, tsn))
    }

    /// Gives a message up; false if there is nothing to give up.
    pub(super) fn abandon(&mut self, message: u64) -> bool {
        self.queue.as_mut().is_some_and(|queue| queue.abandon(message))
    }

    /// Gives up what is too late.
    pub(super) fn expire(&mut self, now: Instant, report: impl FnMut(Outcome)) {
        if let Some(queue) = &mut self.queue {
            queue.expire(now, report);
        }
    }

    /// The queue, to put something into it.
    pub(super) fn queue_mut(&mut self) -> &mut SendQueue {
        let resume = self.resume;
        self.queue.get_or_insert_with(|| Box::new(SendQueue::new(resume)))
    }

    /// A fragment can be sent as far as this flow is concerned (§3.6.2.3, §3.6.2.9).
    pub(super) fn is_ready(&self, config: &FlowConfig) -> bool {
        let Some(queue) = &self.queue else { return false };
        (self.window > self.outstanding as u64 || self.exception)
            && !self.refused.as_ref().is_some_and(|refused| refused.held)
            && queue.has_eligible(config.max_fragments)
    }

    /// Everything up to the final sequence number is acknowledged (§3.6.2.11).
    pub(super) fn is_complete(&self) -> bool {
        self.closing && self.is_idle()
    }

    /// Closes the flow (§3.6.2.11).
    pub(super) fn close(&mut self) {
        self.closing = true;
        self.queue_mut().close();
    }

    /// The far end does not want the flow (§3.6.2.10). True if this was not known.
    pub(super) fn except(&mut self) -> bool {
        let news = !self.exception;
        self.exception = true;
        self.probing = None;
        self.refused = None;
        self.close();
        self.queue_mut().abandon_all();
        news
    }

    /// Puts the next fragment into a packet (§3.6.2.3).
    pub(super) fn put(
        &mut self,
        config: &FlowConfig,
        preceding: &mut Option<LastPut>,
        out: &mut Vec<u8>,
        room: &Room,
        mut report: impl FnMut(Outcome),
    ) -> Put {
        let Some(queue) = &mut self.queue else { return Put::Nothing };
        let Some(next) = queue.next(config.max_fragments, &mut report) else { return Put::Nothing };
        let number = next.number();
        let forward_number = queue.forward_number();
        let fsn_offset = number.saturating_sub(forward_number);
        // Within a packet a flow's Forward Sequence Number does not change: what can be passed over is passed over before its first
        // fragment.
        let follows = preceding.is_some_and(|before| before.flow == self.id && before.number + 1 == number);
        // §3.6.2.3.1: the startup options go with the flow's first chunk in each packet.
        let has_options = !self.startup.is_empty();
        let options_len = if has_options { self.startup.len() + 1 } else { 0 };
        let first_in_packet = preceding.is_none_or(|before| before.flow != self.id);
        let options = (has_options && first_in_packet).then_some(&*self.startup);
        let overhead = if follows {
            CHUNK_HEADER_LEN + 1
        } else {
            UserData::overhead(self.id, number, fsn_offset) + options.map_or(0, |_| options_len)
        };
        let Some(available) = room.limit.checked_sub(out.len()).and_then(|space| space.checked_sub(overhead)) else {
            return Put::NoSpace;
        };
        match next {
            Next::Fragment(number) if queue.length(number) > available => return Put::NoSpace,
            Next::Fragment(_) => (),
            Next::Cut { remaining, .. } => {
                // The fragment may have to be sent again in a chunk with everything, alone in a packet (§3.6.2.2).
                let worst = UserData::overhead(self.id, number, number) + options_len;
                let longest = room.payload.saturating_sub(worst).clamp(1, LONGEST_FRAGMENT);
                let length = remaining.min(longest).min(available);
                let stays_whole = remaining <= longest.min(LONGEST_WHOLE);
                if length < remaining.min(longest) && (length < SMALLEST_CUT || stays_whole) {
                    return Put::NoSpace;
                }
                queue.cut(length);
            }
        }
        let Some(Outgoing { control, abandoned, is_final, data }) = queue.outgoing(number) else {
            return Put::Nothing;
        };
        let fragment = NextUserData { fragment_control: control, abandon: abandoned, is_final, options, data };
        let start = out.len();
        let written = if follows {
            fragment.put(out)
        } else {
            UserData { flow_id: self.id, sequence_number: number, fsn_offset, fragment }.put(out)
        };
        if !written {
            return Put::NoSpace;
        }
        *preceding = Some(LastPut { flow: self.id, number });
        Put::Chunk { number, size: out.len() - start }
    }

    /// Notes that the fragment is in the network.
    pub(super) fn sent(&mut self, now: Instant, number: u64, tsn: u64, size: usize) {
        self.unacknowledged.get_or_insert(now.into());
        if let Some(queue) = &mut self.queue {
            queue.sent(number, tsn, size);
        }
        self.outstanding += size;
    }

    /// The far end advertised its buffer (§3.6.2.4).
    pub(super) fn advertised(&mut self, timing: &Timing, blocks: u64) {
        self.startup = ThinVec::new();
        self.window = blocks.saturating_mul(BUFFER_BLOCK);
        if !self.is_cramped() {
            self.refused = None;
        }
        if self.window > 0 || self.exception {
            self.probing = None;
        } else if self.probing.is_none() {
            let period = PROBE_MIN.max(timing.erto);
            self.probing = Some(Box::new(Probing { at: timing.now + PROBE_MIN, period }));
            self.unacknowledged.get_or_insert(timing.now.into());
        }
    }

    /// Acknowledges a range (§3.6.2.4). Returns the bytes and the highest TSN it speaks of.
    pub(super) fn acknowledge(
        &mut self,
        now: Instant,
        first: u64,
        last: u64,
        report: impl FnMut(Outcome),
    ) -> Acknowledged {
        let Some(queue) = &mut self.queue else {
            self.unacknowledged = None;
            return Acknowledged { steps: 1, ..Acknowledged::default() };
        };
        let settled = queue.settled();
        let acknowledged = queue.acknowledge(first, last, report);
        if queue.settled() != settled {
            self.unacknowledged = (queue.is_awaiting() || self.window == 0).then_some(now.into());
        }
        if queue.is_empty() {
            self.unacknowledged = None;
            self.resume = queue.resume();
            self.queue = None;
        }
        self.outstanding = self.outstanding.saturating_sub(acknowledged.bytes);
        if acknowledged.bytes > 0 {
            self.refused = None;
        }
        acknowledged
    }

    /// A transmission is lost (§3.6.2.5). Returns its size.
    pub(super) fn lose(&mut self, timing: &Timing, number: u64, tsn: u64, report: impl FnMut(Outcome)) -> Lost {
        let bytes = self.queue.as_mut().map_or(0, |queue| queue.lose(number, tsn, report));
        self.outstanding = self.outstanding.saturating_sub(bytes);
        Lost { bytes, longest: bytes, by_refusal: bytes > 0 && self.hold_if_cramped(timing) }
    }

    /// All transmissions are lost (§3.6.2.6).
    pub(super) fn lose_all(&mut self, timing: &Timing, report: impl FnMut(Outcome)) -> Lost {
        let bytes = std::mem::take(&mut self.outstanding);
        let longest = self.queue.as_mut().and_then(|queue| queue.lose_all(report));
        let by_refusal = longest.is_some() && self.hold_if_cramped(timing);
        Lost { bytes: longest.map_or(0, |_| bytes), longest: longest.unwrap_or(0), by_refusal }
    }

    /// The far end advertises hardly any room.
    fn is_cramped(&self) -> bool {
        self.window <= CRAMPED && !self.exception
    }

    /// Waits before the next attempt if the far end has no room, longer each time, as with buffer probes (§3.6.2.9.1).
    fn hold_if_cramped(&mut self, timing: &Timing) -> bool {
        if !self.is_cramped() {
            return false;
        }
        if !self.refused.as_ref().is_some_and(|refused| refused.held) {
            let longer = |refused: &Refused| (refused.period * 2).min(PROBE_MAX.max(timing.erto));
            let period = self.refused.as_deref().map_or(timing.erto, longer);
            self.refused = Some(Box::new(Refused { until: timing.now + period, period, held: true }));
        }
        true
    }

    /// When the flow may try again after a refusal.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.refused.as_ref().filter(|refused| refused.held && !self.is_idle()).map(|refused| refused.until)
    }

    /// Tries again, if it is time.
    pub(super) fn release(&mut self, now: Instant) {
        if let Some(refused) = self.refused.as_mut().filter(|refused| refused.until <= now) {
            refused.held = false;
        }
    }

    /// When the next buffer probe is due.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        self.probing.as_ref().filter(|_| !self.is_idle()).map(|probing| probing.at)
    }

    /// Puts a buffer probe if it is time for one (§3.6.2.9.1).
    pub(super) fn put_probe(&mut self, timing: &Timing, out: &mut Vec<u8>, limit: usize) -> bool {
        if self.probe_at().is_none_or(|at| timing.now < at) || out.len() + CHUNK_HEADER_LEN + vlu::len(self.id) > limit
        {
            return false;
        }
        if let Some(probing) = &mut self.probing {
            probing.at = timing.now + probing.period;
            probing.period = (probing.period * 2).min(PROBE_MAX.max(timing.erto));
        }
        BufferProbe { flow_id: self.id }.put(out)
    }
}
