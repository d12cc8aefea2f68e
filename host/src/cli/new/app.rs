//! `introd new app`: a script with its settings and its test.

use std::path::PathBuf;

use clap::Args;

use super::name::AppName;
use super::write;
use crate::cli::output;

/// The files, from the application's folder on.
const FILES: [(&str, &str); 4] = [
    ("main.lua", include_str!("app/main.lua")),
    ("Application.xml", include_str!("app/Application.xml")),
    ("{{name}}_test.lua", include_str!("app/test.lua")),
    ("README.md", include_str!("app/README.md")),
];

#[derive(Args)]
pub(super) struct AppArgs {
    /// The application's name, which is also that of its folder: clients connect to rtmfp://SERVER/NAME. `_default_` serves all names that
    /// have no folder.
    #[arg(value_name = "NAME")]
    name: AppName,
    /// The folder to make it in: one that AppsDir of Vhost.xml names.
    #[arg(long, value_name = "DIR", default_value = "lua")]
    dir: PathBuf,
}

pub(super) fn new(args: &AppArgs) -> anyhow::Result<()> {
    let folder = args.dir.join(args.name.as_str());
    let shown = folder.display().to_string();
    write(&folder, &FILES, &[("name", args.name.as_str()), ("shown", args.name.shown()), ("folder", &shown)])?;
    output::say(&format!(
        "introd has written the application {name} into {shown}. Next:\n  \
         introd test {shown}          runs its test, {name}_test.lua\n  \
         introd check-config          says what would run\n  \
         introd run                   starts the server; one that runs finds the new folder when it gets SIGHUP\n  \
         introd probe rtmfp://127.0.0.1/{connected}     connects a client, from another shell\n",
        name = args.name.as_str(),
        connected = args.name.shown(),
    ));
    Ok(())
}
