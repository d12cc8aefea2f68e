//! Recording traffic with its keys, so that anybody can decipher it and check it later.
//!
//! The file is JSON in the format of `tests/vectors`, which a decoder that shares nothing with this program understands: the
//! sessions with all their secrets, each datagram with what is in it, and the messages put together again.
//!
//! Everything is kept in memory until [`Recorder::finish`], within [`RecordingLimits`].

mod file;
mod messages;
mod opening;
mod peers;
mod recorder;
mod recording;
mod session;
#[cfg(test)]
mod tests;

pub use file::Summary;
pub use peers::PeerRecording;
pub use recorder::{Recorder, RecordingLimits};
pub use session::{EndPlace, EndRecord, Role, SessionRecord};
