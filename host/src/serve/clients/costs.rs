//! What a client's messages cost a worker.
//!
//! The engine counts the work that packets cause, and drops the packets of a session that has used up its share (see
//! [`rtmfp::Endpoint::charge`]). This file adds the costs of the messages in them. A unit is that of the engine: some 0.1 us.

use introd_flash::message::kind;
use introd_flash::server::Action;

/// The cost of any message.
const MESSAGE: u32 = 5;
/// The number of bytes of a command that are decoded for one unit: each byte may be a value.
const COMMAND_BYTES: u32 = 2;
/// The cost of an answer, or of a line in the log.
const SMALL: u32 = 20;
/// The cost of an event of which others are told: a script, plugins, other servers, members of a group.
const TOLD: u32 = 200;

/// The cost of decoding a message. Media is not decoded.
pub(super) fn of_message(message: &[u8]) -> u32 {
    let is_command = message.first().is_some_and(|first| matches!(*first, kind::COMMAND | kind::COMMAND_EXTENDED));
    let bytes = u32::try_from(message.len()).unwrap_or(u32::MAX);
    MESSAGE + if is_command { bytes / COMMAND_BYTES } else { 0 }
}

/// The cost of an action that a message leads to.
pub(super) fn of_action(action: &Action) -> u32 {
    match action {
        Action::OpenFlow { .. } | Action::Send { .. } | Action::CloseFlow { .. } | Action::Report(_) => SMALL,
        Action::PingResponse { .. } | Action::CloseSession { .. } | Action::InvalidApp { .. } => SMALL,
        Action::Connect(_) | Action::SetPeerInfo(_) | Action::Call(_) | Action::Answer { .. } => TOLD,
        Action::GroupMessage { .. } | Action::GroupFlowClosed { .. } => TOLD,
        Action::Publish(_) | Action::Unpublish(_) => TOLD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use introd_flash::message::Message;

    /// The default of MaxSessionWork, and what the engine counts for a datagram with one chunk in it.
    const SHARE: u64 = 4_000_000;
    const DATAGRAM: u64 = 3;

    #[test]
    fn an_honest_stream_at_full_speed_is_within_its_share() {
        // More than a core can take in, in messages as short as a fragment.
        const BYTES_PER_SECOND: u64 = 500_000_000;
        const FRAGMENT: u64 = 1100;
        let message = Message { kind: kind::VIDEO, timestamp: 0, payload: &[0; FRAGMENT as usize] }.to_bytes();
        let cost = (u64::from(of_message(&message)) + DATAGRAM) * (BYTES_PER_SECOND / FRAGMENT);
        assert!(cost < SHARE, "{cost}");
    }

    #[test]
    fn events_that_others_are_told_of_have_a_high_cost() {
        let call = Message { kind: kind::COMMAND, timestamp: 0, payload: &[5; 60_000] }.to_bytes();
        assert!(SHARE / u64::from(of_message(&call)) < 150, "long commands in a second");
        let action = Action::GroupFlowClosed { flow: 1 };
        assert!(SHARE / u64::from(of_action(&action)) <= 20_000, "joins and leaves in a second");
    }

    #[test]
    fn what_is_decoded_costs_by_its_length_and_what_is_not_costs_the_same() {
        for (kind, long) in [
            (kind::COMMAND, MESSAGE + 502),
            (kind::COMMAND_EXTENDED, MESSAGE + 502),
            (kind::VIDEO, MESSAGE),
            (kind::DATA, MESSAGE),
        ] {
            let of = |length: usize| of_message(&Message { kind, timestamp: 0, payload: &vec![5; length] }.to_bytes());
            assert_eq!((of(999), of(0)), (long, if long == MESSAGE { MESSAGE } else { MESSAGE + 2 }), "{kind}");
        }
        assert_eq!(of_message(&[]), MESSAGE);
    }

    #[test]
    fn an_answer_costs_less_than_what_others_are_told() {
        assert_eq!(of_action(&Action::CloseFlow { stream: 0 }), SMALL);
        assert_eq!(of_action(&Action::PingResponse { timestamp: 0 }), SMALL);
        assert_eq!(of_action(&Action::Answer { transaction: 1, outcome: Ok(Vec::new()) }), TOLD);
        assert_eq!(of_action(&Action::GroupMessage { flow: 1, message: Vec::new() }), TOLD);
    }
}
