//! A registry whose server is taken over by another process.

use std::collections::HashSet;
use std::ffi::c_void;
use std::sync::atomic::Ordering;

use introd_plugin::abi;
use introd_policy::registry::{GroupMember, RegistryState};
use rtmfp::PeerId;

use super::PluginInstance;
use crate::account::Callback;
use crate::guarded::guarded;
use crate::values::raw_bytes;

/// What is to be withdrawn when this process has taken over: who came over, and has gone before this process served.
#[derive(Default)]
pub(super) struct Postponed {
    peers: HashSet<PeerId>,
    members: HashSet<GroupMember>,
}

/// The bytes that a registry may hand over: `introd_plugin_registry.hand_over` says so, too.
const MAX_STATE: usize = 256 << 20;

impl PluginInstance {
    /// What an instance of the same plugin in another process is to go on with; `None` if the plugin gives nothing, or was built before it
    /// could.
    pub(crate) fn hand_over(&self) -> Option<RegistryState> {
        let hand_over = self.registry.as_ref()?.hand_over?;
        let mut state: Option<Vec<u8>> = None;
        let context = (&raw mut state).cast::<c_void>();
        // SAFETY: these are the plugin's own function and instance, and the place for the state outlives the call.
        let status = self.notify(Callback::HandOver, || unsafe { hand_over(self.made, context, Some(take)) });
        let state = state.filter(|_| status >= 0)?;
        Some(RegistryState { by: self.library.name().to_owned(), state })
    }

    /// Withdraws a peer, or remembers to do so when this process has taken over: until then another process has what it is a registry for.
    pub(crate) fn withdraw_or_postpone(&self, peer: &PeerId) {
        // Nearly always it is this process's own, which no lock is needed for.
        if self.is_anothers.load(Ordering::Acquire) {
            let mut postponed = self.postponed.lock();
            // The process may have taken over meanwhile.
            if self.is_anothers.load(Ordering::Acquire) {
                postponed.peers.insert(*peer);
                return;
            }
        }
        self.withdraw(peer);
    }

    /// As [`Self::withdraw_or_postpone`], for a member of a group.
    pub(crate) fn withdraw_member_or_postpone(&self, member: &GroupMember) -> i32 {
        // Nearly always it is this process's own, which no lock is needed for.
        if self.is_anothers.load(Ordering::Acquire) {
            let mut postponed = self.postponed.lock();
            // The process may have taken over meanwhile.
            if self.is_anothers.load(Ordering::Acquire) {
                postponed.members.insert(*member);
                return abi::INTROD_OK;
            }
        }
        self.withdraw_member(member)
    }

    /// A peer is published: it is not to be withdrawn any more.
    pub(crate) fn forget_postponed(&self, peer: &PeerId) {
        if self.is_anothers.load(Ordering::Acquire) {
            self.postponed.lock().peers.remove(peer);
        }
    }

    /// As [`Self::forget_postponed`], for a member of a group.
    pub(crate) fn forget_postponed_member(&self, member: &GroupMember) {
        if self.is_anothers.load(Ordering::Acquire) {
            self.postponed.lock().members.remove(member);
        }
    }

    /// This process goes on with what another one has handed over, which serves no more. `state`: what its instance of the same plugin has
    /// given at last.
    pub(crate) fn took_over(&self, state: Option<&RegistryState>) {
        let Postponed { peers, members } = {
            let mut postponed = self.postponed.lock();
            if !self.is_anothers.swap(false, Ordering::AcqRel) {
                return;
            }
            std::mem::take(&mut *postponed)
        };
        let state = state.filter(|state| state.by == self.library.name());
        if let (Some(took_over), Some(RegistryState { state, .. })) =
            (self.registry.as_ref().and_then(|table| table.took_over), state)
        {
            // SAFETY: these are the plugin's own function and instance, and the bytes are valid for the call.
            self.notify(Callback::TookOver, || unsafe { took_over(self.made, raw_bytes(state)) });
        }
        peers.iter().for_each(|peer| self.withdraw(peer));
        for member in &members {
            self.withdraw_member(member);
        }
    }

    /// Another process goes on with what was handed over: this is the last call.
    pub(crate) fn handed_over(&self) {
        self.is_anothers.store(true, Ordering::Release);
        let Some(handed_over) = self.registry.as_ref().and_then(|table| table.handed_over) else { return };
        // SAFETY: these are the plugin's own function and instance.
        self.notify(Callback::HandedOver, || unsafe { handed_over(self.made) });
    }
}

/// Takes the state that a plugin gives. What it gives after that is left out.
unsafe extern "C" fn take(context: *mut c_void, state: abi::introd_bytes) {
    guarded((), || {
        // SAFETY: `hand_over` has given the place for the time of its call, and does not use it meanwhile.
        let place = unsafe { context.cast::<Option<Vec<u8>>>().as_mut() }?;
        if place.is_some() || state.ptr.is_null() || state.len > MAX_STATE {
            return None;
        }
        // SAFETY: the plugin gives so many bytes, valid for the call.
        *place = Some(unsafe { std::slice::from_raw_parts(state.ptr, state.len) }.to_vec());
        Some(())
    });
}
