//! What belongs to an installed program: its manual pages and the completions of shells.

use std::process::Command;

use introd_tests::folder::Folder;
use introd_tests::program::{Process, introd};

/// The commands that the program names in its help.
fn commands() -> Vec<String> {
    let ended = Process::start(&mut introd(&["--help"])).ended();
    let listed =
        ended.stdout.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<String> = listed.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect();
    assert!(names.len() > 10 && names.contains(&"run".to_owned()), "{ended:?}");
    names.into_iter().filter(|name| name != "help").collect()
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = Folder::new();
    let man = folder.path().join("man/man1");
    let ended = Process::start(&mut introd(&["man", &man.to_string_lossy()])).ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let overview = std::fs::read_to_string(man.join("introd.1")).expect("a page of the program");
    assert!(overview.contains(".TH introd 1"), "{overview}");
    for command in commands() {
        let page = std::fs::read_to_string(man.join(format!("introd-{command}.1"))).expect(&command);
        assert!(page.contains(".SH SYNOPSIS"), "{command}: {page}");
    }
    let taken = folder.path().join("file");
    std::fs::write(&taken, "").expect("a file");
    let ended = Process::start(&mut introd(&["man", &taken.to_string_lossy()])).ended();
    assert!(ended.code == Some(1) && ended.stderr.contains("cannot be made"), "{ended:?}");
}

#[test]
fn shells_complete_every_command() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = Process::start(&mut introd(&["completions", shell])).ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(commands().iter().all(|command| ended.stdout.contains(command)), "{shell}: {}", ended.stdout);
        if shell == "bash" {
            let script = folder.path().join("introd.bash");
            std::fs::write(&script, &ended.stdout).expect("a file");
            let complete = format!(
                ". {} && COMP_WORDS=(introd check-con) COMP_CWORD=1 && _introd introd check-con && echo ${{COMPREPLY[*]}}",
                script.display()
            );
            let said = Command::new("bash").args(["-c", &complete]).output().expect("bash");
            assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "check-config", "{said:?}");
        }
    }
}
