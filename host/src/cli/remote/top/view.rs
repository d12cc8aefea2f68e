//! Draws what is known of the server. A terminal may have any size: what finds no room is left out, from the bottom.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table};
use serde_json::Value;

use super::state::State;
use crate::cli::remote::drain;
use crate::cli::remote::print::{bytes, duration, list, text};

/// The counters whose rates are shown, with what they are called here.
const RATES: [(&str, &str); 12] = [
    ("rtmfp_lookups", "lookups"),
    ("rtmfp_redirects", "redirects"),
    ("rtmfp_forwards", "forwards"),
    ("rtmfp_lookups_denied", "denied"),
    ("rtmfp_lookups_unknown", "unknown"),
    ("rtmfp_lookups_over_rate", "over rate"),
    ("total_connects", "connects"),
    ("total_disconnects", "disconnects"),
    ("connects_rejected", "rejected"),
    ("group_join", "joins"),
    ("group_leave", "leaves"),
    ("msg_in", "messages in"),
];
/// The width of a rate, with its name.
const RATE_WIDTH: usize = 22;
/// The height of the curve of lookups.
const CURVE: u16 = 4;

/// How the parts are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Palette {
    has_colors: bool,
}

impl Palette {
    /// Without colors if the environment variable `NO_COLOR` is set and not empty (<https://no-color.org>).
    pub(super) fn of_environment() -> Self {
        Self { has_colors: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    fn style(self, color: Color, without: Modifier) -> Style {
        if self.has_colors { Style::new().fg(color) } else { Style::new().add_modifier(without) }
    }

    fn good(self) -> Style {
        self.style(Color::Green, Modifier::empty())
    }

    fn bad(self) -> Style {
        self.style(Color::Red, Modifier::BOLD)
    }

    fn curve(self) -> Style {
        self.style(Color::Cyan, Modifier::empty())
    }

    fn head(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, state: &State, palette: Palette) {
    let notes = notes(state, palette);
    let columns = (usize::from(frame.area().width) / RATE_WIDTH).clamp(1, 6);
    let rates = rates(state, columns);
    let height = |lines: usize| u16::try_from(lines).unwrap_or(u16::MAX);
    let curve = if frame.area().height >= 16 { CURVE } else { 0 };
    let above = [1, height(notes.len()), height(rates.len()), curve];
    let used = above.iter().fold(1, |sum: u16, height| sum.saturating_add(*height));
    let [a, b, c, d] = above;
    let rest = frame.area().height.saturating_sub(used);
    let [top, noted, numbers, curve, table, bottom] = below_each_other(frame.area(), [a, b, c, d, rest, 1]);
    frame.render_widget(Paragraph::new(head(&state.server, palette)), top);
    frame.render_widget(Paragraph::new(notes), noted);
    frame.render_widget(Paragraph::new(rates), numbers);
    draw_curve(frame, state, palette, curve);
    draw_instances(frame, state, palette, table);
    frame.render_widget(Paragraph::new("q: quit"), bottom);
}

/// Parts of these heights below each other, as far as there is room.
fn below_each_other<const N: usize>(area: Rect, heights: [u16; N]) -> [Rect; N] {
    let mut y = area.y;
    heights.map(|height| {
        let part = Rect { y, height: height.min(area.bottom().saturating_sub(y)), ..area };
        y = part.bottom();
        part
    })
}

fn head(server: &Value, palette: Palette) -> Line<'static> {
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    let is_serving = server["state"] == "serving";
    let style = if is_serving { palette.good() } else { palette.bad() };
    let rest = format!(
        "  {} clients  {} sessions  {:.0} % cpu  {}  up {}",
        text(&server["clients"]),
        text(&server["sessions"]),
        number(&server["cpu"]["used_percent"]),
        bytes(number(&server["memory_bytes"])),
        duration(number(&server["uptime_seconds"])),
    );
    let name = format!("introd {} ", text(&server["version"]));
    Line::from(vec![Span::raw(name), Span::styled(text(&server["state"]), style), Span::raw(rest)])
}

/// What is not as it should be, in lines.
fn notes(state: &State, palette: Palette) -> Vec<Line<'static>> {
    let mut notes: Vec<String> = state.failure.iter().map(|failure| format!("no answer: {failure}")).collect();
    if state.server["drain"].is_object() {
        notes.push(drain::told(&state.server["drain"]));
    }
    for name in ["problems", "notices"] {
        notes.extend(list(&state.server[name]).iter().map(text));
    }
    notes.into_iter().map(|note| Line::styled(note, palette.bad())).collect()
}

/// The rates, so many beside each other.
fn rates(state: &State, columns: usize) -> Vec<Line<'static>> {
    let shown = RATES.map(|(counter, name)| format!("{:>8.1}/s {name:<12}", state.rate(counter)));
    shown.chunks(columns).map(|line| Line::raw(line.concat())).collect()
}

fn draw_curve(frame: &mut Frame<'_>, state: &State, palette: Palette, area: Rect) {
    if area.is_empty() {
        return;
    }
    let [label, curve] = below_each_other(area, [1, area.height.saturating_sub(1)]);
    let newest = state.lookups.len().saturating_sub(usize::from(curve.width));
    let seen: Vec<u64> = state.lookups.iter().skip(newest).copied().collect();
    let most = seen.iter().max().copied().unwrap_or_default();
    let title = format!("lookups in a second, {most} at most");
    frame.render_widget(Paragraph::new(title).style(palette.head()), label);
    frame.render_widget(Sparkline::default().data(&seen).style(palette.curve()), curve);
}

fn draw_instances(frame: &mut Frame<'_>, state: &State, palette: Palette, area: Rect) {
    let memory = |memory: Option<u64>| memory.map_or_else(|| "-".to_owned(), |memory| bytes(memory as f64));
    let rows = state.instances.iter().take(usize::from(area.height)).map(|instance| {
        Row::new([
            Cell::from(instance.name.clone()),
            Cell::from(instance.clients.to_string()),
            Cell::from(instance.accepted.to_string()),
            Cell::from(instance.rejected.to_string()),
            Cell::from(memory(instance.memory)),
        ])
    });
    let name = if state.has_more { "APPLICATION (of the first 1000 instances)" } else { "APPLICATION" };
    let head = Row::new([name, "CLIENTS", "ACCEPTED", "REJECTED", "SCRIPT"]).style(palette.head());
    let widths = [
        Constraint::Min(10),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(10),
    ];
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;
    use serde_json::json;

    use super::super::state::tests::look;
    use super::*;

    fn state() -> State {
        let (mut state, start) = (State::default(), Instant::now());
        state.take(look(start, 0));
        state.take(look(start + Duration::from_secs(1), 150));
        state
    }

    fn drawn(state: &State, has_colors: bool, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state, Palette { has_colors })).unwrap();
        terminal.backend().buffer().clone()
    }

    fn lines(buffer: &Buffer) -> Vec<String> {
        let width = usize::from(buffer.area.width).max(1);
        let cells: Vec<&str> = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        cells.chunks(width).map(|line| line.concat().trim_end().to_owned()).collect()
    }

    #[test]
    fn a_usual_terminal_shows_the_server_its_rates_and_its_instances() {
        let lines = lines(&drawn(&state(), true, 100, 24));
        assert_eq!(lines[0], "introd 0.1.0 serving  12 clients  13 sessions  4 % cpu  22.9 MiB  up 1 h 1 min");
        assert!(lines[1].starts_with("   150.0/s lookups         75.0/s redirects"), "{lines:#?}");
        assert!(lines.iter().any(|line| line == "lookups in a second, 150 at most"), "{lines:#?}");
        let large = lines.iter().position(|line| line.starts_with("chat/large")).unwrap();
        assert!(lines[large].ends_with("2.0 KiB") && lines[large + 1].starts_with("chat/small"), "{lines:#?}");
        assert_eq!(lines[23], "q: quit");
    }

    #[test]
    fn what_is_wrong_stands_below_the_head() {
        let mut state = state();
        state.failed(&anyhow::anyhow!("nothing listens there"));
        state.server["state"] = json!("draining");
        state.server["drain"] = json!({"to": [], "until": null, "left": 12});
        state.server["problems"] = json!(["worker 1 does not answer"]);
        state.server["notices"] = json!(["20 clients are hidden"]);
        let lines = lines(&drawn(&state, true, 100, 24));
        assert!(lines[0].starts_with("introd 0.1.0 draining"));
        assert_eq!(lines[1], "no answer: nothing listens there");
        assert!(lines[2].ends_with("the last of 12 clients is gone") && lines[3] == "worker 1 does not answer");
        assert_eq!(lines[4], "20 clients are hidden");
    }

    #[test]
    fn a_terminal_of_any_size_is_drawn() {
        let (state, empty) = (state(), State::default());
        for width in (0..10).chain([20, 22, 43, 44, 79, 200, 600]) {
            for height in (0..10).chain([15, 16, 17, 24, 100]) {
                drawn(&state, true, width, height);
                drawn(&empty, true, width, height);
            }
        }
        let narrow = lines(&drawn(&state, true, 25, 24));
        assert_eq!(narrow[0], "introd 0.1.0 serving  12");
        assert_eq!([narrow[1].as_str(), &narrow[2]], ["   150.0/s lookups", "    75.0/s redirects"]);
        // What is most important keeps its place.
        let low = lines(&drawn(&state, true, 20, 3));
        assert_eq!(low, ["introd 0.1.0 serving", "   150.0/s lookups", "    75.0/s redirects"]);
    }

    #[test]
    fn without_colors_there_are_none() {
        let mut state = state();
        state.failed(&anyhow::anyhow!("nothing listens there"));
        let colored = |has_colors| {
            let buffer = drawn(&state, has_colors, 100, 24);
            buffer.content.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
        };
        assert!(colored(true) && !colored(false));
    }
}
