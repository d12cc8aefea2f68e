//! The messages of streams in a group, on flows with the metadata `47 52 11` and `47 52 12` (WIRE.md §3.6). Members do not act on them:
//! they are here to read the whole recording.

use rtmfp::wire::option::{self, Element};
use rtmfp::wire::{Malformed, take, vlu};

/// A message on a flow with the metadata `47 52 11`: about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StreamMessage {
    /// Which stream, and how it is distributed.
    Info(StreamInfo),
    /// The stream has ended with this fragment.
    End(u64),
    /// Which fragments the sender has.
    FragmentMap {
        /// The last.
        last: u64,
        /// Those before it: bit i of byte b, lowest first, is fragment `last` - 1 - 8b - i.
        bitmap: Vec<u8>,
    },
    /// Which fragments the sender wants to be sent unasked: bit k those whose number is k modulo 8.
    PushMask(u8),
    /// A fragment that the sender wants.
    Pull(u64),
}

/// A stream. The meaning of some of its options is not established, so they are kept as they are: `02`, `06` "send to all", `03`
/// window in ms, `04`, `05` period of the fragment maps in ms, `07` period of fetching in ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamInfo {
    /// The stream's name.
    pub(super) name: Vec<u8>,
    /// What tells it from others of that name: `21 01` and 32 random bytes.
    pub(super) key: [u8; 34],
    /// Options by their types.
    pub(super) options: Vec<(u64, Vec<u8>)>,
}

const INFO: u8 = 0x21;
const FRAGMENT_MAP: u8 = 0x22;
const PUSH_MASK: u8 = 0x23;
const PULL: u8 = 0x2b;
/// An [`INFO`] shorter than this is the end of a stream.
const SHORTEST_INFO: usize = 0x24;

impl StreamMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// If it is truncated or unknown.
    pub(super) fn read(message: &[u8]) -> Result<Self, Malformed> {
        let mut input = message;
        Ok(match take::u8(&mut input)? {
            INFO if message.len() < SHORTEST_INFO => Self::End(vlu::take(&mut input)?),
            INFO => Self::Info(StreamInfo::read(input)?),
            FRAGMENT_MAP => Self::FragmentMap { last: vlu::take(&mut input)?, bitmap: input.to_vec() },
            PUSH_MASK => Self::PushMask(take::u8(&mut input)?),
            PULL => Self::Pull(vlu::take(&mut input)?),
            _ => return Err(Malformed("group stream: unknown message")),
        })
    }

    /// The message's bytes.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut message = Vec::new();
        match self {
            Self::Info(info) => {
                message.push(INFO);
                info.write(&mut message);
            }
            Self::End(last) => {
                message.push(INFO);
                vlu::put(*last, &mut message);
            }
            Self::FragmentMap { last, bitmap } => {
                message.push(FRAGMENT_MAP);
                vlu::put(*last, &mut message);
                message.extend_from_slice(bitmap);
            }
            Self::PushMask(mask) => message.extend([PUSH_MASK, *mask]),
            Self::Pull(fragment) => {
                message.push(PULL);
                vlu::put(*fragment, &mut message);
            }
        }
        message
    }
}

impl StreamInfo {
    fn read(mut input: &[u8]) -> Result<Self, Malformed> {
        // The name stands behind a zero, and the length counts that: an option of type 0.
        let Element::Option { kind: 0, value: name } = option::take(&mut input)? else {
            return Err(Malformed("group stream: name"));
        };
        let key = take::array(&mut input)?;
        let mut options = Vec::new();
        while !input.is_empty() {
            let Element::Option { kind, value } = option::take(&mut input)? else { break };
            options.push((kind, value.to_vec()));
        }
        Ok(Self { name: name.to_vec(), key, options })
    }

    fn write(&self, out: &mut Vec<u8>) {
        option::put(0, &self.name, out);
        out.extend_from_slice(&self.key);
        for (kind, value) in &self.options {
            option::put(*kind, value, out);
        }
    }
}

/// A message on a flow with the metadata `47 52 12`: a fragment of an RTMP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    /// Its number, from 1.
    pub(super) id: u64,
    /// Which part of its message it is.
    pub(super) part: Part,
    /// What it carries.
    pub(super) data: Vec<u8>,
}

/// Which part of its message a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole {
        /// The RTMP message type.
        kind: u8,
        /// The message's time in ms.
        time: u32,
    },
    /// The first. Some senders are said to leave `remaining` out; such a message cannot be told from others, and is misread.
    First {
        /// How many follow.
        remaining: u8,
        /// The RTMP message type.
        kind: u8,
        /// The message's time in ms.
        time: u32,
    },
    /// One in the middle.
    Middle {
        /// How many follow.
        remaining: u8,
    },
    /// The last.
    Last,
}

impl Fragment {
    /// Reads a message.
    ///
    /// # Errors
    /// If it is truncated or unknown.
    pub(super) fn read(message: &[u8]) -> Result<Self, Malformed> {
        let mut input = message;
        let which = take::u8(&mut input)?;
        let id = vlu::take(&mut input)?;
        let part = match which {
            0x20 => Part::Whole { kind: take::u8(&mut input)?, time: take::u32(&mut input)? },
            0x30 => Part::First {
                remaining: take::u8(&mut input)?,
                kind: take::u8(&mut input)?,
                time: take::u32(&mut input)?,
            },
            0x10 => Part::Middle { remaining: take::u8(&mut input)? },
            0x00 => Part::Last,
            _ => return Err(Malformed("group media: unknown message")),
        };
        Ok(Self { id, part, data: input.to_vec() })
    }

    /// The message's bytes.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut message = vec![match self.part {
            Part::Whole { .. } => 0x20,
            Part::First { .. } => 0x30,
            Part::Middle { .. } => 0x10,
            Part::Last => 0x00,
        }];
        vlu::put(self.id, &mut message);
        match self.part {
            Part::First { remaining, .. } | Part::Middle { remaining } => message.push(remaining),
            Part::Whole { .. } | Part::Last => {}
        }
        if let Part::Whole { kind, time } | Part::First { kind, time, .. } = self.part {
            message.push(kind);
            message.extend_from_slice(&time.to_be_bytes());
        }
        message.extend_from_slice(&self.data);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let info = StreamInfo { name: b"n".to_vec(), key: [7; 34], options: vec![(2, vec![]), (3, vec![0xbe, 0x40])] };
        for message in [
            StreamMessage::Info(info),
            StreamMessage::End(300),
            StreamMessage::FragmentMap { last: 300, bitmap: vec![1, 2] },
            StreamMessage::PushMask(4),
            StreamMessage::Pull(300),
        ] {
            assert_eq!(StreamMessage::read(&message.write()), Ok(message));
        }
        for part in [
            Part::Whole { kind: 8, time: 9 },
            Part::First { remaining: 2, kind: 9, time: u32::MAX },
            Part::Middle { remaining: 1 },
            Part::Last,
        ] {
            let fragment = Fragment { id: 5000, part, data: vec![1, 2, 3] };
            assert_eq!(Fragment::read(&fragment.write()), Ok(fragment));
        }
        for bad in [&[][..], &[0x21], &[0x22], &[0x23], &[0x2b, 0x80], &[0x99, 1]] {
            assert!(StreamMessage::read(bad).is_err());
        }
        for bad in [&[][..], &[0x20, 1, 8, 0, 0, 0], &[0x30, 1, 1], &[0x10, 1], &[0x00], &[0x99, 1]] {
            assert!(Fragment::read(bad).is_err());
        }
    }
}
