//! The commands that ask a running server, as an administrator.

use std::net::SocketAddr;
use std::process::Command;

use introd_tests::program::{Ended, Files, Process, introd};

/// The password of the administrator that [`administrated`] makes.
pub(crate) const PASSWORD: &str = "open sesame";

/// Files of a server with the administrator `admin`.
pub(crate) fn administrated() -> Files {
    let files = Files::new();
    let user = format!("<User name='admin'><Password encrypt='false'>{PASSWORD}</Password></User>");
    files.write("Users.xml", &format!("<Root><UserList>{user}</UserList></Root>"));
    files
}

/// A command to the administration at that address, without a login.
pub(crate) fn anonymous(admin: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = introd(arguments);
    command.args(["--admin", &format!("http://{admin}")]).env_remove("INTROD_PASSWORD");
    command
}

/// The same, as the administrator.
pub(crate) fn as_admin(admin: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = anonymous(admin, arguments);
    command.args(["--user", "admin"]).env("INTROD_PASSWORD", PASSWORD);
    command
}

/// Runs a command as the administrator to its end, and gives what it prints.
pub(crate) fn asked(admin: SocketAddr, arguments: &[&str]) -> String {
    let ended = Process::start(&mut as_admin(admin, arguments)).ended();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}: {ended:?}");
    ended.stdout
}

/// The same on another thread, so that clients of the test go on meanwhile.
pub(crate) async fn ask(admin: SocketAddr, arguments: &'static [&'static str]) -> String {
    tokio::task::spawn_blocking(move || asked(admin, arguments)).await.expect("it is asked")
}

/// Runs a command that fails: its exit code, and what it says of that.
pub(crate) fn refused(command: &mut Command) -> (Option<i32>, String) {
    let Ended { code, stdout, stderr, .. } = Process::start(command).ended();
    assert!(code != Some(0), "{stdout} {stderr}");
    (code, stderr)
}
