//! Control messages between members, on flows with the metadata `47 52 1C` (WIRE.md §3.2).

use rtmfp::PeerId;
use rtmfp::crypto::Epd;
use rtmfp::wire::option::{self, Element};
use rtmfp::wire::{Malformed, take};

use super::report::Report;
use crate::channel::MEMBER;
use crate::digest::GroupDigest;

// The first bytes of control messages.
const CONNECT: u8 = 0x01;
const ADMITTED: u8 = 0x02;
const REPORT: u8 = 0x0a;
const ASK_CLOSE: u8 = 0x0c;
const BEGIN: u8 = 0x0e;
const BEGIN_NEAREST: u8 = 0x0f;

// The types of the options of a connect.
const DIGEST: u64 = 0x00;
const PROOF: u64 = 0x01;
const ENDPOINT: u64 = 0x03;

/// A control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlMessage {
    /// The sender asks for admission, or grants it (WIRE.md §3.3).
    Connect(Connect),
    /// The sender has admitted the receiver. It comes just before [`ControlMessage::Begin`].
    Admitted,
    /// The sender is ready, and waits for a report.
    Begin {
        /// Whether the sender receives directed messages for places near its own.
        nearest: bool,
    },
    /// The members that the sender knows.
    Report(Report),
    /// This peer is a member. Only servers have been seen to send it (WIRE.md §2.2).
    Member(PeerId),
    /// The sender asks the receiver not to be its neighbour any more.
    AskClose,
    /// A message with this first byte, which is not known.
    Unknown(u8),
}

/// The message by which peers admit each other.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect {
    pub group: GroupDigest,
    /// Shows that the sender knows the groupspec: see [`proof`](super::proof).
    pub proof: [u8; 32],
    /// The peer that the message is for.
    pub receiver: PeerId,
}

impl ControlMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// If the message is truncated, or not of the form of its kind.
    pub fn read(message: &[u8]) -> Result<Self, Malformed> {
        let mut input = message;
        Ok(match take::u8(&mut input)? {
            CONNECT => Self::Connect(Connect::read(input)?),
            ADMITTED => Self::Admitted,
            BEGIN => Self::Begin { nearest: false },
            BEGIN_NEAREST => Self::Begin { nearest: true },
            REPORT => Self::Report(Report::read(input)?),
            MEMBER => Self::Member(PeerId(take::array(&mut input)?)),
            ASK_CLOSE => Self::AskClose,
            other => Self::Unknown(other),
        })
    }

    /// The message's bytes.
    pub fn write(&self) -> Vec<u8> {
        match self {
            Self::Connect(connect) => connect.write(),
            Self::Admitted => vec![ADMITTED],
            Self::Begin { nearest: false } => vec![BEGIN],
            Self::Begin { nearest: true } => vec![BEGIN_NEAREST],
            Self::Report(report) => {
                let mut message = vec![REPORT];
                report.write(&mut message);
                message
            }
            Self::Member(peer) => [&[MEMBER], &peer.0[..]].concat(),
            Self::AskClose => vec![ASK_CLOSE],
            Self::Unknown(other) => vec![*other],
        }
    }
}

impl Connect {
    /// The group that the first message on a control flow names. The owner of several [`Member`](super::Member)s finds the right one by
    /// it.
    pub fn group_of(message: &[u8]) -> Option<GroupDigest> {
        match ControlMessage::read(message) {
            Ok(ControlMessage::Connect(connect)) => Some(connect.group),
            _ => None,
        }
    }

    fn read(mut input: &[u8]) -> Result<Self, Malformed> {
        let (mut group, mut proof, mut receiver) = (None, None, None);
        while !input.is_empty() {
            match option::take(&mut input)? {
                Element::Option { kind: DIGEST, value } => {
                    let text = std::str::from_utf8(value).map_err(|_| Malformed("peer connect: digest"))?;
                    group = Some(text.parse()?);
                }
                Element::Option { kind: PROOF, value } => {
                    proof = Some(value.try_into().map_err(|_| Malformed("peer connect: proof"))?);
                }
                Element::Option { kind: ENDPOINT, value } => receiver = Epd::parse(value)?.fingerprint,
                Element::Option { .. } => {}
                Element::Marker => break,
            }
        }
        match (group, proof, receiver) {
            (Some(group), Some(proof), Some(receiver)) => Ok(Self { group, proof, receiver }),
            _ => Err(Malformed("peer connect: something is missing")),
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut message = vec![CONNECT];
        option::put(DIGEST, self.group.to_string().as_bytes(), &mut message);
        option::put(PROOF, &self.proof, &mut message);
        option::put(ENDPOINT, &Epd::fingerprint(self.receiver), &mut message);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_both_ways_and_truncated() {
        let peer = PeerId([7; 32]);
        let connect = Connect { group: GroupDigest([0xab; 32]), proof: [3; 32], receiver: peer };
        for message in [
            ControlMessage::Connect(connect),
            ControlMessage::Admitted,
            ControlMessage::Begin { nearest: false },
            ControlMessage::Begin { nearest: true },
            ControlMessage::Member(peer),
            ControlMessage::AskClose,
            ControlMessage::Unknown(0x55),
        ] {
            let bytes = message.write();
            assert_eq!(ControlMessage::read(&bytes), Ok(message));
            for end in 0..bytes.len() {
                assert!(ControlMessage::read(&bytes[..end]).is_err(), "{bytes:x?} {end}");
            }
        }
        assert_eq!(Connect::group_of(&ControlMessage::Connect(connect).write()), Some(connect.group));
        assert_eq!(Connect::group_of(&[BEGIN]), None);
    }

    #[test]
    fn admission_must_be_complete() {
        let bytes = Connect { group: GroupDigest([1; 32]), proof: [3; 32], receiver: PeerId([7; 32]) }.write();
        let parts = [&bytes[1..67], &bytes[67..101], &bytes[101..]];
        for left_out in 0..3 {
            let mut message = vec![CONNECT];
            for (at, part) in parts.iter().enumerate().filter(|(at, _)| *at != left_out) {
                assert_eq!(part[1], [0x00, 0x01, 0x03][at]);
                message.extend_from_slice(part);
            }
            assert!(ControlMessage::read(&message).is_err(), "{left_out}");
        }
        let mut not_hex = bytes.clone();
        not_hex[5] = b'x';
        assert!(ControlMessage::read(&not_hex).is_err());
    }
}
