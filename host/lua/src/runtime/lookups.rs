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
        // One that was answered by now concerns nobody.
        if let Some(facts) = facts.flatten() {
            self.ask_lookup(number, &facts);
        }
    }

    /// Has the script answer a lookup.
    pub(super) fn ask_lookup(&mut self, number: u64, facts: &LookupFacts) {
        let progress = self.script.look_up(number, facts);
        self.go_on(progress);
    }
}
