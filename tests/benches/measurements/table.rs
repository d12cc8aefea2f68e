//! The table of results, in Markdown: a row for each measurement, two columns for each program.

use std::collections::HashMap;
use std::path::Path;

/// Which of several results is the best.
#[derive(Clone, Copy)]
pub(crate) enum Best {
    Least,
    Most,
}

/// A measurement.
pub(crate) struct Row {
    key: &'static str,
    title: String,
    best: Best,
    aim: Option<f64>,
}

impl Row {
    pub(crate) fn new(key: &'static str, title: &str, best: Best, aim: Option<f64>) -> Self {
        Self { key, title: title.to_owned(), best, aim }
    }
}

/// The results of one program.
pub(crate) struct Column {
    pub(crate) name: String,
    results: HashMap<&'static str, Vec<f64>>,
    /// How many lookups and handshakes were not answered.
    pub(crate) lost: u64,
}

impl Column {
    pub(crate) fn new(introd: &Path) -> Self {
        Self { name: introd.display().to_string(), results: HashMap::new(), lost: 0 }
    }

    /// Adds the result of a round.
    pub(crate) fn add(&mut self, key: &'static str, result: f64) {
        self.results.entry(key).or_default().push(result);
    }

    /// The result of the last round.
    pub(crate) fn last(&self, key: &'static str) -> f64 {
        self.results.get(key).and_then(|results| results.last()).copied().unwrap_or(f64::NAN)
    }

    /// The best result and the worst.
    fn range(&self, row: &Row) -> Option<(f64, f64)> {
        let results = self.results.get(row.key)?.iter().copied();
        let (least, most) = (results.clone().reduce(f64::min)?, results.reduce(f64::max)?);
        Some(match row.best {
            Best::Least => (least, most),
            Best::Most => (most, least),
        })
    }
}

/// Prints the best and the worst of the rounds, and whether the best meets the aim.
pub(crate) fn print(rows: &[Row], columns: &[Column]) {
    let mut head = format!("| {:<52} | {:>6} |", "measurement", "aim");
    let mut line = format!("|{}|{}|", "-".repeat(54), "-".repeat(8));
    for (number, column) in columns.iter().enumerate() {
        println!("program {}: {}", number + 1, column.name);
        head += &format!(" {:>20} | {:>10} |", format!("best of program {}", number + 1), "worst");
        line += &format!("{}|{}|", "-".repeat(22), "-".repeat(12));
    }
    println!("{head}\n{line}");
    for row in rows {
        let aim = row.aim.map_or_else(String::new, |aim| aim.to_string());
        let mut text = format!("| {:<52} | {aim:>6} |", row.title);
        for column in columns {
            let Some((best, worst)) = column.range(row) else {
                text += &format!(" {:>20} | {:>10} |", "", "");
                continue;
            };
            let verdict = row.aim.map_or("", |aim| match row.best {
                Best::Least if best <= aim => "met",
                Best::Most if best >= aim => "met",
                _ => "missed",
            });
            text += &format!(" {:>20} | {worst:>10.2} |", format!("{best:.2} {verdict}"));
        }
        println!("{text}");
    }
}
