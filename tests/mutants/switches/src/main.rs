//! Puts all faults of some source files into them at once, each behind a switch: `fault_switch::is_on(NUMBER)`.
//!
//! Reads an [`Order`] as JSON from standard input and writes a [`Delivery`] as JSON to standard output.
#![forbid(unsafe_code)]

mod render;
mod sites;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

/// Source files and the faults that go into them.
#[derive(Deserialize)]
struct Order {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    /// For messages.
    path: String,
    source: String,
    faults: Vec<Fault>,
}

/// A fault as `cargo mutants --list --json` describes it, with a number.
#[derive(Deserialize, Clone, Debug)]
struct Fault {
    number: u32,
    genre: Genre,
    span: Span,
    replacement: String,
}

/// The kinds of faults that cargo-mutants knows.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Span {
    start: Position,
    end: Position,
}

/// Both count from 1; a column is a character.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Position {
    line: usize,
    column: usize,
}

/// The files with switches, in the order of the [`Order`].
#[derive(Serialize)]
struct Delivery {
    files: Vec<Switched>,
}

#[derive(Serialize)]
struct Switched {
    source: String,
    /// Where each fault's own code is in `source`, in bytes. An error of the compiler in there is the fault's.
    placed: Vec<Placed>,
    /// Faults for which there is no place, with the reason.
    unplaced: BTreeMap<u32, &'static str>,
}

#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
struct Placed {
    number: u32,
    start: usize,
    end: usize,
    /// The whole switch, for errors beside the fault's own code. In bytes.
    around: (usize, usize),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    let order: Order = serde_json::from_str(&input)?;
    let mut files = Vec::new();
    for file in order.files {
        files.push(switched(&file).map_err(|error| format!("{}: {error}", file.path))?);
    }
    serde_json::to_writer(io::stdout(), &Delivery { files })?;
    Ok(())
}

fn switched(file: &File) -> syn::Result<Switched> {
    let (sites, unplaced) = sites::find(&file.source, &file.faults)?;
    let (source, placed) = render::render(&file.source, sites);
    Ok(Switched { source, placed, unplaced })
}
