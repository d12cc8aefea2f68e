//! The tables of `conf/README.md`.

use std::fmt::Write as _;

use super::keys::SCHEMAS;
use super::schema::{Effect, Entry, Schema};

/// Every element of every file, as Markdown: its type, its default and its meaning. `conf/README.md` ends with it.
pub fn reference() -> String {
    SCHEMAS.iter().map(|schema| section(schema)).collect::<Vec<_>>().join("\n")
}

fn section(schema: &Schema) -> String {
    let mut out = format!(
        "## {}\n\nIn `<{}>`:\n\n| element | type | default | meaning |\n|---|---|---|---|\n",
        schema.file, schema.root
    );
    for entry in schema.entries.iter() {
        // Writing to a string does not fail.
        let _ = writeln!(out, "| {} | {} | {} | {} |", name(entry), entry.must_be, default(entry), meaning(entry));
    }
    let list = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>().join(", ");
    if !schema.renamed.is_empty() {
        let renamed = list(&mut schema.renamed.iter().map(|(theirs, ours)| format!("`{theirs}` for `{ours}`")));
        let _ = writeln!(out, "\nOlder names are understood: {renamed}.");
    }
    if let Some(everywhere) = schema.everywhere {
        let _ =
            writeln!(out, "\nEvery element may carry the attribute `{}`, {}.", everywhere.name, everywhere.describe());
    }
    if !schema.unsupported.is_empty() {
        let unsupported = list(&mut schema.unsupported.iter().map(|path| format!("`{}`", path.replace('*', ""))));
        let _ = writeln!(out, "\nKnown to Adobe's servers, without effect here, and warned about: {unsupported}.");
    }
    out
}

fn meaning(entry: &Entry) -> String {
    let meaning = entry.meaning;
    match entry.effect {
        Effect::Everywhere => meaning.into(),
        Effect::DefaultOnly(why) => format!("{meaning}. **Without effect elsewhere**: {why}"),
        Effect::Nowhere(why) => format!("{meaning}. **Without effect**: {why}"),
    }
}

fn name(entry: &Entry) -> String {
    let mark = if entry.is_ours { " ◆" } else { "" };
    format!("`{}`{mark}", entry.path)
}

fn default(entry: &Entry) -> String {
    match entry.default.as_str() {
        "" if entry.is_tree => "nothing in it".into(),
        "" => "empty".into(),
        text => format!("`{text}`"),
    }
}
