//! The registry's thread: connects to Redis, and again when the connection breaks; beats, writes and looks up while it stands.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use introd_plugin::PeerId;
use redis::{PushInfo, PushKind, RedisError, RedisResult, Value, cmd};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::cache::{Known, known_of};
use crate::entry::Epoch;
use crate::keys::Keys;
use crate::link::{Link, Maker};
use crate::own::{Write, Written};
use crate::registry::{Failure, Reply, Severity, Shared};
use crate::stats::{count, set};

/// How long to wait before the first new attempt, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Entries written in one batch: one round trip.
const WRITE_BATCH: usize = 512;
/// Peers looked up in one batch, and batches under way at a time. More wait in the queue, where they become larger batches.
const LOOKUP_BATCH: usize = 256;
const LOOKUP_BATCHES: usize = 8;
/// How long to wait before something that Redis refused is tried again.
const REFUSED_WAIT: Duration = Duration::from_secs(1);

/// Works until `stop`.
pub(crate) async fn run(shared: &Arc<Shared>, mut maker: Maker, mut stop: oneshot::Receiver<()>) {
    let mut wait = FIRST_WAIT;
    let mut last = String::new();
    let mut link = None;
    loop {
        let began = Instant::now();
        let broken = tokio::select! {
            error = serve(shared, &mut maker, &mut link) => error,
            _ = &mut stop => break,
        };
        link = None;
        count(&shared.stats.breaks, 1);
        let why: Arc<str> = broken.to_string().into();
        shared.is_down(&why);
        // An outage is told once, and again when its reason changes.
        if *last != *why || began.elapsed() > LONGEST_WAIT {
            let level = if began.elapsed() > LONGEST_WAIT || last.is_empty() { "is lost" } else { "is still lost" };
            (shared.log)(
                Severity::Warning,
                &format!("Redis {level}: {why}. Peers of this server go on meeting each other"),
            );
            last = why.to_string();
        }
        if began.elapsed() > LONGEST_WAIT {
            wait = FIRST_WAIT;
        }
        tokio::select! {
            () = tokio::time::sleep(jittered(wait)) => (),
            _ = &mut stop => break,
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    shared.is_down(&"this server stops".into());
    if let Some(link) = link {
        // Others would learn of it in a while without this.
        let _ = tokio::time::timeout(shared.settings.timeout(), leave(shared, link)).await;
    }
}

/// Says that this server is gone, and takes back what it can of what it has published.
async fn leave(shared: &Shared, mut link: Link) -> RedisResult<()> {
    link.run(&shared.keys.leave(&shared.server, shared.epoch)).await?;
    shared.state().own.withdraw_all();
    loop {
        let writes = shared.state().own.take(WRITE_BATCH);
        if writes.is_empty() {
            return Ok(());
        }
        let commands =
            writes.iter().map(|(peer, write)| shared.keys.write(peer, write, &shared.server, shared.epoch, 0));
        link.run_all(commands.collect()).await?;
    }
}

/// Several servers that lost the same Redis are not to come back at the same moment.
fn jittered(wait: Duration) -> Duration {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    wait.mul_f64(0.75 + f64::from(byte[0]) / 512.0)
}

/// Connects, and works until the connection breaks.
async fn serve(shared: &Arc<Shared>, maker: &mut Maker, kept: &mut Option<Link>) -> RedisError {
    match connect(shared, maker).await {
        Ok(mut link) => {
            *kept = Some(link.clone());
            let (mut writing, mut beating) = (link.clone(), link.clone());
            tokio::select! {
                error = beat_on(shared, &mut beating) => error,
                error = write_on(shared, &mut writing) => error,
                error = look_up_on(shared, &mut link) => error,
                () = shared.ended.notified() => RedisError::from((redis::ErrorKind::Io, "the connection was closed")),
            }
        }
        Err(error) => error,
    }
}

async fn connect(shared: &Arc<Shared>, maker: &mut Maker) -> RedisResult<Link> {
    let weak = Arc::downgrade(shared);
    let pushes = Arc::new(move |push: PushInfo| pushed(&weak, &push));
    let connecting = maker.connect(&shared.settings, pushes);
    // Sentinels have no time limit of their own.
    let patience = shared.settings.timeout() * 3;
    let late = || RedisError::from((redis::ErrorKind::Io, "no connection in time"));
    let mut link = tokio::time::timeout(patience, connecting).await.map_err(|_| late())??;
    if link.can_track() {
        let mut track = cmd("CLIENT");
        track.arg("TRACKING").arg("ON").arg("NOLOOP");
        if let Err(error) = link.run(&track).await {
            if is_fatal(&error) {
                return Err(error);
            }
            let text = format!("Redis does not tell of changes ({error}): what is remembered counts for its time");
            (shared.log)(Severity::Warning, &text);
        }
    }
    // First of all this server lives: what it publishes counts from the start.
    beat(shared, &mut link).await?;
    let (is_first, entries) = {
        let mut state = shared.state();
        state.down = None;
        // Redis may have lost anything, and others may have taken it for gone.
        state.own.renew_all();
        (shared.stats.connections.load(std::sync::atomic::Ordering::Relaxed) == 0, state.own.len())
    };
    count(&shared.stats.connections, 1);
    set(&shared.stats.connected, 1);
    if !is_first && entries > 0 {
        count(&shared.stats.republished, 1);
    }
    let text = format!("Redis is reached, as server {}; {entries} peers are published", shared.server);
    (shared.log)(Severity::Info, &text);
    Ok(link)
}

/// What Redis says by itself.
fn pushed(shared: &Weak<Shared>, push: &PushInfo) -> Result<(), ()> {
    let shared = shared.upgrade().ok_or(())?;
    match (&push.kind, &push.data[..]) {
        (PushKind::Invalidate, [Value::Array(keys)]) => {
            for key in keys {
                match key {
                    Value::BulkString(key) => shared.has_changed(Some(key)),
                    Value::SimpleString(key) => shared.has_changed(Some(key.as_bytes())),
                    _ => (),
                }
            }
        }
        (PushKind::Invalidate, _) => shared.has_changed(None),
        (PushKind::Disconnection, _) => shared.ended.notify_one(),
        _ => (),
    }
    Ok(())
}

/// Whether a new connection may help.
fn is_fatal(error: &RedisError) -> bool {
    let text = error.code().unwrap_or_default();
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || matches!(text, "READONLY" | "MASTERDOWN" | "LOADING" | "CLUSTERDOWN")
}

/// Says that this server lives; gives back what was said before.
async fn beat(shared: &Shared, link: &mut Link) -> RedisResult<Option<Vec<u8>>> {
    let life = shared.settings.life().as_millis() as u64;
    let before = link.run(&shared.keys.beat(&shared.server, shared.epoch, life)).await?;
    count(&shared.stats.heartbeats, 1);
    let before = bytes(before);
    if let Some(other) = before.as_deref().filter(|before| *before != shared.epoch.hex().as_bytes())
        && shared.stats.heartbeats.load(std::sync::atomic::Ordering::Relaxed) > 1
    {
        let text = format!(
            "another server calls itself {} too (epoch {}): give each its own <server>, or none has its peers found",
            shared.server,
            String::from_utf8_lossy(other)
        );
        (shared.log)(Severity::Error, &text);
    }
    Ok(before)
}

async fn beat_on(shared: &Shared, link: &mut Link) -> RedisError {
    let mut ticks = tokio::time::interval(shared.settings.beat());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let renewal = Duration::from_secs(shared.settings.entry_lifetime) / 2;
    let mut renewed = Instant::now();
    // The first comes at once, and the connection began with one.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        shared.measure();
        let is_lost = match beat(shared, link).await {
            Ok(before) => before.is_none(),
            Err(error) => return error,
        };
        if is_lost {
            (shared.log)(Severity::Warning, "Redis has forgotten this server: all entries are written anew");
            count(&shared.stats.republished, 1);
        }
        if is_lost || renewed.elapsed() >= renewal {
            renewed = Instant::now();
            shared.state().own.renew_all();
            shared.writes.notify_one();
        }
    }
}

/// Writes on their way: those that do not arrive are to be written again.
struct UnderWay<'a> {
    shared: &'a Shared,
    writes: Vec<(PeerId, Write)>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.shared.state().own.failed(std::mem::take(&mut self.writes));
    }
}

async fn write_on(shared: &Shared, link: &mut Link) -> RedisError {
    let lifetime = shared.settings.entry_lifetime * 1000;
    loop {
        let writes = shared.state().own.take(WRITE_BATCH);
        if writes.is_empty() {
            shared.writes.notified().await;
            continue;
        }
        let commands =
            writes.iter().map(|(peer, write)| shared.keys.write(peer, write, &shared.server, shared.epoch, lifetime));
        let commands = commands.collect();
        let mut under_way = UnderWay { shared, writes };
        count(&shared.stats.write_batches, 1);
        match link.run_all(commands).await {
            Ok(answers) => {
                let writes = std::mem::take(&mut under_way.writes);
                let (mut published, mut withdrawn) = (0, 0);
                let mut state = shared.state();
                for ((peer, write), answer) in writes.iter().zip(&answers) {
                    let written = Keys::written(answer);
                    state.own.wrote(*peer, write, written);
                    match write {
                        Write::Withdraw => withdrawn += 1,
                        Write::Publish { .. } => published += usize::from(written != Written::Occupied),
                    }
                }
                drop(state);
                count(&shared.stats.withdrawn, withdrawn);
                count(&shared.stats.published, published);
            }
            Err(error) if is_fatal(&error) => return error,
            Err(error) => {
                drop(under_way);
                (shared.log)(Severity::Warning, &format!("Redis refuses entries: {error}"));
                tokio::time::sleep(REFUSED_WAIT).await;
            }
        }
    }
}

async fn look_up_on(shared: &Arc<Shared>, link: &mut Link) -> RedisError {
    let mut batches: JoinSet<Option<RedisError>> = JoinSet::new();
    loop {
        while batches.len() < LOOKUP_BATCHES {
            let peers: Vec<PeerId> = {
                let mut state = shared.state();
                let most = state.queue.len().min(LOOKUP_BATCH);
                let peers: Vec<PeerId> = state.queue.drain(..most).collect();
                peers.iter().for_each(|peer| state.cache.begin(*peer));
                peers
            };
            if peers.is_empty() {
                break;
            }
            let (shared, link) = (Arc::clone(shared), link.clone());
            batches.spawn(look_up(shared, link, peers));
        }
        tokio::select! {
            () = shared.lookups.notified(), if batches.len() < LOOKUP_BATCHES => (),
            Some(ended) = batches.join_next() => {
                if let Ok(Some(error)) = ended {
                    return error;
                }
            }
        }
    }
}

/// One batch. Gives back the error that ends the connection, if one does.
async fn look_up(shared: Arc<Shared>, mut link: Link, peers: Vec<PeerId>) -> Option<RedisError> {
    match ask(&shared, &mut link, &peers).await {
        Ok(known) => {
            conclude(&shared, &peers, known);
            None
        }
        // Whoever waits is told when the connection is given up.
        Err(error) if is_fatal(&error) => Some(error),
        Err(error) => {
            let why: Arc<str> = error.to_string().into();
            for reply in waiting_for(&shared, &peers, |state, peer| state.cache.abandon(peer)) {
                count(&shared.stats.failed, 1);
                reply(Err(Failure::Refused(Arc::clone(&why))));
            }
            None
        }
    }
}

/// Takes out those who wait for these peers.
fn waiting_for(
    shared: &Shared,
    peers: &[PeerId],
    mut each: impl FnMut(&mut crate::registry::State, &PeerId),
) -> Vec<Reply> {
    let mut state = shared.state();
    let mut waiting = Vec::new();
    for peer in peers {
        each(&mut state, peer);
        waiting.extend(state.waiting.remove(peer).into_iter().flatten());
    }
    state.pending = state.pending.saturating_sub(waiting.len());
    waiting
}

/// Asks for these peers, and for the servers that they are at if nothing is known of those.
async fn ask(shared: &Shared, link: &mut Link, peers: &[PeerId]) -> RedisResult<Vec<Box<[Known]>>> {
    count(&shared.stats.lookup_batches, 1);
    let answer = link.run(&Keys::get_all(peers.iter().map(|peer| shared.keys.peer(peer)))).await?;
    let known: Vec<Box<[Known]>> = values(answer, peers.len())?
        .into_iter()
        .map(|bytes| bytes.map_or_else(Box::default, |bytes| known_of(&bytes, shared.epoch)))
        .collect();
    let trust = shared.settings.trust();
    // What is heard counts from when it was asked for.
    let now = Instant::now();
    let doubtful = shared.state().servers.doubtful(now, known.iter().flat_map(|known| known.iter()), trust);
    if !doubtful.is_empty() {
        count(&shared.stats.lookup_batches, 1);
        let answer = link.run(&Keys::get_all(doubtful.iter().map(|server| shared.keys.server(server)))).await?;
        let epochs = values(answer, doubtful.len())?;
        let mut state = shared.state();
        for (server, epoch) in doubtful.into_iter().zip(epochs) {
            state.servers.hear(now, server, epoch.and_then(|hex| read_epoch(&hex)), trust);
        }
    }
    Ok(known)
}

fn conclude(shared: &Shared, peers: &[PeerId], known: Vec<Box<[Known]>>) {
    let settings = &shared.settings;
    let (found_time, unknown_time) =
        (Duration::from_millis(settings.positive_cache), Duration::from_millis(settings.negative_cache));
    let now = Instant::now();
    let mut answered = Vec::new();
    {
        let mut state = shared.state();
        let mut freed = 0;
        for (peer, known) in peers.iter().zip(known) {
            let is_alive = |known: &Known| state.servers.vouch(now, known, settings.trust() * 2) == Some(true);
            let alive: Box<[Known]> = known.iter().filter(|known| is_alive(known)).cloned().collect();
            count(&shared.stats.orphans, usize::from(alive.is_empty() && !known.is_empty()));
            let addresses = state.answer(peer, alive.first());
            let time = if alive.is_empty() { unknown_time } else { found_time };
            state.cache.end(now, *peer, alive, time, settings.cache_entries);
            let waiting = state.waiting.remove(peer).unwrap_or_default();
            freed += waiting.len();
            answered.push((addresses, waiting));
        }
        state.pending = state.pending.saturating_sub(freed);
    }
    for (addresses, waiting) in answered {
        count(&shared.stats.found, if addresses.is_some() { waiting.len() } else { 0 });
        waiting.into_iter().for_each(|reply| reply(Ok(addresses.clone())));
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

/// The values of so many keys.
fn values(answer: Value, count: usize) -> RedisResult<Vec<Option<Vec<u8>>>> {
    match answer {
        Value::Array(values) if values.len() == count => Ok(values.into_iter().map(bytes).collect()),
        _ => Err(RedisError::from((redis::ErrorKind::UnexpectedReturnType, "not the answer to MGET"))),
    }
}

fn read_epoch(hex: &[u8]) -> Option<Epoch> {
    let text = std::str::from_utf8(hex).ok().filter(|text| text.len() == 16)?;
    u64::from_str_radix(text, 16).ok().map(|number| Epoch(number.to_be_bytes()))
}
