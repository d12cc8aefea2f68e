//! A starting time for tests, which go on from there in virtual time.

#[allow(clippy::disallowed_methods, reason = "an Instant cannot be made up")]
pub(crate) fn test_clock() -> std::time::Instant {
    std::time::Instant::now()
}
