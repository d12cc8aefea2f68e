//! Changes of the machine's addresses, by looking at them again and again.

use std::io;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::interfaces::interface_addresses;
use crate::interface_address::InterfaceAddress;

/// How often the addresses are looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// Waits for changes of the machine's addresses. What has changed it does not say: the system is asked for that. Changes of routes alone are not
/// noticed on this system.
#[derive(Debug)]
pub struct NetworkChanges {
    known: Vec<InterfaceAddress>,
    looks: Interval,
}

impl NetworkChanges {
    /// Notices changes from now on.
    ///
    /// # Errors
    /// If the system does not say which addresses it has.
    ///
    /// # Panics
    /// Outside a tokio runtime with time enabled.
    pub fn new() -> io::Result<Self> {
        let mut looks = interval(INTERVAL);
        // A computer that has slept looks once.
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { known: interface_addresses()?, looks })
    }

    /// Waits until something has changed. Changes that come together are one.
    ///
    /// Nothing is lost if this is dropped while it waits.
    ///
    /// # Errors
    /// If the system does not say which addresses it has.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            self.looks.tick().await;
            if self.is_changed(interface_addresses()?) {
                return Ok(());
            }
        }
    }

    fn is_changed(&mut self, now: Vec<InterfaceAddress>) -> bool {
        let is_changed = now != self.known;
        self.known = now;
        is_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_comes_or_goes_is_a_change_once() {
        let mut changes = NetworkChanges::new().unwrap();
        let all = changes.known.clone();
        assert!(!all.is_empty());
        assert!(!changes.is_changed(all.clone()));
        assert!(changes.is_changed(all[1..].to_vec()));
        assert!(!changes.is_changed(all[1..].to_vec()));
        assert!(changes.is_changed(all));
    }
}
