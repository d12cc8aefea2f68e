//! The types of the flows between members: the last byte of their metadata `47 52 xx` (WIRE.md §3.1).

/// Control messages: [`ControlMessage`](super::message::ControlMessage).
pub const CONTROL: u8 = 0x1c;
/// Messages about streams (WIRE.md §3.6). Members accept such flows and ignore what comes on them.
pub const STREAM: u8 = 0x11;
/// Fragments of streams, of which the same holds.
pub const FRAGMENT: u8 = 0x12;
/// Keys of postings: [`KeyMessage`](super::posting::KeyMessage).
pub const POSTING_KEY: u8 = 0x18;
/// Postings: one AMF value.
pub const POSTING: u8 = 0x19;

/// Directed messages (WIRE.md §3.8), between members that are introd's: `I`. Others reject such flows.
pub const DIRECTED: u8 = 0x49;

/// The type of the far end's flow in return to which a flow of this type is opened. `None` if it is opened in return to no flow.
pub fn in_return_to(flow_type: u8) -> Option<u8> {
    match flow_type {
        CONTROL => None,
        FRAGMENT => Some(STREAM),
        _ => Some(CONTROL),
    }
}

/// Whether a member accepts flows of this type.
pub fn is_known(flow_type: u8) -> bool {
    matches!(flow_type, CONTROL | STREAM | FRAGMENT | POSTING_KEY | POSTING | DIRECTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flow_is_in_return_to_one_that_says_its_group() {
        assert_eq!([CONTROL, STREAM, FRAGMENT].map(in_return_to), [None, Some(CONTROL), Some(STREAM)]);
        assert_eq!([POSTING_KEY, POSTING, DIRECTED].map(in_return_to), [Some(CONTROL); 3]);
    }

    #[test]
    fn members_accept_the_types_they_know_and_no_others() {
        let known: Vec<u8> = (0..=u8::MAX).filter(|flow_type| is_known(*flow_type)).collect();
        assert_eq!(known, [0x11, 0x12, 0x18, 0x19, 0x1c, 0x49]);
    }
}
