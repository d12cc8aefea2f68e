//! The registry as its callers see it. Nothing here waits for Redis.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use introd_plugin::{Address, PeerId, PeerSession};
use tokio::sync::oneshot;

use crate::answer::{Answer, Failure, Reply};
use crate::connection::{Connector, Identity};
use crate::entry::encode_addresses;
use crate::keys::Keys;
use crate::roll::Listed;
use crate::session::{self, End};
use crate::settings::{Mode, Settings, SettingsError};
use crate::shared::{Log, Severity, Shared};
use crate::stats::{Stats, count};
use crate::succession::{ServerRun, Succession};

/// A registry of peers in Redis. Dropping it withdraws this server and its peers.
pub struct Registry {
    shared: Arc<Shared>,
    /// What the latest connector was made from.
    identity: Mutex<Identity>,
    /// Its thread, and how to end that.
    thread: Mutex<Option<(oneshot::Sender<End>, JoinHandle<()>)>>,
}

impl Registry {
    /// Starts the registry. Redis need not be reachable yet.
    ///
    /// # Errors
    /// If the settings are invalid, or the operating system gives no thread or no random numbers.
    pub fn start(settings: Settings, log: Log) -> Result<Self, SettingsError> {
        settings.check()?;
        let run = ServerRun::new(&settings)?;
        Self::start_as(run, settings, log)
    }

    /// Starts the registry in the place of that of another process, which has given `state` by [`Self::hand_over`]: what that one has
    /// published stays valid, and counts as published by this one. Both may run for a while. If the settings give the server another name, or
    /// the state is not understood, it starts as any other does.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn take_over(state: &[u8], settings: Settings, log: Log) -> Result<Self, SettingsError> {
        settings.check()?;
        let succession = Succession::from_bytes(state);
        let is_same = |name: &str| settings.server.is_empty() || settings.server == name;
        if let Some(Succession { run, beginnings, .. }) = succession.filter(|succession| is_same(&succession.run.name))
        {
            let registry = Self::start_as(run, settings, log)?;
            registry.shared.begin_as_heir(beginnings);
            return Ok(registry);
        }
        let text = "the registry does not go on as the server that is taken over, because this one has another name, or the other one is of \
                    another version: other servers find its clients when they are written anew";
        log(Severity::Warning, text);
        Self::start(settings, log)
    }

    fn start_as(run: ServerRun, settings: Settings, log: Log) -> Result<Self, SettingsError> {
        let connector = Connector::new(&settings)?;
        let identity = Mutex::new(connector.identity().clone());
        let system = |error: &dyn std::fmt::Display| SettingsError::System(error.to_string());
        let keys = Keys::new(&settings.namespace, settings.mode == Mode::Cluster);
        let shared = Arc::new(Shared::new(settings, keys, run.name, run.epoch, log));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| system(&error))?;
        let (stop, stopped) = oneshot::channel();
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("registry-redis".into())
                .spawn(move || runtime.block_on(session::run(&shared, connector, stopped)))
        };
        let thread = thread.map_err(|error| system(&error))?;
        Ok(Self { shared, identity, thread: Mutex::new(Some((stop, thread))) })
    }

    /// What the registry of another process that takes over from this server goes on with, by [`Self::take_over`] at first, and by
    /// [`Self::took_over`] at last.
    pub fn hand_over(&self) -> Vec<u8> {
        self.shared.succession().to_bytes()
    }

    /// This process serves now, in the place of the one whose registry has given `state` at last: what that one has not withdrawn any more is
    /// withdrawn here, unless it is published here.
    pub fn took_over(&self, state: &[u8]) {
        if let Some(succession) = Succession::from_bytes(state) {
            self.shared.succeed(succession);
        }
    }

    /// Ends the registry, because another process goes on with what [`Self::hand_over`] has given: withdrawals that are due are written, and
    /// everything else stays as it is. It waits for Redis as long as the settings say.
    pub fn handed_over(&self) {
        self.end(End::HandedOver);
    }

    fn end(&self, how: End) {
        if let Some((stop, thread)) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = stop.send(how);
            let _ = thread.join();
        }
    }

    /// Takes other settings, or the same with files that may have changed. If those of the connection differ, a new connection
    /// replaces the present one as soon as it is open; nothing that is published or pending is lost, and until then the present
    /// connection goes on. Returns whether all of the settings are in force: the others take effect at the next start.
    ///
    /// # Errors
    /// If the settings are invalid: nothing has changed then.
    pub fn reconfigure(&self, settings: &Settings) -> Result<bool, SettingsError> {
        settings.check()?;
        let own = &self.shared.settings;
        let connector = Connector::new(&own.with_connection_of(settings))?;
        let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        if connector.identity() != &*identity {
            identity.clone_from(connector.identity());
            self.shared.replace_connection(connector);
        }
        Ok(own.with_connection_of(settings) == *settings)
    }

    /// What it shares with its thread.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The name of this server in the registry.
    pub fn server(&self) -> &str {
        &self.shared.server
    }

    /// The servers that share the registry, in the order of their names, this one among them; `None` if that is not known at present.
    pub fn servers(&self) -> Option<Vec<Listed>> {
        self.shared.state().servers_listed.clone()
    }

    /// The metrics of the registry.
    pub fn stats(&self) -> &Stats {
        self.shared.update_gauges();
        &self.shared.stats
    }

    /// Publishes the addresses of a peer; they replace those published before. They are written as soon as Redis can be reached. If
    /// several servers publish the same peer by this function, the last one counts.
    ///
    /// # Errors
    /// [`Failure::Full`]
    pub fn publish(&self, peer: PeerId, addresses: &[Address]) -> Result<(), Failure> {
        self.update(peer, Some(addresses), None)
    }

    /// Publishes the addresses of a peer and the state of its session. If several servers publish the same peer, that entry counts whose
    /// session is not silent; among these, the one whose session has proven the peer ID; among these the newest, or the oldest if
    /// none has proven it. The other entries stay in Redis, and count when that entry is withdrawn or its server dies.
    ///
    /// Without addresses, it changes only the state of the session of a peer that this server publishes.
    ///
    /// # Errors
    /// [`Failure::Full`]
    pub fn publish_session(&self, peer: PeerId, addresses: &[Address], session: PeerSession) -> Result<(), Failure> {
        self.update(peer, Some(addresses).filter(|addresses| !addresses.is_empty()), Some(session))
    }

    fn update(&self, peer: PeerId, addresses: Option<&[Address]>, session: Option<PeerSession>) -> Result<(), Failure> {
        let addresses = addresses.map(encode_addresses);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        {
            let mut state = self.shared.state();
            if !state.published.publish(peer, now, session, addresses, self.shared.settings.max_entries) {
                return Err(Failure::Full);
            }
            state.cache.forget(&peer);
        }
        self.shared.writes.notify_one();
        Ok(())
    }

    /// Withdraws what this server has published about a peer.
    pub fn withdraw(&self, peer: PeerId) {
        {
            let mut state = self.shared.state();
            state.published.withdraw(peer);
            state.echo.add_peer(peer);
        }
        self.shared.writes.notify_one();
    }

    /// Looks a peer up: an entry of this server counts first, unless its session is silent and another server has one that is not.
    ///
    /// Returns the answer if it is known at once. Else it calls `defer` for a reply that receives the answer later, and returns `None`. If
    /// `defer` returns none, the lookup fails with [`Failure::Busy`].
    pub fn find(&self, peer: PeerId, defer: impl FnOnce() -> Option<Reply>) -> Option<Answer> {
        let shared = &self.shared;
        count(&shared.stats.lookups, 1);
        let failed = |failure| {
            count(&shared.stats.failed, 1);
            Some(Err(failure))
        };
        {
            let state = shared.state();
            if let Some(answer) = state.known_answer(Instant::now(), &peer, shared.settings.liveness_cache()) {
                count(&shared.stats.cached, 1);
                count(&shared.stats.found, usize::from(answer.is_some()));
                return Some(Ok(answer));
            }
            if let Some(why) = &state.unreachable {
                return match state.answer(&peer, None) {
                    Some(addresses) => Some(Ok(Some(addresses))),
                    None => failed(Failure::Unreachable(Arc::clone(why))),
                };
            }
            if state.pending.len() >= shared.settings.max_pending {
                return failed(Failure::Busy);
            }
        }
        // The lock is not held: `defer` calls the host.
        let Some(reply) = defer() else { return failed(Failure::Busy) };
        let refused = {
            let mut state = shared.state();
            match &state.unreachable {
                Some(why) => Some((reply, Arc::clone(why))),
                None => {
                    state.pending.add(peer, reply);
                    None
                }
            }
        };
        match refused {
            Some((reply, why)) => {
                count(&shared.stats.failed, 1);
                reply(Err(Failure::Unreachable(why)));
            }
            None => shared.lookups.notify_one(),
        }
        None
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.end(End::Stopped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Epoch;

    const PEER: PeerId = PeerId([1; 32]);

    /// A registry without a thread. It takes Redis for reachable.
    fn registry(change: impl FnOnce(&mut Settings)) -> Registry {
        let mut settings = Settings::default();
        change(&mut settings);
        let keys = Keys::new("n", false);
        let shared = Shared::new(settings, keys, "own".to_owned(), Epoch([9; 8]), Box::new(|_, _| ()));
        shared.state().unreachable = None;
        let own = Settings { url: vec!["redis://127.0.0.1:1".to_owned()], ..Settings::default() };
        let identity = Mutex::new(Connector::new(&own).unwrap().identity().clone());
        Registry { shared: Arc::new(shared), identity, thread: Mutex::new(None) }
    }

    fn later() -> Option<Reply> {
        Some(Box::new(|_| ()))
    }

    fn counted(registry: &Registry, name: &str) -> u64 {
        registry.stats().all().find(|(known, ..)| *known == name).unwrap().3
    }

    #[test]
    fn lookups_that_wait_are_bounded_and_those_beyond_fail_at_once() {
        let registry = registry(|settings| settings.max_pending = 2);
        assert_eq!(registry.find(PEER, || None), Some(Err(Failure::Busy)), "the host has no room");
        let find = |number: u8| registry.find(PeerId([number; 32]), later);
        assert_eq!([2, 2, 3].map(find), [None, None, Some(Err(Failure::Busy))]);
        assert_eq!(["lookups", "failed", "pending", "cached"].map(|name| counted(&registry, name)), [4, 2, 2, 0]);
        registry.shared.state().pending.take(&PeerId([2; 32]));
        assert_eq!(find(3), None);
    }

    #[test]
    fn peers_that_are_published_are_bounded_and_withdrawn_ones_make_room() {
        let registry = registry(|settings| settings.max_entries = 1);
        let other = PeerId([2; 32]);
        let session = PeerSession { id: 1, is_proven: true, is_silent: false };
        assert_eq!(registry.publish_session(PEER, &[], session), Ok(()));
        assert_eq!(registry.find(PEER, later), None, "nobody has said where it is");
        let address = [Address::new(([192, 0, 2, 1], 1).into(), introd_plugin::Origin::Observed)];
        assert_eq!(registry.publish_session(PEER, &address, session), Ok(()));
        assert_eq!(registry.publish(PEER, &address), Ok(()));
        assert_eq!(registry.publish(other, &address), Err(Failure::Full));
        assert_eq!(registry.find(PEER, later), Some(Ok(Some(address.to_vec()))));
        registry.withdraw(PEER);
        assert_eq!(registry.publish(other, &address), Ok(()));
        assert_eq!(counted(&registry, "entries"), 1);
    }

    #[test]
    fn without_redis_a_server_finds_its_own_peers_and_fails_for_others() {
        let registry = registry(|_| ());
        let address = [Address::new(([192, 0, 2, 1], 1).into(), introd_plugin::Origin::Observed)];
        let silent = PeerSession { id: 1, is_proven: false, is_silent: true };
        registry.publish_session(PEER, &address, silent).unwrap();
        assert_eq!(registry.find(PEER, later), None, "another server may have it");
        registry.shared.lost_connection(&"gone".into());
        assert_eq!(registry.find(PEER, later), Some(Ok(Some(address.to_vec()))));
        let unreachable = Failure::Unreachable("gone".into());
        assert_eq!(registry.find(PeerId([2; 32]), later), Some(Err(unreachable.clone())));
        // It is lost while the host makes room for the reply.
        registry.shared.state().unreachable = None;
        let told = Arc::new(std::sync::Mutex::new(None));
        let (tells, shared) = (Arc::clone(&told), Arc::clone(&registry.shared));
        let answer = registry.find(PeerId([2; 32]), || {
            shared.lost_connection(&"gone".into());
            Some(Box::new(move |answer| *tells.lock().unwrap() = Some(answer)))
        });
        assert_eq!((answer, told.lock().unwrap().take()), (None, Some(Err(unreachable))));
        assert_eq!(counted(&registry, "pending"), 0);
    }
}
