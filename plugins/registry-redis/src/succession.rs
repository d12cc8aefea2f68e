//! What a server hands over to another process that goes on in its place: under which name and epoch, so that no entry becomes invalid; what
//! it has still to withdraw, since its entries stay valid; and since when its peers are there, which decides between its entries and those of
//! other servers.
//!
//! | bytes | meaning |
//! |---|---|
//! | 1 | the format: 2 |
//! | 8 | the epoch |
//! | 1, then as many | the length of the server's name, and the name |
//! | 4, then 32 for each | the number of peers to withdraw, the highest byte first as in all numbers here, and their ids |
//! | 4, then 49 or 65 for each | the number of peers that sessions have; for each its id, flags, its session, and when that began. Flags: 1 if Redis has not confirmed the beginning; 2 if another session was the first, which then follows with its beginning |
//! | 96 for each, to the end | the memberships to withdraw: group, peer and position |

use introd_plugin::{GroupId, GroupMember, PeerId, RingPosition};

use crate::entry::Epoch;
use crate::presence::Beginnings;
use crate::settings::{Settings, SettingsError};

/// The first byte of what is handed over.
const FORMAT: u8 = 2;
/// Flag of a peer: Redis has not confirmed the beginning of its session.
const NEW: u8 = 1;
/// Flag of a peer: another session was its first.
const FIRST: u8 = 2;
/// How many peers are handed over with their beginnings at most: the host takes 256 MiB. Of others the new process begins anew.
pub(crate) const MAX_BEGINNINGS: usize = 3_000_000;

/// One run of a server: its name, and the epoch that makes its entries valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerRun {
    pub(crate) name: String,
    pub(crate) epoch: Epoch,
}

impl ServerRun {
    /// A new run, with the name that the settings give, or a random one.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let random = || -> Result<Epoch, SettingsError> {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes).map_err(|error| SettingsError::System(error.to_string()))?;
            Ok(Epoch(bytes))
        };
        let name = if settings.server.is_empty() { random()?.hex() } else { settings.server.clone() };
        Ok(Self { name, epoch: random()? })
    }
}

/// What a server hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Succession {
    pub(crate) run: ServerRun,
    /// The peers whose entries are to be deleted, unless the other process publishes them.
    pub(crate) gone: Vec<PeerId>,
    /// The peers that sessions have, and their beginnings.
    pub(crate) beginnings: Vec<(PeerId, Beginnings)>,
    /// The memberships that are to be deleted, unless the other process has them.
    pub(crate) left: Vec<GroupMember>,
}

impl Succession {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(64 + 32 * self.gone.len() + 52 * self.beginnings.len() + 96 * self.left.len());
        bytes.push(FORMAT);
        bytes.extend(self.run.epoch.0);
        // `Settings::check` allows no longer name.
        bytes.push(u8::try_from(self.run.name.len()).unwrap_or(u8::MAX));
        bytes.extend(self.run.name.bytes().take(usize::from(u8::MAX)));
        bytes.extend(u32::try_from(self.gone.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(self.gone.iter().flat_map(|peer| peer.0));
        bytes.extend(u32::try_from(self.beginnings.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (peer, Beginnings { session, since, is_new, first }) in &self.beginnings {
            bytes.extend(peer.0);
            bytes.push(if *is_new { NEW } else { 0 } | if first.is_some() { FIRST } else { 0 });
            let first = first.iter().flat_map(|first| [first.0, first.1]);
            [*session, *since].into_iter().chain(first).for_each(|number| bytes.extend(number.to_be_bytes()));
        }
        for GroupMember { group, peer, position } in &self.left {
            bytes.extend([group.0, peer.0, position.0].concat());
        }
        bytes
    }

    /// `None` if it is not understood.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = &mut &*bytes;
        let [FORMAT] = take(bytes)? else { return None };
        let epoch = Epoch(take(bytes)?);
        let [len] = take(bytes)?;
        let name = bytes.split_off(..usize::from(len))?;
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
        let gone = (0..take_count(bytes)?).map(|_| take(bytes).map(PeerId)).collect::<Option<_>>()?;
        let beginnings = (0..take_count(bytes)?).map(|_| take_peer(bytes)).collect::<Option<_>>()?;
        let (left, []) = bytes.as_chunks::<96>() else { return None };
        let member = |bytes: &[u8; 96]| {
            let ([group, peer, position], _) = bytes.as_chunks::<32>() else { return None };
            Some(GroupMember { group: GroupId(*group), peer: PeerId(*peer), position: RingPosition(*position) })
        };
        Some(Self {
            run: ServerRun { name: name.to_owned(), epoch },
            gone,
            beginnings,
            left: left.iter().map(member).collect::<Option<_>>()?,
        })
    }
}

fn take_peer(bytes: &mut &[u8]) -> Option<(PeerId, Beginnings)> {
    let peer = take(bytes)?;
    let [flags] = take(bytes)?;
    let mut number = || take(bytes).map(u64::from_be_bytes);
    let (session, since) = (number()?, number()?);
    let first = if flags & FIRST != 0 { Some(Box::new((number()?, number()?))) } else { None };
    Some((PeerId(peer), Beginnings { session, since, is_new: flags & NEW != 0, first }))
}

fn take_count(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(take(bytes)?)).ok()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(server: &str) -> Settings {
        Settings { server: server.to_owned(), ..Settings::default() }
    }

    #[test]
    fn each_run_has_its_own_epoch_and_the_name_that_is_set() {
        let (one, other) = (ServerRun::new(&named("a")).unwrap(), ServerRun::new(&named("a")).unwrap());
        assert_eq!((one.name.as_str(), other.name.as_str()), ("a", "a"));
        assert_ne!(one.epoch, other.epoch);
        assert_eq!(ServerRun::new(&named("")).unwrap().name.len(), 16, "a random one");
    }

    #[test]
    fn what_is_handed_over_is_read_as_it_is_written() {
        let member = |group| GroupMember {
            group: GroupId([group; 32]),
            peer: PeerId([group + 1; 32]),
            position: RingPosition([group + 2; 32]),
        };
        let run = ServerRun { name: "a".to_owned(), epoch: Epoch([7; 8]) };
        let peer = |number, first: Option<(u64, u64)>| {
            let first = first.map(Box::new);
            (PeerId([number; 32]), Beginnings { session: 7, since: 1 << 40, is_new: first.is_none(), first })
        };
        let (gone, beginnings) = (vec![PeerId([1; 32]), PeerId([2; 32])], vec![peer(3, None), peer(4, Some((8, 9)))]);
        let nothing = Succession { run, gone: vec![], beginnings: vec![], left: vec![] };
        let all = Succession { gone, beginnings, left: vec![member(3), member(6)], ..nothing.clone() };
        for succession in [&nothing, &all] {
            let bytes = succession.to_bytes();
            assert_eq!(Succession::from_bytes(&bytes).as_ref(), Some(succession));
            for len in 0..bytes.len() {
                // The list of memberships may end after each.
                let is_whole =
                    succession.left.len() * 96 >= bytes.len() - len && (bytes.len() - len).is_multiple_of(96);
                assert_eq!(Succession::from_bytes(&bytes[..len]).is_some(), is_whole, "{len}");
            }
            assert_eq!(Succession::from_bytes(&[&[1], &bytes[1..]].concat()), None, "another format");
            assert_eq!(Succession::from_bytes(&[&bytes[..], &[0]].concat()), None, "more than there is");
        }
        let run = ServerRun { name: String::new(), ..nothing.run.clone() };
        let unnamed = Succession { run, ..nothing };
        assert_eq!(Succession::from_bytes(&unnamed.to_bytes()), None);
    }
}
