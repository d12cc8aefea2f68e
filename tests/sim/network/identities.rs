//! Identities and key pairs that all runs share: making them takes long, and nothing here depends on what they are.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{Group, Identity, KeyPair};

/// Key pairs handed out in turn.
const PAIRS: u64 = 4;

static KEY_PAIRS: LazyLock<Mutex<HashMap<(Group, u64), KeyPair>>> = LazyLock::new(Mutex::default);

/// The key pair of this group and number, the same in every run.
pub(crate) fn key_pair(group: Group, number: u64) -> KeyPair {
    let number = number % PAIRS;
    let mut pairs = KEY_PAIRS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    pairs
        .entry((group, number))
        .or_insert_with(|| KeyPair::generate(group, &mut ChaCha20Rng::seed_from_u64(group.id() << 8 | number)))
        .clone()
}

/// An identity that makes keys for each session; different numbers make different identities.
pub(crate) fn ephemeral(number: u64, groups: &[Group]) -> Arc<Identity> {
    Arc::new(Identity::ephemeral(groups, None, true, &mut ChaCha20Rng::seed_from_u64(number)))
}

/// An identity with static keys; there are as many as key pairs.
pub(crate) fn fixed(number: u64, groups: &[Group]) -> Arc<Identity> {
    Arc::new(Identity::from_static_keys(groups.iter().map(|group| key_pair(*group, number)).collect()))
}
