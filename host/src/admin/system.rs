//! What the process takes of the machine.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The machine and the process at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct System {
    /// Processors that the process may use.
    pub(super) processors: usize,
    /// The memory of the machine, in bytes.
    pub(super) physical_memory: u64,
    /// The memory of the process, in bytes.
    pub(super) resident: u64,
    /// The threads of the process.
    pub(super) threads: u64,
}

impl System {
    /// What the system says now; 0 where it says nothing.
    pub(super) fn now() -> Self {
        let info = rustix::system::sysinfo();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            physical_memory: u64::try_from(u128::from(info.totalram) * u128::from(info.mem_unit)).unwrap_or(u64::MAX),
            resident: number(&status, "VmRSS:").saturating_mul(1024),
            threads: number(&status, "Threads:"),
        }
    }

    /// The memory of the process in percent of the machine's.
    pub(super) fn memory_percent(&self) -> u64 {
        (self.resident.saturating_mul(100)).checked_div(self.physical_memory).unwrap_or(0)
    }
}

fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The time that the processors have spent on this process.
pub(super) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What changed since the sample before: rates per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    /// The time that processors spent on the process, in percent of all processors.
    pub(super) cpu_percent: u64,
    /// Bytes of messages received, per second.
    pub(super) bytes_in: u64,
    /// Bytes of messages sent, per second.
    pub(super) bytes_out: u64,
}

/// Totals at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    pub(super) at: Instant,
    pub(super) cpu: Duration,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

impl Totals {
    /// The rates between an earlier sample and this one.
    pub(super) fn since(&self, before: &Self, processors: usize) -> Rates {
        let millis = self.at.saturating_duration_since(before.at).as_millis().max(1);
        let rate = |now: u64, before: u64| {
            u64::try_from(u128::from(now.wrapping_sub(before)) * 1000 / millis).unwrap_or(u64::MAX)
        };
        let cpu = self.cpu.saturating_sub(before.cpu).as_millis() * 100 / millis / processors.max(1) as u128;
        Rates {
            cpu_percent: u64::try_from(cpu).unwrap_or(u64::MAX),
            bytes_in: rate(self.bytes_in, before.bytes_in),
            bytes_out: rate(self.bytes_out, before.bytes_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_memory_and_threads() {
        let system = System::now();
        assert!(system.processors > 0 && system.threads > 0);
        assert!(system.resident > 1 << 20 && system.physical_memory > system.resident, "{system:?}");
        let half = System { physical_memory: 200, resident: 100, ..system };
        assert_eq!(half.memory_percent(), 50);
        assert_eq!(System::default().memory_percent(), 0);
        assert!(cpu_time() > Duration::ZERO);
    }

    #[test]
    fn rates_are_differences_per_second() {
        let at = Instant::now();
        let before = Totals { at, cpu: Duration::from_secs(1), bytes_in: 1000, bytes_out: u64::MAX };
        let after =
            Totals { at: at + Duration::from_secs(5), cpu: Duration::from_secs(6), bytes_in: 6000, bytes_out: 9 };
        assert_eq!(after.since(&before, 2), Rates { cpu_percent: 50, bytes_in: 1000, bytes_out: 2 });
        assert_eq!(before.since(&before, 0), Rates::default());
    }
}
