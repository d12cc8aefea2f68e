//! The CPU time and memory of a running process, read from `/proc`: on this machine and on Linux only.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// A tick of the times in `/proc/PID/stat`: Linux shows 100 a second to programs, whatever the kernel counts in.
const TICK: Duration = Duration::from_millis(10);
/// A process that uses less than a fiftieth of a processor over this time is taken to be idle.
const IDLE_WINDOW: Duration = Duration::from_millis(200);
/// How long a process is waited for to become idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The process of the server under load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process(pub(super) u32);

impl Process {
    /// CPU time of all its threads so far, in user space and in the kernel.
    pub(super) fn cpu(self) -> anyhow::Result<Duration> {
        self.scheduled().or_else(|_| self.ticks()).with_context(|| format!("no process {} to read about", self.0))
    }

    /// From `schedstat`, in nanoseconds. A thread that has ended is not in it any more.
    fn scheduled(self) -> anyhow::Result<Duration> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.0))? {
            // A thread may end while this goes on.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            sum += text.split_whitespace().next().context("empty schedstat")?.parse::<u64>()?;
        }
        anyhow::ensure!(sum > 0, "the kernel does not keep schedstat");
        Ok(Duration::from_nanos(sum))
    }

    /// From `stat`, in ticks.
    fn ticks(self) -> anyhow::Result<Duration> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name in parentheses may hold spaces; utime and stime are the 12th and 13th field after it.
        let (_, fields) = text.rsplit_once(')').context("stat has no name")?;
        let mut fields = fields.split_whitespace().skip(11);
        let mut next = || fields.next().and_then(|field| field.parse::<u32>().ok()).context("stat is too short");
        Ok(TICK * (next()? + next()?))
    }

    /// The memory it occupies (VmRSS), in bytes.
    pub(super) fn resident(self) -> anyhow::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0))
            .with_context(|| format!("no process {} to read about", self.0))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the kernel reports no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// On how many processors it may run.
    pub(super) fn cores(self) -> anyhow::Result<usize> {
        let pid = i32::try_from(self.0).ok().and_then(rustix::process::Pid::from_raw);
        let allowed = rustix::thread::sched_getaffinity(Some(pid.context("not a process id")?))?;
        Ok((allowed.count() as usize).max(1))
    }

    /// Calls `work` again and again until the process is idle, or has not been for some seconds.
    pub(super) fn wait_until_idle(self, mut work: impl FnMut(Duration) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let begin = Instant::now();
        let mut used = self.cpu()?;
        while begin.elapsed() < IDLE_TIMEOUT {
            let window = Instant::now();
            while window.elapsed() < IDLE_WINDOW {
                work(IDLE_WINDOW / 10)?;
            }
            let before = std::mem::replace(&mut used, self.cpu()?);
            if used.saturating_sub(before) < window.elapsed() / 50 {
                break;
            }
        }
        Ok(())
    }
}

/// CPU time of the calling thread.
pub(super) fn own_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_time() {
        let this = Process(std::process::id());
        assert!(this.resident().unwrap() > 1 << 16);
        assert!(this.cores().unwrap() >= 1);
        let before = this.ticks().unwrap();
        let mut sum = 0u64;
        while this.ticks().unwrap() < before + 5 * TICK {
            sum = std::hint::black_box((0..100_000u64).fold(sum, u64::wrapping_add));
        }
        // Threads that have ended are not in it, so it may be less.
        assert!(this.cpu().unwrap() > Duration::ZERO);
        assert!(own_cpu() > Duration::ZERO);
    }

    #[test]
    fn a_process_that_is_not_there() {
        assert!(Process(u32::MAX).cpu().is_err() && Process(u32::MAX).resident().is_err());
    }
}
