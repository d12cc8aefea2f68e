//! The tables of the files hold together, and each line of them is read and checked.

use super::Folder;
use crate::keys::SCHEMAS;
use crate::schema::{Effect, Entry, Schema};

fn file(schema: &Schema) -> String {
    let folder = match schema.file {
        "Adaptor.xml" => "_defaultRoot_/",
        "Vhost.xml" | "Application.xml" => "_defaultRoot_/_defaultVHost_/",
        _ => "",
    };
    format!("{folder}{}", schema.file)
}

/// A file in which only one value stands.
fn document(schema: &Schema, path: &str, value: &str) -> String {
    let path = path.replace('*', "");
    let (elements, attribute) =
        path.split_once('@').map_or((path.as_str(), None), |(elements, name)| (elements, Some(name)));
    let names: Vec<&str> = elements.split('/').filter(|name| !name.is_empty()).collect();
    let (last, before) = names.split_last().unwrap();
    let open: String = before.iter().map(|name| format!("<{name}>")).collect();
    let close: String = before.iter().rev().map(|name| format!("</{name}>")).collect();
    let inner = match attribute {
        Some(attribute) => format!("<{last} {attribute}=\"{value}\"/>"),
        None => format!("<{last}>{value}</{last}>"),
    };
    format!("<{root}>{open}{inner}{close}</{root}>", root = schema.root)
}

fn load(schema: &Schema, entry: &Entry, value: &str) -> String {
    Folder::new().with(&file(schema), document(schema, &entry.path, value)).problems()
}

#[test]
fn each_line_is_read_and_refuses_what_it_must() {
    for schema in SCHEMAS {
        for entry in schema.entries.iter().filter(|entry| !entry.is_tree) {
            // No kind of value may hold so long a text, nor one like this.
            let problems = load(schema, entry, &format!("!{}", "x".repeat(5000)));
            if entry.path == "RTMFP@enable" {
                // What is not `true` turns it off.
                assert!(problems.contains("warning: RTMFP@enable: only `true` turns RTMFP on"), "{problems}");
                continue;
            }
            let path = &entry.plain;
            let told = problems.lines().filter(|line| line.contains(&format!("error: {path}: "))).count();
            assert_eq!(told, 1, "{} {path}: {problems}", schema.file);
        }
    }
}

#[test]
fn each_default_may_be_written_out() {
    for schema in SCHEMAS {
        for entry in schema.entries.iter() {
            let problems = load(schema, entry, &entry.default);
            let is_plugin_without_path = entry.path.starts_with("Plugins/Plugin");
            // An empty list of allowed ones may be meant to keep everyone out, and does not.
            let is_odd = entry.path == "Allow";
            let is_idle = matches!(entry.effect, Effect::Nowhere(_)) && !entry.default.is_empty();
            let is_told = problems.lines().count() == 1 && problems.contains(": warning: ");
            let is_right = if is_odd || is_idle { is_told } else { problems.is_empty() };
            assert!(is_plugin_without_path || is_right, "{}: {problems}", entry.path);
        }
    }
}

/// The bounds that the tables name, and whether -1 is allowed for no limit.
fn bounds(must_be: &str) -> Option<(i64, i64, bool)> {
    let (bounds, has_none) = match must_be.strip_suffix(", or -1 for no limit") {
        Some(bounds) => (bounds, true),
        None => (must_be, false),
    };
    let (least, most) = bounds.split_once(" from ")?.1.split_once(" to ")?;
    Some((least.parse().ok()?, most.parse().ok()?, has_none))
}

#[test]
fn the_bounds_of_numbers_are_just_inside() {
    let mut count = 0;
    for schema in SCHEMAS {
        for entry in schema.entries.iter() {
            let Some((least, most, has_none)) = bounds(&entry.must_be) else { continue };
            let below = if has_none { -2 } else { least - 1 };
            let inside = [Some(least), Some(most), has_none.then_some(-1)];
            let outside = [below, most + 1];
            let must = format!("error: {}: must be ", entry.plain);
            for value in inside.into_iter().flatten() {
                let problems = load(schema, entry, &value.to_string());
                assert!(!problems.contains(&must), "{} = {value}: {problems}", entry.path);
            }
            for value in outside {
                let problems = load(schema, entry, &value.to_string());
                assert!(problems.contains(&must), "{} = {value}: {problems}", entry.path);
            }
            count += 1;
        }
    }
    assert!(count > 20);
}

#[test]
fn each_unsupported_name_is_a_warning_that_names_it() {
    for schema in SCHEMAS {
        for path in schema.unsupported {
            let folder = Folder::new().with(&file(schema), document(schema, path, "something"));
            let plain = path.replace('*', "");
            let problems = folder.problems();
            assert_eq!(problems.lines().count(), 1, "{path}: {problems}");
            assert!(problems.contains("warning: ") && problems.contains(&plain), "{path}: {problems}");
            assert!(folder.load().is_ok(), "{path}");
        }
    }
}

#[test]
fn no_path_stands_twice() {
    for schema in SCHEMAS {
        let mut paths: Vec<&str> =
            schema.entries.iter().map(|entry| entry.path.as_str()).chain(schema.unsupported.iter().copied()).collect();
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count, "{}", schema.file);
    }
}
