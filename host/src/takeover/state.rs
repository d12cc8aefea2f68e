//! The state of a server as bytes: sections, each with its kind, version, length and checksum.
//!
//! | bytes | what |
//! |---|---|
//! | 0..16 | [`MAGIC`] |
//! | then, for each section: 1 | its kind |
//! | 4 | its version, big-endian, as all numbers here |
//! | 8 | how many bytes it has |
//! | 4 | the CRC-32 of them |
//! | … | these bytes, as postcard writes the section's type |
//!
//! A section of a kind that is not known is passed over: a newer server may have something that it can do without. A section of a known
//! kind and another version is an error: the takeover is refused.

use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::monotonic;
use crate::apps::InstanceRecord;
use crate::serve::WorkerState;

/// The version of a worker's state: that of the engine's records, and of the server's own in `host/src/serve/handover.rs` and
/// `host/flash/src/server/handover`.
pub const STATE_VERSION: u32 = 1;
/// All of it changes when the engine's records do.
const _: () = assert!(rtmfp::handover::STATE_VERSION == 1, "raise STATE_VERSION with that of the engine");

const MAGIC: &[u8; 16] = b"introd state\r\n\0\0";
/// The kind of the section that is a worker's state.
const WORKER: u8 = 1;
const HEADER: usize = 1 + 4 + 8 + 4;

/// The kind of the section that has the instances with a script.
const INSTANCES: u8 = 2;

/// A worker's state: its number, the time from which the times in it count, and the rest.
type Worker = (u8, Instant, WorkerState);

/// The state of a server.
pub struct ServerState {
    /// Each worker's: its number, the time from which the times in it count, and the rest.
    pub workers: Vec<Worker>,
    /// The instances that have a script.
    pub instances: Vec<InstanceRecord>,
}

/// Why a state is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateReadError {
    /// It does not begin as a state does.
    #[error("these bytes are no state of a server")]
    NoState,
    /// It ends in the middle of a section.
    #[error("the state is cut off")]
    CutOff,
    /// A section has changed on its way.
    #[error("the checksum of a section is wrong")]
    Checksum,
    /// A section has a version that this program does not read.
    #[error(
        "the state has version {found}, and this program reads version {known}: restart the server without a takeover"
    )]
    Version {
        /// The version in the state.
        found: u32,
        /// The version that this program reads.
        known: u32,
    },
    /// What is in a section is not of its type.
    #[error("a section cannot be read: {0}")]
    Unreadable(String),
}

/// The state as bytes.
pub(super) fn write(state: &ServerState) -> Result<Vec<u8>, StateReadError> {
    let mut out = MAGIC.to_vec();
    section(&mut out, INSTANCES, STATE_VERSION, &state.instances)?;
    for (index, then, state) in &state.workers {
        section(&mut out, WORKER, STATE_VERSION, &(index, monotonic::write(*then), state))?;
    }
    Ok(out)
}

fn section(out: &mut Vec<u8>, kind: u8, version: u32, content: &impl Serialize) -> Result<(), StateReadError> {
    let start = out.len();
    out.resize(start + HEADER, 0);
    let mut all = postcard::to_extend(content, std::mem::take(out)).map_err(unreadable)?;
    let (before, body) = all.split_at_mut(start + HEADER);
    let (length, checksum) = (body.len() as u64, crc32fast::hash(body));
    let header = [&[kind][..], &version.to_be_bytes(), &length.to_be_bytes(), &checksum.to_be_bytes()].concat();
    if let Some(place) = before.get_mut(start..) {
        place.copy_from_slice(&header);
    }
    *out = all;
    Ok(())
}

/// The state from what [`write`] wrote, in this version of the program or another.
pub(super) fn read(bytes: &[u8]) -> Result<ServerState, StateReadError> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or(StateReadError::NoState)?;
    let (mut workers, mut instances) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let (kind, version, body) = take_section(&mut rest)?;
        match kind {
            WORKER => {
                let (index, then, state): (u8, i64, WorkerState) = content(version, STATE_VERSION, body)?;
                workers.push((index, monotonic::read(then), state));
            }
            INSTANCES => instances.extend(content::<Vec<InstanceRecord>>(version, STATE_VERSION, body)?),
            _ => {
                let bytes = body.len();
                tracing::info!(
                    kind,
                    version,
                    bytes,
                    "a section of the state is of a kind not known here: it is left out"
                );
            }
        }
    }
    Ok(ServerState { workers, instances })
}

fn take_section<'a>(rest: &mut &'a [u8]) -> Result<(u8, u32, &'a [u8]), StateReadError> {
    let (&[kind], after) = rest.split_first_chunk::<1>().ok_or(StateReadError::CutOff)?;
    let (version, after) = after.split_first_chunk::<4>().ok_or(StateReadError::CutOff)?;
    let (length, after) = after.split_first_chunk::<8>().ok_or(StateReadError::CutOff)?;
    let (checksum, after) = after.split_first_chunk::<4>().ok_or(StateReadError::CutOff)?;
    let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| StateReadError::CutOff)?;
    let (body, after) = after.split_at_checked(length).ok_or(StateReadError::CutOff)?;
    if crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
        return Err(StateReadError::Checksum);
    }
    *rest = after;
    Ok((kind, u32::from_be_bytes(*version), body))
}

fn content<T: DeserializeOwned>(found: u32, known: u32, body: &[u8]) -> Result<T, StateReadError> {
    if found != known {
        return Err(StateReadError::Version { found, known });
    }
    postcard::from_bytes(body).map_err(unreadable)
}

fn unreadable(error: postcard::Error) -> StateReadError {
    StateReadError::Unreadable(error.to_string())
}
