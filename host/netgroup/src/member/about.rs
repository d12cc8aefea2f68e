//! What the flows between members are about: the last byte of their metadata `47 52 xx` (wire facts §8.1, §8.6).

/// Admission, reports: [`ControlMessage`](super::message::ControlMessage).
pub const CONTROL: u8 = 0x1c;
/// Streams: [`StreamMessage`](super::media::StreamMessage).
pub const STREAM: u8 = 0x11;
/// Fragments of streams: [`Fragment`](super::media::Fragment).
pub const FRAGMENT: u8 = 0x12;
/// Keys of postings: [`KeyMessage`](super::posting::KeyMessage).
pub const POSTING_KEY: u8 = 0x18;
/// Postings: one AMF value.
pub const POSTING: u8 = 0x19;

/// Of which kind the far end's flow is to which a flow of this kind is associated in return; `None` for the first flow. Recorded
/// for [`STREAM`] and [`FRAGMENT`]; for postings *not established*, and taken to be as for streams.
pub fn in_return_to(about: u8) -> Option<u8> {
    match about {
        CONTROL => None,
        FRAGMENT => Some(STREAM),
        _ => Some(CONTROL),
    }
}
