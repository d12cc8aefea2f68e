//! What administrators change, by whatever way they ask for it.

use std::fmt::Display;
use std::sync::Arc;

use introd_flash::amf::Value;
use introd_policy::message::{AppEvent, ClientCommand, ClientId};

use super::inspector::{Inspector, Member, Sent};
use crate::apps::AppInstance;
use crate::serve::Mail;

/// The longest name of a method and the longest string among the arguments of a broadcast, in bytes.
pub(super) const MAX_MESSAGE: usize = 4096;
/// How many clients of an instance one action reaches.
pub(super) const MAX_CLIENTS: usize = 65_536;

/// Why the script of an instance is not loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotReloaded {
    #[error("The application has no script to reload.")]
    NoScript,
    #[error("The application is busy.")]
    Busy,
}

/// Logs that an administrator acts.
pub(super) fn log(user: &str, action: &str, of: &dyn Display) {
    let user = introd_log::text::shown(user);
    tracing::info!(action, %user, %of, "an administrator acts");
}

impl Inspector {
    /// The clients of an instance, at most [`MAX_CLIENTS`].
    pub(super) fn members_of(&self, instance: &AppInstance) -> Vec<Member> {
        let id = instance.id().0;
        self.members(MAX_CLIENTS, |known| known == id)
    }

    /// Has the script of an instance loaded again. Clients stay.
    pub(super) fn reload(instance: &AppInstance) -> Result<(), NotReloaded> {
        let script = instance.actor().ok_or(NotReloaded::NoScript)?;
        script.tell(AppEvent::Reload).map_err(|_| NotReloaded::Busy)
    }

    /// Disconnects the clients of an instance, and ends its script. The next client makes a new instance.
    pub(super) async fn unload(&self, instance: &Arc<AppInstance>) -> Sent {
        if let Some(script) = instance.actor() {
            // A script that stops takes no more clients, and is told of the end of those it has.
            let _ = script.tell(AppEvent::Stop);
        }
        self.disconnect(&self.members_of(instance)).await
    }

    /// Closes the connections of these clients.
    pub(super) async fn disconnect(&self, members: &[Member]) -> Sent {
        let mail = |Member { session, peer }| Mail::Disconnect { session, peer, by: "an administrator" };
        self.send_to(members, mail).await
    }

    /// Calls a method of the clients of these instances.
    pub(super) async fn broadcast(&self, instances: &[Arc<AppInstance>], method: &str, arguments: &[Value]) -> Sent {
        let mut all = Sent::default();
        for instance in instances {
            let mail = |member: Member| {
                let client = ClientId { worker: member.session.prefix(), session: member.session };
                let (method, arguments) = (method.to_owned(), arguments.to_vec());
                Mail::Command(ClientCommand::Call { client, method, arguments, token: None }, None)
            };
            all += self.send_to(&self.members_of(instance), mail).await;
        }
        all
    }
}
