//! The last errors of a script, where other threads can read them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use introd_policy::LoggedError;

/// How many errors are kept.
const MAX_ERRORS: usize = 20;

/// The last errors of an instance's script. It outlives the VM: a reload does not hide why it was needed.
#[derive(Debug, Default)]
pub(crate) struct ErrorLog(Mutex<VecDeque<LoggedError>>);

impl ErrorLog {
    /// Adds an error, in place of the oldest one if there are too many.
    pub(crate) fn add(&self, text: String) {
        let error = LoggedError { at: SystemTime::now(), text: text.into() };
        let mut errors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if errors.len() == MAX_ERRORS {
            errors.pop_front();
        }
        errors.push_back(error);
    }

    /// The errors, the oldest first. The lock is held for as long as it takes to count a reference to each.
    pub(crate) fn all(&self) -> Vec<LoggedError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_errors_are_kept() {
        let log = ErrorLog::default();
        (0..MAX_ERRORS + 3).for_each(|number| log.add(number.to_string()));
        let all = log.all();
        assert_eq!((all.len(), &*all[0].text, &*all[MAX_ERRORS - 1].text), (MAX_ERRORS, "3", "22"));
        assert!(all.is_sorted_by_key(|error| error.at));
    }
}
