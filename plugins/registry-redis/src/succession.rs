//! What a server hands over to another process that goes on in its place: under which name and epoch, so that no entry becomes invalid, and
//! what it has still to withdraw, since its entries stay valid.
//!
//! | bytes | meaning |
//! |---|---|
//! | 1 | the format: 1 |
//! | 8 | the epoch |
//! | 1, then as many | the length of the server's name, and the name |
//! | 4, then 32 for each | the number of peers to withdraw, the highest byte first, and their ids |
//! | 96 for each, to the end | the memberships to withdraw: group, peer and position |

use introd_plugin::{GroupId, GroupMember, PeerId, RingPosition};

use crate::entry::Epoch;
use crate::settings::{Settings, SettingsError};

/// The first byte of what is handed over.
const FORMAT: u8 = 1;

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
    /// The memberships that are to be deleted, unless the other process has them.
    pub(crate) left: Vec<GroupMember>,
}

impl Succession {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend(self.run.epoch.0);
        // `Settings::check` allows no longer name.
        bytes.push(u8::try_from(self.run.name.len()).unwrap_or(u8::MAX));
        bytes.extend(self.run.name.bytes().take(usize::from(u8::MAX)));
        bytes.extend(u32::try_from(self.gone.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(self.gone.iter().flat_map(|peer| peer.0));
        for GroupMember { group, peer, position } in &self.left {
            bytes.extend([group.0, peer.0, position.0].concat());
        }
        bytes
    }

    /// `None` if it is not understood.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&FORMAT, bytes) = bytes.split_first()? else { return None };
        let (epoch, bytes) = bytes.split_first_chunk()?;
        let (len, bytes) = bytes.split_first()?;
        let (name, bytes) = bytes.split_at_checked(usize::from(*len))?;
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
        let (count, bytes) = bytes.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
        let (gone, left) = bytes.split_at_checked(count.checked_mul(32)?)?;
        let (gone, _) = gone.as_chunks();
        let (left, []) = left.as_chunks::<96>() else { return None };
        let member = |bytes: &[u8; 96]| {
            let ([group, peer, position], _) = bytes.as_chunks::<32>() else { return None };
            Some(GroupMember { group: GroupId(*group), peer: PeerId(*peer), position: RingPosition(*position) })
        };
        Some(Self {
            run: ServerRun { name: name.to_owned(), epoch: Epoch(*epoch) },
            gone: gone.iter().copied().map(PeerId).collect(),
            left: left.iter().map(member).collect::<Option<_>>()?,
        })
    }
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
        for (gone, left) in [(vec![], vec![]), (vec![PeerId([1; 32]), PeerId([2; 32])], vec![member(3), member(6)])] {
            let succession = Succession { run: run.clone(), gone, left };
            let bytes = succession.to_bytes();
            assert_eq!(Succession::from_bytes(&bytes), Some(succession));
            for len in 0..bytes.len() {
                // A list of memberships may end after each.
                let is_whole = len >= 15 && (len - 15) % 96 == 64 && bytes.len() > 15;
                assert_eq!(Succession::from_bytes(&bytes[..len]).is_some(), is_whole, "{len}");
            }
            assert_eq!(Succession::from_bytes(&[&[2], &bytes[1..]].concat()), None, "another format");
            assert_eq!(Succession::from_bytes(&[&bytes[..], &[0]].concat()), None, "more than there is");
        }
        let unnamed = Succession { run: ServerRun { name: String::new(), ..run }, gone: vec![], left: vec![] };
        assert_eq!(Succession::from_bytes(&unnamed.to_bytes()), None);
    }
}
