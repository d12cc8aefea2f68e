//! `introd new`: the beginning of an application or of a native plugin, in a folder of its own.

mod app;
mod name;
mod plugin;

use std::path::Path;

use clap::{Args, Subcommand};

use super::files;

#[derive(Args)]
pub(super) struct NewArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// An application: a script, its settings and its test.
    App(app::AppArgs),
    /// A native plugin: its source, how to build it, and its test.
    Plugin(plugin::PluginArgs),
}

pub(super) fn new(args: &NewArgs) -> anyhow::Result<()> {
    match &args.what {
        What::App(args) => app::new(args),
        What::Plugin(args) => plugin::new(args),
    }
}

/// Writes files into a folder that is not there yet. In their names and texts, each of `values` replaces its placeholder: `{{name}}`.
fn write(folder: &Path, sources: &[(&str, &str)], values: &[(&str, &str)]) -> anyhow::Result<()> {
    files::ensure_absent(folder, "choose another name, or remove it first")?;
    for (path, text) in sources {
        files::write_new(&folder.join(filled_in(path, values)), &filled_in(text, values))?;
    }
    Ok(())
}

fn filled_in(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

#[test]
fn placeholders_are_filled_in_and_other_braces_stay() {
    let values = [("name", "club"), ("folder", "lua/club")];
    assert_eq!(filled_in("{{name}} in {{folder}} { {} {{other}}", &values), "club in lua/club { {} {{other}}");
}
