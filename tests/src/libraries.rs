//! Plugins for tests: built on demand, once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::cargo::{built, profile_folder, workspace};

/// The library of a crate of this workspace, brought up to date once in each test program.
///
/// # Panics
/// If it cannot be built.
pub fn library(package: &str) -> PathBuf {
    built(package, &format!("lib{}.so", package.replace('-', "_")))
}

/// Compiles a C file into a library, with the header in `include` and these definitions, once for each name.
///
/// # Panics
/// If the compiler does not take it: every warning is an error.
pub fn c_library(source: &Path, include: &Path, name: &str, definitions: &[&str]) -> PathBuf {
    let folder = profile_folder().join(format!("plugin-tests-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let library = folder.join(format!("lib{name}.so"));
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-O1"]);
    cc.args(["-fPIC", "-shared", "-fvisibility=hidden", "-pthread"]);
    cc.args(definitions.iter().map(|definition| format!("-D{definition}")));
    cc.arg("-I").arg(include).arg("-o").arg(&library).arg(source);
    let compiled = cc.output().expect("there is a C compiler");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    library
}

/// The plugins in C and C++, built by their Makefile, once in each test program: `example.c`, `example.cpp`, `deferring.c`.
///
/// # Panics
/// If they cannot be built.
pub fn c_examples() -> &'static [PathBuf; 3] {
    static BUILT: OnceLock<[PathBuf; 3]> = OnceLock::new();
    BUILT.get_or_init(|| {
        let out = profile_folder().join(format!("plugin-tests-{}", std::process::id()));
        std::fs::create_dir_all(&out).expect("a folder");
        let mut make = Command::new("make");
        make.arg("-C").arg(workspace().join("plugins/c-example")).arg(format!("OUT={}", out.display()));
        let made = make.output().expect("there is make");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        ["libexample_c.so", "libexample_cpp.so", "libdeferring_c.so"].map(|name| out.join(name))
    })
}

/// The folder with the header.
pub fn include() -> PathBuf {
    workspace().join("plugin-api/include")
}
