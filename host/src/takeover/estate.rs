//! What a server leaves to its successor, and when it leaves nothing.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_liveness::Pulse;
use introd_policy::registry::Registry;
use rtmfp::crypto::CookieJar;

use super::channel::{Channel, ChannelError};
use super::ending::Ending;
use super::message::Message;
use crate::apps::Applications;
use crate::introducer::Directory;
use crate::network::Listener;
use crate::relay::Relay;
use crate::serve::{Drain, MailSender};

/// How long the new process may take for a refusal.
const ANSWER: Duration = Duration::from_secs(10);
/// How long an instance that ends may take to close its clients before the workers stand still.
const ENDING: Duration = Duration::from_secs(5);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// What a server leaves to its successor, besides its sessions.
pub struct Estate {
    /// For each worker its sockets, which the worker itself uses as well.
    pub sockets: Vec<Vec<(Listener, OwnedFd)>>,
    /// The certificates of its identities.
    pub certificates: Vec<Vec<u8>>,
    /// What recognises its cookies.
    pub cookies: CookieJar,
    /// The mailboxes of its workers.
    pub mailboxes: Arc<[MailSender]>,
    /// Its applications.
    pub applications: Arc<Applications>,
    /// Its connected peers.
    pub directory: Arc<Directory>,
    /// Its relay, if it has one.
    pub relay: Option<Arc<Relay>>,
    /// The registry that it shares with other servers, if there is one.
    pub registry: Option<Arc<dyn Registry>>,
    /// Its drain: a server that is about to end is not taken over.
    pub drain: Arc<Drain>,
}

impl Estate {
    /// Whether the server may not be taken over now. Then it says why, to the new process too.
    pub(super) fn refuses(&self, channel: &mut Channel) -> Result<bool, ChannelError> {
        if self.drain.order().is_none() {
            return Ok(false);
        }
        let why = "the server that runs drains: it takes no new clients, and ends when the last one is gone. To replace it all the same, end \
                   the drain first (`introd drain --cancel`)";
        refuse(channel, why)?;
        Ok(true)
    }

    /// Whether an application that ends keeps its clients for so long that the server may not be taken over now. They would be clients of
    /// nobody: their script ends with this process, and that of the new one does not know them.
    pub(super) fn is_ending(
        &self,
        channel: &mut Channel,
        ending: &Ending,
        pulse: &Pulse,
    ) -> Result<bool, ChannelError> {
        let until = Instant::now() + ENDING;
        let clients = loop {
            match self.applications.clients_of_ending() {
                0 => return Ok(false),
                clients if Instant::now() >= until => break clients,
                _ => std::thread::sleep(LOOK),
            }
            pulse.beat();
            if ending.is_set() {
                return Err(ChannelError::Stops);
            }
        };
        refuse(
            channel,
            &format!(
                "{clients} clients are being disconnected from an application that ends: try again when it has ended"
            ),
        )?;
        Ok(true)
    }
}

/// Tells the new process, and the log, why there is no takeover.
pub(super) fn refuse(channel: &mut Channel, why: &str) -> Result<(), ChannelError> {
    tracing::warn!("no takeover: {why}");
    channel.send(&Message::Refused(why.to_owned()), ANSWER)
}
