//! A program that runs, and what is left of it when it has ended.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::text::Text;
use crate::waiting::DEADLINE;

/// Of what a program has written, so much is shown when a test fails.
const SHOWN_LINES: usize = 200;

/// A program that runs. It is killed when this is dropped; if the test has failed, what it wrote is shown.
pub struct Process {
    child: Child,
    output: Text,
    log: Text,
    /// Where the next line of its output begins.
    next_line: usize,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error: its errors and its log.
    pub stderr: String,
}

impl Process {
    /// Starts a program.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = piped.spawn();
        Self::of(child.unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program())))
    }

    /// A program that was started already, with pipes for its output and its log.
    ///
    /// # Panics
    /// If they are no pipes.
    pub fn of(mut child: Child) -> Self {
        let output = Text::read(child.stdout.take().expect("its output is a pipe"));
        let log = Text::read(child.stderr.take().expect("its log is a pipe"));
        Self { child, output, log, next_line: 0 }
    }

    /// Waits for the next line of its output; `None` when there is no more.
    pub fn line(&mut self) -> Option<String> {
        let (line, next) = self.output.line(self.next_line)?;
        self.next_line = next;
        Some(line)
    }

    /// What it has written to its standard output.
    pub fn output(&self) -> &Text {
        &self.output
    }

    /// What it has written to its standard error: its errors and its log.
    pub fn log(&self) -> &Text {
        &self.log
    }

    /// Its process id.
    pub fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it has ended and was waited for.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).expect("it takes a signal");
    }

    /// The memory that it has, in KiB.
    ///
    /// # Panics
    /// If it has ended.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn ended(self) -> Ended {
        self.ended_within(DEADLINE)
    }

    /// Waits for its end, at most for so long.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn ended_within(mut self, time: Duration) -> Ended {
        let deadline = Instant::now() + time;
        let is_closed = self.output.wait_until_closed(deadline) && self.log.wait_until_closed(deadline);
        assert!(is_closed, "the program does not end");
        let status = self.child.wait().expect("it is a child");
        Ended { code: status.code(), signal: status.signal(), stdout: self.output.so_far(), stderr: self.log.so_far() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- process {} wrote to its output:\n{}", self.child.id(), last_lines(&self.output.so_far()));
            eprintln!("--- and to its log:\n{}---", last_lines(&self.log.so_far()));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_lines(text: &str) -> &str {
    let start = text.rmatch_indices('\n').nth(SHOWN_LINES).map_or(0, |(place, _)| place + 1);
    &text[start..]
}

impl Ended {
    /// A counter as the server prints it when it stops.
    ///
    /// # Panics
    /// If there is no such counter.
    pub fn counter(&self, name: &str) -> u64 {
        let line = self.stderr.lines().find(|line| line.contains(&format!("name=\"{name}\"")));
        let count = line.and_then(|line| line.rsplit_once("count=")).and_then(|(_, count)| count.trim().parse().ok());
        count.unwrap_or_else(|| panic!("no counter {name} in {}", self.stderr))
    }

    /// The object in the first line of the output.
    ///
    /// # Panics
    /// If that is no JSON.
    pub fn json(&self) -> Value {
        let line = self.stdout.lines().next().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

#[test]
fn the_last_lines_are_shown() {
    let text: String = (0..SHOWN_LINES + 50).map(|number| format!("{number}\n")).collect();
    assert!(last_lines(&text).starts_with("50\n") && last_lines(&text).ends_with("249\n"));
    assert_eq!(last_lines("one\ntwo"), "one\ntwo");
}

#[test]
fn a_process_says_what_it_writes_and_how_it_ended() {
    let mut process = Process::start(Command::new("sh").args(["-c", "echo one; echo two; echo three >&2; exit 3"]));
    assert_eq!(process.line().as_deref(), Some("one"));
    process.log().wait_for("three", 1);
    assert_eq!(process.line().as_deref(), Some("two"));
    assert_eq!(process.line(), None);
    let ended = process.ended();
    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(3), "one\ntwo\n", "three\n"));
}
