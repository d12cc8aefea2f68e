//! The application in the folder `_default_` serves every path that has no folder of its own.

use introd_tests::program::{Files, Server, probe};

const SCRIPT: &str = "function application.onConnect(client, token)
    trace('asked for', application.name)
    return token == 'open sesame'
end";

fn step_that_failed(arguments: &[&str]) -> (Option<String>, String) {
    let ended = probe(&[&["--json"], arguments].concat());
    (ended.json()["failed_step"].as_str().map(str::to_owned), ended.stderr)
}

#[test]
fn each_path_without_a_folder_is_an_application_with_the_script_of_the_catch_all_one() {
    let files = Files::new();
    files.script("chat", "function application.onConnect() trace('in the chat', application.name) end", "");
    files.script("_default_", SCRIPT, "");
    let mut server = Server::configured(files.path(), 1);
    let login = ["--connect-args", r#"["open sesame"]"#];
    for path in ["anything", "0123456789abcdef-developer-key", "anything"] {
        let uri = server.uri_of(path);
        assert_eq!(step_that_failed(&[&login[..], &[&uri]].concat()).0, None, "{path}");
        assert_eq!(step_that_failed(&[&uri]).0.as_deref(), Some("connect"), "{path}: the script decides");
    }
    assert_eq!(step_that_failed(&[&server.uri_of("chat")]).0, None);
    // No client gets to it by its own name.
    let (step, said) = step_that_failed(&[&login[..], &[&server.uri_of("_default_")]].concat());
    assert!(step.as_deref() == Some("connect") && said.contains("NetConnection.Connect.InvalidApp"), "{said}");
    // What breaks at a reload changes nothing.
    files.write("../applications/_default_/Application.xml", "<Application>");
    let answer = server.reload_answer();
    assert!(answer.contains("except: ") && answer.contains("application _default_ keeps its old settings"), "{answer}");
    let uri = server.uri_of("anything");
    assert_eq!(step_that_failed(&[&uri]).0.as_deref(), Some("connect"));
    assert_eq!(step_that_failed(&[&login[..], &[&uri]].concat()).0, None);
    let log = server.stop().stderr;
    for expected in
        ["asked for anything/room", "asked for 0123456789abcdef-developer-key/room", "in the chat chat/room"]
    {
        assert!(log.contains(expected), "{expected}: {log}");
    }
}

#[test]
fn a_catch_all_application_that_is_broken_at_the_start_lets_nobody_in() {
    let files = Files::new();
    files.script("_default_", SCRIPT, "<MaxAppIdleTime>soon</MaxAppIdleTime>");
    let server = Server::configured(files.path(), 1);
    let uri = server.uri_of("anything");
    let (step, said) = step_that_failed(&["--connect-args", r#"["open sesame"]"#, &uri]);
    assert!(step.as_deref() == Some("connect") && said.contains("not available"), "{said}");
}
