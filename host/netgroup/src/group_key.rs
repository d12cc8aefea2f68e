//! The key under which servers know a group.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::GroupDigest;

/// What the hash begins with, so that no other hash of anything is a key.
const PREFIX: &[u8] = b"introd group key\0";

/// The key under which servers know a group: its members meet those of the same key, whatever server they are connected to.
///
/// It is a hash of the group's digest and of the names of the part of the servers that the group is confined to. A peer that chooses a digest
/// cannot choose a key: a group that is confined has members in common with no other. The digest cannot be found from the key, so
/// that reading a registry of keys does not let anyone join a group.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey(pub [u8; 32]);

impl GroupKey {
    /// The key of the group with that digest: of one that is open to all, or is confined to the part of the servers that these names
    /// give, the outermost first.
    pub fn of(digest: &GroupDigest, confined_to: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update(PREFIX);
        hash.update(digest.0);
        for name in confined_to {
            // With the lengths, other names never give the same bytes.
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name.as_bytes());
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&rtmfp::PeerId(self.0), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_and_each_digest_has_its_own_key() {
        let digests = [GroupDigest([1; 32]), GroupDigest([2; 32])];
        let parts: [&[&str]; 7] = [&[], &[""], &["a"], &["a", ""], &["a", "b"], &["ab"], &["b", "a"]];
        let mut keys: Vec<GroupKey> =
            digests.iter().flat_map(|digest| parts.iter().map(|part| GroupKey::of(digest, part))).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), digests.len() * parts.len());
        assert_eq!(GroupKey::of(&digests[0], &["a"]), GroupKey::of(&digests[0], &["a"]));
    }

    #[test]
    fn the_key_is_the_same_on_all_servers_and_says_nothing_of_the_digest() {
        let digest = GroupDigest([1; 32]);
        let mut bytes = b"introd group key\0".to_vec();
        bytes.extend([1; 32]);
        assert_eq!(GroupKey::of(&digest, &[]).0[..], Sha256::digest(&bytes)[..]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 3]);
        bytes.extend(b"app");
        let confined = GroupKey::of(&digest, &["app"]);
        assert_eq!(confined.0[..], Sha256::digest(&bytes)[..]);
        assert_ne!(GroupKey::of(&GroupDigest(confined.0), &[]), confined, "a peer may choose the digest");
    }
}
