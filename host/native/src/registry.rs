//! A registry that is a plugin.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use introd_plugin::abi;
use rtmfp::{PeerId, TaggedAddress};
use tokio::sync::oneshot;

use super::answer::PluginAnswer;
use super::instance::PluginInstance;
use super::values::error_name;
use introd_policy::Verdict;
use introd_policy::registry::{
    GroupMember, LookupFuture, LookupResult, NeighborQuery, NeighborsFuture, NeighborsResult, PeerSession, Registry,
    RegistryError, RegistryState,
};

/// What has become of the settings that a registry received while the server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconfigured {
    /// They are in force.
    Now,
    /// Some of them take effect at the next start only.
    AtNextStart,
    /// The earlier settings stay, for this reason.
    Failed(String),
}

/// A registry that is a plugin.
pub struct NativeRegistry {
    instance: Arc<PluginInstance>,
    /// Whether another process has taken over: the plugin is not called any more.
    is_handed_over: AtomicBool,
}

impl NativeRegistry {
    /// The instance as a registry; `None` if its plugin is none.
    pub(super) fn of(instance: Arc<PluginInstance>) -> Option<Self> {
        instance.has_registry().then(|| Self { instance, is_handed_over: AtomicBool::new(false) })
    }

    /// The plugin's instance.
    pub fn instance(&self) -> &Arc<PluginInstance> {
        &self.instance
    }
}

impl Registry for NativeRegistry {
    fn publish(&self, peer: PeerId, addresses: &[TaggedAddress]) -> Result<(), RegistryError> {
        self.usable()?;
        self.instance.forget_postponed(&peer);
        taken_in(self.instance.publish(peer, addresses))
    }

    fn publish_session(
        &self,
        peer: PeerId,
        addresses: &[TaggedAddress],
        session: PeerSession,
    ) -> Result<(), RegistryError> {
        self.usable()?;
        self.instance.forget_postponed(&peer);
        match self.instance.publish_session(peer, addresses, session) {
            Some(status) => taken_in(status),
            // A plugin that was built for ABI 1.0 believes the server that publishes last.
            None if addresses.is_empty() || session.is_silent => Ok(()),
            None => self.publish(peer, addresses),
        }
    }

    fn withdraw(&self, peer: &PeerId) {
        if self.usable().is_ok() {
            self.instance.withdraw_or_postpone(peer);
        }
    }

    fn lookup(&self, peer: PeerId) -> LookupFuture {
        if let Err(error) = self.usable() {
            return Box::pin(ready(Err(error)));
        }
        let (reply, receiver) = oneshot::channel();
        let answer = self.instance.find(peer, reply);
        self.wait_for(answer, receiver, addresses)
    }

    fn hand_over(&self) -> Option<RegistryState> {
        self.instance.hand_over()
    }

    fn took_over(&self, state: Option<&RegistryState>) {
        self.instance.took_over(state);
    }

    fn handed_over(&self) {
        if !self.is_handed_over.swap(true, Ordering::AcqRel) {
            self.instance.handed_over();
        }
    }

    fn has_groups(&self) -> bool {
        self.instance.has_group_registry()
    }

    fn join_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
        self.usable()?;
        self.instance.forget_postponed_member(member);
        taken_in(self.instance.publish_member(member))
    }

    fn leave_group(&self, member: &GroupMember) -> Result<(), RegistryError> {
        self.usable()?;
        taken_in(self.instance.withdraw_member_or_postpone(member))
    }

    fn group_neighbors(&self, query: &NeighborQuery) -> NeighborsFuture {
        if let Err(error) = self.usable() {
            return Box::pin(ready(Err(error)));
        }
        let (reply, receiver) = oneshot::channel();
        let answer = self.instance.find_members(query, reply);
        self.wait_for(answer, receiver, members)
    }
}

impl NativeRegistry {
    fn usable(&self) -> Result<(), RegistryError> {
        if self.is_handed_over.load(Ordering::Acquire) {
            return Err(RegistryError::Unavailable("another process has taken over".to_owned()));
        }
        Ok(())
    }

    /// The answer of the plugin, which it may give later, as `read` reads it.
    fn wait_for<T: Send + 'static>(
        &self,
        answer: PluginAnswer,
        receiver: oneshot::Receiver<Verdict>,
        read: fn(Verdict) -> Result<T, RegistryError>,
    ) -> Pin<Box<dyn Future<Output = Result<T, RegistryError>> + Send>> {
        match answer {
            PluginAnswer::Verdict(verdict) => Box::pin(ready(read(verdict))),
            PluginAnswer::Pending(token) => {
                Box::pin(Waiting { instance: Arc::clone(&self.instance), token: Some(token), receiver, read })
            }
        }
    }
}

fn taken_in(status: i32) -> Result<(), RegistryError> {
    match status {
        status if status >= 0 => Ok(()),
        abi::INTROD_E_FULL => Err(RegistryError::Full),
        status => Err(RegistryError::Unavailable(error_name(status).to_owned())),
    }
}

fn addresses(verdict: Verdict) -> LookupResult {
    match verdict {
        Verdict::Redirect(addresses) if addresses.is_empty() => Ok(None),
        Verdict::Redirect(addresses) => Ok(Some(addresses.into_vec())),
        other => Err(no_answer(other)),
    }
}

fn members(verdict: Verdict) -> NeighborsResult {
    match verdict {
        Verdict::Members(members) => Ok(members),
        other => Err(no_answer(other)),
    }
}

fn no_answer(verdict: Verdict) -> RegistryError {
    RegistryError::Unavailable(match verdict {
        Verdict::Failed(why) => why,
        _ => "it gave a verdict that is not one of a registry".to_owned(),
    })
}

/// A request that the plugin answers later. Dropping it cancels the request at the plugin.
struct Waiting<T> {
    instance: Arc<PluginInstance>,
    token: Option<u64>,
    receiver: oneshot::Receiver<Verdict>,
    read: fn(Verdict) -> Result<T, RegistryError>,
}

impl<T> Future for Waiting<T> {
    type Output = Result<T, RegistryError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let received = match Pin::new(&mut self.receiver).poll(context) {
            Poll::Ready(received) => received,
            Poll::Pending => return Poll::Pending,
        };
        self.token = None;
        // The plugin has ended without an answer.
        let gone = || Verdict::Failed(error_name(abi::INTROD_E_GONE).to_owned());
        Poll::Ready((self.read)(received.unwrap_or_else(|_| gone())))
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            self.instance.cancel(token);
        }
    }
}
