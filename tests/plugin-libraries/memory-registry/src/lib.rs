//! A plugin for tests: a registry of peers in memory.
//!
//! It tests the host's side of `introd.registry/1` and knows nothing of the server. Begin reading with `RegistryPlugin::find` below.
//!
//! `<mode>` sets how it answers lookups: `now` (the default) at once, `later` from another thread, `never`, or `fail`; `full` accepts
//! no publications. It does not find a peer whose session is silent, as if another server had a better entry. It reports each
//! publication back to the host as a change, as if another server had made it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use introd_plugin::{
    Address, Completion, Config, CreateError, Host, Later, PeerId, PeerSession, Plugin, RegistryError, RegistryPlugin,
    RegistryVerdict, Reply, Token,
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
    /// The addresses of each peer, and whether its session is silent.
    peers: Mutex<HashMap<PeerId, (Vec<Address>, bool)>>,
    /// The verdicts that mode `never` does not give.
    pending: Mutex<HashMap<Token, Completion<RegistryVerdict>>>,
}

impl MemoryRegistry {
    fn verdict(&self, peer: PeerId) -> RegistryVerdict {
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
            Some(other) => return Err(format!("<mode> must be now, later, never, fail or full, not {other}").into()),
        };
        Ok(Self { host, mode, peers: Mutex::default(), pending: Mutex::default() })
    }

    fn cancel(&self, token: Token) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
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

    fn publish_session(&self, peer: PeerId, addresses: &[Address], session: PeerSession) -> Result<(), RegistryError> {
        if !addresses.is_empty() {
            self.publish(peer, addresses)?;
        }
        if let Some((_, is_silent)) = self.peers.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&peer) {
            *is_silent = session.is_silent;
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
            Mode::Now | Mode::Full => self.verdict(peer).into(),
            Mode::Fail => Reply::Failed("the mode is fail".to_owned()),
            Mode::Later | Mode::Never => match later.defer() {
                Ok((completion, reply)) => {
                    if self.mode == Mode::Never {
                        let token = completion.token();
                        self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(token, completion);
                    } else {
                        let verdict = self.verdict(peer);
                        std::thread::spawn(move || completion.complete(verdict));
                    }
                    reply
                }
                Err(error) => Reply::Failed(error.to_string()),
            },
        }
    }
}

introd_plugin::export!(MemoryRegistry, registry);
