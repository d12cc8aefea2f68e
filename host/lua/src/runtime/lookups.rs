//! Lookups that the script decides about.

use super::Runtime;

impl Runtime {
    /// Whether the script may be asked about lookups that have just come, one after the other: none has to wait for something before it.
    pub(crate) fn takes_lookups(&self) -> bool {
        self.starting.has_nothing_held() && !self.is_behind()
    }

    /// Asks the script to decide on a lookup, and on those that [`Instance::next_lookup`](crate::instance::Instance::next_lookup) has next.
    pub(super) fn look_up(&mut self, number: u64) {
        // A lookup that was answered meanwhile needs no handler.
        if self.instance.requests.is_open(number) {
            let progress = self.script.look_up(number);
            self.go_on(progress);
        }
    }
}
