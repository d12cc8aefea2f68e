//! A registry of peers in memory, as a plugin.
//!
//! `<mode>` says how it answers lookups: `now` (the default), `later` from another thread, `never`, `fail`, or `full`, which
//! takes nothing in. Peers whose sessions are silent are not found, as if another server had them. What is published is told of as a change, too, as if another server had done it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use introd_plugin::{
    Address, Completion, Config, CreateError, Host, Later, PeerId, Plugin, RegistryError, RegistryPlugin,
    RegistryVerdict, Reply, Standing, Token,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Now,
    Later,
    Never,
    Fail,
    Full,
}

struct MemoryRegistry {
    host: Host,
    mode: Mode,
    /// Where they are, and whether their sessions are silent.
    peers: Mutex<HashMap<PeerId, (Vec<Address>, bool)>>,
    /// Those of `never`.
    kept: Mutex<HashMap<Token, Completion<RegistryVerdict>>>,
}

impl MemoryRegistry {
    fn known(&self, peer: PeerId) -> RegistryVerdict {
        match self.peers.lock().unwrap_or_else(PoisonError::into_inner).get(&peer) {
            Some((addresses, false)) => RegistryVerdict::Found(addresses.clone()),
            Some((_, true)) | None => RegistryVerdict::NotFound,
        }
    }
}

impl Plugin for MemoryRegistry {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");

    fn create(host: Host, config: &Config<'_>) -> Result<Self, CreateError> {
        let mode = match config.text("mode").as_deref() {
            None | Some("now") => Mode::Now,
            Some("later") => Mode::Later,
            Some("never") => Mode::Never,
            Some("fail") => Mode::Fail,
            Some("full") => Mode::Full,
            Some(other) => return Err(format!("<mode> is now, later, never, fail or full, not {other}").into()),
        };
        Ok(Self { host, mode, peers: Mutex::default(), kept: Mutex::default() })
    }

    fn cancel(&self, token: Token) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
        self.host.log(introd_plugin::Level::Info, "cancelled");
    }
}

impl RegistryPlugin for MemoryRegistry {
    const TELLS_CHANGES: bool = true;

    fn publish(&self, peer: PeerId, addresses: &[Address]) -> Result<(), RegistryError> {
        if self.mode == Mode::Full {
            return Err(RegistryError::Full);
        }
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).insert(peer, (addresses.to_vec(), false));
        self.host.registry_changed(peer, addresses);
        Ok(())
    }

    fn publish_session(&self, peer: PeerId, addresses: &[Address], standing: Standing) -> Result<(), RegistryError> {
        if !addresses.is_empty() {
            self.publish(peer, addresses)?;
        }
        if let Some((_, is_silent)) = self.peers.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&peer) {
            *is_silent = standing.is_silent;
        }
        Ok(())
    }

    fn withdraw(&self, peer: PeerId) -> Result<(), RegistryError> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
        self.host.registry_changed(peer, &[]);
        Ok(())
    }

    fn find(&self, peer: PeerId, later: Later<'_, RegistryVerdict>) -> Reply<RegistryVerdict> {
        match self.mode {
            Mode::Now | Mode::Full => self.known(peer).into(),
            Mode::Fail => Reply::Failed("as it was told to".to_owned()),
            Mode::Later | Mode::Never => match later.defer() {
                Ok((completion, reply)) => {
                    if self.mode == Mode::Never {
                        let token = completion.token();
                        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(token, completion);
                    } else {
                        let verdict = self.known(peer);
                        std::thread::spawn(move || completion.complete(verdict));
                    }
                    reply
                }
                Err(none) => Reply::Failed(none.to_string()),
            },
        }
    }
}

introd_plugin::export!(MemoryRegistry, registry);
