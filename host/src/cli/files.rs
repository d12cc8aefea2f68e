//! Files that a command writes for its user.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::Context as _;

/// Writes a file that is not there yet, with its folders.
///
/// # Errors
/// If the file is there already, or cannot be written.
pub(super) fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    let cannot = || format!("{} cannot be written", path.display());
    match fs::File::create_new(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).with_context(cannot),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => anyhow::bail!("{} is there already", path.display()),
        Err(error) => Err(error).with_context(cannot),
    }
}

/// Refuses to go on if something of that name is there, even a link that leads nowhere.
///
/// # Errors
/// If it is so. Nothing has been written then.
pub(super) fn ensure_absent(path: &Path, advice: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        fs::symlink_metadata(path).is_err(),
        "{} is there already, and nothing was written: {advice}",
        path.display()
    );
    Ok(())
}
