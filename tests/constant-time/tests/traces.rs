//! Each instruction and each address of memory is the same for all secrets: what valgrind's tool lackey writes down of one run is compared with what it
//! writes down of the others.
#![forbid(unsafe_code)]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_constant-time");
/// The secrets that are compared with the first: see `private_key` and `spoil` in `src/subjects.rs`.
const OTHERS: [u64; 2] = [1, 10];

/// Runs the program under a tool of valgrind. All runs have the same environment, so that the stack begins at the same address.
fn valgrind(tool: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new("valgrind");
    command.args(tool).arg(PROGRAM).args(arguments).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
    command
}

fn lines_of(arguments: &[&str]) -> Vec<String> {
    let output = valgrind(&["--quiet", "--tool=none"], arguments).output().expect("valgrind is installed");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// The steps of each computation with the secret of that number, one a line.
fn steps(number: u64, [begin, end]: &[String; 2]) -> Vec<Vec<u8>> {
    let mut command = valgrind(&["--quiet", "--tool=lackey", "--trace-mem=yes"], &["steps", &format!("{number:02}")]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("valgrind is installed");
    let mut lines = BufReader::with_capacity(1 << 20, child.stderr.take().expect("it is piped"));
    let (mut line, mut steps, mut is_inside) = (Vec::new(), Vec::new(), false);
    while lines.read_until(b'\n', &mut line).expect("valgrind writes on") > 0 {
        if line.starts_with(begin.as_bytes()) {
            is_inside = true;
            steps.push(Vec::new());
        } else if line.starts_with(end.as_bytes()) {
            is_inside = false;
        } else if is_inside {
            steps.last_mut().expect("one has begun").extend_from_slice(&line);
        }
        line.clear();
    }
    assert!(child.wait().expect("valgrind ends").success());
    steps
}

/// The first line that differs, with the function that is at its address.
fn first_difference(one: &[u8], other: &[u8]) -> String {
    let mut lines = one.split(|byte| *byte == b'\n').zip(other.split(|byte| *byte == b'\n')).enumerate();
    let Some((number, (one, other))) = lines.find(|(_, (one, other))| one != other) else {
        return format!("{} bytes and {} bytes", one.len(), other.len());
    };
    let [one, other] = [one, other].map(|line| String::from_utf8_lossy(line).into_owned());
    format!("step {number}: {one:?} and {other:?}")
}

#[test]
fn steps_do_not_depend_on_secrets() {
    let marks = lines_of(&["marks"]).concat();
    let (begin, end) = marks.split_once(' ').expect("two addresses");
    // Lackey writes `I  ADDRESS,LENGTH` for each instruction.
    let marks = [begin, end].map(|address| format!("I  {:0>8},", address));
    let subjects = lines_of(&["subjects"]);
    let expected = steps(0, &marks);
    assert_eq!(expected.len(), subjects.len(), "steps of each subject");
    let mut found = vec![None; subjects.len()];
    for number in OTHERS {
        let others = steps(number, &marks);
        assert_eq!(others.len(), subjects.len());
        for (place, (one, other)) in expected.iter().zip(&others).enumerate() {
            assert!(one.len() > 1000, "{}: only {} bytes of steps", subjects[place], one.len());
            if one != other {
                found[place].get_or_insert(format!("secret {number}: {}", first_difference(one, other)));
            }
        }
    }
    let mut wrong = Vec::new();
    for (subject, found) in subjects.iter().zip(found) {
        match (subject.split_once(' ').unwrap(), found) {
            (("same", name), Some(difference)) => wrong.push(format!("{name} depends on the secret: {difference}")),
            (("differs", name), None) => wrong.push(format!("{name} was not found to depend on the secret")),
            _ => (),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
