//! Putting the recorded fragments together to messages again.
//!
//! Unlike a receiver this knows neither order nor forward sequence numbers: a recording may have gaps that the flow had not.

use std::collections::{BTreeMap, HashMap};

use rtmfp::wire::Chunk;
use rtmfp::wire::chunk::{FragmentControl, NextUserData, UserDataOptions};

use super::opening::OpenedPacket;
use super::session::Role;

/// A message, complete.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) session: usize,
    pub(super) sender: Role,
    pub(super) flow: u64,
    /// The sequence number of the first fragment.
    pub(super) sequence: u64,
    pub(super) fragments: u64,
    /// The number of the packet that completed it.
    pub(super) packet: usize,
    pub(super) metadata: Option<Vec<u8>>,
    pub(super) return_flow: Option<u64>,
    pub(super) bytes: Vec<u8>,
}

/// The messages of all flows, in the order in which they become complete.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    flows: HashMap<(usize, Role, u64), Flow>,
    pub(super) messages: Vec<Message>,
}

#[derive(Debug, Default)]
struct Flow {
    metadata: Option<Vec<u8>>,
    return_flow: Option<u64>,
    /// Fragments by sequence number. Those of complete messages stay, without their bytes.
    fragments: BTreeMap<u64, Fragment>,
}

#[derive(Debug)]
struct Fragment {
    control: FragmentControl,
    packet: usize,
    data: Vec<u8>,
    /// In the first and the last fragment of a run that belongs together: the other end of the run.
    run: u64,
}

fn begins(control: FragmentControl) -> bool {
    matches!(control, FragmentControl::Whole | FragmentControl::Begin)
}

fn ends(control: FragmentControl) -> bool {
    matches!(control, FragmentControl::Whole | FragmentControl::End)
}

impl Assembler {
    /// Takes in the user data of packet number `number`.
    pub(super) fn packet(&mut self, number: usize, packet: &OpenedPacket) {
        let Some((session, sender)) = packet.key else { return };
        // The flow and the sequence number of the user data chunk before (RFC 7016 §2.3.12).
        let mut last = None;
        for raw in packet.chunks() {
            let (flow, sequence, fragment) = match Chunk::parse(raw) {
                Ok(Chunk::UserData(data)) => (data.flow_id, data.sequence_number, data.fragment),
                Ok(Chunk::NextUserData(fragment)) => match last {
                    Some((flow, before)) if before < u64::MAX => (flow, before + 1, fragment),
                    _ => continue,
                },
                _ => continue,
            };
            last = Some((flow, sequence));
            let state = self.flows.entry((session, sender, flow)).or_default();
            if let Some((first, end)) = state.add(sequence, number, &fragment) {
                let (packet, bytes) = state.take(first, end);
                // An empty message only ends a flow, or carries its options.
                if !bytes.is_empty() || first != end {
                    self.messages.push(Message {
                        session,
                        sender,
                        flow,
                        sequence: first,
                        fragments: end - first + 1,
                        packet,
                        metadata: state.metadata.clone(),
                        return_flow: state.return_flow,
                        bytes,
                    });
                }
            }
        }
    }
}

impl Flow {
    /// Adds a fragment. Returned are the first and the last sequence number of the message that it completes.
    fn add(&mut self, sequence: u64, packet: usize, fragment: &NextUserData<'_>) -> Option<(u64, u64)> {
        if let Some(options) = fragment.options.and_then(|list| UserDataOptions::parse(list).ok()) {
            if let Some(metadata) = options.metadata {
                self.metadata = Some(metadata.to_vec());
            }
            self.return_flow = options.return_association.or(self.return_flow);
        }
        if fragment.abandon || self.fragments.contains_key(&sequence) {
            return None;
        }
        let control = fragment.fragment_control;
        // Join the run that ends just before, and the one that begins just after. Only the ends of a run are looked at, so
        // a message of many fragments costs no more than many messages.
        let (mut first, mut end) = (sequence, sequence);
        if !begins(control)
            && let Some(before) = sequence.checked_sub(1).and_then(|before| self.fragments.get(&before))
            && !ends(before.control)
        {
            first = before.run;
        }
        if !ends(control)
            && let Some(after) = sequence.checked_add(1).and_then(|after| self.fragments.get(&after))
            && !begins(after.control)
        {
            end = after.run;
        }
        self.fragments.insert(sequence, Fragment { control, packet, data: fragment.data.to_vec(), run: sequence });
        for (at, other) in [(first, end), (end, first)] {
            if let Some(fragment) = self.fragments.get_mut(&at) {
                fragment.run = other;
            }
        }
        let complete = begins(self.fragments.get(&first)?.control) && ends(self.fragments.get(&end)?.control);
        complete.then_some((first, end))
    }

    /// The number of the last packet that a complete message came in, and its bytes, which are gone afterwards.
    fn take(&mut self, first: u64, end: u64) -> (usize, Vec<u8>) {
        let (mut packet, mut bytes) = (0, Vec::new());
        for (_, fragment) in self.fragments.range_mut(first..=end) {
            packet = packet.max(fragment.packet);
            bytes.append(&mut fragment.data);
            fragment.data = Vec::new();
        }
        (packet, bytes)
    }
}
