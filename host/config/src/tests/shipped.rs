//! The files in `conf` and the defaults in the code are one.

use std::path::{Path, PathBuf};

use super::Folder;
use crate::load::Loader;
use crate::{Config, reference};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf")
}

#[test]
fn the_shipped_files_say_what_holds_without_them() {
    let root = Path::new("/srv");
    let files = Loader { dir: &shipped(), root, environment: &|_| None }.load().unwrap();
    assert_eq!(files.warnings, []);
    let nothing = Folder::new().load().unwrap();
    assert_eq!(files.config, nothing.config);
    assert_eq!(format!("{}", files.config), format!("{}", nothing.config));
}

#[test]
fn every_value_stands_in_the_shipped_files_or_takes_files_that_are_not_shipped() {
    for schema in crate::keys::SCHEMAS {
        let folder = if schema.file == "Adaptor.xml" { "_defaultRoot_" } else { "_defaultRoot_/_defaultVHost_" };
        let in_folder = shipped().join(folder).join(schema.file);
        let path = if in_folder.exists() { in_folder } else { shipped().join(schema.file) };
        let text = std::fs::read_to_string(path).unwrap();
        for entry in schema.entries.iter() {
            let name = entry.path.rsplit(['/', '@']).next().unwrap().trim_end_matches('*');
            let is_left_out =
                ["Plugin", "Core/", "Alias*", "@rtmfp", "@override"].iter().any(|part| entry.path.contains(part));
            assert!(is_left_out || text.contains(name), "{} lacks {}", schema.file, entry.path);
        }
    }
}

#[test]
fn the_readme_ends_with_the_tables_of_the_code() {
    let path = shipped().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let start = readme.find("## Server.xml").unwrap_or(readme.len());
    if std::env::var_os("INTROD_BLESS").is_some() {
        std::fs::write(&path, format!("{}{}", &readme[..start], reference())).unwrap();
        return;
    }
    assert_eq!(&readme[start..], reference(), "run the tests once with INTROD_BLESS=1 and look at what changed");
}

#[test]
fn checking_the_shipped_files_tells_what_would_run() {
    let loaded = Config::load(Some(&shipped())).unwrap();
    assert_eq!(loaded.diagnostics(false), []);
    let text = loaded.config.to_string();
    for line in [
        "adaptor _defaultRoot_",
        "  RTMFP: UDP 0.0.0.0:1935",
        "  RTMFP: UDP [::]:1935",
        "  administration: TCP 127.0.0.1:1111, for everyone; nobody has a password: programs of this machine may read, and nothing else is permitted",
        "      by default: lookups by the server, groups by the server, scripts 65536 kB and 1 s",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in:\n{text}");
    }
}

#[test]
fn checking_broken_files_tells_so() {
    let folder = Folder::new().with("Server.xml", "<Root><Sever/></Root>");
    let text = Config::load(Some(&folder.conf())).unwrap_err().to_string();
    assert!(text.ends_with("Server.xml:1:7: error: <Root> has no element <Sever>; did you mean Server?"), "{text}");
}

#[test]
fn a_folder_that_was_named_must_exist() {
    let problems = Config::load(Some(Path::new("/nonexistent/conf"))).unwrap_err();
    assert_eq!(problems.to_string(), "/nonexistent/conf: error: there is no such folder");
}
