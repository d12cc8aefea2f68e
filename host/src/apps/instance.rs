//! An instance of an application.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use rtmfp::NetworkPrefix;

use super::door::Door;
use super::lookup_settings::LookupSettings;
use super::traffic::Traffic;
use introd_config::{Application, GroupScope, JoinLeaveMode, LookupMode, LookupsFrom, Registered, RelayCallScope};
use introd_native::Chain;
use introd_netgroup::{GroupDigest, GroupKey};
use introd_policy::{AppActor, InstanceId, InstanceName};

/// Whether a client or asker may be refused before a policy is asked.
fn is_barring(settings: &Application, door: Option<&Door>) -> bool {
    door.is_some() || settings.lookups_from == LookupsFrom::Clients
}

/// An instance of an application.
pub struct AppInstance {
    id: InstanceId,
    name: Arc<InstanceName>,
    settings: ArcSwap<Application>,
    lookup_settings: LookupSettings,
    /// The native plugins of its application.
    plugins: ArcSwap<Vec<Arc<introd_native::PluginInstance>>>,
    clients: AtomicU64,
    /// The policy of its application, if that has one.
    actor: Option<Arc<dyn AppActor>>,
    /// The folder of its script, if it has one.
    script: Option<PathBuf>,
    /// The access rules, if they deny any address.
    door: ArcSwapOption<Door>,
    /// Whether a client or asker may be refused before a policy is asked. Every lookup reads this.
    is_barring: AtomicBool,
    /// Since when the instance has been without clients.
    idle_since: Mutex<Option<Instant>>,
    /// The network of the client for which the instance was created.
    maker: Option<NetworkPrefix>,
    traffic: Arc<Traffic>,
}

impl AppInstance {
    /// `policy` is the policy of its application, if that has one, with the folder of the script.
    pub(super) fn new(
        id: InstanceId,
        name: InstanceName,
        settings: Arc<Application>,
        plugins: Chain,
        policy: Option<(Arc<dyn AppActor>, PathBuf)>,
        door: Option<Door>,
        maker: Option<NetworkPrefix>,
    ) -> Self {
        let is_barring = AtomicBool::new(is_barring(&settings, door.as_ref()));
        let lookup_settings = LookupSettings::new(&settings);
        let (actor, script) = policy.unzip();
        let (settings, plugins, clients) = (ArcSwap::new(settings), ArcSwap::new(plugins), AtomicU64::new(0));
        let (idle_since, door) = (Mutex::new(Some(Instant::now())), ArcSwapOption::from_pointee(door));
        let traffic = Arc::default();
        let name = Arc::new(name);
        Self {
            id,
            name,
            settings,
            lookup_settings,
            plugins,
            clients,
            actor,
            script,
            door,
            is_barring,
            idle_since,
            maker,
            traffic,
        }
    }

    /// The same, whose clients are counted there.
    pub(super) fn counted_by(self, traffic: Arc<Traffic>) -> Self {
        Self { traffic, ..self }
    }

    /// Whether the access rules permit an address to be a client here and to look up clients.
    pub fn permits(&self, ip: IpAddr) -> bool {
        !self.is_barring.load(Ordering::Acquire) || self.door.load().as_ref().is_none_or(|door| door.permits(ip))
    }

    /// Whether a lookup of its clients, or by one of them, is refused whatever its policy would say: by the access rules, or because
    /// only clients of this server may ask.
    pub fn bars(&self, ip: IpAddr, is_client: bool) -> bool {
        if !self.is_barring.load(Ordering::Acquire) {
            return false;
        }
        let is_stranger = !is_client && self.settings.load().lookups_from == LookupsFrom::Clients;
        is_stranger || !self.permits(ip)
    }

    /// Whether peers are introduced to the instance's clients only with its consent.
    pub(super) fn has_say(&self) -> bool {
        self.is_barring.load(Ordering::Acquire)
            || !self.plugins.load().is_empty()
            || match self.lookup_mode() {
                LookupMode::None => false,
                LookupMode::Partial => self.actor.is_some(),
                // Without a script no peer is introduced at all.
                LookupMode::All | LookupMode::Denied => true,
            }
    }

    /// The policy of its application, if that has one.
    pub fn actor(&self) -> Option<&Arc<dyn AppActor>> {
        self.actor.as_ref()
    }

    /// Whether the script that the instance has, if any, is that of this application. An application gets another script if a folder of its name
    /// appears where the catch-all one served it before, or the other way round.
    pub(super) fn runs_script_of(&self, application: Option<&Registered>) -> bool {
        let folder = application.map(|application| &application.folder);
        self.script.as_ref().is_none_or(|own| folder.is_some_and(|folder| folder == own))
    }

    /// Whether the instance has no script, and this application has one: it appeared when the instance was there already.
    pub(super) fn lacks_script_of(&self, application: Option<&Registered>) -> bool {
        self.actor.is_none() && application.is_some_and(|application| application.has_script)
    }

    /// Whether the instance stays without clients, because it runs from the start.
    pub(super) fn is_kept(&self) -> bool {
        self.settings.load().load_on_startup && self.name.is_first()
    }

    pub(super) fn idle_since(&self) -> Option<Instant> {
        *self.idle_since.lock()
    }

    /// The network of the client for which the instance was created; `None` if it was created without a client.
    pub(super) fn maker(&self) -> Option<NetworkPrefix> {
        self.maker
    }

    /// The instance's number.
    pub fn id(&self) -> InstanceId {
        self.id
    }

    /// The instance's name.
    pub fn name(&self) -> &InstanceName {
        &self.name
    }

    /// The instance's name, for those who keep it longer than the instance.
    pub fn shared_name(&self) -> Arc<InstanceName> {
        Arc::clone(&self.name)
    }

    /// The settings with which the instance runs now.
    pub fn settings(&self) -> Arc<Application> {
        self.settings.load_full()
    }

    /// Which lookups of the instance's clients go to its script.
    pub fn lookup_mode(&self) -> LookupMode {
        self.lookup_settings.mode()
    }

    /// How many lookups each of its clients may make in a second.
    pub fn max_lookup_rate(&self) -> Option<u64> {
        self.lookup_settings.max_rate()
    }

    /// Whether a client of this instance may call a client of the other one by `relay`, as the settings of both permit.
    pub fn relays_calls_to(&self, other: &Self) -> bool {
        let (own, its) = (self.name(), other.name());
        let is_same_application =
            (&own.adaptor, &own.vhost, &own.application) == (&its.adaptor, &its.vhost, &its.application);
        is_same_application
            && [self, other].into_iter().all(|instance| match instance.relay_call_scope() {
                RelayCallScope::Application => true,
                RelayCallScope::Instance => self.id == other.id,
                RelayCallScope::None | RelayCallScope::Auto => false,
            })
    }

    /// Which clients the clients of the instance may call by `relay`: `Auto` has been made out.
    pub fn relay_call_scope(&self) -> RelayCallScope {
        let settings = self.settings.load();
        match settings.relay_calls {
            // What a policy would have to permit is not to be had without asking it.
            RelayCallScope::Auto
                if self.actor.is_some()
                    || !self.plugins.load().is_empty()
                    || settings.peer_lookup_events != LookupMode::None =>
            {
                RelayCallScope::None
            }
            RelayCallScope::Auto => RelayCallScope::Application,
            scope => scope,
        }
    }

    /// How many times in a second each of its clients may call others by `relay`.
    pub fn max_relay_call_rate(&self) -> Option<u64> {
        self.settings.load().max_relay_call_rate
    }

    /// How many clients the instance has.
    pub fn clients(&self) -> u64 {
        self.clients.load(Ordering::Relaxed)
    }

    /// What its clients did.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The key of a group that one of the instance's clients joins now: clients with the same key meet.
    ///
    /// Where a policy handles the groups, they are confined to the instance: the policy decides which members are named to its own
    /// clients, and its clients are named to no others by the server.
    pub fn group_key(&self, group: &GroupDigest) -> GroupKey {
        let settings = self.settings.load();
        let has_policy = settings.join_leave_events == JoinLeaveMode::All
            || self.plugins.load().iter().any(|plugin| plugin.takes_part_in_groups());
        let InstanceName { adaptor, vhost, application, instance } = &*self.name;
        match if has_policy { GroupScope::Instance } else { settings.group_scope } {
            GroupScope::Server => GroupKey::of(group, &[]),
            GroupScope::Application => GroupKey::of(group, &[adaptor, vhost, application]),
            GroupScope::Instance => GroupKey::of(group, &[adaptor, vhost, application, instance]),
        }
    }

    /// Its native plugins, in the order in which they are asked.
    pub fn plugins(&self) -> arc_swap::Guard<Chain> {
        self.plugins.load()
    }

    pub(super) fn forget_plugins(&self) {
        self.plugins.store(Chain::default());
    }

    /// Puts other access rules in force and changes nothing else.
    pub(super) fn set_door(&self, door: Option<Door>) {
        let is_barring = is_barring(&self.settings.load(), door.as_ref());
        self.door.store(door.map(Arc::new));
        self.is_barring.store(is_barring, Ordering::Release);
    }

    pub(super) fn reconfigure(&self, settings: Arc<Application>, plugins: Chain, door: Option<Door>) {
        let is_barring = is_barring(&settings, door.as_ref());
        self.door.store(door.map(Arc::new));
        self.is_barring.store(is_barring, Ordering::Release);
        self.plugins.store(plugins);
        if let Some(actor) = &self.actor {
            actor.reconfigure(Arc::clone(&settings));
        }
        self.lookup_settings.set(&settings);
        self.settings.store(settings);
    }

    pub(super) fn enter(&self) {
        self.clients.fetch_add(1, Ordering::Relaxed);
        *self.idle_since.lock() = None;
    }

    /// Removes a client and returns how many are left.
    pub(super) fn leave(&self) -> u64 {
        let left = self.clients.fetch_sub(1, Ordering::Relaxed) - 1;
        if left == 0 {
            *self.idle_since.lock() = Some(Instant::now());
        }
        left
    }
}
