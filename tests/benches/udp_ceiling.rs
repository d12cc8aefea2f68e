//! The ceiling that UDP sets on this computer, by the server's own socket code (`introd_tests::udp_ceiling`).
//!
//! ```text
//! cargo bench -p introd-tests --bench udp_ceiling                      3 s each
//! cargo bench -p introd-tests --bench udp_ceiling -- --seconds 10 --window 64 --listen 127.0.0.1
//! cargo bench -p introd-tests --bench udp_ceiling -- --smoke           0.2 s each: does it work?
//! ```
//!
//! `wall/s` is what server and load reach together, each on a core; `cpu/s` is what the server thread's CPU time alone
//! would allow, and `us` that CPU time for one request with its replies. When `wall/s` is well below `cpu/s` the load
//! was the limit, or the cores were not free.

use std::time::Duration;

use anyhow::{Context, bail};
use introd_tests::udp_ceiling::{Options, Shape, measure};

const SMOKE: Duration = Duration::from_millis(200);

fn main() -> anyhow::Result<()> {
    let base = options()?;
    println!(
        "{:<12} {:>5} {:>10} {:>10} {:>7} {:>8} {:>8} {:>6}",
        "shape", "bytes", "wall/s", "cpu/s", "us", "server%", "load%", "lost"
    );
    for (name, shape) in [("1-in/1-out", Shape::OneOut), ("1-in/2-out", Shape::TwoOut)] {
        for payload in [64, 100] {
            let ceiling = measure(Options { shape, payload, ..base })?;
            let share = |cpu: Duration| 100.0 * cpu.as_secs_f64() / ceiling.elapsed.as_secs_f64();
            println!(
                "{name:<12} {payload:>5} {:>10.0} {:>10.0} {:>7.2} {:>8.0} {:>8.0} {:>6}",
                ceiling.wall_rate(),
                ceiling.cpu_rate(),
                ceiling.cpu_micros(),
                share(ceiling.server_cpu),
                share(ceiling.load_cpu),
                ceiling.lost
            );
            if !ceiling.pinned {
                println!("only one core: server and load shared it");
            }
        }
    }
    Ok(())
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options::default();
    // `cargo bench` says so; `cargo test --benches` only wants to know whether it works.
    if !std::env::args().any(|argument| argument == "--bench") {
        options.duration = SMOKE;
    }
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => {}
            "--smoke" => options.duration = SMOKE,
            "--seconds" => options.duration = Duration::try_from_secs_f64(value()?.parse()?)?,
            "--window" => options.window = value()?.parse()?,
            "--listen" => options.listen = value()?.parse()?,
            _ => bail!("unknown argument {argument}: try --smoke, --seconds S, --window N, --listen IP"),
        }
    }
    Ok(options)
}
