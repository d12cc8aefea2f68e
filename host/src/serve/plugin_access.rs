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
        let (tag, is_proven, relay_port) = (Box::from(tag), false, None);
        self.send(session.prefix(), Mail::Forward { session, epd, initiator, tag, is_proven, relay_port })
    }

    fn disconnect(&self, session: SessionId, peer: PeerId) -> bool {
        self.send(session.prefix(), Mail::Disconnect { session, peer, by: "a plugin" })
    }

    fn hint(&self, session: SessionId, group: GroupDigest, about: PeerId) -> bool {
        self.send(session.prefix(), Mail::Hint { session, group, about })
    }
}

#[cfg(test)]
mod tests {
    use introd_config::Config;
    use introd_native::ServerAccess as _;
    use tokio::sync::mpsc;

    use super::*;
    use crate::serve::testing;

    #[test]
    fn a_plugin_reaches_the_worker_of_each_client_and_learns_when_it_has_no_room() {
        let services = Arc::new(testing::services(&Config::built_in(), None, None));
        let ((first, _first), (second, mut mailbox)) = (mpsc::channel(1), mpsc::channel(1));
        let access = PluginAccess::new(Arc::from([first, second]), Arc::clone(&services));
        let (peer, session) = (PeerId([1; 32]), SessionId::from_wire(1 << 26 | 5));
        let initiator = ([203, 0, 113, 9], 9).into();
        assert!(access.find(&peer).is_none());
        services.directory.connect(peer, session, 0, ([192, 0, 2, 1], 5).into(), false);
        let target = access.find(&peer).unwrap();
        assert!(access.introduce(&peer, &target, initiator, &[7; 16]));
        let lost = || services.counters.snapshot().get(Counter::MailboxFull);
        assert_eq!(lost(), 0);
        assert!(!access.disconnect(session, peer) && lost() == 1, "the worker has no room");
        let Ok(Mail::Forward { session: of, epd, initiator: from, tag, is_proven: false, relay_port: None }) =
            mailbox.try_recv()
        else {
            panic!()
        };
        assert_eq!((of, from, &*tag), (session, initiator, &[7; 16][..]));
        assert_eq!(&*epd, Epd::fingerprint(peer));
        assert!(access.disconnect(session, peer));
        assert!(
            matches!(mailbox.try_recv(), Ok(Mail::Disconnect { session: of, peer: id, .. }) if (of, id) == (session, peer))
        );
        let (group, about) = (GroupDigest([3; 32]), PeerId([4; 32]));
        assert!(access.hint(session, group, about));
        let hint = mailbox.try_recv();
        assert!(
            matches!(hint, Ok(Mail::Hint { session: of, group: in_, about: id }) if (of, in_, id) == (session, group, about))
        );
        assert_eq!(lost(), 1);
    }
}
