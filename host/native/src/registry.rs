//! A registry that is a plugin.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use introd_plugin::abi;
use rtmfp::{PeerId, TaggedAddress};
use tokio::sync::oneshot;

use super::answer::PluginAnswer;
use super::instance::PluginInstance;
use super::values::error_name;
use introd_policy::Verdict;
use introd_policy::registry::{LookupFuture, LookupResult, PeerSession, Registry, RegistryError};

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
}

impl NativeRegistry {
    /// The instance as a registry; `None` if its plugin is none.
    pub(super) fn of(instance: Arc<PluginInstance>) -> Option<Self> {
        instance.has_registry().then_some(Self { instance })
    }

    /// The plugin's instance.
    pub fn instance(&self) -> &Arc<PluginInstance> {
        &self.instance
    }
}

impl Registry for NativeRegistry {
    fn publish(&self, peer: PeerId, addresses: &[TaggedAddress]) -> Result<(), RegistryError> {
        taken_in(self.instance.publish(peer, addresses))
    }

    fn publish_session(
        &self,
        peer: PeerId,
        addresses: &[TaggedAddress],
        session: PeerSession,
    ) -> Result<(), RegistryError> {
        match self.instance.publish_session(peer, addresses, session) {
            Some(status) => taken_in(status),
            // A plugin that was built for ABI 1.0 believes the server that publishes last.
            None if addresses.is_empty() || session.is_silent => Ok(()),
            None => self.publish(peer, addresses),
        }
    }

    fn withdraw(&self, peer: &PeerId) {
        self.instance.withdraw(peer);
    }

    fn lookup(&self, peer: PeerId) -> LookupFuture {
        let (reply, receiver) = oneshot::channel();
        match self.instance.find(peer, reply) {
            PluginAnswer::Verdict(verdict) => {
                let now: Ready<LookupResult> = ready(result(verdict));
                Box::pin(now)
            }
            PluginAnswer::Pending(token) => {
                Box::pin(Waiting { instance: Arc::clone(&self.instance), token: Some(token), receiver })
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

fn result(verdict: Verdict) -> LookupResult {
    match verdict {
        Verdict::Redirect(addresses) if addresses.is_empty() => Ok(None),
        Verdict::Redirect(addresses) => Ok(Some(addresses.into_vec())),
        Verdict::Failed(why) => Err(RegistryError::Unavailable(why)),
        _ => Err(RegistryError::Unavailable("it gave a verdict that is not one of a registry".to_owned())),
    }
}

/// A lookup that the plugin answers later. Dropping it cancels the lookup at the plugin.
struct Waiting {
    instance: Arc<PluginInstance>,
    token: Option<u64>,
    receiver: oneshot::Receiver<Verdict>,
}

impl Future for Waiting {
    type Output = LookupResult;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<LookupResult> {
        let received = match Pin::new(&mut self.receiver).poll(context) {
            Poll::Ready(received) => received,
            Poll::Pending => return Poll::Pending,
        };
        self.token = None;
        // The plugin has ended without an answer.
        let gone = || Verdict::Failed(error_name(abi::INTROD_E_GONE).to_owned());
        Poll::Ready(result(received.unwrap_or_else(|_| gone())))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            self.instance.cancel(token);
        }
    }
}
