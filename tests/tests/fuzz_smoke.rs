//! The fuzz targets without a fuzzer: over their corpus, and over mutations that follow from a seed.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use introd_tests::fuzzing::mutate::Mutator;
use introd_tests::fuzzing::{TARGETS, Target};

/// With this set in the environment, so many times as many mutations are tried.
const FACTOR: &str = "INTROD_FUZZ_FACTOR";

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name);
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Shows the input that a target failed on.
struct ShowOnPanic<'a>(&'a str, &'a [u8]);

impl Drop for ShowOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the target {} failed on {}", self.0, hex::encode(self.1));
        }
    }
}

fn smoke(name: &str, mutations: usize) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let factor = std::env::var(FACTOR).map_or(1, |factor| factor.parse().expect("a number"));
    let corpus = corpus(target);
    assert!(!corpus.is_empty());
    for input in &corpus {
        let _shown = ShowOnPanic(name, input);
        (target.run)(input);
    }
    let mut mutator = Mutator::new(1);
    for _ in 0..mutations * factor {
        let input = mutator.mutate(&corpus, target.max_len);
        let _shown = ShowOnPanic(name, &input);
        (target.run)(&input);
    }
}

#[test]
fn wire() {
    smoke("wire", 20_000);
}

#[test]
fn certificate() {
    smoke("certificate", 5_000);
}

#[test]
fn amf() {
    smoke("amf", 20_000);
}

#[test]
fn connection() {
    smoke("connection", 5_000);
}

#[test]
fn endpoint() {
    smoke("endpoint", 2_000);
}

#[test]
fn barriers() {
    smoke("barriers", 2_000);
}

#[test]
fn directory() {
    smoke("directory", 5_000);
}

#[test]
fn administration() {
    smoke("administration", 1_000);
}

#[test]
fn announcements() {
    smoke("announcements", 5_000);
}

#[test]
fn config() {
    smoke("config", 1_000);
}
