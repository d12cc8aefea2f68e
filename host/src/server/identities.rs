//! The identities that the server shows to clients.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use introd_config::{Adaptor, Config};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::PeerId;
use rtmfp::crypto::{Certificate, CookieJar, Group, Identity};

/// The maximum number of virtual hosts' names with an identity of their own: each hello is compared with all of them.
const MAX_HOST_NAMES: usize = 64;

/// One identity and one kind of cookie for all workers: to clients they are one server.
pub(super) struct ServerIdentities {
    /// The Diffie-Hellman groups of the configuration, the preferred one first.
    pub(super) groups: Vec<Group>,
    /// The server's identity first, then one for each name of its virtual hosts.
    pub(super) all: Vec<Arc<Identity>>,
    pub(super) cookies: CookieJar,
    pub(super) peer_id: PeerId,
}

impl ServerIdentities {
    pub(super) fn new(config: &Config, now: Instant) -> anyhow::Result<Self> {
        let mut rng = ChaCha20Rng::from_seed(random_seed()?);
        let groups: Vec<Group> =
            config.default_adaptor.rtmfp.dh_groups.iter().filter_map(|id| Group::from_id(*id)).collect();
        let identity = Arc::new(Identity::ephemeral(&groups, None, true, &mut rng));
        let peer_id = identity.peer_id();
        // RFC 7425 §4.4.2.1: a client that asks for a host by name gets an identity that has the name.
        let named = host_names(config).into_iter();
        let named = named.map(|name| Arc::new(Identity::ephemeral(&groups, Some(&name), true, &mut rng)));
        let all = std::iter::once(identity).chain(named).collect();
        Ok(Self { groups, all, cookies: CookieJar::new(now, &mut rng), peer_id })
    }

    /// The identities of a server that this one takes over: clients know them by these.
    ///
    /// # Errors
    /// If a certificate cannot be used.
    pub(super) fn taken_over(config: &Config, certificates: &[Vec<u8>], cookies: CookieJar) -> anyhow::Result<Self> {
        let identity = |bytes: &Vec<u8>| {
            let identity = Certificate::parse(bytes).and_then(Identity::from_certificate);
            identity.map(Arc::new).map_err(|error| anyhow::anyhow!("a certificate of the server that runs: {error}"))
        };
        let mut all = certificates.iter().map(identity).collect::<anyhow::Result<Vec<_>>>()?;
        let first = all.first().context("the server that runs has no certificate")?;
        let (peer_id, groups) = (first.peer_id(), first.groups().to_vec());
        // A name that the configuration has got since then.
        let mut rng = ChaCha20Rng::from_seed(random_seed()?);
        let has = |all: &[Arc<Identity>], name: &str| {
            all.iter().any(|identity| identity.certificate().hostname() == Some(name.as_bytes()))
        };
        for name in host_names(config) {
            if !has(&all, &name) {
                all.push(Arc::new(Identity::ephemeral(&groups, Some(&name), true, &mut rng)));
            }
        }
        Ok(Self { groups, all, cookies, peer_id })
    }

    /// The certificates, for a server that takes this one over.
    pub(super) fn certificates(&self) -> Vec<Vec<u8>> {
        self.all.iter().map(|identity| identity.certificate().as_bytes().to_vec()).collect()
    }
}

/// A seed from the operating system.
pub(super) fn random_seed() -> anyhow::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("the operating system has no randomness to give")?;
    Ok(seed)
}

/// The names by which clients may ask for this server, which are the names of its virtual hosts.
pub(super) fn host_names(config: &Config) -> BTreeSet<String> {
    let vhosts = config.all_adaptors().flat_map(Adaptor::all_vhosts);
    vhosts.flat_map(|vhost| &vhost.aliases).take(MAX_HOST_NAMES).cloned().collect()
}
