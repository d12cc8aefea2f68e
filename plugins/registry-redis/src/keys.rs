//! The names of keys, and the commands on them.

use introd_plugin::PeerId;
use redis::{Cmd, cmd};

use crate::entry::{Entry, Epoch};
use crate::own::Write;

/// Writes an entry unless another server has written one since.
const RENEW: &str = "local v=redis.call('GET',KEYS[1]) \
                     if v and string.sub(v,2,9)~=string.sub(ARGV[1],2,9) and string.sub(v,10,17)>string.sub(ARGV[1],10,17) \
                     then return 0 end \
                     redis.call('SET',KEYS[1],ARGV[1],'PX',ARGV[2]) return 1";
/// Deletes an entry if it is of this epoch.
const WITHDRAW: &str = "local v=redis.call('GET',KEYS[1]) \
                        if v and string.sub(v,2,9)==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";
/// Deletes a server's key if it is of this epoch.
const LEAVE: &str = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";

/// What a key is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Peer(PeerId),
    Server(Vec<u8>),
}

/// The keys of a namespace.
pub(crate) struct Keys {
    peer: String,
    server: String,
}

impl Keys {
    pub(crate) fn new(namespace: &str) -> Self {
        Self { peer: format!("{namespace}:peer:"), server: format!("{namespace}:server:") }
    }

    pub(crate) fn peer(&self, peer: &PeerId) -> Vec<u8> {
        format!("{}{peer}", self.peer).into_bytes()
    }

    pub(crate) fn server(&self, server: &[u8]) -> Vec<u8> {
        [self.server.as_bytes(), server].concat()
    }

    /// What a key of this namespace is about.
    pub(crate) fn read(&self, key: &[u8]) -> Option<Key> {
        if let Some(id) = key.strip_prefix(self.peer.as_bytes()) {
            return std::str::from_utf8(id).ok()?.parse().ok().map(Key::Peer);
        }
        key.strip_prefix(self.server.as_bytes()).map(|server| Key::Server(server.to_vec()))
    }

    pub(crate) fn get_all(keys: impl Iterator<Item = Vec<u8>>) -> Cmd {
        let mut command = cmd("MGET");
        for key in keys {
            command.arg(key);
        }
        command
    }

    /// What writes this. `lifetime` is in milliseconds.
    pub(crate) fn write(&self, peer: &PeerId, write: &Write, server: &str, epoch: Epoch, lifetime: u64) -> Cmd {
        let key = self.peer(peer);
        let mut command;
        match write {
            Write::Publish { since, addresses } => {
                command = cmd("SET");
                command.arg(key).arg(Entry::encode(epoch, *since, server, addresses)).arg("PX").arg(lifetime);
            }
            Write::Renew { since, addresses } => {
                command = cmd("EVAL");
                let entry = Entry::encode(epoch, *since, server, addresses);
                command.arg(RENEW).arg(1).arg(key).arg(entry).arg(lifetime);
            }
            Write::Withdraw => {
                command = cmd("EVAL");
                command.arg(WITHDRAW).arg(1).arg(key).arg(&epoch.0[..]);
            }
        }
        command
    }

    /// Says that a server lives; the answer is what was said before.
    pub(crate) fn beat(&self, server: &str, epoch: Epoch, life: u64) -> Cmd {
        let mut command = cmd("SET");
        command.arg(self.server(server.as_bytes())).arg(epoch.hex()).arg("PX").arg(life).arg("GET");
        command
    }

    /// Says that a server is gone.
    pub(crate) fn leave(&self, server: &str, epoch: Epoch) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(LEAVE).arg(1).arg(self.server(server.as_bytes())).arg(epoch.hex());
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let (keys, peer) = (Keys::new("n:s"), PeerId([0xab; 32]));
        assert_eq!(keys.peer(&peer), format!("n:s:peer:{}", "ab".repeat(32)).into_bytes());
        assert_eq!(keys.read(&keys.peer(&peer)), Some(Key::Peer(peer)));
        assert_eq!(keys.read(&keys.server(b"a:b")), Some(Key::Server(b"a:b".to_vec())));
        for other in ["n:s:peer:xyz", "n:peer:", "other", ""] {
            assert_eq!(keys.read(other.as_bytes()), None, "{other}");
        }
    }
}
