//! The table in `docs/nats.md`, as the matrix has found it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path as FilePath;

use introd_tests::cargo::workspace;

use super::kinds::{Kind, Path};

const PAGE: &str = "docs/nats.md";
const BEGIN: &str = "<!-- made by tests/nat/matrix -->\n";
const END: &str = "<!-- end -->";

/// The table, with a row for each kind of asker.
pub(super) fn render(path: impl Fn(Kind, Kind) -> Path) -> String {
    let mut table = "| asker \\ target |".to_owned();
    for target in Kind::ALL {
        let _ = write!(table, " {} |", target.name());
    }
    table += &format!("\n|---|{}\n", "---|".repeat(Kind::ALL.len()));
    for asker in Kind::ALL {
        let _ = write!(table, "| **{}** |", asker.name());
        for target in Kind::ALL {
            table += match path(asker, target) {
                Path::Direct => " direct |",
                Path::Relay => " *relay* |",
            };
        }
        table.push('\n');
    }
    table
}

/// The page has the table.
pub(super) fn is_on_the_page(table: &str) {
    let file = workspace().join(PAGE);
    let page = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{PAGE}: {error}"));
    let (before, rest) = page.split_once(BEGIN).unwrap_or_else(|| panic!("{PAGE} has no line {BEGIN:?}"));
    let (there, after) = rest.split_once(END).unwrap_or_else(|| panic!("{PAGE} has no {END:?} behind the table"));
    if std::env::var_os("INTROD_BLESS").is_some() {
        write(&file, &format!("{before}{BEGIN}{table}{END}{after}"));
        return;
    }
    assert_eq!(there, table, "{PAGE}: run this test once with INTROD_BLESS=1 and look at what changed");
}

fn write(file: &FilePath, page: &str) {
    fs::write(file, page).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
