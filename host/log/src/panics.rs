//! Panics are logged: the default hook would write to standard error itself, and could wait there without end.

use std::panic::{PanicHookInfo, set_hook};

/// Makes every panic from now on a record of the log.
pub(super) fn report_to_log() {
    set_hook(Box::new(report));
}

fn report(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let why = info.payload_as_str().unwrap_or("no message");
    tracing::error!(
        thread = thread.name().unwrap_or_default(),
        place,
        why,
        "a thread panicked: this is a fault of introd"
    );
}
