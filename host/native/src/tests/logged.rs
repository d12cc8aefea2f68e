//! What is logged: by plugins, and about them.

use ::introd_plugin::abi::*;
use introd_log::testing::logged;
use tracing::Level;

use super::bench::{Bench, PLACE};
use super::fake::Fake;
use crate::account::Callback;
use crate::values::raw_bytes;

const LEVELS: [u32; 5] = [INTROD_LOG_ERROR, INTROD_LOG_WARN, INTROD_LOG_INFO, INTROD_LOG_DEBUG, INTROD_LOG_TRACE];

/// A plugin writes a line.
fn says(fake: &Fake, level: u32, text: introd_bytes) {
    let log = fake.extension::<introd_host_log>(INTROD_EXT_LOG);
    // SAFETY: the table is the host's, and the text is valid for the call.
    unsafe { (log.log.unwrap())(fake.host, level, text) }
}

#[test]
fn a_plugin_logs_at_its_level_and_knows_which_levels_are_logged() {
    let bench = Bench::new();
    let (_instance, fake) = bench.instance();
    let log = fake.extension::<introd_host_log>(INTROD_EXT_LOG);
    let all = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    for (count, level) in (1..).zip(all) {
        let lines = logged(level, || {
            // SAFETY: the table is the host's.
            let enabled = LEVELS.map(|level| unsafe { (log.is_enabled.unwrap())(fake.host, level) });
            assert_eq!(enabled, [0, 1, 2, 3, 4].map(|place| u32::from(place < count)), "{level}");
            LEVELS.iter().for_each(|level| says(fake, *level, raw_bytes(b"here")));
        });
        let expected = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].map(|name| format!("{name} here plugin=fake"));
        assert_eq!(lines, expected[..count]);
    }
}

#[test]
fn what_a_plugin_logs_is_one_line_and_bounded() {
    let bench = Bench::new();
    let (_instance, fake) = bench.instance();
    let line = |text: &[u8]| logged(Level::INFO, || says(fake, INTROD_LOG_INFO, raw_bytes(text))).remove(0);
    assert_eq!(line(b"a\nERROR forged\xff"), "INFO a\\nERROR forged\u{fffd} plugin=fake");
    assert_eq!(line(&[b'x'; 10_000]), format!("INFO {} plugin=fake", "x".repeat(4096)));
    let nothing = introd_bytes { ptr: std::ptr::null(), len: 3 };
    assert_eq!(logged(Level::INFO, || says(fake, INTROD_LOG_INFO, nothing)), [""; 0]);
}

#[test]
fn a_failure_is_logged_and_the_next_ones_only_in_a_while() {
    let bench = Bench::new();
    let (instance, fake) = bench.instance();
    fake.does(|_, _| INTROD_E_FULL);
    let gone = || instance.disconnect(rtmfp::SessionId::from_wire(1), rtmfp::PeerId([1; 32]), PLACE, "gone");
    let lines = logged(Level::INFO, gone);
    let first = "WARN a plugin has failed plugin=\"fake\" callback=\"disconnect\" why=\"it has no room\" unlogged=0";
    assert_eq!(lines, [first]);
    instance.failed_later(Callback::Lookup, "late");
    assert_eq!(instance.account().failures(), 2);
}

#[test]
fn a_panic_is_logged_once() {
    let bench = Bench::new();
    let (instance, fake) = bench.instance();
    fake.does(|_, _| INTROD_E_PANIC);
    let gone = || instance.disconnect(rtmfp::SessionId::from_wire(1), rtmfp::PeerId([1; 32]), PLACE, "gone");
    let lines = logged(Level::ERROR, || (0..3).for_each(|_| gone()));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("ERROR a plugin has panicked"), "{lines:?}");
}
