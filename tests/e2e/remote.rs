//! The commands that ask a running server: `introd status`, `top`, `clients` and so on.

use std::net::{SocketAddr, TcpListener};

use introd_tests::program::{Ended, Files, GroupMember, Peer, Process, Server, Terminal, groupspec, introd};
use introd_tests::waiting::eventually;
use serde_json::Value;

use crate::harness::command_line::{PASSWORD, administrated, anonymous, as_admin, asked, refused};

/// Lines of JSON.
/// What `introd reload chat` prints.
const LOADING: &str =
    "chat loads its scripts again; if they do not load, the log of the server says why, and the old ones go on\n";

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn json(admin: SocketAddr, arguments: &[&str]) -> Value {
    let mut lines = lines(&asked(admin, &[arguments, &["--json"]].concat()));
    assert_eq!(lines.len(), 1, "{arguments:?}");
    lines.remove(0)
}

#[test]
fn status_says_how_the_server_is_and_finds_it_by_its_configuration() {
    let files = administrated();
    // A port that is free now: the configuration has to name one.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    files.server(&format!("<AdminServer><HostPort>{free}</HostPort></AdminServer>"));
    let conf = files.path().to_string_lossy().into_owned();
    let run = ["run", "--conf", &conf, "--listen", "127.0.0.1:0", "--workers", "1"];
    let server = Server::by(&mut introd(&run));
    let _client = Peer::stay(&server.uri(0));
    let mut command = introd(&["status", "--conf", &conf, "--user", "admin"]);
    let ended = Process::start(command.env("INTROD_PASSWORD", PASSWORD)).ended();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    for expected in [", serving\n", &format!("listens at: {}\n", server.addresses[0]), "clients:    1 in 1 instances\n"]
    {
        assert!(ended.stdout.contains(expected), "{expected:?} in {}", ended.stdout);
    }
    let status = json(free, &["status"]);
    assert_eq!((&status["state"], &status["clients"]), (&Value::from("serving"), &Value::from(1)));
}

#[test]
fn clients_are_listed_found_by_the_first_digits_of_their_ids_and_disconnected() {
    let files = administrated();
    let server = Server::administered(files.path(), 2);
    let admin = server.admin[0];
    assert_eq!(asked(admin, &["clients"]), "no clients\n");
    let [first, second] = ["chat", "hall"].map(|application| Peer::stay(&server.uri_of(application)));
    let all = asked(admin, &["clients"]);
    let head = all.lines().next().unwrap();
    assert!(head.starts_with("PEER ") && head.ends_with("APPLICATION") && all.lines().count() == 3, "{all}");
    // All values are known: the worker says since when they are connected.
    assert!(!all.lines().skip(1).any(|line| line.split_whitespace().any(|value| value == "-")), "{all}");
    let only = asked(admin, &["clients", "--application", "hall"]);
    assert!(only.contains(&second.id) && only.contains("hall/room") && !only.contains(&first.id), "{only}");
    let pages = lines(&asked(admin, &["clients", "--limit", "1", "--json"]));
    assert_eq!(pages.iter().map(|page| page["clients"].as_array().unwrap().len()).sum::<usize>(), 1);
    let by_id = json(admin, &["clients", "--peer", &first.id[..12]]);
    assert_eq!(by_id["clients"][0]["peer"], first.id.as_str());

    let kicked = asked(admin, &["kick", &first.id[..12], "--reason", "made too much noise"]);
    assert_eq!(kicked, format!("{} is disconnected\n", first.id));
    let ended = first.ended();
    assert!(ended.code == Some(1) && ended.stderr.contains("stay failed"), "{ended:?}");
    eventually("the client is gone", || !asked(admin, &["clients"]).contains("chat/room"));
    let (code, why) = refused(&mut as_admin(admin, &["kick", &"00".repeat(32)]));
    assert!(code == Some(1) && why.starts_with("introd: "), "{why}");
    let (code, why) = refused(&mut as_admin(admin, &["kick", "0123456789ab"]));
    assert!(code == Some(1) && why.contains("no client has a peer ID that begins with 0123456789ab"), "{why}");
}

#[test]
fn groups_and_their_members_are_listed() {
    let files = administrated();
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    assert_eq!(asked(admin, &["groups"]), "no groups\n");
    let _member = GroupMember::start(&server.uri(0), &groupspec("remote", true));
    let mut found = Value::Null;
    eventually("the group is there", || {
        found = json(admin, &["groups"]);
        !found["groups"].as_array().unwrap().is_empty()
    });
    let digest = found["groups"][0]["group"].as_str().unwrap().to_owned();
    let table = asked(admin, &["groups"]);
    assert!(table.starts_with("GROUP ") && table.contains(&digest) && table.contains(" 1 "), "{table}");
    let members = asked(admin, &["groups", &digest]);
    assert!(members.starts_with("PEER ") && members.lines().count() == 2 && members.contains("app/room"), "{members}");
}

#[test]
fn an_application_is_loaded_again_and_the_log_has_another_level() {
    let files = administrated();
    files.script("chat", "trace('<<loaded>>')", "");
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    assert_eq!(asked(admin, &["reload"]), "no script runs\n");
    let _client = Peer::stay(&server.uri_of("chat"));
    server.logged().wait_for("<<loaded>>", 1);
    for (times, arguments) in
        [(2, vec!["reload", "chat"]), (3, vec!["reload"]), (4, vec!["reload", "chat", "--instance", "room"])]
    {
        assert_eq!(asked(admin, &arguments), LOADING);
        server.logged().wait_for("<<loaded>>", times);
    }
    let (code, why) = refused(&mut as_admin(admin, &["reload", "no such one"]));
    assert!(code == Some(1) && why.starts_with("introd: "), "{why}");

    assert_eq!(asked(admin, &["log-level"]), "info\n");
    assert_eq!(asked(admin, &["log-level", "debug"]), "debug\n");
    assert_eq!(json(admin, &["log-level"])["level"], "debug");
}

#[test]
fn what_is_wrong_is_said_in_a_line_with_what_to_do() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, why) = refused(&mut as_admin(free, &["status"]));
    assert!(
        code == Some(1) && why.starts_with("introd: nothing listens there") && why.contains("--admin URL"),
        "{why}"
    );

    let files = administrated();
    files.server("<Security><LoginLimits><MaxFailures>2</MaxFailures></LoginLimits></Security>");
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    let (code, why) = refused(&mut anonymous(admin, &["status"]));
    assert!(code == Some(1) && why.contains("the server wants a login: give --user NAME"), "{why}");
    let (code, why) = refused(&mut anonymous(admin, &["status", "--user", "admin"]));
    assert!(code == Some(1) && why.contains("set INTROD_PASSWORD"), "{why}");
    let wrong = || refused(as_admin(admin, &["status"]).env("INTROD_PASSWORD", "close sesame"));
    for _ in 0..2 {
        let (code, why) = wrong();
        assert!(code == Some(1) && why.contains("wrong name or password"), "{why}");
    }
    let (code, why) = refused(&mut as_admin(admin, &["status"]));
    assert!(code == Some(1) && why.contains("locked out: ") && why.contains("try again in "), "{why}");

    // Without passwords this machine reads, and nobody acts.
    let files = Files::new();
    let server = Server::administered(files.path(), 1);
    let ended = Process::start(&mut anonymous(server.admin[0], &["status"])).ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let (code, why) = refused(&mut anonymous(server.admin[0], &["drain"]));
    assert!(code == Some(1) && why.contains("introd passwd"), "{why}");

    for usage in [
        vec!["drain", "--cancel", "--to", "192.0.2.1"],
        vec!["drain", "--deadline", "0"],
        vec!["kick"],
        vec!["kick", "zz"],
        vec!["peer", "0".repeat(65).leak()],
        vec!["clients", "--address", "here"],
        vec!["groups", "00"],
        vec!["log-level", "introd=loud"],
        vec!["status", "--admin", "https://127.0.0.1:1111"],
        vec!["run", "--takeover", "--record", "traffic.json"],
        vec!["top", "--interval", "0"],
        vec!["status", "--conf", "conf", "--admin", "http://127.0.0.1"],
    ] {
        let (code, why) = refused(&mut introd(&usage));
        assert_eq!(code, Some(2), "{usage:?}: {why}");
    }
}

#[test]
fn a_drain_that_makes_no_sense_is_refused_and_changes_nothing() {
    let files = administrated();
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    let own = server.addresses[0].to_string();
    for (arguments, expected) in [
        (vec!["drain", "--to", &own], "is an address of this server itself"),
        (vec!["drain", "--to", "0.0.0.0:1935"], "no server can be reached at 0.0.0.0:1935"),
        (vec!["drain", "--deadline", "1e12"], "a deadline is more than 0 seconds"),
    ] {
        let (code, why) = refused(&mut as_admin(admin, &arguments));
        assert!(code == Some(1) && why.contains(expected), "{why}");
    }
    assert!(json(admin, &["status"])["drain"].is_null());
}

#[test]
fn the_password_can_come_from_a_file() {
    let files = administrated();
    let server = Server::administered(files.path(), 1);
    files.write("password", &format!("{PASSWORD}\n"));
    let file = files.path().join("password").to_string_lossy().into_owned();
    let arguments = ["status", "--user", "admin", "--password-file", &file];
    let ended = Process::start(&mut anonymous(server.admin[0], &arguments)).ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let files = administrated();
    let server = Server::administered(files.path(), 1);
    let mut command = as_admin(server.admin[0], &["top", "--json"]);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = command.stdin(std::process::Stdio::null()).stdout(writer).spawn().unwrap();
    drop(command);
    drop(reader);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn top_shows_the_server_on_a_terminal_and_leaves_it_as_it_was() {
    let files = administrated();
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    let _client = Peer::stay(&server.uri_of("chat"));
    for (columns, rows, keys) in [(100, 24, "q"), (20, 5, "\u{3}")] {
        let mut terminal = Terminal::start(as_admin(admin, &["top"]), columns, rows);
        terminal.screen().wait_for("serving", 1);
        if rows > 20 {
            terminal.screen().wait_for("chat/room", 1);
        }
        terminal.type_in(keys);
        let (code, shown) = terminal.ended();
        let (into, out) = ("\u{1b}[?1049h", "\u{1b}[?1049l");
        assert!(code == Some(0) && shown.contains(into) && shown.contains(out), "{code:?} {shown:?}");
    }
    // A server that is gone stands on the screen, and the terminal is restored all the same.
    let mut terminal = Terminal::start(as_admin(admin, &["top"]), 120, 24);
    terminal.screen().wait_for("serving", 1);
    server.stop();
    terminal.screen().wait_for("no answer: nothing listens there", 1);
    terminal.type_in("q");
    assert_eq!(terminal.ended().0, Some(0));

    let Ended { code, stderr, .. } = Process::start(&mut as_admin(admin, &["top"])).ended();
    assert!(code == Some(1) && stderr.contains("this needs a terminal"), "{stderr}");
}

#[test]
fn top_without_a_terminal_prints_what_the_server_answers() {
    let files = administrated();
    let server = Server::administered(files.path(), 1);
    let looks = lines(&asked(server.admin[0], &["top", "--json", "--count", "2"]));
    assert_eq!(looks.len(), 2);
    for look in looks {
        assert_eq!(look["server"]["state"], "serving");
        assert_eq!(look["counters"]["counters"]["rtmfp_lookups"], 0);
        assert!(look["applications"]["applications"].is_array(), "{look}");
    }
}
