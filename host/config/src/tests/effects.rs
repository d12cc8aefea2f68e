//! Settings that nothing is done with are marked in the tables, and those that are marked are told.

use std::path::{Path, PathBuf};

use super::Folder;
use crate::keys::SCHEMAS;
use crate::schema::Effect;

/// The fields that nothing outside the configuration reads, and the paths of the values in them.
const UNREAD: [(&str, &[&str]); 1] = [("update_stats_interval", &["RTMFP/UpdateStatsInterval"])];

/// The structs with what the files say, by the files of the code; not the parts of those that nothing reads.
const STRUCTS: [(&str, &[&str]); 9] = [
    ("server.rs", &["Server", "ServerLimits", "Registry", "AdminServer", "LoginLimits"]),
    ("users.rs", &["Users", "User", "HttpCommands"]),
    ("adaptor.rs", &["Adaptor"]),
    ("rtmfp.rs", &["Rtmfp", "KeepAlive"]),
    ("vhost.rs", &["Vhost"]),
    ("application.rs", &["Application", "Script", "Policy"]),
    ("plugin.rs", &["Plugin"]),
    ("idle.rs", &["IdleClients"]),
    ("config.rs", &["Config"]),
];

/// The sources of this crate.
fn own_source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The folder with the sources of the server and of all its crates.
fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The code outside the configuration, without tests.
fn code(folder: &Path, out: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "config" | "rtmfp" | "tests") {
            code(&path, out);
        } else if name.ends_with(".rs") && !name.contains("tests") {
            out.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The public fields of a struct.
fn fields(text: &str, name: &str) -> Vec<String> {
    let start = text.find(&format!("pub struct {name} {{")).unwrap_or_else(|| panic!("there is no struct {name}"));
    let body = text[start..].split("\n}").next().unwrap();
    let fields = body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'));
    fields.filter(|(name, _)| !name.contains(' ')).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn what_nothing_reads_is_what_is_marked() {
    let mut outside = String::new();
    code(&source(), &mut outside);
    // How the configuration itself uses its values: which adaptor, which virtual host, which rules hold.
    let own = ["config.rs", "applications.rs", "adaptor.rs", "vhost.rs"].map(|file| own_source().join(file));
    let within: String = own.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let mut unread = Vec::new();
    for (file, structs) in STRUCTS {
        let text = std::fs::read_to_string(own_source().join(file)).unwrap();
        for name in structs {
            for field in fields(&text, name) {
                let is_read = |code: &str| {
                    let access = format!(".{field}");
                    let mut parts = code.split(&access);
                    parts.next();
                    parts.any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
                };
                let is_for_reading_only =
                    ["networking_ipv6", "aliases", "accepts_unregistered", "apps_dirs", "defaults"]
                        .contains(&field.as_str());
                if !(is_read(&outside) || is_for_reading_only && is_read(&within)) {
                    unread.push(field);
                }
            }
        }
    }
    unread.sort();
    let mut expected = UNREAD.map(|(field, _)| field);
    expected.sort_unstable();
    assert_eq!(
        unread, expected,
        "a setting that nothing reads is to be marked without_effect, and its field to stand here"
    );

    let paths: Vec<&str> = UNREAD.iter().flat_map(|(_, paths)| *paths).copied().collect();
    for schema in SCHEMAS {
        for entry in schema.entries.iter() {
            let is_unread = schema.file != "Application.xml" && paths.iter().any(|path| entry.plain.starts_with(path));
            assert_eq!(matches!(entry.effect, Effect::Nowhere(_)), is_unread, "{} {}", schema.file, entry.path);
        }
    }
}

#[test]
fn settings_without_effect_are_told_once_and_where() {
    let folder = Folder::new().with(
        "_defaultRoot_/Adaptor.xml",
        "<Adaptor><RTMFP><UpdateStatsInterval>5</UpdateStatsInterval></RTMFP></Adaptor>",
    );
    assert_eq!(
        folder.problems(),
        "conf/_defaultRoot_/Adaptor.xml:1:17: warning: <RTMFP/UpdateStatsInterval> has no effect here: the counters are up to date at any time\n"
    );
}

#[test]
fn what_counts_in_the_default_adaptor_alone_is_told_elsewhere() {
    let text = "<Adaptor><HostPortList><HostPort>:1936</HostPort></HostPortList><RTMFP><DeadPeerTimeout>60</DeadPeerTimeout></RTMFP></Adaptor>";
    let folder = Folder::new().with("inside/Adaptor.xml", text);
    let problems = folder.problems();
    assert!(
        problems.contains("inside/Adaptor.xml:1:72: warning: <RTMFP/DeadPeerTimeout> has no effect here: "),
        "{problems}"
    );
    let folder = Folder::new().with("_defaultRoot_/Adaptor.xml", text);
    assert_eq!(folder.problems(), "");
    let vhost = "<VirtualHost><DefaultApplication>lobby</DefaultApplication></VirtualHost>";
    let folder = Folder::new().with("_defaultRoot_/games.example/Vhost.xml", vhost);
    assert!(folder.problems().contains("<DefaultApplication> has no effect here"), "{}", folder.problems());
}
