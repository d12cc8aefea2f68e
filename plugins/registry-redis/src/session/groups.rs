//! Writes memberships, and asks for the neighbours of positions, in batches. One batch is in flight at a time, and in it writes precede
//! queries: of two members that join at two servers at the same time, the one that is written last is told of the other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use introd_plugin::{GroupId, GroupMember};
use redis::{Cmd, RedisError, RedisResult, Value};

use super::answers::{parse_epoch, string};
use super::outage::Outage;
use super::writes::REFUSED_WAIT;
use crate::answer::Failure;
use crate::connection::Connection;
use crate::keys::Keys;
use crate::liveness::Servers;
use crate::member::{DeadServer, Member};
use crate::memberships::{GroupWrites, MembershipWrite, by_group};
use crate::neighbors::{PendingQuery, Surroundings};
use crate::settings::Mode;
use crate::shared::{Severity, Shared};
use crate::stats::count;
use crate::trouble::{advice, describe, is_cut, is_lost};

/// The memberships in one batch.
const WRITES: usize = 1024;
/// The queries in one batch.
const QUERIES: usize = 128;
/// How often Redis is asked for one query, if members of dead servers hide the others. Each time, [`CLEANED`] dead ones are removed on
/// each side.
const ROUNDS: usize = 64;
/// The members of dead servers that one query removes at a time, on each side.
pub(crate) const CLEANED: usize = 512;

/// A batch that has been sent. Unless it is answered, it is sent again.
struct Batch<'a> {
    shared: &'a Shared,
    writes: Vec<MembershipWrite>,
    queries: Vec<PendingQuery>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        self.writes.drain(..).for_each(|write| state.memberships.failed(write));
        state.queries.ask_again(std::mem::take(&mut self.queries));
    }
}

/// Members of dead servers that were met. They are removed at once, with the next batch: later, their server might live again.
#[derive(Default)]
struct Dead {
    members: HashMap<(GroupId, DeadServer), Vec<Vec<u8>>>,
    len: usize,
}

/// The largest number of dead members that are removed with one batch, besides those that queries remove around their positions.
const MAX_DEAD: usize = 1024;
/// The largest number of dead servers whose members a query removes.
const MAX_DEAD_SERVERS: usize = 64;

impl Dead {
    fn add(&mut self, group: GroupId, server: DeadServer, member: &Member) {
        if self.len < MAX_DEAD {
            self.len += 1;
            self.members.entry((group, server)).or_default().push(member.encode());
        }
    }
}

/// Works until the connection breaks.
pub(super) async fn run(shared: &Shared, connection: &mut Connection) -> RedisError {
    let mut outage = Outage::default();
    let mut dead = Dead::default();
    // While Redis refuses writes, only those that a query needs are tried at once.
    let mut retry = Instant::now();
    loop {
        let (batch, is_waiting) = next(shared, if Instant::now() < retry { 0 } else { WRITES });
        if batch.writes.is_empty() && batch.queries.is_empty() && dead.len == 0 {
            tokio::select! {
                () = shared.groups.notified() => (),
                () = tokio::time::sleep_until(retry.into()), if is_waiting => (),
            }
            continue;
        }
        match work(shared, connection, batch, &mut dead).await {
            Ok(None) => (),
            Ok(Some(None)) => {
                if outage.accepted() {
                    (shared.log)(Severity::Info, "Redis stores memberships again");
                }
            }
            Ok(Some(Some(error))) => {
                retry = Instant::now() + REFUSED_WAIT;
                if outage.refused(&error) {
                    let text = format!("Redis refuses to store memberships: {}{}", describe(&error), advice(&error));
                    (shared.log)(Severity::Warning, &text);
                }
            }
            Err(error) => return error,
        }
    }
}

/// The next batch, with so many writes at most besides those of the members whose neighbours are wanted. And whether writes are left.
fn next(shared: &Shared, writes: usize) -> (Batch<'_>, bool) {
    let mut state = shared.state();
    let queries = state.queries.take(QUERIES);
    state.memberships.begin_batch();
    let mut batch = Batch { shared, writes: Vec::new(), queries };
    for PendingQuery { query, .. } in &batch.queries {
        let member = GroupMember { group: query.group, peer: query.peer, position: query.position };
        batch.writes.extend(state.memberships.take_one(member));
    }
    batch.writes.extend(state.memberships.take(writes));
    (batch, state.memberships.unwritten() > 0)
}

/// Sends a batch, and answers its queries. Returns `Some` if there were writes, with the error if Redis has refused some.
async fn work(
    shared: &Shared,
    connection: &mut Connection,
    mut batch: Batch<'_>,
    dead: &mut Dead,
) -> RedisResult<Option<Option<RedisError>>> {
    let mode = shared.settings.mode;
    let asked = Instant::now();
    let max_age = shared.settings.liveness_cache();
    let (likely, mut known) = if batch.queries.is_empty() {
        (Vec::new(), Servers::default())
    } else {
        shared.state().servers.begin_batch(asked, max_age)
    };
    count(&shared.stats.group_batches, 1);
    let groups = by_group(&batch.writes);
    let mut writes = Vec::new();
    for of_group in &groups {
        writes.extend(shared.keys.write_members(of_group, &shared.server, shared.epoch, lifetime(shared)));
    }
    let removals = std::mem::take(dead).members;
    let removals = removals.iter().map(|((group, server), members)| shared.keys.remove_dead(group, server, members));
    let written = writes.len();
    writes.extend(removals);
    let mut reads: Vec<Cmd> = likely.iter().flat_map(|server| shared.keys.read_server(server)).collect();
    for PendingQuery { query, round, dead, .. } in &batch.queries {
        if !dead.is_empty() {
            reads.extend(shared.keys.clean_around(query, dead, CLEANED));
        }
        reads.extend(shared.keys.surroundings(query, limit(query.near, *round)));
    }
    let sent = (writes.len(), reads.len());
    let mut answers = if mode == Mode::Cluster {
        // Commands to a cluster are not sent in order.
        let mut answers = connection.run_each(writes).await?;
        answers.extend(connection.run_each(reads).await?);
        answers
    } else {
        writes.extend(reads);
        connection.run_each(writes).await?
    };
    if let Some(error) = answers.iter().filter_map(|answer| answer.as_ref().err()).find(|error| is_lost(error, mode)) {
        return Err(error.clone());
    }
    debug_assert_eq!(answers.len(), sent.0 + sent.1, "each command has an answer");
    let mut reads = answers.split_off(sent.0).into_iter();
    let refusal = confirm(shared, &mut batch, &groups, &answers);
    let removed: i64 =
        answers[written..].iter().map(|answer| if let Ok(Value::Int(it)) = answer { *it } else { 0 }).sum();
    count(&shared.stats.dead_members_removed, usize::try_from(removed).unwrap_or(0));
    let written = (!groups.is_empty()).then_some(refusal);

    learn(shared, &mut known, asked, likely, &mut reads);
    let mut found = Vec::new();
    for PendingQuery { query, round, dead, .. } in &batch.queries {
        if !dead.is_empty() {
            let removed = Keys::cleaned(&mut reads);
            count(&shared.stats.dead_members_removed, removed);
        }
        let parts = reads.by_ref().take(SURROUNDINGS).collect::<RedisResult<Vec<Value>>>();
        found.push((*query, *round, parts.map(surroundings)));
    }
    ask_about_strangers(shared, connection, &mut known, asked, &found).await?;
    let queries = std::mem::take(&mut batch.queries);
    let (mut again, mut answered) = (Vec::new(), Vec::new());
    for (mut pending, (query, round, surroundings)) in queries.into_iter().zip(found) {
        let surroundings = match surroundings {
            Ok(surroundings) => surroundings,
            Err(error) => {
                answered.push((pending.reply, Err(Failure::Refused(describe(&error).into()))));
                continue;
            }
        };
        let is_own = |member: &Member| member.epoch == shared.epoch;
        let lives = |member: &Member| is_own(member) || known.lives_in(&member.server, member.epoch);
        let choice = surroundings.choose(&query, limit(query.near, round), lives);
        pending.dead.clear();
        for member in surroundings.members().filter(|member| !is_own(member)) {
            // A server that was dead some time ago may live again. One that lives in another epoch is another run.
            let is_dead = known.state(&member.server).is_some_and(|(told, epoch)| {
                epoch.is_some_and(|epoch| epoch != member.epoch) || (epoch.is_none() && told == asked)
            });
            if is_dead {
                let server = DeadServer { server: Arc::clone(&member.server), epoch: member.epoch };
                if pending.dead.len() < MAX_DEAD_SERVERS && !pending.dead.contains(&server) {
                    pending.dead.push(server.clone());
                }
                dead.add(query.group, server, member);
            }
        }
        if choice.is_short && round < if pending.dead.is_empty() { 1 } else { ROUNDS } {
            pending.round += 1;
            again.push(pending);
        } else {
            answered.push((pending.reply, Ok(choice.peers)));
        }
    }
    {
        let mut state = shared.state();
        state.queries.answered(answered.len());
        state.queries.ask_again(again);
    }
    for (reply, answer) in answered {
        count(&shared.stats.failed, usize::from(answer.is_err()));
        reply(answer);
    }
    Ok(written)
}

fn lifetime(shared: &Shared) -> u64 {
    shared.settings.entry_lifetime * 1000
}

/// The length of each part of the surroundings. One more than the neighbours that are wanted, because the peer itself may be there. If that
/// was not enough, because peers are at several servers or members are dead, more.
fn limit(near: usize, round: usize) -> usize {
    let near = near.min(crate::neighbors::MAX_NEIGHBORS);
    if round == 0 { near + 1 } else { 2 * near + 32 }
}

/// How many commands [`Keys::surroundings`](crate::keys::Keys::surroundings) has.
const SURROUNDINGS: usize = 5;

/// Takes note of what has become of the writes. Returns the error if some were refused.
fn confirm(
    shared: &Shared,
    batch: &mut Batch<'_>,
    groups: &[GroupWrites],
    answers: &[RedisResult<Value>],
) -> Option<RedisError> {
    let mut refused: Vec<(GroupId, bool, RedisError)> = Vec::new();
    let mut answers = answers.iter();
    for GroupWrites { group, joins, leaves } in groups {
        for (is_join, members) in [(true, joins), (false, leaves)] {
            if members.is_empty() {
                continue;
            }
            if let Some(Err(error)) = answers.next() {
                refused.push((*group, is_join, error.clone()));
            }
            if is_join {
                // The lifetime of the key.
                answers.next();
            }
        }
    }
    let (mut joined, mut left, mut failed) = (0, 0, 0);
    let mut state = shared.state();
    for write in batch.writes.drain(..) {
        match refused.iter().find(|(group, is_join, _)| (*group, *is_join) == (write.member.group, write.is_join)) {
            Some((_, _, error)) => {
                failed += 1;
                if is_cut(error) {
                    state.memberships.failed(write);
                } else {
                    state.memberships.refused(write);
                }
            }
            None if write.is_join => joined += 1,
            None => left += 1,
        }
    }
    drop(state);
    count(&shared.stats.memberships_written, joined);
    count(&shared.stats.memberships_withdrawn, left);
    count(&shared.stats.writes_refused, failed);
    refused.into_iter().next().map(|(_, _, error)| error)
}

/// Takes note of the states of servers.
fn learn(
    shared: &Shared,
    known: &mut Servers,
    asked: Instant,
    servers: Vec<Arc<[u8]>>,
    answers: &mut impl Iterator<Item = RedisResult<Value>>,
) {
    let max_age = shared.settings.liveness_cache();
    for server in servers {
        let copies = shared.keys.server_copies(&server).len();
        // Nothing is known if no copy can be read. The server is dead if none exists.
        let mut state = None;
        for epoch in
            answers.by_ref().take(copies).flatten().map(|value| string(value).and_then(|hex| parse_epoch(&hex)))
        {
            state = Some(state.flatten().or(epoch));
        }
        let mut shared_state = shared.state();
        if let Some(epoch) = state {
            known.insert(asked, Arc::clone(&server), epoch, max_age);
            shared_state.servers.insert(asked, server, epoch, max_age);
        } else if let Some((asked, epoch)) = shared_state.servers.state(&server)
            && Instant::now() < asked + shared.settings.heartbeat_lifetime()
        {
            // Its last known state counts for a while.
            known.insert(asked, server, epoch, max_age);
        }
    }
}

/// Asks about the servers of members whose state is not known.
async fn ask_about_strangers(
    shared: &Shared,
    connection: &mut Connection,
    known: &mut Servers,
    asked: Instant,
    found: &[(introd_plugin::NeighborQuery, usize, RedisResult<Surroundings>)],
) -> RedisResult<()> {
    let members =
        || found.iter().filter_map(|(.., surroundings)| surroundings.as_ref().ok()).flat_map(Surroundings::members);
    let others = || members().filter(|member| member.epoch != shared.epoch).map(|member| &member.server);
    shared.state().servers.named_servers(asked, others());
    let mut strangers: Vec<Arc<[u8]>> =
        others().filter(|server| known.state(server).is_none()).cloned().collect::<HashSet<_>>().into_iter().collect();
    // Elements in Redis can name more servers than exist.
    strangers.truncate(1024);
    if strangers.is_empty() {
        return Ok(());
    }
    count(&shared.stats.group_batches, 1);
    let commands = strangers.iter().flat_map(|server| shared.keys.read_server(server)).collect();
    let answers = connection.run_each(commands).await?;
    learn(shared, known, asked, strangers, &mut answers.into_iter());
    Ok(())
}

/// Reads the answers to [`Keys::surroundings`](crate::keys::Keys::surroundings).
fn surroundings(parts: Vec<Value>) -> Surroundings {
    let mut parts = parts.into_iter().map(|part| match part {
        Value::Array(elements) => {
            elements.into_iter().filter_map(string).filter_map(|element| Member::decode(&element)).collect()
        }
        _ => Vec::new(),
    });
    let mut next = || parts.next().unwrap_or_default();
    Surroundings { after: next(), first: next(), before: next(), last: next(), far: next() }
}

/// Verifies some memberships; those that are gone are written again.
pub(super) async fn verify(shared: &Shared, connection: &mut Connection, max: usize) -> RedisResult<()> {
    let groups = shared.state().memberships.next_to_verify(max);
    if groups.is_empty() {
        return Ok(());
    }
    let commands =
        groups.iter().map(|(group, members)| shared.keys.scores(group, members, &shared.server, shared.epoch));
    let answers = connection.run_each(commands.collect()).await?;
    let mut lost = 0;
    for (members, answer) in groups.into_values().zip(answers) {
        match answer {
            Ok(Value::Array(scores)) => {
                for (member, score) in members.into_iter().zip(scores) {
                    lost += usize::from(score == Value::Nil && shared.state().memberships.lost(member));
                }
            }
            Err(error) if is_lost(&error, shared.settings.mode) => return Err(error),
            // Nothing is known of them. The next sweep verifies them again.
            _ => (),
        }
    }
    if lost > 0 {
        count(&shared.stats.entries_lost, lost);
        shared.groups.notify_one();
    }
    Ok(())
}

/// Writes the ends of memberships that are due, once, when this server ends.
pub(super) async fn withdraw_memberships(shared: &Shared, connection: &mut Connection) -> RedisResult<()> {
    loop {
        let mut writes = shared.state().memberships.take(WRITES);
        if writes.is_empty() {
            return Ok(());
        }
        writes.retain(|write| !write.is_join);
        let commands = by_group(&writes)
            .into_iter()
            .flat_map(|it| shared.keys.write_members(&it, &shared.server, shared.epoch, 0));
        connection.run_each(commands.collect()).await?;
    }
}
