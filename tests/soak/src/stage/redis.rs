//! The Redis that the servers share.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use introd_tests::program::Process;
use introd_tests::redis::{command, free_port, serve};
use rustix::process::Signal;

/// A Redis server, which may run or not.
pub(crate) struct Redis {
    port: u16,
    folder: PathBuf,
    process: Option<Process>,
}

impl Redis {
    /// Starts one that keeps its files in that folder.
    pub(crate) fn start(folder: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut redis = Self { port: free_port(), folder, process: None };
        redis.begin();
        Ok(redis)
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts an empty one, if none runs, and waits until it serves.
    pub(crate) fn begin(&mut self) {
        if self.process.is_none() {
            let mut server = Command::new("redis-server");
            server.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(&self.folder);
            // Ctrl-C is for the soak.
            server.process_group(0);
            self.process = Some(serve(&mut server));
        }
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Cuts all connections to it.
    pub(crate) fn cut(&self) {
        command(self.port, &["CLIENT", "KILL", "TYPE", "normal"]);
    }
}
