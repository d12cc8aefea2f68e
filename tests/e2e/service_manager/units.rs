//! The units of systemd: systemd takes them, and the sandbox is as tight as its page says.

use std::path::{Path, PathBuf};
use std::process::Command;

use introd_tests::folder::Folder;
use introd_tests::program::binary;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn analyze(arguments: &[&str]) -> String {
    let said = Command::new("systemd-analyze").args(arguments).output().expect("systemd-analyze");
    assert!(said.status.success(), "{said:?}");
    String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr)
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    let folder = Folder::new();
    let mut copies = Vec::new();
    for unit in ["introd.service", "optional/introd.socket"] {
        let text = std::fs::read_to_string(repository().join("conf/systemd").join(unit)).expect("the unit");
        // The program and its manual page are not installed here.
        let text = text.replace("/usr/bin/introd", &binary().to_string_lossy()).replace("man:introd(1) ", "");
        let copy = folder.path().join(unit.trim_start_matches("optional/"));
        std::fs::write(&copy, text).expect("a file");
        copies.push(copy.to_string_lossy().into_owned());
    }
    let said = analyze(&["verify", "--man=no", &copies[0], &copies[1]]);
    let about: Vec<&str> = said.lines().filter(|line| line.contains("introd")).collect();
    assert!(about.is_empty(), "{said}");
}

#[test]
fn the_sandbox_has_the_score_that_its_page_states() {
    let unit = repository().join("conf/systemd/introd.service");
    let said = analyze(&["security", "--offline=true", "--no-pager", &unit.to_string_lossy()]);
    let (_, rest) = said.rsplit_once("exposure level for introd.service: ").expect("a score");
    let score: String = rest.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let number: f32 = score.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    assert!(number < 2.0, "{score}");
    // Each version of systemd looks at something else.
    let version = analyze(&["--version"]);
    let version = version.split_whitespace().nth(1).expect("a version");
    let page = std::fs::read_to_string(repository().join("docs/systemd.md")).expect("the page");
    if page.contains(&format!("(systemd {version})")) {
        assert!(page.contains(&format!("**{score}**")), "docs/systemd.md states another score than {score}");
    }
}
