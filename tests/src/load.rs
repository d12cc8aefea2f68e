//! A server under load, for the benches: the server on the first core, and what loads it on the second.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::cores::{pin_to, two_cores};
use crate::program::{Files, Process, Server};

/// A server of one worker. It is killed when this is dropped.
pub struct LoadedServer {
    /// The program that loads it.
    load: PathBuf,
    server: Server,
}

impl LoadedServer {
    /// Starts the program `introd` on the first core, with a configuration.
    ///
    /// # Errors
    /// If it cannot be started.
    ///
    /// # Panics
    /// If it does not serve.
    pub fn start(introd: &Path, listen: &str, conf: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(introd);
        command.args(["run", "--listen", listen, "--workers", "1", "--admin", "none", "--conf"]).arg(conf);
        command.env("RUST_LOG", "warn").stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = spawn_on(two_cores().map(|(first, _)| first), &mut command)?;
        Ok(Self { load: introd.to_owned(), server: Server::of(Process::of(child)) })
    }

    /// The same server, loaded by another program `introd`: so programs of several versions are loaded alike.
    #[must_use]
    pub fn loaded_by(self, introd: &Path) -> Self {
        Self { load: introd.to_owned(), ..self }
    }

    /// Runs `introd bench WORK` on the second core against the server: its report.
    ///
    /// # Errors
    /// If it fails.
    pub fn bench(&self, work: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        let port = self.server.addresses.first().context("the server did not say where it listens")?.port();
        let mut command = Command::new(&self.load);
        command.args(["bench", work, "--json", "--server", &format!("127.0.0.1:{port}")]);
        command.args(["--pid", &self.server.id().to_string()]).args(arguments).stdout(Stdio::piped());
        let output = spawn_on(two_cores().map(|(_, second)| second), &mut command)?.wait_with_output()?;
        if !output.status.success() {
            bail!("introd bench {work} failed; the server's log:\n{}", self.server.log());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// The configuration of a server that is measured: the applications that introd ships, without the limit on forwarded hellos.
pub fn configuration() -> Files {
    let files = Files::new();
    files.shipped_applications();
    // All lookups are for few peers: each is to have its hello forwarded, as among many peers.
    files.server(
        "<ResourceLimits><Protocol><RTMFP><MaxForwardRate>-1</MaxForwardRate></RTMFP></Protocol></ResourceLimits>",
    );
    files
}

/// A field of a report that is a number.
///
/// # Errors
/// If there is none of that name.
pub fn number(report: &Value, name: &str) -> anyhow::Result<f64> {
    report[name].as_f64().with_context(|| format!("no {name} in {report}"))
}

/// Starts a program on a core, which it inherits from the thread that starts it.
fn spawn_on(core: Option<usize>, command: &mut Command) -> anyhow::Result<Child> {
    let spawn = || -> anyhow::Result<Child> {
        if let Some(core) = core {
            pin_to(core)?;
        }
        command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))
    };
    std::thread::scope(|scope| scope.spawn(spawn).join()).map_err(|_| anyhow::anyhow!("a thread panicked"))?
}
