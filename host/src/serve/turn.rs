//! What a worker needs in one turn.

use std::sync::Arc;
use std::time::Instant;

use introd_policy::ToWake;
use introd_policy::decision::PendingRequests;
use introd_udp::Ports;
use rtmfp::{Endpoint, InterfaceId, SessionId};

use super::mail::{Mail, MailSender};
use super::pending::PendingRequest;
use super::services::Services;
use crate::introducer::{Counter, WorkerCounters};
use crate::network::{Listener, Standing};
use crate::stories::Event;

/// A worker's number, its sockets' configuration, and what it shares with the other workers.
pub(super) struct WorkerInfo {
    /// The worker's number: the prefix of its session ids, and its place in `mailboxes`.
    pub(super) index: u8,
    /// The configuration behind each of its sockets.
    pub(super) listeners: Vec<Listener>,
    /// The mailboxes of all workers, its own among them.
    pub(super) mailboxes: Arc<[MailSender]>,
    pub(super) services: Arc<Services>,
}

impl WorkerInfo {
    /// The counters of this worker.
    pub(super) fn counters(&self) -> &WorkerCounters {
        self.services.counters.worker(self.index)
    }

    /// Writes what happened into the story.
    pub(super) fn tell(&self, event: Event) {
        self.services.stories.write(self.index, event);
    }

    /// Sends a message to the worker that has a session. If its mailbox is full, the message is counted and lost, as a packet would be.
    pub(super) fn send(&self, to: SessionId, mail: Mail) {
        let Some(mailbox) = self.mailboxes.get(usize::from(to.prefix())) else { return };
        if mailbox.try_send(mail).is_err() {
            self.counters().add(Counter::MailboxFull);
        }
    }
}

/// What a worker may use while it handles one event.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) endpoint: &'a mut Endpoint,
    pub(super) ports: &'a Ports,
    /// The requests that wait for plugins, scripts and the registry.
    pub(super) pending: &'a mut PendingRequests<PendingRequest>,
    /// The scripts that are to be woken at the end of the turn.
    pub(super) to_wake: &'a mut ToWake,
    pub(super) info: &'a WorkerInfo,
    /// Where the server stands in its network.
    pub(super) standing: &'a Standing,
}

impl<'a> Turn<'a> {
    pub(super) fn services(&self) -> &'a Services {
        &self.info.services
    }

    /// The counters of this worker.
    pub(super) fn counters(&self) -> &'a WorkerCounters {
        self.info.counters()
    }

    /// The configuration behind the socket of an interface.
    pub(super) fn listener(&self, interface: InterfaceId) -> Option<&'a Listener> {
        self.info.listeners.get(usize::from(self.ports.lookup(interface)?.socket))
    }

    /// The place in the configuration of the adaptor that an interface belongs to.
    pub(super) fn adaptor(&self, interface: InterfaceId) -> usize {
        self.listener(interface).map_or(0, |listener| listener.adaptor)
    }
}

#[cfg(test)]
mod tests {
    use introd_config::Config;
    use rtmfp::PeerId;

    use super::*;
    use crate::serve::testing::{self, World};

    #[test]
    fn an_interface_belongs_to_the_adaptor_of_its_socket_and_an_unknown_one_to_the_default() {
        let mut world = World::with_config(|_| ());
        for adaptor in [0, 1, 7] {
            world.worker.info.listeners[0].adaptor = adaptor;
            let (turn, _, _) = world.worker.turn(world.now);
            assert_eq!(turn.adaptor(InterfaceId(0)), adaptor);
            assert_eq!(turn.adaptor(InterfaceId(77)), 0);
        }
    }

    #[test]
    fn a_message_without_room_is_lost_and_counted() {
        let (info, mut mailbox) = testing::worker(testing::services(&Config::built_in(), None, None), 1);
        let session = SessionId::from_wire(5);
        let contest = |session| Mail::Contest { session, peer: PeerId([1; 32]) };
        let lost = || info.services.counters.snapshot().get(Counter::MailboxFull);
        info.send(session, contest(session));
        assert_eq!(lost(), 0);
        info.send(session, contest(session));
        assert_eq!(lost(), 1);
        assert!(matches!(mailbox.try_recv(), Ok(Mail::Contest { .. })) && mailbox.try_recv().is_err());
        // There is no such worker.
        let elsewhere = SessionId::from_wire(9 << 26 | 5);
        info.send(elsewhere, contest(elsewhere));
        assert!(mailbox.try_recv().is_err());
    }
}
