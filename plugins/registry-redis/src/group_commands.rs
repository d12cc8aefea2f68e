//! The commands on the keys of groups.

use introd_plugin::{GroupId, GroupMember, NeighborQuery};
use redis::{Cmd, RedisResult, Value, cmd};

use crate::entry::Epoch;
use crate::keys::Keys;
use crate::member::{DeadServer, encode};
use crate::memberships::GroupWrites;
use crate::neighbors::MAX_NEIGHBORS;
use crate::scripts::REMOVE;

/// How many commands [`Keys::clean_around`] has.
const CLEANINGS: usize = 4;
/// How many more far members are read than are wanted, because some may be among the neighbours.
const SPARE: usize = 3;

impl Keys {
    /// The commands that write the members of a group, of the server `server` in the epoch `epoch`: one or two for those that join, and
    /// one for those that leave. `lifetime` is in milliseconds.
    pub(crate) fn write_members(&self, writes: &GroupWrites, server: &str, epoch: Epoch, lifetime: u64) -> Vec<Cmd> {
        let GroupWrites { group, joins, leaves } = writes;
        let mut commands = Vec::new();
        let element = |member: &GroupMember| encode(member.position, &member.peer, epoch, server);
        if !joins.is_empty() {
            let mut add = cmd("ZADD");
            add.arg(self.group(group));
            for member in joins {
                add.arg(0).arg(element(member));
            }
            let mut expire = cmd("PEXPIRE");
            expire.arg(self.group(group)).arg(lifetime);
            commands.extend([add, expire]);
        }
        if !leaves.is_empty() {
            let mut remove = cmd("ZREM");
            remove.arg(self.group(group));
            for member in leaves {
                remove.arg(element(member));
            }
            commands.push(remove);
        }
        commands
    }

    /// The command that removes elements of one dead server.
    pub(crate) fn remove_dead(&self, group: &GroupId, server: &DeadServer, elements: &[Vec<u8>]) -> Cmd {
        let keys = self.keys_of([server]);
        let mut command = cmd("EVAL");
        command.arg(REMOVE).arg(1 + keys.len()).arg(self.group(group)).arg(keys).arg(server.epoch.hex()).arg(elements);
        command
    }

    /// The keys of servers that a script on the key of a group may read: none in a cluster.
    fn keys_of<'a>(&self, servers: impl IntoIterator<Item = &'a DeadServer>) -> Vec<Vec<u8>> {
        let servers = servers.into_iter().filter(|_| !self.is_cluster());
        servers.map(|server| self.server(&server.server)).collect()
    }

    /// The command that tells which of these members are there.
    pub(crate) fn scores(&self, group: &GroupId, members: &[GroupMember], server: &str, epoch: Epoch) -> Cmd {
        let mut command = cmd("ZMSCORE");
        command.arg(self.group(group));
        for member in members {
            command.arg(encode(member.position, &member.peer, epoch, server));
        }
        command
    }

    /// The commands that read what is around a position: from it to the end of the ring, from the beginning, back to the beginning, back
    /// from the end, and members from anywhere.
    pub(crate) fn surroundings(&self, query: &NeighborQuery, limit: usize) -> Vec<Cmd> {
        let mut commands: Vec<Cmd> = ranges(query)
            .into_iter()
            .map(|(from, to, is_back)| {
                let mut command = cmd("ZRANGE");
                command.arg(self.group(&query.group)).arg(from).arg(to).arg("BYLEX");
                if is_back {
                    command.arg("REV");
                }
                command.arg("LIMIT").arg(0).arg(limit);
                command
            })
            .collect();
        let mut far = cmd("ZRANDMEMBER");
        let wanted = query.far.min(MAX_NEIGHBORS);
        far.arg(self.group(&query.group)).arg(if wanted == 0 { 0 } else { wanted + SPARE });
        commands.push(far);
        commands
    }

    /// The commands that remove members of dead servers around a position, on each side so many at most.
    pub(crate) fn clean_around(&self, query: &NeighborQuery, dead: &[DeadServer], bound: usize) -> Vec<Cmd> {
        let epochs = dead.iter().flat_map(|server| server.epoch.0).collect::<Vec<u8>>();
        let keys = self.keys_of(dead);
        let clean = |(from, to, is_back): (Vec<u8>, Vec<u8>, bool)| {
            let mut command = cmd("EVAL");
            command.arg(self.clean()).arg(1 + keys.len()).arg(self.group(&query.group)).arg(&keys).arg(from).arg(to);
            command.arg(if is_back { "REV" } else { "" }).arg(query.near + 1).arg(bound).arg(&epochs);
            command
        };
        ranges(query).into_iter().map(clean).collect()
    }

    /// How many members the commands of [`Self::clean_around`] have removed, of which these answers are the first.
    pub(crate) fn cleaned(answers: &mut impl Iterator<Item = RedisResult<Value>>) -> usize {
        let removed = |answer| match answer {
            Ok(Value::Int(removed)) => usize::try_from(removed).unwrap_or(0),
            _ => 0,
        };
        answers.take(CLEANINGS).map(removed).sum()
    }
}

/// The ranges around a position, in the order of [`Keys::surroundings`]: from, to, and whether it goes back.
fn ranges(query: &NeighborQuery) -> [(Vec<u8>, Vec<u8>, bool); CLEANINGS] {
    let at = |bound: u8| [&[bound][..], &query.position.0].concat();
    let end = |bound: &[u8]| bound.to_vec();
    [
        (at(b'['), end(b"+"), false),
        (end(b"-"), end(b"+"), false),
        (at(b'('), end(b"-"), true),
        (end(b"+"), end(b"-"), true),
    ]
}

#[cfg(test)]
mod tests {
    use introd_plugin::{PeerId, RingPosition};

    use super::*;

    fn words(command: &Cmd) -> Vec<Vec<u8>> {
        let word = |argument: redis::Arg<&[u8]>| match argument {
            redis::Arg::Simple(bytes) => bytes.to_vec(),
            _ => b"?".to_vec(),
        };
        command.args_iter().map(word).collect()
    }

    fn member(peer: u8) -> GroupMember {
        GroupMember { group: GroupId([1; 32]), peer: PeerId([peer; 32]), position: RingPosition([peer; 32]) }
    }

    #[test]
    fn many_members_of_a_group_are_one_command() {
        let keys = Keys::new("n", false);
        let write = |joins: &[GroupMember], leaves: &[GroupMember]| {
            let writes = GroupWrites { group: GroupId([1; 32]), joins: joins.to_vec(), leaves: leaves.to_vec() };
            let commands = keys.write_members(&writes, "a", Epoch([7; 8]), 5000);
            commands.iter().map(|command| (words(command)[0].clone(), words(command).len())).collect::<Vec<_>>()
        };
        let command = |name: &str, len| (name.as_bytes().to_vec(), len);
        assert_eq!(write(&[], &[]), []);
        assert_eq!(write(&[member(1), member(2)], &[]), [command("ZADD", 6), command("PEXPIRE", 3)]);
        assert_eq!(write(&[], &[member(1), member(2)]), [command("ZREM", 4)]);
        assert_eq!(write(&[member(1)], &[member(2)]).len(), 3);
    }

    #[test]
    fn no_far_members_are_read_if_none_are_wanted() {
        let keys = Keys::new("n", false);
        let query = |far| NeighborQuery {
            group: GroupId([1; 32]),
            peer: PeerId([2; 32]),
            position: RingPosition([2; 32]),
            near: 3,
            far,
        };
        let counts = [0, 3, 1000].map(|far| words(&keys.surroundings(&query(far), 4)[4])[2].clone());
        assert_eq!(counts, ["0", "6", "19"].map(|text| text.as_bytes().to_vec()));
    }
}
