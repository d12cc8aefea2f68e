//! `introd new plugin`: the source of a native plugin, in Rust or C, with its test.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::name::Name;
use super::write;
use crate::cli::output;

/// The files of a plugin in Rust, from its folder on.
const RUST: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("rust/Cargo.toml.in")),
    ("src/lib.rs", include_str!("rust/lib.rs.in")),
    ("README.md", include_str!("rust/README.md")),
    (".gitignore", "/target\n"),
];

/// The files of a plugin in C. The header is that of the server which writes them: `make` finds it without an installed one.
const C: [(&str, &str); 6] = [
    ("Makefile", include_str!("c/Makefile.in")),
    ("{{name}}.c", include_str!("c/plugin.c.in")),
    ("{{name}}_test.c", include_str!("c/test.c.in")),
    ("include/introd_plugin.h", introd_plugin::HEADER),
    ("README.md", include_str!("c/README.md")),
    (".gitignore", "*.so\n/{{name}}_test\n"),
];

#[derive(Args)]
pub(super) struct PluginArgs {
    /// The plugin's name, which is also that of its folder: letters, digits, `-` and `_`.
    #[arg(value_name = "NAME")]
    name: Name,
    /// The language of its source.
    #[arg(long, value_name = "LANGUAGE", value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// The folder to make it in.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// In Rust: the folder of the crate introd-plugin [default: `plugin-api` of the sources that this program was built in, or the
    /// published crate].
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    C,
}

pub(super) fn new(args: &PluginArgs) -> anyhow::Result<()> {
    let (name, folder) = (args.name.as_str(), args.dir.join(args.name.as_str()));
    let identifier = args.name.identifier()?;
    let (files, library): (&[_], _) = match args.lang {
        Language::Rust => (&RUST, folder.join(format!("target/release/lib{identifier}.so"))),
        Language::C => (&C, folder.join(format!("lib{identifier}.so"))),
    };
    let sdk = match args.lang {
        Language::Rust => sdk(args.sdk.as_deref())?,
        Language::C => {
            anyhow::ensure!(
                args.sdk.is_none(),
                "--sdk is for plugins in Rust: one in C has the header in its own folder"
            );
            String::new()
        }
    };
    write(&folder, files, &[("name", name), ("identifier", &identifier), ("sdk", &sdk)])?;
    let (build, test) = match args.lang {
        Language::Rust => ("cargo build --release", "cargo test"),
        Language::C => ("make", "make test"),
    };
    let library = std::path::absolute(&library).unwrap_or(library);
    output::say(&format!(
        "introd has written the plugin {name} into {folder}. Next:\n  \
         cd {folder}\n  \
         {test:<29} runs its test\n  \
         {build:<29} builds it\n  \
         introd plugins {library}\n  \
         {empty:<29} prints what it offers, without a server\n\
         Then name it in the Application.xml of an application, and run `introd check-config`:\n  \
         <Plugins><Plugin path=\"{library}\"><Config><deny>192.0.2.7</deny></Config></Plugin></Plugins>\n",
        folder = folder.display(),
        library = library.display(),
        empty = "",
    ));
    if sdk.starts_with('"') {
        output::say(&format!(
            "It takes the crate introd-plugin {sdk} from crates.io. To take that of introd's sources, begin anew with --sdk DIR/plugin-api.\n"
        ));
    }
    Ok(())
}

/// The value of `introd-plugin` among the dependencies of a Cargo.toml.
fn sdk(named: Option<&Path>) -> anyhow::Result<String> {
    let folder = match named {
        Some(folder) => {
            anyhow::ensure!(is_sdk(folder), "{} is not the folder of the crate introd-plugin", folder.display());
            Some(folder.to_owned())
        }
        None => of_sources(),
    };
    let Some(folder) = folder else { return Ok(format!("\"{}\"", env!("CARGO_PKG_VERSION"))) };
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let text = folder.to_str().with_context(|| format!("{} is not UTF-8, as Cargo.toml must be", folder.display()))?;
    // A string of JSON is one of TOML, too.
    Ok(format!("{{ path = {} }}", serde_json::to_string(text)?))
}

/// The crate in the sources that this program was built in, if it is still in a `target` folder there.
fn of_sources() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().map(|folder| folder.join("plugin-api")).find(|folder| is_sdk(folder))
}

fn is_sdk(folder: &Path) -> bool {
    folder.join("Cargo.toml").is_file() && folder.join("include/introd_plugin.h").is_file()
}
