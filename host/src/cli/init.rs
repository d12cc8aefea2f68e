//! `introd init`: a folder with the configuration and a first script, to start from.

use std::path::PathBuf;

use clap::Args;

use super::{files, output};

/// The files, from the folder on.
const FILES: [(&str, &str); 11] = [
    ("conf/README.md", include_str!("../../../conf/README.md")),
    ("conf/Server.xml", include_str!("../../../conf/Server.xml")),
    ("conf/Users.xml", include_str!("../../../conf/Users.xml")),
    ("conf/introd.ini", include_str!("../../../conf/introd.ini")),
    ("conf/_defaultRoot_/Adaptor.xml", include_str!("../../../conf/_defaultRoot_/Adaptor.xml")),
    (
        "conf/_defaultRoot_/_defaultVHost_/Vhost.xml",
        include_str!("../../../conf/_defaultRoot_/_defaultVHost_/Vhost.xml"),
    ),
    (
        "conf/_defaultRoot_/_defaultVHost_/Application.xml",
        include_str!("../../../conf/_defaultRoot_/_defaultVHost_/Application.xml"),
    ),
    ("lua/hello/main.lua", include_str!("init/main.lua")),
    ("lua/hello/hello_test.lua", include_str!("init/hello_test.lua")),
    ("lua/hello/Application.xml", include_str!("init/Application.xml")),
    ("lua/library/introd.d.lua", include_str!("../../../lua/library/introd.d.lua")),
];

#[derive(Args)]
pub(super) struct InitArgs {
    /// The folder to write `conf` and `lua` into. It is made if there is none.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn init(args: &InitArgs) -> anyhow::Result<()> {
    let dir = &args.dir;
    for name in ["conf", "lua"] {
        files::ensure_absent(&dir.join(name), "name another folder, or remove it first")?;
    }
    for (name, text) in FILES {
        files::write_new(&dir.join(name), text)?;
    }
    output::say(&format!(
        "introd has written conf and lua into {}. Next:\n  \
         cd {0}\n  \
         introd check-config            what would run\n  \
         introd test lua/hello          the tests of the first script, lua/hello/main.lua\n  \
         introd run                     the server, on UDP port 1935\n  \
         introd probe rtmfp://127.0.0.1/hello     a client, from another shell\n",
        dir.display()
    ));
    Ok(())
}
