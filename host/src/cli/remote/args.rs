//! The arguments that all of these commands have.

use std::path::PathBuf;

use clap::Args;

use super::address;

/// How the commands find the server, log in, and print.
#[derive(Args)]
pub(in crate::cli) struct RemoteArgs {
    /// Find the administration by the configuration in this folder [default: conf, if there is one; else 127.0.0.1:1111].
    #[arg(long, value_name = "DIR", conflicts_with = "admin")]
    pub(super) conf: Option<PathBuf>,
    /// Find the administration here, such as http://127.0.0.1:1111.
    #[arg(long, value_name = "URL", value_parser = address::check_url)]
    pub(super) admin: Option<String>,
    /// Log in as this administrator. The password comes from the file of `--password-file`, from the environment variable
    /// INTROD_PASSWORD, or from the terminal.
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
    /// Read the password from the first line of this file.
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(super) password_file: Option<PathBuf>,
    /// Print the answers of the JSON API as they are, each on a line.
    #[arg(long)]
    pub(super) json: bool,
}

/// The arguments of a command, and those that all of these commands have.
#[derive(Args)]
pub(in crate::cli) struct With<T: Args> {
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
    #[command(flatten)]
    pub(super) own: T,
}

/// No arguments of a command's own.
#[derive(Args)]
pub(in crate::cli) struct NoArgs {}
