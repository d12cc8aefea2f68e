//! The commands that ask a running server, by the JSON API of its administration: `introd status`, `top`, `clients` and so on.
//!
//! `args` has what all of them take, `address` finds the server, `login` reads the password, `http` carries one request, and
//! `administration` puts them together. `print` has what the commands print with. The other files are the commands.

mod acts;
mod address;
mod administration;
mod args;
mod clients;
mod drain;
mod groups;
mod http;
mod login;
mod peer;
mod print;
mod status;
mod top;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;

use administration::Remote;
use args::{NoArgs, RemoteArgs, With};
use print::Printer;

/// The commands. Each ends with status 0 if it did what it was to do, 1 if it did not, and 2 if its arguments make no sense.
#[derive(Subcommand)]
pub(super) enum RemoteCommand {
    /// Print how a running server is. The exit status is 1 if it is not ready for clients.
    Status(With<NoArgs>),
    /// Watch a running server in the terminal.
    Top(With<top::TopArgs>),
    /// List the clients of a running server.
    Clients(With<clients::ClientsArgs>),
    /// Print what a running server knows of a peer, and what happened to it lately.
    Peer(With<peer::PeerArgs>),
    /// List the groups of a running server, or the members of one.
    Groups(With<groups::GroupsArgs>),
    /// Disconnect a client of a running server.
    Kick(With<acts::KickArgs>),
    /// Load the scripts of an application of a running server again, or of all applications.
    Reload(With<acts::ReloadArgs>),
    /// Let a running server take no new clients, and stop when the last one is gone.
    Drain(With<drain::DrainArgs>),
    /// Print the level of a running server's log, or change it.
    LogLevel(With<acts::LogLevelArgs>),
}

/// Runs a command.
pub(super) fn run(command: &RemoteCommand) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    match runtime.block_on(execute(command)) {
        // The reader has seen enough, as `head` does.
        Err(error) if print::is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        result => result,
    }
}

async fn execute(command: &RemoteCommand) -> anyhow::Result<ExitCode> {
    let start = async |args: &RemoteArgs| anyhow::Ok((Remote::new(args).await?, Printer::new(args.json)));
    match command {
        RemoteCommand::Status(With { remote, .. }) => {
            let (remote, printer) = start(remote).await?;
            return status::status(&remote, printer).await;
        }
        RemoteCommand::Top(With { remote, own }) => {
            let (remote, printer) = start(remote).await?;
            top::top(remote, printer, own).await?;
        }
        RemoteCommand::Clients(With { remote, own }) => {
            let (remote, printer) = start(remote).await?;
            clients::clients(&remote, printer, own).await?;
        }
        RemoteCommand::Peer(With { remote, own }) => {
            let (remote, printer) = start(remote).await?;
            peer::peer(&remote, printer, own).await?;
        }
        RemoteCommand::Groups(With { remote, own }) => {
            let (remote, printer) = start(remote).await?;
            groups::groups(&remote, printer, own).await?;
        }
        RemoteCommand::Kick(With { remote, own }) => {
            let (remote, printer) = start(remote).await?;
            acts::kick(&remote, printer, own).await?;
        }
        RemoteCommand::Reload(With { remote, own }) => {
            let (remote, printer) = start(remote).await?;
            acts::reload(&remote, printer, own).await?;
        }
        RemoteCommand::Drain(With { remote, own }) => {
            let (remote, printer) = start(remote).await?;
            drain::drain(&remote, printer, own).await?;
        }
        RemoteCommand::LogLevel(With { remote, own }) => {
            let (remote, printer) = start(remote).await?;
            acts::log_level(&remote, printer, own).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
