//! Whether what introd computes with secrets takes the same steps, and the same time, whatever they are.
//!
//!     constant-time [SECONDS]           times each computation by the clock, for so many seconds each (10 unless given)
//!     constant-time steps NUMBER        does each short one once with the secret of this number, for a tool that watches
//!     constant-time marks               prints where the steps begin and end
//!     constant-time subjects            names the computations, and says whether their steps are to be the same
//!
//! `tests/traces.rs` watches the steps by valgrind: each instruction and each address of memory must be the same for all secrets.
#![forbid(unsafe_code)]

mod subjects;
mod timing;

use std::hint::black_box;
use std::time::Duration;

use anyhow::Context as _;

use subjects::{Computation, short_subjects, subjects};
use timing::{SUSPICIOUS, time};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["steps", number] => steps(number.parse().context("the number of a secret")?),
        ["marks"] => println!("{:x} {:x}", begin as fn(u64) as usize, end as fn(u64) as usize),
        ["subjects"] => {
            for subject in short_subjects() {
                println!("{} {}", if subject.is_control { "differs" } else { "same" }, subject.name);
            }
        }
        [] => times(10),
        [seconds] => times(seconds.parse().context("a number of seconds")?),
        _ => anyhow::bail!("the arguments are at most a number of seconds, or `steps NUMBER`, `marks` or `subjects`"),
    }
    Ok(())
}

/// Does each computation with the secret of this number, between marks. What is done once in a process is done before.
fn steps(number: u64) {
    for subject in short_subjects() {
        let mut first: Computation = (subject.on_secret)(3);
        first();
        drop(first);
        let mut compute = (subject.on_secret)(number);
        begin(number);
        compute();
        end(number);
    }
}

/// Marks where the steps of a computation begin.
#[inline(never)]
fn begin(number: u64) {
    black_box(number);
}

/// Marks where they end. It differs from [`begin`], so that the compiler does not make one function of them.
#[inline(never)]
fn end(number: u64) {
    black_box(number + 1);
}

fn times(seconds: u64) {
    println!("{:<42} {:>8} {:>12} {:>12} {:>8}", "nanoseconds", "count", "one secret", "random ones", "t");
    for subject in subjects() {
        let timing = time(&subject, Duration::from_secs(seconds));
        let [one, random] = timing.medians;
        let verdict = if timing.t.abs() < SUSPICIOUS { "" } else { "  differs" };
        println!("{:<42} {:>8} {one:>12.0} {random:>12.0} {:>8.1}{verdict}", subject.name, timing.count, timing.t);
    }
}
