//! User data (RFC 7016 §2.3.11, §2.3.12).

use super::kind;
use crate::wire::malformed::Malformed;
use crate::wire::option::Element;
use crate::wire::packet::put_chunk;
use crate::wire::{option, take, vlu};

/// How a fragment takes part in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FragmentControl {
    /// The fragment is a complete message.
    Whole = 0,
    /// The first of several.
    Begin = 1,
    /// The last of several.
    End = 2,
    /// One in the middle.
    Middle = 3,
}

const OPTIONS_PRESENT: u8 = 0x80;
const FRAGMENT_SHIFT: u8 = 4;
const ABANDON: u8 = 0x02;
const FINAL: u8 = 0x01;

const METADATA: u64 = 0x00;
const RETURN_ASSOCIATION: u64 = 0x0a;
/// An option type that is not understood rejects the flow below this number, and is ignored from it on (§2.3.11.1).
const FIRST_IGNORABLE_OPTION: u64 = 0x2000;

/// One fragment of a flow (§2.3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserData<'a> {
    /// The flow.
    pub flow_id: u64,
    /// The fragment's place in the flow: from 1.
    pub sequence_number: u64,
    /// The sequence number less the Forward Sequence Number: at most the former.
    pub fsn_offset: u64,
    /// What the fragment carries.
    pub fragment: NextUserData<'a>,
}

/// What is common to User Data and Next User Data (§2.3.12): the latter is the fragment with the next sequence number of the
/// same flow, with the same Forward Sequence Number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextUserData<'a> {
    /// How the fragment takes part in a message.
    pub fragment_control: FragmentControl,
    /// The sender has given this sequence number up; the data is to be ignored.
    pub abandon: bool,
    /// This is the flow's last sequence number.
    pub is_final: bool,
    /// The option list, without its marker; `None` when there is none in this chunk.
    pub options: Option<&'a [u8]>,
    /// The bytes of the message.
    pub data: &'a [u8],
}

fn flags(fragment: &NextUserData<'_>) -> u8 {
    (fragment.fragment_control as u8) << FRAGMENT_SHIFT
        | if fragment.options.is_some() { OPTIONS_PRESENT } else { 0 }
        | if fragment.abandon { ABANDON } else { 0 }
        | if fragment.is_final { FINAL } else { 0 }
}

impl<'a> NextUserData<'a> {
    fn parse_rest(flags: u8, mut rest: &'a [u8]) -> Result<Self, Malformed> {
        let fragment_control = match flags >> FRAGMENT_SHIFT & 3 {
            0 => FragmentControl::Whole,
            1 => FragmentControl::Begin,
            2 => FragmentControl::End,
            _ => FragmentControl::Middle,
        };
        let options = if flags & OPTIONS_PRESENT != 0 { Some(option::take_list(&mut rest)?) } else { None };
        let (abandon, is_final) = (flags & ABANDON != 0, flags & FINAL != 0);
        Ok(Self { fragment_control, abandon, is_final, options, data: rest })
    }

    fn put_rest(&self, out: &mut Vec<u8>) {
        if let Some(options) = self.options {
            out.extend_from_slice(options);
            option::put_marker(out);
        }
        out.extend_from_slice(self.data);
    }

    /// Reads a payload of a Next User Data chunk.
    pub fn parse(mut payload: &'a [u8]) -> Result<Self, Malformed> {
        let flags = take::u8(&mut payload)?;
        Self::parse_rest(flags, payload)
    }

    /// Appends a Next User Data chunk.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        put_chunk(kind::NEXT_USER_DATA, out, |out| {
            out.push(flags(self));
            self.put_rest(out);
        })
    }
}

impl<'a> UserData<'a> {
    /// Reads a payload.
    pub fn parse(mut payload: &'a [u8]) -> Result<Self, Malformed> {
        let flags = take::u8(&mut payload)?;
        let flow_id = vlu::take(&mut payload)?;
        let sequence_number = vlu::take(&mut payload)?;
        let fsn_offset = vlu::take(&mut payload)?;
        let fragment = NextUserData::parse_rest(flags, payload)?;
        if sequence_number == 0 {
            return Err(Malformed("user data: sequence number 0"));
        }
        if fsn_offset > sequence_number {
            return Err(Malformed("user data: forward sequence number below 0"));
        }
        if fsn_offset == 0 && !fragment.abandon {
            return Err(Malformed("user data: given up, but not marked abandoned"));
        }
        Ok(Self { flow_id, sequence_number, fsn_offset, fragment })
    }

    /// The sender will not send anything up to this sequence number again.
    pub fn forward_sequence_number(&self) -> u64 {
        self.sequence_number - self.fsn_offset
    }

    /// Appends the chunk.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        put_chunk(kind::USER_DATA, out, |out| {
            out.push(flags(&self.fragment));
            vlu::put(self.flow_id, out);
            vlu::put(self.sequence_number, out);
            vlu::put(self.fsn_offset, out);
            self.fragment.put_rest(out);
        })
    }

    /// How many bytes [`Self::put`] writes besides the options and the data.
    pub fn overhead(flow_id: u64, sequence_number: u64, fsn_offset: u64) -> usize {
        crate::wire::packet::CHUNK_HEADER_LEN + 1 + vlu::len(flow_id) + vlu::len(sequence_number) + vlu::len(fsn_offset)
    }
}

/// The flow options, understood (§2.3.11.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserDataOptions<'a> {
    /// The user's per-flow metadata (§2.3.11.1.1).
    pub metadata: Option<&'a [u8]>,
    /// The flow to which this one is a response (§2.3.11.1.2).
    pub return_association: Option<u64>,
    /// There was an option that must be understood and is not: the flow is to be rejected.
    pub unsupported: Option<u64>,
}

impl<'a> UserDataOptions<'a> {
    /// Reads an option list without its marker.
    pub fn parse(list: &'a [u8]) -> Result<Self, Malformed> {
        let mut read = Self::default();
        for element in option::elements(list) {
            match element? {
                Element::Option { kind: METADATA, value } => read.metadata = Some(value),
                Element::Option { kind: RETURN_ASSOCIATION, mut value } => {
                    read.return_association = Some(vlu::take(&mut value)?);
                }
                Element::Option { kind, .. } if kind < FIRST_IGNORABLE_OPTION => read.unsupported = Some(kind),
                Element::Option { .. } | Element::Marker => (),
            }
        }
        Ok(read)
    }
}

/// Appends the option that carries a flow's metadata.
pub fn metadata_option(metadata: &[u8], out: &mut Vec<u8>) {
    option::put(METADATA, metadata, out);
}

/// Appends the option that makes a flow a response to the other end's flow `flow_id`.
pub fn return_association_option(flow_id: u64, out: &mut Vec<u8>) {
    let mut value = Vec::with_capacity(vlu::MAX_LEN);
    vlu::put(flow_id, &mut value);
    option::put(RETURN_ASSOCIATION, &value, out);
}
