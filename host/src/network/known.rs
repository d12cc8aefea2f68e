//! What is known of the network now, and how it changes.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache, Guard};
use introd_config::PublicHost;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::crowds::{Crowds, Noticed};
use super::listener::Listener;
use super::standing::Standing;

/// Is told where the server stands after a change.
type OnChange = Box<dyn Fn(&Standing) + Send + Sync>;

/// What is known of the server's network. All threads may use it; none waits long.
pub struct Network {
    listeners: Vec<Listener>,
    /// `PublicIP`, as the configuration in force says and as its name was looked up last. The lock is held while the network is looked at
    /// again, so that the last look is the one that counts.
    host: Mutex<Option<PublicHost>>,
    standing: ArcSwap<Standing>,
    changes: watch::Sender<()>,
    /// Is told of each change.
    on_change: OnChange,
    crowds: Crowds,
}

/// Where the server stands, for a thread that asks for each lookup: while nothing changes, that costs a read of memory.
pub struct StandingReader(Cache<StandingOf, Arc<Standing>>);

struct StandingOf(Arc<Network>);

impl Deref for StandingOf {
    type Target = ArcSwap<Standing>;

    fn deref(&self) -> &ArcSwap<Standing> {
        &self.0.standing
    }
}

impl StandingReader {
    /// Reads where the server stands in this network.
    pub fn new(network: Arc<Network>) -> Self {
        Self(Cache::new(StandingOf(network)))
    }

    /// Where the server stands now.
    pub fn standing(&mut self) -> &Standing {
        self.0.load()
    }
}

impl Network {
    /// Looks at the network of a server that listens there. `host` is `PublicIP`; `on_change` is told of each change, and wakes the
    /// workers.
    pub fn new(
        listeners: Vec<Listener>,
        host: Option<PublicHost>,
        on_change: impl Fn(&Standing) + Send + Sync + 'static,
    ) -> Self {
        let standing = Standing::now(&listeners, public_ips(host.as_ref()));
        Self {
            listeners,
            host: Mutex::new(host),
            standing: ArcSwap::from_pointee(standing),
            changes: watch::Sender::new(()),
            on_change: Box::new(on_change),
            crowds: Crowds::default(),
        }
    }

    /// The network of a server that stands there, whatever the system says.
    #[cfg(test)]
    pub(crate) fn at(standing: Standing) -> Self {
        Self {
            listeners: Vec::new(),
            host: Mutex::new(None),
            standing: ArcSwap::from_pointee(standing),
            changes: watch::Sender::new(()),
            on_change: Box::new(|_| ()),
            crowds: Crowds::default(),
        }
    }

    /// Another standing, as if the network had changed.
    #[cfg(test)]
    pub(crate) fn set(&self, standing: Standing) {
        self.standing.store(Arc::new(standing));
        self.changes.send_replace(());
    }

    /// Where the server stands now.
    pub fn standing(&self) -> Guard<Arc<Standing>> {
        self.standing.load()
    }

    /// Where others reach the server now.
    pub fn near_addresses(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.standing.load().near_addresses)
    }

    /// Tells of each change of where others reach the server.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The clients at addresses that are not public.
    pub fn crowds(&self) -> &Crowds {
        &self.crowds
    }

    /// What there is to say to administrators about the network, a line each.
    pub fn notices(&self) -> Vec<String> {
        self.crowds.noticed().iter().map(hidden_clients).collect()
    }

    /// Looks again, with what `PublicIP` says in another configuration. A name that has no address now keeps its last ones.
    pub fn reconfigure(&self, host: Option<PublicHost>) {
        let mut known = self.host.lock();
        let is_lost = |host: &PublicHost| host.name().is_some() && host.addresses().is_empty();
        match (&*known, &host) {
            (Some(known), Some(host)) if known.name() == host.name() && is_lost(host) => (),
            _ => *known = host,
        }
        self.look_with(known.as_ref());
    }

    /// The name that `PublicIP` gives in place of an address.
    pub(super) fn host_name(&self) -> Option<String> {
        self.host.lock().as_ref()?.name().map(str::to_owned)
    }

    /// Notes the addresses of the name of `PublicIP`, and looks again. Returns false if the name has no address: then it keeps its last ones.
    pub(super) fn name_resolved(&self, name: &str, addresses: &[IpAddr]) -> bool {
        let mut known = self.host.lock();
        // A reload may have changed it meanwhile.
        let Some(host) = known.as_ref().filter(|host| host.name() == Some(name)) else { return true };
        let found = host.clone().with_addresses(addresses);
        let is_found = !found.addresses().is_empty();
        if is_found {
            *known = Some(found);
        }
        self.look_with(known.as_ref());
        is_found
    }

    /// Looks again.
    pub(super) fn look(&self) {
        let known = self.host.lock();
        self.look_with(known.as_ref());
    }

    fn look_with(&self, host: Option<&PublicHost>) {
        let now = Standing::now(&self.listeners, public_ips(host));
        let before = self.standing.load_full();
        if now == *before {
            return;
        }
        let now = Arc::new(now);
        self.standing.store(Arc::clone(&now));
        let addresses = &now.near_addresses;
        if *addresses == before.near_addresses {
            (self.on_change)(&now);
            return;
        }
        if addresses.is_empty() {
            tracing::warn!(
                "the network has changed: this machine has no address now at which others could reach the server"
            );
        } else {
            tracing::info!(?addresses, "the network has changed: others reach the server at these addresses now");
        }
        self.changes.send_replace(());
        (self.on_change)(&now);
    }

    /// Says which crowds are new, and which have dispersed.
    pub(super) fn judge_crowds(&self) {
        let (new, gone) = self.crowds.judge(&self.standing.load());
        for noticed in &new {
            tracing::warn!(address = %noticed.ip, clients = noticed.clients, "{}", hidden_clients(noticed));
        }
        for Noticed { ip, clients } in gone {
            tracing::info!(address = %ip, clients, "the server no longer sees many clients of other networks at {ip}");
        }
    }
}

fn public_ips(host: Option<&PublicHost>) -> &[IpAddr] {
    host.map_or(&[], PublicHost::addresses)
}

/// What it means that clients are seen at one address, and what to do.
fn hidden_clients(Noticed { ip, clients }: &Noticed) -> String {
    format!(
        "{clients} clients of different networks are all seen at {ip}, an address of this machine or its neighbour: a proxy or a container \
         network hides theirs, so that peers cannot be introduced to them. Let the server see the source addresses of clients: run a \
         container with the host's network, or set `userland-proxy: false` in Docker, `externalTrafficPolicy: Local` in Kubernetes, or \
         the like in a proxy"
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn host(text: &str) -> PublicHost {
        PublicHost::parse(text).unwrap()
    }

    fn listener() -> Listener {
        Listener { adaptor: 0, local: ([0, 0, 0, 0], 1935).into(), public: None }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn near(network: &Network) -> Vec<String> {
        network.near_addresses().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_is_what_it_was_looked_up_as_last() {
        let woken = Arc::new(AtomicUsize::new(0));
        let wakes = Arc::clone(&woken);
        let network = Network::new(vec![listener()], Some(host("home.test")), move |_| {
            wakes.fetch_add(1, Ordering::Relaxed);
        });
        let mut changes = network.watch();
        assert_eq!(network.host_name().as_deref(), Some("home.test"));
        assert!(network.name_resolved("home.test", &[ip("203.0.113.7"), ip("2001:db8::1")]));
        assert_eq!(near(&network), ["203.0.113.7:1935"]);
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert!(woken.load(Ordering::Relaxed) >= 1);
        // The same again is no change.
        assert!(network.name_resolved("home.test", &[ip("2001:db8::1"), ip("203.0.113.7")]));
        // Nor is a failure.
        assert!(!network.name_resolved("home.test", &[]));
        network.reconfigure(Some(host("home.test")));
        assert_eq!((near(&network), changes.has_changed().unwrap()), (vec!["203.0.113.7:1935".to_owned()], false));
        // A lookup that was under way when the configuration changed counts for nothing.
        network.reconfigure(Some(host("203.0.113.8")));
        assert!(changes.has_changed().unwrap());
        assert!(network.name_resolved("home.test", &[ip("203.0.113.9")]));
        assert_eq!((near(&network), network.host_name()), (vec!["203.0.113.8:1935".to_owned()], None));
        network.reconfigure(Some(host("home.test").with_addresses(&[ip("203.0.113.5")])));
        assert_eq!(near(&network), ["203.0.113.5:1935"]);
        network.reconfigure(None);
        assert!(!near(&network).contains(&"203.0.113.5:1935".to_owned()));
    }

    #[test]
    fn what_administrators_read_names_the_address_the_number_and_what_to_do() {
        let interfaces = vec!["172.17.0.2/16".parse().unwrap()];
        let network = Network::at(Standing { interfaces, ..Standing::at(Arc::from([])) });
        assert!(network.notices().is_empty());
        for home in 0..25 {
            let reported = [([10, 0, home, 7], 5).into()];
            let sighting = super::super::Sighting::of(([172, 17, 0, 1], 9).into(), &reported, &network.standing());
            network.crowds().add(sighting.unwrap());
        }
        network.judge_crowds();
        let [notice] = network.notices().try_into().unwrap();
        for words in
            ["25 clients", "172.17.0.1", "host's network", "userland-proxy: false", "externalTrafficPolicy: Local"]
        {
            assert!(notice.contains(words), "{notice}");
        }
    }
}
