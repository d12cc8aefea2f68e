//! Lookups that the script decides about.

use super::Runtime;
use crate::api::lookup_event::LookupFacts;
use crate::instance::open_requests::OpenRequest;

impl Runtime {
    pub(super) fn look_up(&mut self, number: u64) {
        let facts = self.instance.requests.begin(number, |request| match request {
            OpenRequest::Lookup(lookup) => Some(LookupFacts::of(lookup)),
            _ => None,
        });
        // A lookup that was answered meanwhile needs no handler.
        if let Some(facts) = facts.flatten() {
            self.ask_lookup(number, &facts);
        }
    }

    /// Asks the script to decide on a lookup.
    pub(super) fn ask_lookup(&mut self, number: u64, facts: &LookupFacts) {
        let progress = self.script.look_up(number, facts);
        self.go_on(progress);
    }
}
