//! The keys in Redis, and the commands on them.

use introd_plugin::{GroupId, PeerId};
use redis::{Cmd, Value, cmd};

use crate::entry::{Entry, Epoch, MAX_ENTRIES};
use crate::published::{Write, WriteOutcome};
use crate::scripts;

/// What the slots of the copies of a server's key in a cluster are chosen by: 2610 and 13553, far apart in the 16384 slots.
const COPIES: [&str; 2] = ["b9", "y3"];

/// The meaning of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Peer(PeerId),
    Server(Vec<u8>),
}

/// The keys of a namespace.
pub(crate) struct Keys {
    peer: String,
    server: String,
    servers: String,
    group: String,
    /// In a cluster, a script may only use keys of one slot.
    is_cluster: bool,
    publish: String,
    withdraw: String,
    clean: String,
}

impl Keys {
    pub(crate) fn new(namespace: &str, is_cluster: bool) -> Self {
        Self {
            peer: format!("{namespace}:peer:"),
            server: format!("{namespace}:server:"),
            servers: format!("{namespace}:servers"),
            group: format!("{namespace}:group:"),
            is_cluster,
            publish: scripts::publish(),
            withdraw: scripts::withdraw(),
            clean: scripts::clean(),
        }
    }

    pub(crate) fn peer(&self, peer: &PeerId) -> Vec<u8> {
        format!("{}{peer}", self.peer).into_bytes()
    }

    pub(crate) fn server(&self, server: &[u8]) -> Vec<u8> {
        [self.server.as_bytes(), server].concat()
    }

    /// All keys that hold the epoch of a server. In a cluster there are copies at other nodes, because each key is at one node, and if
    /// that one is gone, the others still show that the server lives.
    pub(crate) fn server_copies(&self, server: &[u8]) -> Vec<Vec<u8>> {
        let tags = if self.is_cluster { &COPIES[..] } else { &[] };
        let copy = |tag: &&str| [self.server.as_bytes(), b"{", tag.as_bytes(), b"}:", server].concat();
        std::iter::once(self.server(server)).chain(tags.iter().map(copy)).collect()
    }

    /// The meaning of a key; `None` if it is not of this namespace.
    pub(crate) fn parse(&self, key: &[u8]) -> Option<Key> {
        if let Some(id) = key.strip_prefix(self.peer.as_bytes()) {
            return std::str::from_utf8(id).ok()?.parse().ok().map(Key::Peer);
        }
        key.strip_prefix(self.server.as_bytes()).map(|server| Key::Server(server.to_vec()))
    }

    /// The commands that read all copies of the key of a server.
    pub(crate) fn read_server(&self, server: &[u8]) -> Vec<Cmd> {
        self.server_copies(server).into_iter().map(Self::get).collect()
    }

    /// The command that reads a key.
    pub(crate) fn get(key: Vec<u8>) -> Cmd {
        let mut command = cmd("GET");
        command.arg(key);
        command
    }

    pub(crate) fn get_all(keys: impl Iterator<Item = Vec<u8>>) -> Cmd {
        let mut command = cmd("MGET");
        for key in keys {
            command.arg(key);
        }
        command
    }

    /// The command for a write. `lifetime` is in milliseconds.
    pub(crate) fn write(&self, peer: &PeerId, write: &Write, server: &str, epoch: Epoch, lifetime: u64) -> Cmd {
        let key = self.peer(peer);
        let Write::Publish { claim, is_new, is_first, addresses } = write else {
            let mut command = cmd("EVAL");
            command.arg(self.withdraw.as_str()).arg(1).arg(key).arg(&epoch.0[..]);
            return command;
        };
        let entry = Entry::encode(epoch, *claim, server, addresses);
        if *is_first {
            // Usually no other server has the peer. Then this command suffices, which costs Redis much less than a script.
            let mut command = cmd("SET");
            command.arg(key).arg(entry).arg("NX").arg("PX").arg(lifetime);
            return command;
        }
        let mut command = cmd("EVAL");
        command.arg(self.publish.as_str()).arg(1).arg(key).arg(entry).arg(lifetime).arg(u8::from(*is_new));
        let servers = if self.is_cluster { "" } else { &self.server };
        command.arg(servers).arg(MAX_ENTRIES);
        command
    }

    /// The outcome of a [`Self::write`], by its answer.
    pub(crate) fn outcome(answer: &Value) -> WriteOutcome {
        match answer {
            Value::Nil => WriteOutcome::Occupied,
            Value::Int(since) if *since > 0 => WriteOutcome::Since(since.unsigned_abs()),
            _ => WriteOutcome::Done,
        }
    }

    /// The key of a group: a sorted set of its members.
    pub(crate) fn group(&self, group: &GroupId) -> Vec<u8> {
        format!("{}{group}", self.group).into_bytes()
    }

    /// Whether each key is on one of several nodes.
    pub(crate) fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    /// The script that removes members of dead servers.
    pub(crate) fn clean(&self) -> &str {
        &self.clean
    }

    /// The heartbeat of a server: its keys hold its epoch for `lifetime` milliseconds. Each answer is the value before.
    pub(crate) fn heartbeat(&self, server: &str, epoch: Epoch, lifetime: u64) -> Vec<Cmd> {
        let set = |key| {
            let mut command = cmd("SET");
            command.arg(key).arg(epoch.hex()).arg("PX").arg(lifetime).arg("GET");
            command
        };
        self.server_copies(server.as_bytes()).into_iter().map(set).collect()
    }

    /// The command that enters a server in the list of all servers, a sorted set by the time when each was last entered, in seconds since 1970.
    pub(crate) fn enter(&self, server: &str, now: u64) -> Cmd {
        let mut command = cmd("ZADD");
        command.arg(&self.servers).arg(now).arg(server);
        command
    }

    /// The command that reads the list of all servers with these times, the last one first, `max` at most.
    pub(crate) fn list(&self, max: usize) -> Cmd {
        let mut command = cmd("ZRANGE");
        command.arg(&self.servers).arg(0).arg(max.saturating_sub(1)).arg("REV").arg("WITHSCORES");
        command
    }

    /// The command that strikes servers off the list.
    pub(crate) fn strike<'a>(&self, servers: impl Iterator<Item = &'a [u8]>) -> Cmd {
        let mut command = cmd("ZREM");
        command.arg(&self.servers);
        for server in servers {
            command.arg(server);
        }
        command
    }

    /// The commands by which a server deletes its own keys.
    pub(crate) fn leave(&self, server: &str, epoch: Epoch) -> Vec<Cmd> {
        let delete = |key| {
            let mut command = cmd("EVAL");
            command.arg(scripts::LEAVE).arg(1).arg(key).arg(epoch.hex());
            command
        };
        self.server_copies(server.as_bytes()).into_iter().map(delete).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let (keys, peer) = (Keys::new("n:s", false), PeerId([0xab; 32]));
        assert_eq!(keys.peer(&peer), format!("n:s:peer:{}", "ab".repeat(32)).into_bytes());
        assert_eq!(keys.parse(&keys.peer(&peer)), Some(Key::Peer(peer)));
        assert_eq!(keys.parse(&keys.server(b"a:b")), Some(Key::Server(b"a:b".to_vec())));
        for other in ["n:s:peer:xyz", "n:peer:", "other", ""] {
            assert_eq!(keys.parse(other.as_bytes()), None, "{other}");
        }
    }

    fn words(command: &Cmd) -> Vec<String> {
        let word = |argument| match argument {
            redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => "?".to_owned(),
        };
        command.args_iter().map(word).collect()
    }

    #[test]
    fn a_write_takes_the_place_of_no_other_servers_entry() {
        use crate::claim::Claim;

        let (peer, epoch) = (PeerId([0xab; 32]), Epoch([7; 8]));
        let claim = Claim { is_proven: true, is_silent: false, since: 1 };
        let publish = |is_new, is_first| Write::Publish {
            claim,
            is_new,
            is_first,
            addresses: crate::entry::encode_addresses(&[]),
        };
        for (is_cluster, servers) in [(false, "n:server:"), (true, "")] {
            let keys = Keys::new("n", is_cluster);
            let command = |write: &Write| words(&keys.write(&peer, write, "a", epoch, 5000));
            let first = command(&publish(true, true));
            assert_eq!((first[0].as_str(), &first[3..]), ("SET", &["NX".to_owned(), "PX".into(), "5000".into()][..]));
            for (is_new, flag) in [(true, "1"), (false, "0")] {
                let later = command(&publish(is_new, false));
                assert_eq!(later[0], "EVAL");
                assert_eq!(later[5..], ["5000", flag, servers, "8"].map(str::to_owned));
            }
            assert_eq!(command(&Write::Withdraw)[0], "EVAL");
        }
        let keys = Keys::new("n", false);
        let heartbeat: Vec<_> = keys.heartbeat("a", epoch, 3000).iter().map(words).collect();
        assert_eq!(heartbeat, [["SET", "n:server:a", "0707070707070707", "PX", "3000", "GET"]]);
        let leave: Vec<_> = keys.leave("a", epoch).iter().map(words).collect();
        assert_eq!(leave.len(), 1);
        assert_eq!(leave[0][2..], ["1", "n:server:a", "0707070707070707"].map(str::to_owned));
    }

    #[test]
    fn in_a_cluster_the_key_of_a_server_has_copies_at_other_nodes() {
        let keys = Keys::new("n", true);
        let expected = ["n:server:a", "n:server:{b9}:a", "n:server:{y3}:a"];
        assert_eq!(keys.server_copies(b"a"), expected.map(|key| key.as_bytes().to_vec()));
        let key = |command: &Cmd, place: usize| words(command)[place].clone();
        let heartbeat: Vec<_> = keys.heartbeat("a", Epoch([7; 8]), 1).iter().map(|command| key(command, 1)).collect();
        let leave: Vec<_> = keys.leave("a", Epoch([7; 8])).iter().map(|command| key(command, 3)).collect();
        assert_eq!((heartbeat, leave), (expected.map(str::to_owned).to_vec(), expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn the_answer_to_a_write_says_what_redis_has() {
        for (answer, outcome) in [
            (Value::Okay, WriteOutcome::Done),
            (Value::Nil, WriteOutcome::Occupied),
            (Value::Int(0), WriteOutcome::Done),
            (Value::Int(5), WriteOutcome::Since(5)),
            (Value::Int(-5), WriteOutcome::Done),
        ] {
            assert_eq!(Keys::outcome(&answer), outcome, "{answer:?}");
        }
    }
}
