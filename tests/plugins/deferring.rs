//! The examples that leave their verdicts pending, in Rust and in C: they decide by files, on threads of their own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use introd_native::PluginAnswer;
use introd_policy::{Reply, Verdict};
use introd_tests::cargo::built_example;
use introd_tests::folder::Folder;
use introd_tests::libraries::c_examples;

use crate::bench::Bench;

fn libraries() -> [PathBuf; 2] {
    [built_example("introd-plugin", "deferring"), c_examples()[2].clone()]
}

fn bench(library: PathBuf, folder: &Path) -> Bench {
    Bench::new(library, &[("folder", &folder.to_string_lossy())])
}

/// The file with the verdict on lookups of the peer whose ID is this byte and zeros.
fn file(folder: &Folder, target: u8) -> PathBuf {
    folder.join(&format!("{target:02x}{}", "0".repeat(62)))
}

fn ask(bench: &Bench, target: u8) -> u64 {
    match bench.ask(target) {
        PluginAnswer::Pending(token) => token,
        PluginAnswer::Verdict(verdict) => panic!("{verdict:?} at once"),
    }
}

/// Waits for the next verdict.
fn next(bench: &Bench) -> Verdict {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut replies = bench.replies();
        assert!(replies.len() < 2, "{replies:?}");
        match replies.pop() {
            Some((_, Reply::Verdict(verdict))) => return verdict,
            Some(other) => panic!("{other:?}"),
            None => assert!(Instant::now() < deadline, "no verdict comes"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn verdicts_come_from_files_and_on_a_thread_of_the_plugin() {
    for library in libraries() {
        let folder = Folder::new();
        for (target, text) in [(1, "deny\n"), (2, "ignore"), (3, "continue\n"), (4, "perhaps\n"), (5, "")] {
            std::fs::write(file(&folder, target), text).unwrap();
        }
        std::fs::create_dir(file(&folder, 6)).unwrap();
        let bench = bench(library, folder.path());
        let decided = |target| {
            ask(&bench, target);
            next(&bench)
        };
        assert_eq!(
            [1, 2, 3, 7].map(decided),
            [Verdict::Deny(None), Verdict::Ignore, Verdict::Continue, Verdict::Continue]
        );
        for broken in [4, 5, 6] {
            assert!(matches!(decided(broken), Verdict::Failed(_)), "{broken}");
        }
        std::fs::remove_file(file(&folder, 1)).unwrap();
        assert_eq!(decided(1), Verdict::Continue, "the file is read each time");
    }
}

#[test]
fn a_lookup_that_is_cancelled_leaves_the_queue_and_gets_no_verdict() {
    for library in libraries() {
        let folder = Folder::new();
        // Reading a FIFO lasts until somebody writes.
        assert!(Command::new("mkfifo").arg(file(&folder, 1)).status().unwrap().success());
        std::fs::write(file(&folder, 2), "deny").unwrap();
        let bench = bench(library, folder.path());
        let slow = ask(&bench, 1);
        let cancelled = ask(&bench, 2);
        assert!(bench.instance.cancel(cancelled));
        assert_eq!(bench.metric("cancelled"), 1);
        assert_eq!(bench.replies(), []);

        std::fs::write(file(&folder, 1), "ignore").unwrap();
        assert_eq!(next(&bench), Verdict::Ignore);
        ask(&bench, 3);
        assert_eq!(next(&bench), Verdict::Continue, "nothing comes of the cancelled one");
        assert!(!bench.instance.cancel(slow), "it is decided");
        assert_eq!(bench.metric("cancelled"), 1);
    }
}

#[test]
fn a_full_queue_fails_at_once_and_the_end_waits_for_the_thread_alone() {
    for library in libraries() {
        let folder = Folder::new();
        assert!(Command::new("mkfifo").arg(file(&folder, 1)).status().unwrap().success());
        let Bench { instance, plugins, .. } = {
            let bench = bench(library, folder.path());
            let mut pending = 0;
            let failed = loop {
                match bench.ask(1) {
                    PluginAnswer::Pending(_) => pending += 1,
                    PluginAnswer::Verdict(verdict) => break verdict,
                }
            };
            assert!(matches!(failed, Verdict::Failed(_)), "{failed:?}");
            // One may be under way, and not in the queue any more.
            assert!((1024..=1025).contains(&pending), "{pending}");
            bench
        };
        // This waits until the thread reads; the jobs after that one find no file.
        let mut writer = std::fs::OpenOptions::new().write(true).open(file(&folder, 1)).unwrap();
        std::fs::remove_file(file(&folder, 1)).unwrap();
        drop(instance);
        let writing = std::thread::spawn(move || writer.write_all(b"continue"));
        plugins.stop();
        assert!(plugins.instances().is_empty());
        writing.join().unwrap().unwrap();
    }
}
