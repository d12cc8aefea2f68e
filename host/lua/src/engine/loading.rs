//! The files of a script.

use std::path::{Component, Path, PathBuf};

use introd_plugin::files;
use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, Result};

/// The name of an application's script. A file with the name of the folder serves, too: `chat/chat.lua`.
pub(crate) const MAIN: &str = "main.lua";
/// The longest file that is loaded, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Where a script's files are. Nothing outside these folders can be loaded.
pub(crate) struct Sources {
    folder: PathBuf,
    library: Vec<PathBuf>,
}

impl Sources {
    /// An application's folder, and the folders of the script library.
    pub(crate) fn new(folder: &Path, library: &[PathBuf]) -> Self {
        Self { folder: folder.to_owned(), library: library.to_vec() }
    }

    /// The script itself.
    pub(crate) fn main(&self, lua: &Lua) -> Result<Function> {
        let name = main_file(&self.folder).ok_or_else(|| self.missing(MAIN))?;
        self.load(lua, &name)
    }

    /// A file, by its path in one of the folders: the application's own, then those of the library.
    pub(crate) fn load(&self, lua: &Lua, name: &str) -> Result<Function> {
        let path = self.resolve(name)?.ok_or_else(|| self.missing(name))?;
        self.compile(lua, name, &path)
    }

    /// A module: `a.b` is `a/b.lua` or `a/b/init.lua`.
    pub(crate) fn find(&self, lua: &Lua, module: &str) -> Result<(Function, String)> {
        let base = module.replace('.', "/");
        for name in [format!("{base}.lua"), format!("{base}/init.lua")] {
            if let Some(path) = self.resolve(&name)? {
                return Ok((self.compile(lua, &name, &path)?, name));
            }
        }
        Err(self.missing(module))
    }

    /// A line of a file of the script, counted from 1; `None` if it cannot be read any more.
    pub(crate) fn line(&self, name: &str, number: usize) -> Option<String> {
        let text = files::read(&self.resolve(name).ok()??, MAX_FILE).ok()?;
        let line = text.split(|byte| *byte == b'\n').nth(number.checked_sub(1)?)?;
        Some(String::from_utf8_lossy(line).into_owned())
    }

    fn missing(&self, name: &str) -> mlua::Error {
        let folders: Vec<String> = self.folders().map(|folder| folder.display().to_string()).collect();
        mlua::Error::runtime(format!("there is no file {name:?} in {}", folders.join(", ")))
    }

    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.folder).chain(&self.library)
    }

    fn resolve(&self, name: &str) -> Result<Option<PathBuf>> {
        let is_plain =
            Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if name.is_empty() || !is_plain || name.contains(['\\', '\0']) {
            return Err(mlua::Error::runtime(format!("{name:?} leads out of the application's folder")));
        }
        for folder in self.folders() {
            // A symbolic link may lead anywhere: its target counts.
            let (Ok(root), Ok(path)) = (folder.canonicalize(), folder.join(name).canonicalize()) else { continue };
            if !path.starts_with(&root) {
                return Err(mlua::Error::runtime(format!("{name:?} leads out of the application's folder")));
            }
            // A path that is no regular file is an error later; the next folder is not searched for it.
            return Ok(Some(path));
        }
        Ok(None)
    }

    fn compile(&self, lua: &Lua, name: &str, path: &Path) -> Result<Function> {
        let text = files::read(path, MAX_FILE).map_err(|error| mlua::Error::runtime(format!("{name}: {error}")))?;
        // Text only: compiled chunks can corrupt the VM.
        lua.load(text).set_name(format!("@{name}")).set_mode(ChunkMode::Text).into_function()
    }
}

/// The name of the script in an application's folder.
pub(crate) fn main_file(folder: &Path) -> Option<String> {
    let named = folder.file_name().map(|name| format!("{}.lua", name.to_string_lossy()));
    [Some(MAIN.to_owned()), named].into_iter().flatten().find(|name| is_there(&folder.join(name)))
}

/// Whether there is anything at a path, or that cannot be found out: a script that cannot be read must not count as no script.
fn is_there(path: &Path) -> bool {
    !matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_looked_at_counts_as_a_script_and_only_what_is_not_there_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(main_file(folder), None);
        let named = format!("{}.lua", folder.file_name().unwrap().to_string_lossy());
        std::fs::write(folder.join(&named), "").unwrap();
        assert_eq!(main_file(folder).as_ref(), Some(&named));
        // A link that leads nowhere is a script that does not load.
        std::os::unix::fs::symlink("/nonexistent", folder.join(MAIN)).unwrap();
        assert_eq!(main_file(folder).as_deref(), Some(MAIN));
    }

    #[test]
    fn files_are_loaded_up_to_a_bound_and_only_by_plain_paths() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        let (lua, sources) = (Lua::new(), Sources::new(folder, &[]));
        let file = |bytes: u64| std::fs::write(folder.join("a.lua"), vec![b' '; bytes as usize]).unwrap();
        file(MAX_FILE);
        assert!(sources.load(&lua, "a.lua").is_ok() && sources.load(&lua, "./a.lua").is_ok());
        let absolute = folder.join("a.lua");
        // They lead to a file of the folder all the same.
        for name in ["sub/../a.lua", &absolute.to_string_lossy(), ""] {
            let error = sources.load(&lua, name).unwrap_err().to_string();
            assert!(error.contains("leads out of the application's folder"), "{name}: {error}");
        }
        file(MAX_FILE + 1);
        assert!(sources.load(&lua, "a.lua").unwrap_err().to_string().contains("larger than"));
    }
}
