//! The program and the libraries of the stage: copies, so that what is built meanwhile changes nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use introd_tests::libraries::library;
use introd_tests::program::binary;

/// What the servers are run with, in all their lives.
pub(crate) struct Programs {
    introd: PathBuf,
    /// The plugin of the registry in Redis.
    pub(crate) registry: PathBuf,
    /// A plugin that does what its configuration says.
    pub(crate) puppet: PathBuf,
}

impl Programs {
    /// Copies all of them to a folder.
    pub(crate) fn copy(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let copy = |from: PathBuf| {
            let to = folder.join(from.file_name().unwrap_or_default());
            std::fs::copy(&from, &to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
            anyhow::Ok(to)
        };
        Ok(Self {
            introd: copy(binary())?,
            registry: copy(library("registry-redis"))?,
            puppet: copy(library("puppet"))?,
        })
    }

    /// A command that runs the server's program.
    pub(crate) fn introd(&self) -> Command {
        let mut command = Command::new(&self.introd);
        command.env_remove("RUST_LOG");
        command
    }
}
