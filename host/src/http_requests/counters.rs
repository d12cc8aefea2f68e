//! What came of the HTTP requests of scripts.

use std::sync::atomic::{AtomicU64, Ordering};

use introd_policy::http::{HttpFailure, HttpResponse};

/// What can come of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpOutcome {
    /// There is an answer, whatever its status.
    Answered,
    /// The URL is none.
    Malformed,
    /// Application.xml does not permit it.
    NotAllowed,
    /// It, or its answer, is too large.
    TooLarge,
    /// Too many others are under way.
    Busy,
    /// It took too long.
    TimedOut,
    /// The host cannot be reached, or does not answer as a server of HTTP does.
    Failed,
    /// The script has ended, or was loaded again.
    Canceled,
}

impl HttpOutcome {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::Malformed,
        Self::NotAllowed,
        Self::TooLarge,
        Self::Busy,
        Self::TimedOut,
        Self::Failed,
        Self::Canceled,
    ];

    /// Its name in metrics and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Malformed => "malformed",
            Self::NotAllowed => "not_allowed",
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// What a result is.
    pub(super) fn of(result: &Result<HttpResponse, HttpFailure>) -> Self {
        match result {
            Ok(_) => Self::Answered,
            Err(HttpFailure::Malformed(_)) => Self::Malformed,
            Err(HttpFailure::NotAllowed(_)) => Self::NotAllowed,
            Err(HttpFailure::TooLarge(_)) => Self::TooLarge,
            Err(HttpFailure::Busy(_)) => Self::Busy,
            Err(HttpFailure::TimedOut(_)) => Self::TimedOut,
            Err(HttpFailure::Failed(_)) => Self::Failed,
        }
    }
}

/// How many requests came to what.
#[derive(Debug, Default)]
pub struct HttpCounters([AtomicU64; HttpOutcome::ALL.len()]);

impl HttpCounters {
    pub(super) fn add(&self, outcome: HttpOutcome) {
        self.0[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests came to that.
    pub fn get(&self, outcome: HttpOutcome) -> u64 {
        self.0[outcome as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_a_count_and_a_name_of_its_own() {
        let counters = HttpCounters::default();
        for (index, outcome) in HttpOutcome::ALL.into_iter().enumerate() {
            (0..=index).for_each(|_| counters.add(outcome));
        }
        assert!(HttpOutcome::ALL.into_iter().map(|outcome| counters.get(outcome)).eq(1..=8));
        let names: std::collections::BTreeSet<_> = HttpOutcome::ALL.iter().map(|outcome| outcome.name()).collect();
        assert_eq!(names.len(), 8);
    }
}
