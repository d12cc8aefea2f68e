//! The tables of `conf/README.md`.

use std::fmt::Write as _;

use super::schema::{Effect, Entry, Kind, Schema};
use super::{adaptor, application, server, users, vhost};

/// Every file of the configuration.
pub(super) const SCHEMAS: [&Schema; 5] =
    [&server::SCHEMA, &users::SCHEMA, &adaptor::SCHEMA, &vhost::SCHEMA, &application::SCHEMA];

/// Every element of every file, as Markdown: its type, its default and its meaning. `conf/README.md` ends with it.
pub fn reference() -> String {
    SCHEMAS.iter().map(|schema| section(schema)).collect::<Vec<_>>().join("\n")
}

fn section(schema: &Schema) -> String {
    let mut out = format!(
        "## {}\n\nIn `<{}>`:\n\n| element | type | default | meaning |\n|---|---|---|---|\n",
        schema.file, schema.root
    );
    for entry in schema.entries {
        // Writing to a string does not fail.
        let _ =
            writeln!(out, "| {} | {} | {} | {} |", name(entry), entry.kind.describe(), default(entry), meaning(entry));
    }
    let list = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>().join(", ");
    if !schema.renamed.is_empty() {
        let renamed = list(&mut schema.renamed.iter().map(|(theirs, ours)| format!("`{theirs}` for `{ours}`")));
        let _ = writeln!(out, "\nOlder names are understood: {renamed}.");
    }
    if !schema.everywhere.is_empty() {
        let everywhere = list(
            &mut schema.everywhere.iter().map(|(name, words)| format!("`{name}`, {}", Kind::Word(words).describe())),
        );
        let _ = writeln!(out, "\nEvery element may carry the attribute {everywhere}.");
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
    match (entry.default, entry.kind) {
        ("", Kind::Tree) => "nothing in it".into(),
        ("", _) => "empty".into(),
        (text, _) => format!("`{text}`"),
    }
}
