//! What scripts must not reach.

use super::far::ok;
use super::*;
use crate::http_requests::HttpOutcome;

#[test]
fn hosts_that_are_not_listed_are_not_even_looked_up() {
    let far = Far::answering(&ok("x"));
    let play = play("api.test, 192.0.2.1");
    for url in [far.url(), format!("http://localhost:{}/", far.port()), format!("http://other.test:{}/", far.port())] {
        assert!(matches!(play.get(&url), Err(HttpFailure::NotAllowed(_))), "{url}");
    }
    assert_eq!((far.connections(), play.names.lookups().len()), (0, 0));
    assert_eq!(play.service.counters().get(HttpOutcome::NotAllowed), 3);
}

#[test]
fn a_listed_name_does_not_lead_to_addresses_that_are_not_public() {
    let far = Far::answering(&ok("x"));
    let play = play("api.test");
    let url = format!("http://api.test:{}/", far.port());
    for address in [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "fe80::1",
    ] {
        play.names.set("api.test", &[&[address]]);
        let problem = play.problem(&url);
        assert!(
            problem.contains("is not a public one") && problem.contains("ScriptEngine/HTTP/Allow"),
            "{address}: {problem}"
        );
    }
    assert_eq!(far.connections(), 0);
    play.names.set("api.test", &[&[]]);
    assert!(play.problem(&url).contains("has no address"));
    assert!(play.problem("http://other.api.test/").contains("does not list it"));
}

#[test]
fn a_name_whose_address_changes_gains_nothing() {
    let far = Far::writing(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx");
    let play = play(&format!("api.test, 127.0.0.1:{}", far.port()));
    play.names.set("api.test", &[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.2", "127.0.0.1"]]);
    let url = format!("http://api.test:{}/", far.port());
    assert_eq!(text(&play.get(&url).unwrap()), "x");
    assert!(play.problem(&url).contains("its address 127.0.0.2 is not a public one"));
    // Of several addresses, only those that are permitted are connected to.
    assert_eq!(text(&play.get(&url).unwrap()), "x");
    assert_eq!(
        (far.connections(), play.names.lookups().len()),
        (2, 3),
        "each is looked up once, and not again to connect"
    );
}

#[test]
fn a_redirect_is_held_to_the_list_as_the_request_is() {
    let inner = Far::answering(&ok("secret"));
    let port = inner.port();
    let mut play = play("127.0.0.1, inner.test, private.test");
    play.names.set("inner.test", &[&["127.0.0.2"]]);
    play.names.set("private.test", &[&["192.168.1.1"]]);
    for (location, why) in [
        ("http://other.test/", "does not list it"),
        (&*format!("http://127.0.0.2:{port}/"), "does not list it"),
        (&format!("http://[::1]:{port}/"), "does not list it"),
        (&format!("http://inner.test:{port}/"), "its address 127.0.0.2 is not a public one"),
        ("http://private.test/", "its address 192.168.1.1 is not a public one"),
        ("//2130706434/", "does not list it"),
        ("ftp://127.0.0.1/", "neither with http://"),
        ("file:///etc/passwd", "neither with http://"),
        ("http://user:pass@127.0.0.1/", "user name"),
        ("http://", "not to a URL"),
    ] {
        let far = Far::answering(&format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"));
        let problem = play.problem(&far.url());
        assert!(problem.contains(why) && !problem.contains("pass@"), "{location}: {problem}");
    }
    assert_eq!(inner.connections(), 0);
    // Without any listed host, nothing goes out.
    play.settings.allow = HttpHosts::default();
    assert!(play.problem(&inner.url()).contains("ScriptEngine/HTTP/Allow in Application.xml is empty"));
}

#[test]
fn what_a_request_holds_in_secret_is_in_no_message() {
    let play = play("127.0.0.1");
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rubbish = Far::writing(b"secret secret\r\n\r\n");
    let cut = Far::writing(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
    for host in [nowhere.to_string(), rubbish.address.to_string(), cut.address.to_string(), "other.test".to_owned()] {
        let request = HttpRequest {
            headers: vec![("authorization".to_owned(), "secret".into())],
            body: "secret".into(),
            ..get(&format!("http://{host}/secret?secret#secret"))
        };
        let problem = play.send(request).unwrap_err().to_string();
        assert!(problem.contains(&host) && !problem.contains("secret"), "{problem}");
    }
}
