//! The identities that the server shows to clients.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use introd_config::{Adaptor, Config};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::PeerId;
use rtmfp::crypto::{CookieJar, Group, Identity};

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
