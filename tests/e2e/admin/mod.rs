//! The administration by HTTP.

mod api;
mod gate;
mod hostile;
mod introductions;
mod json;
mod log;
mod metrics;

use introd_tests::program::{Files, Process, introd};

/// The login of the administrator that [`with_password`] makes.
const LOGIN: &str = "auser=admin&apswd=s3cret";

/// The same by HTTP Basic.
const BASIC: &str = "Authorization: Basic YWRtaW46czNjcmV0\r\n";

/// Files with an administrator whose password `introd passwd` has hashed.
pub(crate) fn with_password(password: &str) -> Files {
    let files = Files::new();
    write_password(&files, password);
    files
}

fn write_password(files: &Files, password: &str) {
    let element = hashed(password);
    files.write("Users.xml", &format!("<Root><UserList><User name='admin'>{element}</User></UserList></Root>"));
}

/// What `introd passwd` prints for a password.
fn hashed(password: &str) -> String {
    let input = Files::new();
    let path = input.path().join("password");
    std::fs::write(&path, format!("{password}\n")).unwrap();
    let mut command = introd(&["passwd"]);
    let ended = Process::of(
        command
            .stdin(std::fs::File::open(path).unwrap())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap(),
    )
    .ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

#[test]
fn passwd_hashes_a_password_and_takes_no_empty_one() {
    let (one, other) = (hashed("s3cret"), hashed("s3cret"));
    assert!(one.starts_with("<Password encrypt=\"pbkdf2-sha256\">600000$") && one.ends_with("</Password>\n"), "{one}");
    assert_ne!(one, other, "each has a salt of its own");
    let ended = Process::start(&mut introd(&["passwd"])).ended();
    assert_eq!((ended.code, ended.stderr.contains("an empty password is none")), (Some(1), true), "{ended:?}");
}
