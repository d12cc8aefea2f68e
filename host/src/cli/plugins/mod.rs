//! `introd plugins`: what native plugins offer, without a server, and the header to write them with.

mod header;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::output;
use introd_config::Config;
use introd_native::Library;

#[derive(Args)]
pub(super) struct PluginsArgs {
    /// The plugins' libraries [default: those that the configuration names, and those in the folder `plugins` beside it].
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read the configuration from this folder [default: conf, if there is one; else the built-in defaults].
    #[arg(long, value_name = "DIR")]
    conf: Option<PathBuf>,
    /// Print the C header of plugins, and nothing else.
    #[arg(long, conflicts_with_all = ["files", "conf", "pkg_config"])]
    header: bool,
    /// Write the C header and its pkg-config file into the folders `include` and `share/pkgconfig` of this prefix, as /usr/local.
    #[arg(long, value_name = "PREFIX", conflicts_with_all = ["files", "conf"])]
    pkg_config: Option<PathBuf>,
}

pub(super) fn plugins(args: &PluginsArgs) -> anyhow::Result<()> {
    if args.header {
        output::say(introd_plugin::HEADER);
        return Ok(());
    }
    if let Some(prefix) = &args.pkg_config {
        output::say(&header::install(prefix)?);
        return Ok(());
    }
    let files = if args.files.is_empty() { configured(args.conf.as_deref())? } else { args.files.clone() };
    if files.is_empty() {
        output::say("no plugins: none are configured, and there are none in the folder `plugins`\n");
        return Ok(());
    }
    let mut unusable = 0;
    for file in &files {
        match Library::load(file) {
            Ok(library) => output::say(&about(library)),
            Err(error) => {
                unusable += 1;
                output::say(&format!("{error}\n"));
            }
        }
    }
    anyhow::ensure!(unusable == 0, "{unusable} of {} cannot be used", files.len());
    Ok(())
}

/// The libraries that the configuration names, and those in the plugins' folder, each once.
fn configured(dir: Option<&Path>) -> anyhow::Result<Vec<PathBuf>> {
    let loaded =
        Config::load(dir).map_err(|problems| anyhow::anyhow!("the configuration is not in order\n{problems}"))?;
    let config = loaded.config;
    let mut files: Vec<PathBuf> = config.plugins().map(|(plugin, _)| plugin.path.clone()).collect();
    files.extend(config.server.registry.plugin.clone());
    let folder = std::fs::read_dir(config.root.join("plugins")).into_iter().flatten().flatten();
    let libraries = folder.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "so"));
    files.extend(libraries);
    files.sort();
    files.dedup();
    Ok(files)
}

fn about(library: &Library) -> String {
    let (major, minor) = library.abi();
    let mut text = format!("{} {}\n", library.name(), library.version());
    if !library.description().is_empty() {
        let _ = writeln!(text, "  {}", library.description());
    }
    let _ = writeln!(text, "  file: {}", library.path().display());
    let _ = writeln!(text, "  ABI: {major}.{minor}");
    let or_none = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let _ = writeln!(text, "  callbacks: {}", or_none(library.callbacks()));
    let _ = writeln!(text, "  extensions: {}", or_none(library.extensions()));
    text
}
