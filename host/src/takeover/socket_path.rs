//! Where the Unix socket is by default.

use std::path::PathBuf;

/// The name of the socket in the folder that the system gives a service or a user for such files.
const NAME: &str = "introd-takeover.sock";

/// The default path of the socket: in systemd's `RuntimeDirectory`, or else in the user's own folder for such files. `None` if there is
/// neither.
pub fn default_path() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    // systemd names several folders with colons between them.
    let of_service = folder("RUNTIME_DIRECTORY").and_then(|all| {
        let first = all.to_str()?.split(':').next()?.to_owned();
        Some(PathBuf::from(first))
    });
    of_service.or_else(|| folder("XDG_RUNTIME_DIR").map(PathBuf::from)).map(|folder| folder.join(NAME))
}
