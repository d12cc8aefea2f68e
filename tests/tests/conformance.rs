//! `host/rtmfp/CONFORMANCE.md` names items and tests: all of them have to exist.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What `path` means on the page.
fn resolve(path: &str) -> PathBuf {
    let base = if path.starts_with("src/") { root().join("host/rtmfp") } else { root() };
    base.join(path)
}

/// The paths in backticks in a cell, with what is named in each file.
fn references(cell: &str) -> Vec<(&str, Option<&str>)> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted
        .filter(|text| text.contains('/'))
        .map(|text| match text.split_once("::") {
            Some((path, item)) => (path, Some(item)),
            None => (text, None),
        })
        .collect()
}

/// Whether a line of `source` defines `item`: as a function, type, constant or module, or as a field.
fn defines(source: &str, item: &str) -> bool {
    source.lines().any(|line| {
        let line = line.trim_start();
        let words: Vec<&str> = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let is_defined = words.windows(2).any(|pair| {
            matches!(pair[0], "fn" | "struct" | "enum" | "const" | "static" | "type" | "trait" | "mod")
                && pair[1] == item
        });
        is_defined || line.starts_with(&format!("pub {item}:"))
    })
}

/// Whether `source` has a test of this name.
fn tests(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let declared = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        let is_named = declared.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('));
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        is_named && above.into_iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

/// The rows of a page's tables with their line numbers, without heads.
fn rows(page: &str) -> Vec<(usize, Vec<&str>)> {
    let mut rows = Vec::new();
    let mut is_head = true;
    for (number, line) in page.lines().enumerate() {
        let Some(cells) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
            is_head = true;
            continue;
        };
        if cells.starts_with("---") {
            is_head = false;
        } else if !is_head {
            rows.push((number + 1, cells.split('|').map(str::trim).collect()));
        }
    }
    rows
}

#[test]
fn everything_that_the_page_names_is_there() {
    let page = fs::read_to_string(root().join("host/rtmfp/CONFORMANCE.md")).unwrap();
    let mut sources: HashMap<PathBuf, String> = HashMap::new();
    let mut wrong = Vec::new();
    let rows = rows(&page);
    assert!(rows.len() > 150, "{}", rows.len());
    for (line, cells) in rows {
        if cells.iter().any(|cell| cell.is_empty()) {
            wrong.push(format!("line {line}: an empty cell"));
        }
        for (column, cell) in cells.iter().enumerate() {
            for (path, item) in references(cell) {
                let file = resolve(path);
                if !file.exists() {
                    wrong.push(format!("line {line}: no file {path}"));
                    continue;
                }
                let Some(item) = item else { continue };
                let source = sources.entry(file.clone()).or_insert_with(|| fs::read_to_string(&file).unwrap());
                let is_there = if column == 3 { tests(source, item) } else { defines(source, item) };
                if !is_there {
                    wrong.push(format!("line {line}: no {item} in {path}"));
                }
            }
        }
        let is_rule = cells.len() == 4;
        if is_rule && references(cells[3]).is_empty() && !cells[3].starts_with("by ") {
            wrong.push(format!("line {line}: neither a test nor a reason"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_does_not_exist_is_noticed() {
    let source = "#[test]\nfn shown() {}\nfn helper() {}\npub field: u8,\npub(crate) const LIMIT: u8 = 1;\n";
    assert!(tests(source, "shown") && !tests(source, "helper") && !tests(source, "show"));
    assert!(defines(source, "helper") && defines(source, "LIMIT") && defines(source, "field"));
    assert!(!defines(source, "help") && !defines(source, "shown_elsewhere"));
    assert_eq!(references("`a/b.rs::c`, plain `d` and `e/f.md`"), [("a/b.rs", Some("c")), ("e/f.md", None)]);
    assert_eq!(rows("| a | b |\n|---|---|\n| 1 | 2 |\n\n| c |\n|---|\n| 3 |\n").len(), 2);
}
