//! Makes the faults of the plan, and mends them.

use anyhow::ensure;
use rustix::process::Signal;
use serde_json::json;

use super::Stage;
use super::files::APPLICATIONS;
use super::http::post;
use super::server::Exit;
use crate::bounds::STOPPED;
use crate::plan::Fault;

/// The status with which a server ends itself when one of its threads stands still.
const STANDSTILL: i32 = 70;

impl Stage {
    /// Begins a fault. The caller has said that the part is disturbed.
    pub(crate) fn begin(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Kill(server) => {
                self.servers[server].signal(Signal::KILL)?;
                let exit = self.servers[server].ended_within(STOPPED)?;
                ensure!(exit == Exit::Signal(Signal::KILL.as_raw()), "a server that was killed ended with {exit:?}");
            }
            Fault::Stop(server) => {
                self.servers[server].signal(Signal::TERM)?;
                let exit = self.servers[server].ended_within(STOPPED)?;
                ensure!(exit == Exit::Status(0), "a server that was told to stop ended with {exit:?}");
            }
            Fault::Freeze(server) => self.servers[server].signal(Signal::STOP)?,
            Fault::Reload(server) => {
                let server = &mut self.servers[server];
                server.files.write_scripts()?;
                server.reload()?;
            }
            Fault::Break(server) => {
                let server = &mut self.servers[server];
                server.files.break_scripts()?;
                server.reload()?;
            }
            Fault::Unload(server) => {
                let application = self.unloads(server);
                let path = format!("/api/v1/applications/{application}/unload");
                post(self.servers[server].admin, &path, &json!({}))?;
            }
            Fault::Hang(server) => self.servers[server].files.hang_scripts()?,
            Fault::HangPlugin(server) => {
                // Longer than a worker may stand still. The next lookup of a client makes it happen.
                let plugin = &self.programs.puppet;
                let config = "<name>soak</name><lookup>block 30000</lookup>";
                let plugin = format!(
                    "<Plugins><Plugin path=\"{}\"><Config>{config}</Config></Plugin></Plugins>",
                    plugin.display()
                );
                let server = &mut self.servers[server];
                server.files.write_settings(Some(&plugin))?;
                server.reload()?;
            }
            Fault::TakeOver(server) => self.servers[server].take_over()?,
            Fault::FailTakeover(server) => self.servers[server].fail_takeover()?,
            Fault::Login(server) => self.servers[server].reload()?,
            Fault::KillRedis => self.redis.kill(),
            Fault::FreezeRedis => self.redis.signal(Signal::STOP),
            Fault::CutRedis => self.redis.cut(),
        }
        Ok(())
    }

    /// Which application of a server is unloaded: another one in each of its lives.
    pub(crate) fn unloads(&self, server: usize) -> &'static str {
        APPLICATIONS[(server + self.servers[server].life as usize) % APPLICATIONS.len()]
    }

    /// Ends a fault: what is said of the part after that must hold again.
    pub(crate) fn mend(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Kill(server) | Fault::Stop(server) => self.servers[server].start()?,
            Fault::Freeze(server) => self.servers[server].signal(Signal::CONT)?,
            Fault::Break(server) => {
                let server = &mut self.servers[server];
                server.files.write_scripts()?;
                server.reload()?;
            }
            Fault::HangPlugin(server) => {
                let server = &mut self.servers[server];
                server.files.write_settings(None)?;
                server.start()?;
            }
            Fault::KillRedis => self.redis.begin(),
            Fault::FreezeRedis => self.redis.signal(Signal::CONT),
            Fault::Reload(_) | Fault::Unload(_) | Fault::Hang(_) | Fault::Login(_) | Fault::CutRedis => (),
            Fault::TakeOver(_) | Fault::FailTakeover(_) => (),
        }
        Ok(())
    }

    /// Waits until a server whose worker stands still has ended.
    pub(crate) fn stood_still(&mut self, server: usize) -> anyhow::Result<()> {
        let exit = self.servers[server].ended_within(2 * STOPPED)?;
        ensure!(exit == Exit::Status(STANDSTILL), "a server whose worker stood still ended with {exit:?}");
        Ok(())
    }
}

/// Whether this error in the log of a server is what a fault of it, or of Redis, leads to.
pub(crate) fn explains(fault: Fault, error: &str) -> bool {
    let lines: &[&str] = match fault {
        Fault::Break(_) => &["keeps its old settings"],
        Fault::Hang(_) => &["this handler has run longer than"],
        Fault::HangPlugin(_) => &["stands still"],
        Fault::FailTakeover(_) => &["the takeover has failed"],
        Fault::KillRedis | Fault::FreezeRedis | Fault::CutRedis => &["Redis"],
        // Lookups and connects of scripts whose time ran while the server stood still.
        Fault::Freeze(_) => &[],
        Fault::Kill(_)
        | Fault::Stop(_)
        | Fault::Reload(_)
        | Fault::Unload(_)
        | Fault::TakeOver(_)
        | Fault::Login(_) => &[],
    };
    lines.iter().any(|line| error.contains(line))
}
