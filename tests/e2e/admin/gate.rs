//! Who may use the administration.

use std::net::TcpListener;

use introd_tests::program::{Files, Server, introd};
use introd_tests::waiting::eventually;

use super::{LOGIN, with_password, write_password};
use crate::harness::http::{get, get_with};

#[test]
fn without_passwords_programs_of_this_machine_read_and_do_not_act() {
    let files = Files::new();
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    assert_eq!(get(admin, "/admin/getServerStats").one("level"), "status");
    assert_eq!(get(admin, "/admin/gc").one("code"), "NetConnection.Connect.Rejected");
    assert_eq!((get(admin, "/healthz").body.as_str(), get(admin, "/readyz").status), ("ok\n", 200));
    // A page whose site has got the address of this machine.
    let rebound = get_with(admin, "/admin/getServerStats", "Host: evil.example\r\n");
    assert!(rebound.status == 421 || rebound.status == 400, "two hosts: {rebound:?}");
    assert_eq!(get_with(admin, "/", "Sec-Fetch-Site: cross-site\r\n").status, 403);
}

#[test]
fn three_wrong_passwords_lock_the_address_out_and_say_so() {
    let files = with_password("s3cret");
    files.server("<Security><LoginLimits><RecoveryTime>600</RecoveryTime><LockoutLimit>3600</LockoutLimit></LoginLimits></Security>");
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    assert_eq!(get(admin, &format!("/admin/ping?{LOGIN}")).one("level"), "status");
    for _ in 0..3 {
        let answer = get(admin, "/admin/ping?auser=admin&apswd=hunter2");
        assert_eq!(answer.one("code"), "NetConnection.Connect.Rejected");
        assert_eq!(answer.one("description"), "Administrator login failed for user admin.");
    }
    let locked = get(admin, &format!("/admin/ping?{LOGIN}"));
    assert!(locked.one("description").contains("try again in "), "{}", locked.body);
    let page = get(admin, &format!("/?{LOGIN}"));
    assert_eq!(page.status, 429, "{page:?}");
    let log = server.log();
    assert!(log.contains("lockout_seconds=600"), "{log}");
    assert!(!log.contains("hunter2") && !log.contains("s3cret"), "no password is logged");
}

#[test]
fn a_reload_changes_the_password_and_who_may_connect() {
    let files = with_password("s3cret");
    let mut server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    let level = |login: &str| get(admin, &format!("/admin/ping?{login}")).one("level").to_owned();
    assert_eq!(level(LOGIN), "status");
    write_password(&files, "other");
    assert!(server.reload());
    assert_eq!([level(LOGIN), level("auser=admin&apswd=other")], ["error", "status"]);
    files.server("<AdminServer><Deny>127.0.0.1</Deny></AdminServer>");
    assert!(server.reload());
    let answer = crate::harness::http::exchange(admin, format!("GET / HTTP/1.1\r\nHost: {admin}\r\n\r\n").as_bytes());
    assert_eq!(answer, "", "the connection is closed at once");
    server.logged().wait_for("the access rules of the administration deny this address", 1);
}

#[test]
fn a_server_whose_port_of_the_administration_is_taken_serves_and_listens_there_later() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let server =
        Server::by(&mut introd(&["run", "--listen", "127.0.0.1:0", "--workers", "1", "--admin", &address.to_string()]));
    assert!(server.admin.is_empty());
    server.logged().wait_for("the administration cannot listen there, and tries again", 1);
    drop(taken);
    server.logged().wait_for("the administration listens here now", 1);
    eventually("it answers", || get(address, "/healthz").status == 200);
    assert_eq!(server.stop().code, Some(0));
}
