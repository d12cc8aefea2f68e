//! `introd top`: how a running server is, once a second. `state` is what is known, `view` draws it.

mod state;
mod view;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::administration::Remote;
use super::print::Printer;
use state::{Look, State};
use view::Palette;

/// How many instances are asked for: the ones with most clients among these are shown.
const MAX_INSTANCES: usize = 1000;

#[derive(Args)]
pub(in crate::cli) struct TopArgs {
    /// The time between two looks at the server, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Look so many times, and end: for --json.
    #[arg(long, value_name = "N", requires = "json", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

async fn look(remote: &Remote) -> anyhow::Result<Look> {
    let server = remote.get("server").await?;
    let counters = remote.get("counters").await?;
    let applications = remote.get(&format!("applications?limit={MAX_INSTANCES}")).await?;
    Ok(Look { at: Instant::now(), server, counters, applications })
}

pub(super) async fn top(remote: Remote, printer: Printer, args: &TopArgs) -> anyhow::Result<()> {
    let interval = Duration::from_secs(args.interval);
    if printer.is_json() {
        return print(&remote, printer, interval, args.count).await;
    }
    anyhow::ensure!(
        std::io::stdout().is_terminal() && std::io::stdin().is_terminal(),
        "this needs a terminal: use `introd status`, or --json"
    );
    // What is wrong with the address or the login is told before the screen is cleared.
    let first = look(&remote).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminal = ratatui::try_init().context("the terminal cannot be used")?;
    let mut state = State::default();
    state.take(first);
    let shown = async {
        let mut looks = looks(remote, interval);
        let mut events = events();
        loop {
            terminal.draw(|frame| view::draw(frame, &state, Palette::of_environment()))?;
            tokio::select! {
                look = looks.recv() => match look {
                    Some(Ok(look)) => state.take(look),
                    Some(Err(error)) => state.failed(&error),
                    None => return anyhow::Ok(()),
                },
                event = events.recv() => match event {
                    Some(event) if !ends(&event) => (),
                    _ => return Ok(()),
                },
                _ = terminate.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
            }
        }
    };
    let result = shown.await;
    // If the terminal is gone, nothing can be restored.
    let _ = ratatui::try_restore();
    result
}

/// A line of JSON for each look.
async fn print(remote: &Remote, printer: Printer, interval: Duration, count: Option<u64>) -> anyhow::Result<()> {
    let mut left = count;
    loop {
        let Look { server, counters, applications, .. } = look(remote).await?;
        let answers = json!({ "server": server, "counters": counters, "applications": applications });
        printer.answer(&answers, Value::to_string)?;
        left = left.map(|left| left - 1);
        if left == Some(0) {
            return Ok(());
        }
        tokio::time::sleep(interval).await;
    }
}

/// Looks at the server for ever, on a task of its own: the screen does not wait for a server that does not answer.
fn looks(remote: Remote, interval: Duration) -> mpsc::Receiver<anyhow::Result<Look>> {
    let (sender, receiver) = mpsc::channel(1);
    let remote = Arc::new(remote);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(interval).await;
            if sender.send(look(&remote).await).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// The events of the terminal. The thread that reads them ends with the process.
fn events() -> mpsc::Receiver<Event> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Whether an event of the terminal ends the view: q, Escape or Ctrl-C.
fn ends(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn q_escape_and_ctrl_c_end_the_view_and_nothing_else_does() {
        let key = |code, modifiers| Event::Key(KeyEvent::new(code, modifiers));
        for (event, expected) in [
            (key(KeyCode::Char('q'), KeyModifiers::NONE), true),
            (key(KeyCode::Esc, KeyModifiers::NONE), true),
            (key(KeyCode::Char('c'), KeyModifiers::CONTROL), true),
            (key(KeyCode::Char('c'), KeyModifiers::NONE), false),
            (key(KeyCode::Enter, KeyModifiers::NONE), false),
            (Event::Resize(10, 10), false),
            (Event::FocusLost, false),
        ] {
            assert_eq!(ends(&event), expected, "{event:?}");
        }
    }
}
