//! Native plugins, in the program: what they decide acts on real clients.

mod connecting;
mod filtering;
mod listing;
mod order;
mod pending;
mod reloading;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use introd_tests::libraries::{library, profile_folder, workspace};

/// A plugin element of Application.xml.
fn plugin(library: &Path, config: &str) -> String {
    format!("<Plugin path=\"{}\"><Config>{config}</Config></Plugin>", library.display())
}

/// The plugin that decides as it is told.
fn puppet(config: &str) -> String {
    plugin(&library("puppet"), config)
}

/// The plugins in C and C++, built by their Makefile, once.
fn examples() -> &'static [PathBuf; 2] {
    static BUILT: OnceLock<[PathBuf; 2]> = OnceLock::new();
    BUILT.get_or_init(|| {
        let out = profile_folder().join(format!("c-example-{}", std::process::id()));
        std::fs::create_dir_all(&out).expect("a folder");
        let mut make = Command::new("make");
        make.arg("-C").arg(workspace().join("plugins/c-example")).arg(format!("OUT={}", out.display()));
        let made = make.output().expect("make runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        ["libexample_c.so", "libexample_cpp.so"].map(|name| out.join(name))
    })
}
