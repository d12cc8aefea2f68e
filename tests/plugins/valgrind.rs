//! The tests of misbehaving plugins once more, under valgrind: nothing reads or writes where it should not.

use std::process::Command;

/// Set for the run under valgrind.
const INSIDE: &str = "INTROD_UNDER_VALGRIND";

#[test]
fn misbehaving_plugins_touch_no_memory_that_is_not_theirs() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let own = std::env::current_exe().expect("this test has a path");
    let mut valgrind = Command::new("valgrind");
    // Tables and libraries stay for ever by design: what is asked is whether memory is used rightly.
    valgrind.args(["--quiet", "--error-exitcode=99", "--leak-check=no", "--fair-sched=yes"]);
    valgrind.arg(own).args(["misbehaving::", "frozen", "--test-threads=1"]).env(INSIDE, "1");
    let output = valgrind.output().expect("there is valgrind");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("test result: ok. 1"), "tests were run: {text}");
}
