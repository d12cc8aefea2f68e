//! Panics go to the log: the default hook writes to standard error, where it can wait without end.

use std::panic::{PanicHookInfo, set_hook};

/// From now on a panic is a record of the log.
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
