//! `host/rtmfp/CONFORMANCE.md` names items and tests, `tests/README.md` names tests and files, `ARCHITECTURE.md` names paths and items, and
//! comments name sections of the `WIRE.md` pages: all of them have to exist.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
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

/// The Rust files under a folder.
fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// A source with its comments as running text: a citation may stand on two lines.
fn running_text(source: &str) -> String {
    let lines = source.lines().map(|line| line.trim().trim_start_matches(['/', '!']).trim_start());
    lines.collect::<Vec<_>>().join(" ")
}

/// The citations of pages called WIRE.md in a text: the path in front of the name, if any, and the sections that follow it.
fn citations(text: &str) -> Vec<(&str, Vec<&str>)> {
    const PAGE: &str = "WIRE.md";
    let places = text.match_indices(PAGE);
    let cited = places.map(|(at, _)| {
        let before = &text[..at];
        let path = &before[before.rfind([' ', '(', '`', '[', '"']).map_or(0, |space| space + 1)..];
        let mut sections = Vec::new();
        let mut rest = &text[at + PAGE.len()..];
        while let Some(after) = [" §", ", §", " and §"].iter().find_map(|joint| rest.strip_prefix(joint)) {
            let end = after.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(after.len());
            let section = after[..end].trim_end_matches('.');
            sections.push(section);
            rest = &after[section.len()..];
        }
        (path, sections)
    });
    cited.collect()
}

/// Whether a page has a section of this number.
fn has_section(page: &str, number: &str) -> bool {
    let mut headings = page.lines().filter_map(|line| line.strip_prefix('#'));
    headings.any(|heading| heading.trim_start_matches('#').split_whitespace().next() == Some(number))
}

#[test]
fn every_section_of_a_wire_page_that_a_comment_cites_is_there() {
    let mut files = Vec::new();
    for folder in ["host", "plugins", "plugin-api", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let (mut checked, mut wrong) = (0, Vec::new());
    for file in files.iter().filter(|file| !file.ends_with("tests/tests/conformance.rs")) {
        let text = running_text(&fs::read_to_string(file).unwrap());
        for (path, sections) in citations(&text) {
            let of_crate = || file.ancestors().map(|folder| folder.join("WIRE.md")).find(|page| page.exists());
            let page = if path.is_empty() { of_crate() } else { Some(root().join(path).join("WIRE.md")) };
            let Some(page) = page.and_then(|page| fs::read_to_string(page).ok()) else {
                wrong.push(format!("{}: no page {path}WIRE.md", file.display()));
                continue;
            };
            checked += sections.len();
            let missing = sections.into_iter().filter(|section| !has_section(&page, section));
            wrong.extend(missing.map(|section| format!("{}: no section {section}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 30, "{checked}");
}

#[test]
fn every_section_that_a_wire_page_refers_to_is_there() {
    let page = fs::read_to_string(root().join("host/netgroup/WIRE.md")).unwrap();
    let references: Vec<&str> = page.split("(§").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(references.len() > 5, "{references:?}");
    for reference in references {
        assert!(has_section(&page, reference), "{reference}");
    }
}

#[test]
fn a_section_that_is_not_there_is_noticed() {
    let page = "# Page\n\n## 1 One\n\n### 1.1 One and one\n";
    assert!(has_section(page, "1") && has_section(page, "1.1"));
    assert!(!has_section(page, "1.2") && !has_section(page, "One"));
    let source =
        "//! As it is (WIRE.md §1.1, §1).\n    /// Elsewhere, too: (host/a/WIRE.md\n    /// §3). See `WIRE.md`.\n";
    let text = running_text(source);
    assert_eq!(citations(&text), [("", vec!["1.1", "1"]), ("host/a/", vec!["3"]), ("", vec![])]);
}

/// The names in backticks on a page that must be files (`name.rs`, perhaps with folders before it) or tests (three words or more).
fn claims(page: &str) -> Vec<&str> {
    let quoted = page.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_file = |text: &str| text.ends_with(".rs") && !text.contains(' ');
    let is_test = |text: &str| {
        text.matches('_').count() >= 2
            && text.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
    };
    quoted.filter(|text| is_file(text) || is_test(text)).collect()
}

#[test]
fn every_test_and_file_that_a_page_about_tests_names_exists() {
    let mut files = Vec::new();
    for folder in ["host", "plugins", "plugin-api", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let sources: Vec<String> = files.iter().map(|file| fs::read_to_string(file).expect("a source")).collect();
    let exists = |name: &str| {
        let file = if name.ends_with(".rs") { name.to_owned() } else { format!("{name}.rs") };
        files.iter().any(|path| path.ends_with(&file)) || sources.iter().any(|source| tests(source, name))
    };
    for (page, least) in [("tests/README.md", 60), ("docs/systemd.md", 8)] {
        let text = fs::read_to_string(root().join(page)).expect("the page");
        let claims = claims(&text);
        assert!(claims.len() >= least, "{page}: {}", claims.len());
        let missing: Vec<&str> = claims.into_iter().filter(|name| !exists(name)).collect();
        assert!(missing.is_empty(), "{page} names what is not there: {missing:?}");
    }
}

#[test]
fn names_of_tests_and_files_are_told_from_other_words() {
    let page = "| `serve/mail.rs`, `e2e`: `a_b_c` and `MaxSessionWork` | `stage.py` `two_words` `cargo test --test x` |\n`d_e_f.rs`";
    assert_eq!(claims(page), ["serve/mail.rs", "a_b_c", "d_e_f.rs"]);
}

/// What stands in backticks on a page, with the numbers of the lines.
fn quoted(page: &str) -> Vec<(usize, &str)> {
    let mut quoted = Vec::new();
    for (number, line) in page.lines().enumerate() {
        quoted.extend(line.split('`').skip(1).step_by(2).map(|text| (number + 1, text)));
    }
    quoted
}

/// Whether a text in backticks is the path of a file or a folder.
fn is_path(text: &str) -> bool {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/._-".contains(char);
    text.contains('/') && text.chars().all(is_plain)
}

/// The parts of a text in backticks that is an item's name (`Worker::run`, `fallback`); none if it is something else.
fn item(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = text.split("::").collect();
    let is_word =
        |part: &&str| !part.is_empty() && part.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    if parts.iter().all(is_word) { parts } else { Vec::new() }
}

/// The words of a source.
fn words(source: &str) -> HashSet<&str> {
    source.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_')).collect()
}

#[test]
fn every_path_and_item_that_the_map_of_the_code_names_exists() {
    let mut files = Vec::new();
    for folder in ["host", "plugins", "plugin-api", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let sources: Vec<String> = files.iter().map(|file| fs::read_to_string(file).expect("a source")).collect();
    let sources: Vec<HashSet<&str>> = sources.iter().map(|source| words(source)).collect();
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page");
    let (mut paths, mut missing) = (0, Vec::new());
    for (line, text) in quoted(&page) {
        let exists = if is_path(text) {
            paths += 1;
            root().join(text).exists()
        } else {
            let parts = item(text);
            sources.iter().any(|source| parts.iter().all(|part| source.contains(part)))
        };
        if !exists {
            missing.push(format!("line {line}: {text}"));
        }
    }
    assert!(missing.is_empty(), "ARCHITECTURE.md names what is not there:\n{}", missing.join("\n"));
    assert!(paths > 100, "{paths}");
}

#[test]
fn paths_and_items_are_told_from_other_words() {
    assert_eq!(quoted("a `b` c\n`d/e.rs` and `f g`"), [(1, "b"), (2, "d/e.rs"), (2, "f g")]);
    assert!(is_path("host/src") && is_path("a-b/c_d.rs") && !is_path("a") && !is_path("cargo doc a/b"));
    assert_eq!(item("Worker::run"), ["Worker", "run"]);
    assert_eq!((item("fallback"), item("select!"), item("cargo doc")), (vec!["fallback"], vec![], vec![]));
    assert!(words("fn a(b: C_d)").contains("C_d") && !words("fn ab()").contains("a"));
}
