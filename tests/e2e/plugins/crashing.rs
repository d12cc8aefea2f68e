//! A plugin that crashes is named in the last line, and the process ends as it would without that line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use introd_tests::libraries::{c_library, include};
use introd_tests::program::{Ended, Files, Process, Server, introd};
use rustix::process::Signal;

use super::plugin;
use crate::harness::clients::client;

fn crashing(name: &str, definitions: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/c/crashing.c");
    c_library(&source, &include(), name, definitions)
}

/// A configuration with the plugin that crashes as these elements say.
fn configured(library: &Path, config: &str) -> Files {
    let files = Files::new();
    files.application(&format!("<Plugins>{}</Plugins>", plugin(library, config)));
    files
}

/// The lines about a crash.
fn told(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().filter(|line| line.contains("has crashed")).collect()
}

fn assert_told(ended: &Ended, signal: Signal, line: &str) {
    assert_eq!(ended.signal, Some(signal.as_raw()), "{ended:?}");
    assert_eq!(told(ended), [line], "{ended:?}");
}

#[test]
fn each_kind_of_crash_is_named_with_the_callback_and_ends_the_process_by_its_signal() {
    let library = crashing("crashing", &[]);
    let known = format!("introd: plugin crashing ({}) has crashed", library.canonicalize().unwrap().display());
    let run = |config: &str| {
        let files = configured(&library, config);
        Process::start(&mut introd(&["check-config", "--conf", &files.path().to_string_lossy()])).ended()
    };
    for (how, signal, name, meaning) in [
        ("segv", Signal::SEGV, "SIGSEGV", "an access to memory that is not there"),
        ("abort", Signal::ABORT, "SIGABRT", "it was aborted"),
        ("fpe", Signal::FPE, "SIGFPE", "an error in arithmetic, as a division by zero"),
    ] {
        let line = format!("{known} in its callback create: {name}, {meaning}. The process ends.");
        assert_told(&run(&format!("<create>{how}</create>")), signal, &line);
    }
    let line =
        format!("{known} in its callback destroy: SIGSEGV, an access to memory that is not there. The process ends.");
    assert_told(&run("<destroy>segv</destroy>"), Signal::SEGV, &line);
    // Which signal a trap is depends on the processor.
    let trapped = run("<create>trap</create>");
    assert!(trapped.code.is_none() && told(&trapped)[0].starts_with(&format!("{known} in its callback create: ")));
}

#[test]
fn a_library_that_crashes_when_it_is_loaded_is_named() {
    let library = crashing("crashing-at-load", &["AT_LOAD=\"segv\""]);
    let ended = Process::start(&mut introd(&["plugins", &library.to_string_lossy()])).ended();
    let line = format!(
        "introd: the library {} has crashed while it was loaded: SIGSEGV, an access to memory that is not there. The process ends.",
        library.canonicalize().unwrap().display()
    );
    assert_told(&ended, Signal::SEGV, &line);
}

#[tokio::test]
async fn a_crash_on_a_worker_is_named_even_if_it_is_an_overflow_of_the_stack() {
    let library = crashing("crashing-on-a-worker", &[]);
    let known = format!("introd: plugin crashing ({}) has crashed", library.canonicalize().unwrap().display());
    // The standard library aborts the process after an overflow.
    for (how, ends_by) in [("segv", Signal::SEGV), ("overflow", Signal::ABORT)] {
        let files = configured(&library, &format!("<lookup>{how}</lookup>"));
        let server = Server::configured(files.path(), 1);
        let (mut asker, mut target) = (client(server.addresses[0], 1).await, client(server.addresses[0], 2).await);
        let id = target.id();
        tokio::select! {
            met = asker.meet(id, Duration::from_secs(2)) => drop(met.expect_err("the server is gone")),
            _ = target.stay() => (),
        }
        let ended = server.ended();
        let line = format!(
            "{known} in its callback lookup: SIGSEGV, an access to memory that is not there. The process ends."
        );
        assert_told(&ended, ends_by, &line);
    }
}

#[test]
fn a_crash_outside_of_plugins_is_not_laid_on_one() {
    let library = crashing("crashing-not", &[]);
    let files = configured(&library, "");
    let server = Server::configured(files.path(), 1);
    server.signal(Signal::SEGV);
    let ended = server.ended();
    assert_eq!((ended.signal, told(&ended)), (Some(Signal::SEGV.as_raw()), vec![]), "{ended:?}");
}
