//! What `introd init` writes runs as it is, and the program says where its configuration comes from.

use std::path::Path;

use introd_tests::folder::Folder;
use introd_tests::program::{Ended, Process, Server, introd, probe};

fn init(dir: &Path) -> Ended {
    Process::start(&mut introd(&["init", &dir.to_string_lossy()])).ended()
}

fn in_folder(dir: &Path, args: &[&str]) -> Ended {
    Process::start(introd(args).current_dir(dir)).ended()
}

#[test]
fn what_init_writes_is_in_order_and_its_script_acts() {
    let folder = Folder::new();
    let dir = folder.join("server");
    let ended = init(&dir);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("introd test lua/hello"), "{ended:?}");

    let checked = in_folder(&dir, &["check-config"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let origin = format!("the configuration is that of {}\n", dir.join("conf").display());
    assert!(checked.stdout.starts_with(&origin) && !checked.stdout.contains("warning"), "{checked:?}");
    let tested = in_folder(&dir, &["test", "lua/hello"]);
    assert_eq!(tested.code, Some(0), "{tested:?}");

    let server =
        Server::by(introd(&["run", "--listen", "127.0.0.1:0", "--workers", "1", "--admin", "none"]).current_dir(&dir));
    let ended = probe(&[&format!("rtmfp://{}/hello", server.addresses[0])]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    server.logged().wait_for("somebody is here, from 127.0.0.1:", 1);
    let stopped = server.stop();
    assert!(stopped.stderr.contains(origin.trim_end()), "{stopped:?}");
}

#[test]
fn init_overwrites_nothing() {
    for name in ["conf", "lua"] {
        let folder = Folder::new();
        std::fs::write(folder.join(name), "mine").unwrap();
        let ended = init(folder.path());
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("is there already, and nothing was written"), "{ended:?}");
        assert_eq!(std::fs::read_to_string(folder.join(name)).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_folder_without_a_configuration_is_told() {
    let folder = Folder::new();
    let checked = in_folder(folder.path(), &["check-config"]);
    let expected = format!(
        "there is no folder {}: the server has its built-in defaults, and every application is open to all clients\n",
        folder.join("conf").display()
    );
    assert!(checked.code == Some(0) && checked.stdout.starts_with(&expected), "{checked:?}");
}
