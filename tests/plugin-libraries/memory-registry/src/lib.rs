//! A plugin for tests: a registry of peers in memory.
//!
//! It tests the host's side of `introd.registry/1` and `introd.group-registry/1`, and knows nothing of the server. Begin reading with `RegistryPlugin::find` below.
//!
//! `<mode>` sets how it answers lookups: `now` (the default) at once, `later` from another thread, `never`, or `fail`; `full` accepts
//! no publications, of peers or members of groups. It does not find a peer whose session is silent, as if another server had a better entry. It reports each
//! publication back to the host as a change, as if another server had made it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use introd_plugin::{
    Address, AnyVerdict, Completion, Config, CreateError, GroupId, GroupMember, GroupRegistryPlugin, Host, Later,
    MembersVerdict, NeighborQuery, PeerId, PeerSession, Plugin, RegistryError, RegistryPlugin, RegistryVerdict, Reply,
    RingPosition, Token,
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
    /// The members of each group, in the order of its ring.
    groups: Mutex<HashMap<GroupId, BTreeMap<RingPosition, PeerId>>>,
    /// The verdicts that mode `never` does not give.
    pending: Mutex<HashMap<Token, Withheld>>,
}

/// A verdict that is never given.
enum Withheld {
    Peer { _completion: Completion<RegistryVerdict> },
    Members { _completion: Completion<MembersVerdict> },
}

impl MemoryRegistry {
    fn verdict(&self, peer: PeerId) -> RegistryVerdict {
        match self.peers.lock().unwrap_or_else(PoisonError::into_inner).get(&peer) {
            Some((addresses, false)) => RegistryVerdict::Found(addresses.clone()),
            Some((_, true)) | None => RegistryVerdict::NotFound,
        }
    }

    /// The members that follow a position, and those that precede it. Far ones are the next of them: there are few members in tests.
    fn members(&self, query: &NeighborQuery) -> Vec<PeerId> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ring) = groups.get(&query.group) else { return Vec::new() };
        let place = query.position;
        let others = |(_, peer): (&RingPosition, &PeerId)| (*peer != query.peer).then_some(*peer);
        let after = ring.range(place..).chain(ring.range(..place)).filter_map(others);
        let before = ring.range(..place).rev().chain(ring.range(place..).rev()).filter_map(others);
        let mut members: Vec<PeerId> = after.take(query.near + query.far).collect();
        for peer in before.take(query.near) {
            if !members.contains(&peer) {
                members.push(peer);
            }
        }
        members
    }

    /// Gives a verdict in the way of the mode.
    fn answer<V: AnyVerdict>(
        &self,
        later: Later<'_, V>,
        verdict: V,
        withhold: impl FnOnce(Completion<V>) -> Withheld,
    ) -> Reply<V> {
        match self.mode {
            Mode::Now | Mode::Full => verdict.into(),
            Mode::Fail => Reply::Failed("the mode is fail".to_owned()),
            Mode::Later | Mode::Never => match later.defer() {
                Ok((completion, reply)) => {
                    if self.mode == Mode::Never {
                        let token = completion.token();
                        self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(token, withhold(completion));
                    } else {
                        std::thread::spawn(move || completion.complete(verdict));
                    }
                    reply
                }
                Err(error) => Reply::Failed(error.to_string()),
            },
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
        Ok(Self { host, mode, peers: Mutex::default(), groups: Mutex::default(), pending: Mutex::default() })
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
        self.answer(later, self.verdict(peer), |completion| Withheld::Peer { _completion: completion })
    }
}

impl GroupRegistryPlugin for MemoryRegistry {
    fn join_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
        if self.mode == Mode::Full {
            return Err(RegistryError::Full);
        }
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.entry(member.group).or_default().insert(member.position, member.peer);
        Ok(())
    }

    fn leave_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ring) = groups.get_mut(&member.group) {
            ring.remove(&member.position);
        }
        Ok(())
    }

    fn group_neighbors(&self, query: &NeighborQuery, later: Later<'_, MembersVerdict>) -> Reply<MembersVerdict> {
        let members = self.members(query);
        self.answer(later, MembersVerdict(members), |completion| Withheld::Members { _completion: completion })
    }
}

introd_plugin::export!(MemoryRegistry, registry, group_registry);
