//! The C header of the ABI of plugins, for those who write them.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use introd_plugin::{HEADER, abi};

/// Where compilers and pkg-config look below a prefix.
const INCLUDE: &str = "include";
const PKG_CONFIG: &str = "share/pkgconfig";

/// Writes the header and its pkg-config file below `prefix`. Those of an earlier version are replaced. Gives back what to do next.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn install(prefix: &Path) -> anyhow::Result<String> {
    let prefix = std::path::absolute(prefix).context("no such folder can be")?;
    let files = [
        (prefix.join(INCLUDE), "introd_plugin.h", HEADER.to_owned()),
        (prefix.join(PKG_CONFIG), "introd-plugin.pc", pkg_config(&prefix)),
    ];
    for (folder, name, text) in files {
        fs::create_dir_all(&folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    let prefix = prefix.display();
    Ok(format!(
        "introd has written {prefix}/{INCLUDE}/introd_plugin.h and {prefix}/{PKG_CONFIG}/introd-plugin.pc. Next:\n  \
         pkg-config --cflags introd-plugin      how to compile a plugin. If pkg-config finds nothing:\n  \
         export PKG_CONFIG_PATH={prefix}/{PKG_CONFIG}\n"
    ))
}

/// The pkg-config file. The version is that of the ABI.
fn pkg_config(prefix: &Path) -> String {
    let (major, minor) = (abi::INTROD_ABI_MAJOR, abi::INTROD_ABI_MINOR);
    // A space would end the flag.
    let prefix = prefix.display().to_string().replace('\\', "\\\\").replace(' ', "\\ ");
    format!(
        "prefix={prefix}\nincludedir=${{prefix}}/{INCLUDE}\n\nName: introd-plugin\nDescription: The C ABI of native plugins for introd\n\
         Version: {major}.{minor}\nCflags: -I${{includedir}}\n"
    )
}
