//! New processes that try to take the place of a server, and fail: the server has to go on as if nothing had happened.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::process::{Exit, Process};
use super::server::Server;

/// How long such a process may take until it has failed.
const FAILED: Duration = Duration::from_secs(60);
/// How long a process lives that is killed before it can be ready: it has to load plugins and make keys.
const YOUNG: Duration = Duration::from_millis(3);

/// How a new process fails.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Its configuration cannot be read.
    Configuration,
    /// It is to listen at another address, which it finds out when it has the sockets of the server.
    Address,
    /// It is killed as soon as it has begun.
    Killed,
    /// It ends in the middle of its greeting.
    Greeting,
}

const WAYS: [Way; 4] = [Way::Configuration, Way::Address, Way::Killed, Way::Greeting];

impl Server {
    /// Has a new process fail, in another way each time.
    pub(crate) fn fail_takeover(&mut self) -> anyhow::Result<()> {
        let way = WAYS[self.failed_takeovers % WAYS.len()];
        self.failed_takeovers += 1;
        self.fail(way).with_context(|| format!("a new process that fails ({way:?})"))?;
        ensure!(self.has_ended()?.is_none(), "the server has ended after a new process has failed ({way:?})");
        Ok(())
    }

    fn fail(&self, way: Way) -> anyhow::Result<()> {
        let mut command = self.command(&self.files.configuration());
        match way {
            Way::Configuration => {
                command = self.command(&self.files.broken_configuration()?);
            }
            Way::Address => {
                // Loopback addresses are many: this one is free.
                let other = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), self.address.port()));
                command.args(["--listen", &other.to_string()]);
            }
            Way::Killed => (),
            Way::Greeting => {
                let path = self.files.takeover_socket();
                let mut stream = UnixStream::connect(&path).with_context(|| format!("{}", path.display()))?;
                return Ok(stream.write_all(b"\0\0")?);
            }
        }
        let mut process = Process::start(&mut command)?;
        let log = process.child.stderr.take().context("no log")?;
        let read = std::thread::spawn(move || std::io::read_to_string(log));
        if let Way::Killed = way {
            std::thread::sleep(YOUNG);
            kill_process(Pid::from_child(&process.child), Signal::KILL)?;
        }
        let begun = Instant::now();
        let exit = process.ended_within(FAILED)?;
        let log = read.join().ok().context("its log cannot be read")??;
        match way {
            Way::Killed => ensure!(exit == Exit::Signal(Signal::KILL.as_raw()), "it ended with {exit:?}: {log}"),
            _ => ensure!(exit == Exit::Status(1), "it ended with {exit:?} after {:?}: {log}", begun.elapsed()),
        }
        ensure!(!log.contains("panicked"), "{log}");
        Ok(())
    }
}
