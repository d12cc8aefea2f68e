#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| introd_tests::fuzzing::announcements::run(bytes));
