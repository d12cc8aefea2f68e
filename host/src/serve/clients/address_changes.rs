//! How often a client may change the addresses that it reports.

use std::time::{Duration, Instant};

use introd_flash::peer_info::PeerInfo;
use rtmfp::Moment;

/// The number of changes that are passed on at once: clients repeat themselves when their network changes.
const BURST: u32 = 8;
/// After these, one change is passed on in this time.
const INTERVAL: Duration = Duration::from_secs(2);

/// How often a client has changed its addresses recently.
#[derive(Debug)]
pub(super) struct AddressChanges {
    /// How many more changes are passed on at once, as of `counted`.
    left: u32,
    counted: Moment,
    /// The last change that came too soon.
    waiting: Option<Box<PeerInfo>>,
}

impl AddressChanges {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: BURST, counted: now.into(), waiting: None }
    }

    /// The change, if it is to be passed on now. Otherwise it is kept, and the time when to call [`AddressChanges::due`], unless an
    /// earlier change has set that time already.
    pub(super) fn take(&mut self, now: Instant, info: PeerInfo) -> Result<PeerInfo, Option<Instant>> {
        if self.waiting.is_none() && self.permits(now) {
            return Ok(info);
        }
        let is_first = self.waiting.replace(Box::new(info)).is_none();
        Err(is_first.then(|| self.counted.instant() + INTERVAL))
    }

    /// Takes the change that has waited. Its time has come.
    pub(super) fn due(&mut self) -> Option<PeerInfo> {
        let info = self.waiting.take()?;
        self.counted = (self.counted.instant() + INTERVAL).into();
        Some(*info)
    }

    fn permits(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted.instant());
        let earned = u32::try_from(passed.as_millis() / INTERVAL.as_millis()).unwrap_or(u32::MAX);
        if self.left.saturating_add(earned) >= BURST {
            (self.left, self.counted) = (BURST, now.into());
        } else {
            self.left += earned;
            self.counted = (self.counted.instant() + INTERVAL * earned).into();
        }
        let permits = self.left > 0;
        self.left -= u32::from(permits);
        permits
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
        let mut changes = AddressChanges::new(start);
        let (mut passed, mut deferred) = (Vec::new(), None);
        for number in 1..=1000 {
            match changes.take(start, info(number)) {
                Ok(info) => passed.push(info.addresses[0].port()),
                Err(at) => deferred = deferred.or(at),
            }
        }
        assert_eq!(passed, (1..=8).collect::<Vec<u16>>());
        assert_eq!(deferred, Some(start + INTERVAL), "the time is set once");
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
        let mut changes = AddressChanges::new(start);
        let at_once = |changes: &mut AddressChanges, now| (0..BURST).all(|_| changes.take(now, info(1)).is_ok());
        assert!(at_once(&mut changes, start));
        assert!(at_once(&mut changes, start + INTERVAL * BURST));
        assert!(at_once(&mut changes, start + INTERVAL * 1000));
    }

    #[test]
    fn a_client_that_was_quiet_for_long_has_saved_no_more_than_a_burst() {
        let start = Instant::now();
        let mut changes = AddressChanges::new(start);
        for now in [start + INTERVAL * 1000, start + INTERVAL * 2000] {
            assert!((0..BURST).all(|_| changes.take(now, info(1)).is_ok()));
            assert_eq!(changes.take(now, info(2)), Err(Some(now + INTERVAL)));
            assert_eq!(changes.due(), Some(info(2)));
        }
    }

    #[test]
    fn a_client_earns_one_change_in_an_interval_and_parts_of_it_count() {
        let start = Instant::now();
        let mut changes = AddressChanges::new(start);
        assert!((0..BURST).all(|_| changes.take(start, info(1)).is_ok()));
        let half = start + INTERVAL * 3 / 2;
        assert!(changes.take(half, info(1)).is_ok(), "one was earned after an interval");
        assert_eq!(changes.take(half, info(2)), Err(Some(start + 2 * INTERVAL)), "half of the next one is earned");
        assert_eq!(changes.take(half, info(3)), Err(None), "the time is set already");
        assert_eq!(changes.due(), Some(info(3)));
        assert_eq!(changes.take(start + 2 * INTERVAL, info(4)), Err(Some(start + 3 * INTERVAL)));
    }
}
