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

use std::collections::HashSet;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::monotonic;
use crate::apps::{InstanceRecord, OpenCallRecord, PublishedRecord, UnacceptedRecord};
use crate::introducer::RivalsRecord;
use crate::relay::PairRecords;
use crate::serve::{ConnectingRecord, HandedOver, WorkerState};

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
/// The kind of the section that has the ids of a worker's sessions that are as they were when they were copied.
const UNCHANGED: u8 = 3;
/// The kind of the section that has the clients of a worker that wait for an answer to their `connect`.
const CONNECTING: u8 = 4;
/// The kind of the section that has what clients wait for.
const OPEN_CALLS: u8 = 5;
/// The kind of the section that has the clients of instances with a script that are not accepted. Programs that do not know it leave it out:
/// their scripts are not told when these clients are gone.
const UNACCEPTED: u8 = 6;
/// The kind of the section that has the pairs of the relay. Programs that do not know it have their relays begin anew.
const RELAY: u8 = 7;
/// The kind of the section that has what is published of instances with a script. Programs that do not know it do not tell their scripts of the
/// ends of streams that were published before, and leave members of groups in the registry that scripts have published.
const PUBLISHED: u8 = 8;
/// The kind of the section that has the ids that several sessions show. In programs that do not know it, an id belongs to the session that comes
/// over first.
const RIVALS: u8 = 9;

/// The state of a server.
pub struct ServerState {
    /// That of each worker.
    pub workers: Vec<HandedOver>,
    /// The instances that have a script.
    pub instances: Vec<InstanceRecord>,
    /// What clients wait for that their scripts have not answered.
    pub open_calls: Vec<OpenCallRecord>,
    /// The ids that several sessions show.
    pub rivals: Vec<RivalsRecord>,
    /// That of the relay, if there is one.
    pub relay: Option<RelayState>,
}

/// The state of a relay.
pub struct RelayState {
    /// When it was written.
    pub then: Instant,
    /// The pairs as they were then.
    pub pairs: PairRecords,
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
    /// A section is about a worker whose state is missing.
    #[error("the state of worker {0} is missing")]
    NoWorker(u8),
    /// What is in a section is not of its type.
    #[error("a section cannot be read: {0}")]
    Unreadable(String),
}

impl ServerState {
    /// The state as bytes.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StateReadError> {
        let mut out = MAGIC.to_vec();
        section(&mut out, INSTANCES, STATE_VERSION, &self.instances)?;
        for HandedOver { index, then, state, unchanged, connecting, .. } in &self.workers {
            section(&mut out, WORKER, STATE_VERSION, &(index, monotonic::write(*then), state))?;
            if !unchanged.is_empty() {
                section(&mut out, UNCHANGED, STATE_VERSION, &(index, unchanged))?;
            }
            if !connecting.is_empty() {
                section(&mut out, CONNECTING, STATE_VERSION, &(index, connecting))?;
            }
        }
        if !self.open_calls.is_empty() {
            section(&mut out, OPEN_CALLS, STATE_VERSION, &self.open_calls)?;
        }
        if let Some(RelayState { then, pairs }) = &self.relay {
            section(&mut out, RELAY, STATE_VERSION, &(monotonic::write(*then), pairs))?;
        }
        let unaccepted = UnacceptedRecord::all(&self.instances);
        if !unaccepted.is_empty() {
            section(&mut out, UNACCEPTED, STATE_VERSION, &unaccepted)?;
        }
        if !self.rivals.is_empty() {
            section(&mut out, RIVALS, STATE_VERSION, &self.rivals)?;
        }
        let published = PublishedRecord::all(&self.instances);
        if !published.is_empty() {
            section(&mut out, PUBLISHED, STATE_VERSION, &published)?;
        }
        Ok(out)
    }

    /// The state from what [`Self::to_bytes`] wrote, in this version of the program or another.
    ///
    /// # Errors
    /// If it is not such bytes, or of a version that this program does not read.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateReadError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(StateReadError::NoState)?;
        let (mut workers, mut instances) = (Vec::<HandedOver>::new(), Vec::<InstanceRecord>::new());
        let (mut open_calls, mut unaccepted, mut published) = (Vec::new(), Vec::new(), Vec::new());
        let (mut rivals, mut relay) = (Vec::new(), None);
        while !rest.is_empty() {
            let (kind, version, body) = take_section(&mut rest)?;
            match kind {
                WORKER => {
                    let (index, then, state): (u8, i64, WorkerState) = content(version, STATE_VERSION, body)?;
                    workers.push(HandedOver::new(index, monotonic::read(then), state));
                }
                UNCHANGED => {
                    let (index, unchanged): (u8, Vec<u32>) = content(version, STATE_VERSION, body)?;
                    worker(&mut workers, index)?.unchanged = unchanged;
                }
                CONNECTING => {
                    let (index, connecting): (u8, Vec<ConnectingRecord>) = content(version, STATE_VERSION, body)?;
                    worker(&mut workers, index)?.connecting = connecting;
                }
                OPEN_CALLS => open_calls.extend(content::<Vec<OpenCallRecord>>(version, STATE_VERSION, body)?),
                INSTANCES => instances.extend(content::<Vec<InstanceRecord>>(version, STATE_VERSION, body)?),
                RELAY => {
                    let (then, pairs): (i64, PairRecords) = content(version, STATE_VERSION, body)?;
                    relay = Some(RelayState { then: monotonic::read(then), pairs });
                }
                UNACCEPTED => unaccepted.extend(content::<Vec<UnacceptedRecord>>(version, STATE_VERSION, body)?),
                RIVALS => rivals.extend(content::<Vec<RivalsRecord>>(version, STATE_VERSION, body)?),
                PUBLISHED => published.extend(content::<Vec<PublishedRecord>>(version, STATE_VERSION, body)?),
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
        unaccepted.into_iter().for_each(|some| some.add_to(&mut instances));
        published.into_iter().for_each(|some| some.add_to(&mut instances));
        // Scripts of the old process may not have looked yet at the end of clients that no worker has any more.
        let there: HashSet<u32> = workers.iter().flat_map(HandedOver::clients).collect();
        instances.iter_mut().for_each(|instance| instance.keep(&there));
        Ok(Self { workers, instances, open_calls, rivals, relay })
    }
}

/// The worker of that number.
fn worker(workers: &mut [HandedOver], index: u8) -> Result<&mut HandedOver, StateReadError> {
    workers.iter_mut().find(|worker| worker.index == index).ok_or(StateReadError::NoWorker(index))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Vec<u8> {
        ServerState {
            workers: Vec::new(),
            instances: Vec::new(),
            open_calls: Vec::new(),
            rivals: Vec::new(),
            relay: None,
        }
        .to_bytes()
        .unwrap()
    }

    fn with_section(kind: u8, version: u32) -> Vec<u8> {
        let mut bytes = empty();
        section(&mut bytes, kind, version, &vec![1_u8, 2, 3]).unwrap();
        bytes
    }

    #[test]
    fn unknown_sections_are_passed_over_and_unknown_versions_refused() {
        let read = |bytes: &[u8]| ServerState::from_bytes(bytes).map(|state| state.workers.len());
        assert_eq!(read(&empty()), Ok(0));
        assert_eq!(read(&with_section(200, 9)), Ok(0));
        let (found, known) = (STATE_VERSION + 1, STATE_VERSION);
        assert_eq!(read(&with_section(WORKER, found)), Err(StateReadError::Version { found, known }));
        assert!(matches!(read(&with_section(WORKER, known)), Err(StateReadError::Unreadable(_))));
    }

    #[test]
    fn what_is_no_state_or_has_changed_is_refused() {
        let whole = with_section(200, 1);
        for length in 0..whole.len() {
            // Between two sections, a state is whole as well.
            let result = ServerState::from_bytes(&whole[..length]).err();
            let is_whole = length == MAGIC.len() || length == empty().len();
            assert_eq!(result.is_none(), is_whole, "{length}: {result:?}");
        }
        let last = whole.len() - 1;
        let mut changed = whole;
        changed[last] ^= 1;
        assert_eq!(ServerState::from_bytes(&changed).err(), Some(StateReadError::Checksum));
        assert_eq!(ServerState::from_bytes(b"something else entirely").err(), Some(StateReadError::NoState));
    }
}
