//! Code for one operating system: where it may be.
//!
//! The rule: **in the crates of [`PORTABLE`] only the listed files and folders name what not all systems have**, so that whoever builds for
//! another system finds all of it there.

use std::path::Path;

use crate::modules::modules;

/// Crates that can be built for other systems than Linux, and where each has what is only for some.
pub(crate) const PORTABLE: [(&str, &[&str]); 14] = [
    ("introd-udp", &["platform/linux/", "descriptors.rs"]),
    ("introd-log", &["platform/unix.rs"]),
    ("introd-plugin", &["files.rs"]),
    ("rtmfp", &[]),
    ("introd-client", &[]),
    ("introd-config", &[]),
    ("introd-flash", &[]),
    ("introd-liveness", &[]),
    ("introd-netgroup", &[]),
    ("introd-policy", &[]),
    ("introd-relay", &[]),
    ("group-bootstrap", &[]),
    ("lookup-filter", &[]),
    ("registry-redis", &[]),
];

/// What not all systems have: crates, and parts of crates.
const OF_SYSTEMS: [&[&str]; 5] =
    [&["libc"], &["rustix"], &["std", "os"], &["tokio", "io", "unix"], &["tokio", "signal", "unix"]];

/// The places of a crate outside of `allowed` that name such things. `allowed` are paths below the folder of `root`; a folder ends with `/`.
pub(crate) fn misplaced(root: &Path, read: &dyn Fn(&Path) -> Option<String>, allowed: &[&str]) -> Vec<String> {
    let folder = root.parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for module in modules(root, read) {
        let place = module.file.strip_prefix(folder).unwrap_or(&module.file).to_string_lossy().into_owned();
        if allowed.iter().any(|allowed| place == *allowed || (allowed.ends_with('/') && place.starts_with(allowed))) {
            continue;
        }
        let imported = module.imports.iter().map(|import| (&import.path, import.line));
        let written = module.paths.iter().map(|(path, line)| (path, *line));
        for (path, line) in imported.chain(written) {
            if OF_SYSTEMS.iter().any(|names| path.len() >= names.len() && names.iter().zip(path).all(|(a, b)| a == b)) {
                found.push(format!("{place}:{line}: {}", path.join("::")));
            }
        }
    }
    found
}

#[test]
fn what_one_system_has_is_found_outside_of_its_files_alone() {
    let files = |path: &Path| {
        Some(match path.to_str()? {
            "src/lib.rs" => "mod linux;\nmod other;\n#[cfg(test)]\nmod tests { use libc::c_int; }".to_owned(),
            "src/linux.rs" => "use rustix::net::recv;".to_owned(),
            "src/other.rs" => "use std::os::fd::{AsFd, OwnedFd};\nuse std::io;\nfn f() { libc::abort() }".to_owned(),
            _ => return None,
        })
    };
    let found = misplaced(Path::new("src/lib.rs"), &files, &["linux.rs"]);
    assert_eq!(found, ["other.rs:1: std::os::fd::AsFd", "other.rs:1: std::os::fd::OwnedFd", "other.rs:3: libc::abort"]);
    assert_eq!(misplaced(Path::new("src/lib.rs"), &files, &["other.rs"]), ["linux.rs:1: rustix::net::recv"]);
}
