//! The part of the server that native plugins have access to.

use std::net::SocketAddr;
use std::sync::Arc;

use rtmfp::crypto::Epd;
use rtmfp::{PeerId, SessionId};

use super::mail::{Mail, MailSender};
use super::services::Services;
use crate::introducer::Counter;
use introd_netgroup::GroupDigest;
use introd_policy::Peer;

/// Access to the workers and the directory for plugins. No method blocks, because plugins call it on the workers' own threads.
pub struct PluginAccess {
    mailboxes: Arc<[MailSender]>,
    services: Arc<Services>,
}

impl PluginAccess {
    /// `mailboxes` has the mailbox of each worker, in the order of their numbers.
    pub fn new(mailboxes: Arc<[MailSender]>, services: Arc<Services>) -> Self {
        Self { mailboxes, services }
    }

    fn send(&self, worker: u8, mail: Mail) -> bool {
        let is_sent = self.mailboxes.get(usize::from(worker)).is_some_and(|mailbox| mailbox.try_send(mail).is_ok());
        if !is_sent {
            self.services.counters.worker(worker).add(Counter::MailboxFull);
        }
        is_sent
    }
}

impl introd_native::ServerAccess for PluginAccess {
    fn find(&self, peer: &PeerId) -> Option<Peer> {
        self.services.directory.lookup(peer)
    }

    fn introduce(&self, id: &PeerId, target: &Peer, initiator: SocketAddr, tag: &[u8]) -> bool {
        let session = target.owner;
        let epd = Box::from(Epd::fingerprint(*id));
        self.send(session.prefix(), Mail::Forward { session, epd, initiator, tag: Box::from(tag) })
    }

    fn disconnect(&self, session: SessionId, peer: PeerId) -> bool {
        self.send(session.prefix(), Mail::Disconnect { session, peer })
    }

    fn hint(&self, session: SessionId, group: GroupDigest, about: PeerId) -> bool {
        self.send(session.prefix(), Mail::Hint { session, group, about })
    }
}
