//! Whether the memory of servers is flat while the number of their clients is the same.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bounds::{GROWTH_AT_ALL, GROWTH_PER_HOUR, WARM_UP};
use crate::plan::server_name;
use crate::violation::Violation;

/// The samples at either end whose middle is compared.
const COMPARED: usize = 30;
/// How often memory is looked at.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);
/// What a client may take, in KiB, if there are more of them than at the beginning.
const PER_CLIENT: u64 = 16;

/// The memory of one process of a server.
pub(crate) struct Memory {
    server: usize,
    life: u32,
    started: Instant,
    samples: Vec<Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    /// Since the process started.
    age: Duration,
    /// KiB.
    resident: u64,
    clients: usize,
}

impl Memory {
    pub(crate) fn new(server: usize, life: u32, started: Instant) -> Self {
        Self { server, life, started, samples: Vec::new() }
    }

    /// Whether it is that of this process of a server.
    pub(crate) fn is_of(&self, server: usize, life: u32) -> bool {
        (self.server, self.life) == (server, life)
    }

    /// Notes how much memory the process has at this moment, in KiB, and how many clients.
    pub(crate) fn note(&mut self, now: Instant, resident: u64, clients: usize) {
        self.samples.push(Sample { age: now.saturating_duration_since(self.started), resident, clients });
    }

    /// The last sample, in KiB.
    pub(crate) fn latest(&self) -> u64 {
        self.samples.last().map_or(0, |sample| sample.resident)
    }

    /// Compares the memory with that after the warm-up. `Ok(false)`: the process has not lived for long enough.
    pub(crate) fn check(&self) -> Result<bool, Violation> {
        let warm: Vec<Sample> = self.samples.iter().copied().filter(|sample| sample.age >= WARM_UP).collect();
        if warm.len() < 2 * COMPARED {
            return Ok(false);
        }
        let (first, last) = (middle(&warm[..COMPARED]), middle(&warm[warm.len() - COMPARED..]));
        let hours = (last.age - first.age).as_secs_f64() / 3600.0;
        let clients = last.clients.saturating_sub(first.clients) as u64;
        let allowed = first.resident + GROWTH_AT_ALL + (GROWTH_PER_HOUR as f64 * hours) as u64 + PER_CLIENT * clients;
        if last.resident > allowed {
            let seen = format!(
                "server {}, life {}, had {} KiB with {} clients after the warm-up, and has {} KiB with {} clients {hours:.2} hours later: \
                 more than {allowed}",
                server_name(self.server),
                self.life,
                first.resident,
                first.clients,
                last.resident,
                last.clients
            );
            return Err(Violation::new("the memory of a server is flat", seen));
        }
        Ok(true)
    }

    /// At most 200 samples, evenly over time.
    pub(crate) fn json(&self) -> Value {
        let step = self.samples.len().div_ceil(200).max(1);
        let samples: Vec<Value> = self
            .samples
            .iter()
            .step_by(step)
            .map(|sample| json!([sample.age.as_secs(), sample.resident, sample.clients]))
            .collect();
        json!({
            "server": server_name(self.server),
            "life": self.life,
            "seconds_kib_clients": samples,
            "is_judged": matches!(self.check(), Ok(true)),
        })
    }
}

/// Of each number the median.
fn middle(samples: &[Sample]) -> Sample {
    let (mut resident, mut clients): (Vec<u64>, Vec<usize>) =
        samples.iter().map(|sample| (sample.resident, sample.clients)).unzip();
    resident.sort_unstable();
    clients.sort_unstable();
    let place = samples.len() / 2;
    Sample { age: samples[place].age, resident: resident[place], clients: clients[place] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(resident: impl Fn(u64) -> u64, clients: impl Fn(u64) -> usize, seconds: u64) -> Result<bool, Violation> {
        let started = Instant::now();
        let mut memory = Memory::new(0, 1, started);
        for second in (0..seconds).step_by(INTERVAL.as_secs() as usize) {
            memory.note(started + Duration::from_secs(second), resident(second), clients(second));
        }
        memory.check()
    }

    #[test]
    fn memory_that_grows_with_time_is_noticed_and_not_that_of_a_warm_up_or_of_clients() {
        assert!(!with(|second| second * 1000, |_| 10, 500).unwrap(), "too short");
        assert!(with(|second| 50_000 + second.min(250) * 1000, |_| 10, 7200).unwrap(), "it warms up");
        assert!(with(|second| 50_000 + second * 20, |_| 10, 7200).is_err(), "70 MiB an hour");
        assert!(with(|second| 50_000 + second, |_| 10, 7200).unwrap(), "3 MiB an hour");
        assert!(with(|second| 50_000 + second * 10, |second| second as usize, 7200).unwrap(), "as many more clients");
        assert!(with(|second| 50_000 + (second % 100) * 1000, |_| 10, 7200).unwrap(), "up and down");
    }
}
