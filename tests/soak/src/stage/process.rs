//! One process of a server.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// A process, which is killed when this is dropped.
pub(super) struct Process {
    pub(super) child: Child,
    /// What it writes to its output.
    lines: Receiver<String>,
    /// Reads its log.
    pub(super) log: Option<JoinHandle<()>>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Status(i32),
    Signal(i32),
}

impl Process {
    /// Starts it. The caller reads what it writes to its standard error.
    pub(super) fn start(command: &mut Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for the soak, which then stops its servers in order.
        command.process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        let output = child.stdout.take().context("no output")?;
        Ok(Self { child, lines: lines(output), log: None })
    }

    /// Waits until it has written such a line to its output.
    pub(super) fn says(&self, time: Duration, is_it: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + time;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if is_it(&line) => return Ok(()),
                Ok(_) => (),
                Err(RecvTimeoutError::Timeout) => bail!("it does not say what is expected within {time:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("it has ended: see its log"),
            }
        }
    }

    /// Whether a process that has ended wrote such a line to its output, after those that were waited for.
    pub(super) fn has_said(&self, is_it: impl Fn(&str) -> bool) -> bool {
        self.lines.iter().any(|line| is_it(&line))
    }

    /// How it ended, if it has. All of its log has been told then.
    pub(super) fn has_ended(&mut self) -> anyhow::Result<Option<Exit>> {
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        if let Some(log) = self.log.take() {
            let _ = log.join();
        }
        Ok(Some(status.code().map_or_else(|| Exit::Signal(status.signal().unwrap_or_default()), Exit::Status)))
    }

    /// Waits for its end.
    pub(super) fn ended_within(&mut self, time: Duration) -> anyhow::Result<Exit> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(exit) = self.has_ended()? {
                return Ok(exit);
            }
            if Instant::now() > deadline {
                bail!("it does not end within {time:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of an output, read in a thread of its own.
fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (to, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            if to.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
