//! What a worker receives, and what of it is handled when.

use std::time::{Duration, Instant};

use introd_udp::Interface;

use super::Worker;
use crate::introducer::Counter;
use crate::serve::datagram::SessionDatagram;
use crate::serve::mail::Mail;
use crate::serve::strays::{Sorter, Stray};

/// For so long a worker that is behind reads its sockets on before it does something else.
const READ_ON: Duration = Duration::from_millis(1);
/// The number of datagrams that were put aside and are handled at a time: lookups wait for no more than these.
const BACKLOG_BATCH: usize = 32;

impl Worker {
    /// Heeds for how long datagrams have waited at the sockets.
    pub(super) fn heed_backlog(&mut self, now: Instant) {
        self.backlog.heed(self.ports.behind(now));
    }

    /// Receives a batch from each socket that has datagrams; false if none has.
    pub(super) fn receive_now(&mut self) -> std::io::Result<bool> {
        self.heed_backlog(Instant::now());
        let mut strays = Vec::new();
        let workers = self.info.mailboxes.len();
        let mut sorter = Sorter::new(&mut self.endpoint, self.info.index, workers, &mut strays);
        // After a standstill sessions are given up unless what has come for them is handled: it does not wait.
        if !self.standstill.is_catching_up() {
            sorter = sorter.with_backlog(&mut self.backlog);
        }
        let is_any =
            self.ports.receive_now(|now, interface, from, datagram| sorter.take(now, interface, from, datagram))?;
        let lost = sorter.lost();
        self.sorted(strays, lost);
        Ok(is_any)
    }

    /// Passes on what was received for other workers, and counts what was lost.
    pub(super) fn sorted(&mut self, strays: Vec<Stray>, lost: u64) {
        if lost > 0 {
            self.info.counters().add_many(Counter::BacklogFull, lost);
        }
        strays.into_iter().for_each(|stray| self.pass_on(stray));
    }

    /// Reads the sockets for a moment, if the worker is behind: lookups wait there among what can wait.
    pub(super) fn read_on(&mut self) -> std::io::Result<()> {
        if !self.backlog.is_growing() {
            return Ok(());
        }
        let end = Instant::now() + READ_ON;
        while Instant::now() < end && self.receive_now()? {}
        Ok(())
    }

    /// Handles some of the datagrams that were put aside.
    pub(super) fn work_off_backlog(&mut self) {
        for _ in 0..BACKLOG_BATCH {
            let Some(mut datagram) = self.backlog.pop() else { return };
            self.endpoint.handle_datagram(Instant::now(), datagram.interface, datagram.from, &mut datagram.bytes);
        }
    }

    /// Handles all that was put aside.
    pub(super) fn finish_backlog(&mut self) {
        while !self.backlog.is_empty() {
            self.work_off_backlog();
        }
    }

    /// Looks at the sockets again and again, for as long as the setting says, if that is any time at all. Ends sooner if the worker has
    /// something else to do. Returns whether datagrams were received.
    pub(super) async fn poll_busily(&mut self, deadline: Instant) -> std::io::Result<bool> {
        if self.busy_poll.is_zero() {
            return Ok(false);
        }
        let end = deadline.min(Instant::now() + self.busy_poll);
        loop {
            if self.receive_now()? {
                // The runtime has its turn now and then even if there are always datagrams: it has the timers.
                tokio::task::consume_budget().await;
                return Ok(true);
            }
            let is_called = !self.mailbox.is_empty() || self.info.services.replies.is_waiting(self.info.index);
            if is_called || !self.backlog.is_empty() || Instant::now() >= end {
                return Ok(false);
            }
            std::hint::spin_loop();
        }
    }

    /// Hands a datagram to the worker whose session it names.
    pub(in crate::serve) fn pass_on(&mut self, stray: Stray) {
        let Some(interface) = self.ports.lookup(stray.datagram.interface) else { return };
        let Some(mailbox) = self.info.mailboxes.get(usize::from(stray.worker)) else { return };
        if mailbox.try_send(Mail::Datagram(stray.datagram.at(interface))).is_err() {
            self.info.counters().add(Counter::MailboxFull);
        }
    }

    /// Handles a datagram that another worker has received for a session of this one. It does not overtake those that were put aside.
    pub(super) fn receive_passed_on(&mut self, now: Instant, datagram: SessionDatagram<Interface>) {
        let interface = self.ports.intern(datagram.interface);
        let mut datagram = datagram.at(interface);
        if !self.backlog.is_growing() {
            self.endpoint.handle_datagram(now, interface, datagram.from, &mut datagram.bytes);
        } else if !self.backlog.push(datagram) {
            self.info.counters().add(Counter::BacklogFull);
        }
    }
}
