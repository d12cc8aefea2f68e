//! What a client says of its addresses, passed on no more often than others can bear.
//!
//! Each change is written into the directory, published for other servers, and told to the application's script and plugins. A
//! client can make one with a few bytes, so they are limited for each client; of those that come too soon, the last one counts.

use std::time::{Duration, Instant};

use super::perform::ClientTurn;
use super::{Client, Clients};
use crate::introducer::Counter;
use crate::introducer::reported::believed;
use crate::serve::turn::Turn;
use introd_flash::peer_info::PeerInfo;
use introd_policy::message::AppEvent;

/// So many changes are passed on at once: clients repeat themselves when their network changes.
const BURST: u32 = 8;
/// And then one in this time.
const INTERVAL: Duration = Duration::from_secs(2);

/// How often a client has changed its addresses of late.
#[derive(Debug)]
pub(super) struct Changes {
    /// How many more are passed on at once, as of `counted`.
    left: u32,
    counted: Instant,
    /// The last one that came too soon.
    waiting: Option<Box<PeerInfo>>,
}

impl Changes {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: BURST, counted: now, waiting: None }
    }

    /// What is to be passed on now, or when to ask again with [`Changes::due`] if nothing else is waited for already.
    fn take(&mut self, now: Instant, info: PeerInfo) -> Result<PeerInfo, Option<Instant>> {
        if self.waiting.is_none() && self.permits(now) {
            return Ok(info);
        }
        let is_first = self.waiting.replace(Box::new(info)).is_none();
        Err(is_first.then(|| self.counted + INTERVAL))
    }

    /// The time has come for what has waited.
    fn due(&mut self) -> Option<PeerInfo> {
        let info = self.waiting.take()?;
        self.counted += INTERVAL;
        Some(*info)
    }

    fn permits(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted);
        let earned = u32::try_from(passed.as_millis() / INTERVAL.as_millis()).unwrap_or(u32::MAX);
        if self.left.saturating_add(earned) >= BURST {
            (self.left, self.counted) = (BURST, now);
        } else {
            self.left += earned;
            self.counted += INTERVAL * earned;
        }
        let permits = self.left > 0;
        self.left -= u32::from(permits);
        permits
    }
}

impl ClientTurn<'_, '_> {
    /// A client says which addresses it has.
    pub(super) fn set_peer_info(&mut self, client: &mut Client, info: PeerInfo) {
        let (now, session) = (self.turn.now, self.session);
        match client.changes.get_or_insert_with(|| Box::new(Changes::new(now))).take(now, info) {
            Ok(info) => self.pass_on_peer_info(client, &info),
            Err(Some(at)) => self.agenda.address_changes.insert(at, session),
            Err(None) => (),
        }
    }

    fn pass_on_peer_info(&mut self, client: &mut Client, info: &PeerInfo) {
        let session = self.session;
        for skipped in &info.skipped {
            tracing::debug!(%session, entry = %skipped.text, reason = %skipped.reason, "setPeerInfo entry skipped");
        }
        let Some(known) = self.turn.endpoint.session(session) else { return };
        let addresses = believed(known.far_address, &info.addresses);
        tracing::debug!(%session, ?addresses, not_believed = info.addresses.len() - addresses.len(), "setPeerInfo");
        if self.turn.services().directory.set_reported(&known.peer_id, session, &addresses) {
            self.turn.services().announce(known.peer_id, session, known.is_proven);
        }
        if let Some(script) = client.script() {
            let event = AppEvent::ReportedAddressesChange {
                client: super::commands::client_id(session),
                addresses: addresses.clone(),
            };
            if script.tell(event).is_err() {
                self.turn.counters().add(Counter::ApplicationBusy);
            }
        }
        super::plugins::tell_addresses(client, session, known.far_address, Some(&addresses));
        self.advise_keepalive(client, &addresses);
    }
}

impl Clients {
    /// Passes on what clients said of their addresses too soon after they had said something else.
    pub(super) fn pass_on_address_changes(&mut self, turn: &mut Turn<'_>) {
        while let Some((_, session)) = self.agenda.address_changes.take_due(turn.now) {
            self.with_client(turn, session, |client_turn, client| {
                if let Some(info) = client.changes.as_mut().and_then(|changes| changes.due()) {
                    client_turn.pass_on_peer_info(client, &info);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(port: u16) -> PeerInfo {
        PeerInfo { addresses: vec![([192, 0, 2, 1], port).into()], ..PeerInfo::default() }
    }

    #[test]
    fn of_changes_that_come_too_soon_the_last_one_counts() {
        let start = Instant::now();
        let mut changes = Changes::new(start);
        let (mut passed, mut deferred) = (Vec::new(), None);
        for number in 1..=1000 {
            match changes.take(start, info(number)) {
                Ok(info) => passed.push(info.addresses[0].port()),
                Err(at) => deferred = deferred.or(at),
            }
        }
        assert_eq!(passed, (1..=8).collect::<Vec<u16>>());
        assert_eq!(deferred, Some(start + INTERVAL), "asked for once");
        assert_eq!(changes.due(), Some(info(1000)));
        assert_eq!(changes.due(), None);
        // The next one is an interval later again.
        assert_eq!(changes.take(start + INTERVAL, info(1)), Err(Some(start + 2 * INTERVAL)));
        assert_eq!(changes.due(), Some(info(1)));
        assert_eq!(changes.take(start + 3 * INTERVAL, info(2)), Ok(info(2)));
    }

    #[test]
    fn a_client_that_was_quiet_may_change_some_times_again() {
        let start = Instant::now();
        let mut changes = Changes::new(start);
        let at_once = |changes: &mut Changes, now| (0..BURST).all(|_| changes.take(now, info(1)).is_ok());
        assert!(at_once(&mut changes, start));
        assert!(at_once(&mut changes, start + INTERVAL * BURST));
        assert!(at_once(&mut changes, start + INTERVAL * 1000));
    }
}
