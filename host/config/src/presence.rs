//! Whether there is a file or a folder at a path. One that cannot be examined does not count as absent, because it may be a file that
//! keeps clients out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What there is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// Nothing.
    Absent,
    /// A regular file, or a link to one.
    File,
    /// A folder, or a link to one.
    Folder,
    /// Something that is neither, or that cannot be looked at, with what is wrong about it.
    Other(String),
}

impl Presence {
    pub(super) fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(about) if about.is_file() => Self::File,
            Ok(about) if about.is_dir() => Self::Folder,
            Ok(_) => Self::Other("it is neither a file nor a folder".into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(path) {
                Ok(_) => Self::Other("it is a link that leads nowhere".into()),
                Err(_) => Self::Absent,
            },
            // A file stands where the path goes through a folder.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Self::Absent,
            Err(error) => Self::Other(format!("it cannot be looked at: {error}")),
        }
    }

    /// What is wrong with it if it is to be a file; `None` if it is one, or absent.
    pub(super) fn unless_file(self) -> Option<String> {
        match self {
            Self::Absent | Self::File => None,
            Self::Folder => Some("it is a folder".into()),
            Self::Other(why) => Some(why),
        }
    }
}

/// Everything in a folder whose name does not begin with a dot, by name; at most `max` and one more. Nothing if the folder is absent.
///
/// # Errors
/// If the folder cannot be listed to its end.
pub(super) fn list(folder: &Path, max: usize) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound && Presence::of(folder) == Presence::Absent => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let is_shown = |path: &io::Result<PathBuf>| path.as_ref().map_or(true, |path| !is_hidden(path));
    let mut paths: Vec<PathBuf> = paths.filter(is_shown).take(max + 1).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::symlink;

    #[test]
    fn only_what_is_known_to_be_nothing_is_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "").unwrap();
        symlink(path("file"), path("link")).unwrap();
        symlink("nowhere", path("broken")).unwrap();
        symlink("loop", path("loop")).unwrap();
        let too_long = "x".repeat(300);
        for (name, expected) in [
            ("file", Presence::File),
            ("link", Presence::File),
            (".", Presence::Folder),
            ("nothing", Presence::Absent),
            ("nothing/inside", Presence::Absent),
            ("file/inside", Presence::Absent),
            ("broken", Presence::Other("it is a link that leads nowhere".into())),
            ("/dev/null", Presence::Other("it is neither a file nor a folder".into())),
        ] {
            assert_eq!(Presence::of(&path(name)), expected, "{name}");
        }
        for name in ["loop", too_long.as_str()] {
            let Presence::Other(why) = Presence::of(&path(name)) else { panic!("{name} is something") };
            assert!(why.starts_with("it cannot be looked at: "), "{name}: {why}");
        }
    }

    #[test]
    fn what_is_no_file_is_told() {
        assert_eq!([Presence::Absent, Presence::File].map(Presence::unless_file), [None, None]);
        assert_eq!(Presence::Folder.unless_file().as_deref(), Some("it is a folder"));
        assert_eq!(Presence::Other("why".into()).unless_file().as_deref(), Some("why"));
    }

    #[test]
    fn a_folder_is_listed_by_name_without_what_is_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let names = |max| {
            let paths = list(folder.path(), max).unwrap();
            paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert!(names(5).is_empty());
        for name in ["c", ".hidden", "a", "b"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(names(5), ["a", "b", "c"]);
        assert_eq!(
            [names(3).len(), names(2).len(), names(1).len()],
            [3, 3, 2],
            "one more tells that there are too many"
        );
    }

    #[test]
    fn a_folder_that_is_absent_is_empty_and_one_that_cannot_be_listed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        symlink("nowhere", folder.path().join("broken")).unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(list(&folder.path().join("nothing"), 5).unwrap().is_empty());
        assert!(list(&folder.path().join("broken"), 5).is_err());
        assert!(list(&folder.path().join("file"), 5).is_err());
    }
}
