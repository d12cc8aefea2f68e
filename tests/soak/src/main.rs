//! A soak of introd: thousands of clients that come, go, vanish, move, call, join groups and look each other up, over three servers with a
//! Redis, while these are killed, frozen, cut off and loaded again by a plan that follows from a seed. What must hold is checked all the time
//! (`bounds.rs` has the times), and the first violation ends the soak.
//!
//! `director.rs` runs the plan (`plan.rs`) on the programs (`stage`) and looks at them from outside; `fleet` has the clients, on a thread of
//! its own, and looks at what they get; `ledger.rs` compares what scripts were told with what happened.
#![forbid(unsafe_code)]

mod bounds;
mod calm;
mod director;
mod figures;
mod fleet;
mod ledger;
mod memory;
mod options;
mod patience;
mod plan;
mod report;
mod stage;
mod violation;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser as _;

use calm::Calm;
use director::Director;
use fleet::{Fleet, Order};
use options::{Options, Settings};
use patience::Patience;
use plan::{Event, plan};
use stage::Stage;
use violation::Violation;
use world::World;

/// How long the clients may take to leave.
const LEAVING: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match run(&Options::parse().settings()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("introd-soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the soak: whether everything held.
fn run(settings: &Settings) -> anyhow::Result<bool> {
    let out = &settings.out;
    let _ = std::fs::remove_dir_all(out);
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    // Servers have folders of their own and read their files by absolute paths.
    let out = out.canonicalize()?;
    let events = plan(settings.seed, &settings.span);
    let written: String = events.iter().map(|event| format!("{event}\n")).collect();
    std::fs::write(out.join("plan.txt"), format!("seed {}\n{written}", settings.seed))?;
    eprintln!("seed {}: {} faults, in {}", settings.seed, events.len(), out.join("plan.txt").display());

    let (stage, told) = Stage::start(&out)?;
    let world = Arc::new(World::new(stage.addresses(), Calm::new(Instant::now()), Patience::start()));
    stop_at_interrupt(Arc::clone(&world))?;
    let (order, orders) = channel();
    let (note, notes) = channel();
    let fleet = Fleet::new(Arc::clone(&world), settings.load, settings.seed, orders, note)?;
    let mut director = Director::new(stage, Arc::clone(&world), told, notes, order.clone());
    let fleet = std::thread::Builder::new().name("fleet".into()).spawn(move || fleet.run())?;
    let violation = play(&mut director, &world, &events, settings.duration, &order, fleet).err();
    if let Some(violation) = &violation {
        // The clients stop, too.
        world.report(violation.clone());
    }
    let report = report::report(settings, &world, &director, violation.as_ref());
    let text = report::text(&report);
    std::fs::write(out.join("report.json"), format!("{report:#}\n"))?;
    std::fs::write(out.join("report.txt"), &text)?;
    print!("{text}");
    eprintln!("the plan, the report and the servers' logs are in {}", out.display());
    Ok(violation.is_none())
}

/// The soak from its beginning to its end in order.
fn play(
    director: &mut Director,
    world: &World,
    events: &[Event],
    duration: Duration,
    orders: &Sender<Order>,
    fleet: JoinHandle<anyhow::Result<()>>,
) -> Result<(), Violation> {
    director.run(events, duration)?;
    let _ = orders.send(Order::Leave);
    let own = |why: String| Violation::new("the soak itself works", why);
    let begun = Instant::now();
    while !fleet.is_finished() {
        director.watch()?;
        if world.patience.due(begun, LEAVING) < Instant::now() {
            return Err(own("the clients do not end".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    match fleet.join() {
        Ok(Ok(())) => (),
        Ok(Err(error)) => return Err(own(format!("{error:#}"))),
        Err(_) => return Err(own("the clients' thread panicked".to_owned())),
    }
    if let Some(violation) = world.problems.first() {
        return Err(violation);
    }
    director.close()
}

/// The first Ctrl-C ends the soak in order, with a report; the second one at once.
fn stop_at_interrupt(world: Arc<World>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                eprintln!("introd-soak: ends in order; once more to end at once");
                world.stop();
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    });
    Ok(())
}
