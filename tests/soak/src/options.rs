//! What the soak is told on its command line.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;

use crate::fleet::Load;
use crate::plan::Span;

/// Runs three servers that share a registry under load, injects faults by a plan that follows from the seed, and checks all the time what
/// must hold. Ends with status 1 at the first violation.
#[derive(Parser)]
#[command(name = "introd-soak")]
pub(crate) struct Options {
    /// How long, in hours: a fraction may be given
    #[arg(required_unless_present = "smoke", value_parser = hours)]
    hours: Option<f64>,
    /// A minute with few clients and short faults, to see whether the soak works
    #[arg(long, conflicts_with = "hours")]
    smoke: bool,
    /// The seed of the plan [default: from the clock]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Connected clients [default: 3000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(3..=100_000))]
    clients: Option<u32>,
    /// The folder for logs and the report [default: target/soak/SEED]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What follows from the options.
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) duration: Duration,
    pub(crate) span: Span,
    pub(crate) load: Load,
    pub(crate) out: PathBuf,
}

fn hours(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(hours) if (0.05..=1000.0).contains(&hours) => Ok(hours),
        _ => Err("give a number of hours from 0.05 to 1000, or --smoke".to_owned()),
    }
}

impl Options {
    pub(crate) fn settings(self) -> Settings {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = self.seed.unwrap_or(now.as_secs());
        let out =
            self.out.unwrap_or_else(|| introd_tests::cargo::workspace().join("target/soak").join(seed.to_string()));
        let second = Duration::from_secs(1);
        match self.hours {
            Some(hours) => {
                let clients = self.clients.unwrap_or(3000) as usize;
                let many = clients as f64;
                let load = Load {
                    clients,
                    arrivals: many / 30.0,
                    stay: 120 * second,
                    moves: many / 300.0,
                    calls: many / 60.0,
                    meetings: many / 200.0,
                    lookups: many / 10.0,
                    groups: clients / 50 + 1,
                };
                let duration = second.mul_f64(hours * 3600.0);
                let span = Span {
                    begin: 30 * second,
                    end: duration.saturating_sub(60 * second),
                    gap: (5 * second, 45 * second),
                    longest: 20 * second,
                };
                Settings { seed, duration, span, load, out }
            }
            None => {
                let load = Load {
                    clients: self.clients.unwrap_or(150) as usize,
                    arrivals: 20.0,
                    stay: 20 * second,
                    moves: 2.0,
                    calls: 10.0,
                    meetings: 5.0,
                    lookups: 30.0,
                    groups: 8,
                };
                let span =
                    Span { begin: 8 * second, end: 40 * second, gap: (2 * second, 5 * second), longest: 4 * second };
                Settings { seed, duration: 60 * second, span, load, out }
            }
        }
    }
}
