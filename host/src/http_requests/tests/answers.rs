//! What hosts receive, and what is made of their answers.

use super::far::ok;
use super::*;
use crate::http_requests::HttpOutcome;

#[test]
fn a_request_is_sent_as_it_is_asked_for_and_the_answer_is_read_whole() {
    let far = Far::answering(&ok("{}"));
    let play = play("127.0.0.1");
    let response = play.get(&format!("{}/a%20b?c=d#e", far.url())).unwrap();
    assert_eq!((response.status, text(&response)), (200, "{}"));
    assert_eq!(response.headers, [("content-length".to_owned(), b"2".to_vec())]);
    drop(response);
    let request = HttpRequest {
        method: "PUT".to_owned(),
        url: format!("{}/x", far.url()),
        headers: vec![("x-key".to_owned(), "one".into()), ("x-key".to_owned(), "two".into())],
        body: "hello".into(),
        ..HttpRequest::default()
    };
    play.send(request).unwrap();
    let heard = far.heard();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        heard[0],
        format!("GET /a%20b?c=d HTTP/1.1\r\nuser-agent: introd/{version}\r\nhost: {}\r\n\r\n", far.address)
    );
    assert!(heard[1].starts_with("PUT /x HTTP/1.1\r\n") && heard[1].ends_with("\r\n\r\nhello"), "{}", heard[1]);
    assert!(
        heard[1].contains("x-key: one\r\nx-key: two\r\n") && heard[1].contains("content-length: 5\r\n"),
        "{}",
        heard[1]
    );
    assert_eq!(play.service.counters().get(HttpOutcome::Answered), 2);
}

#[test]
fn any_status_is_an_answer_and_the_body_stays_as_it_was_sent() {
    let play = play("127.0.0.1");
    for (answer, status, body) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", 404, "none"),
        (
            "HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nno\r\n\r\n1\r\nx\r\n0\r\nTrailer: y\r\n\r\n",
            500,
            "no\r\nx",
        ),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end"),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x08x", 200, "\x1f\x08x"),
        ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x"),
        ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", 302, ""),
    ] {
        let far = Far::writing(Box::leak(answer.to_owned().into_boxed_str()).as_bytes());
        let response = play.get(&far.url()).unwrap_or_else(|error| panic!("{answer:?}: {error}"));
        assert_eq!((response.status, text(&response)), (status, body), "{answer:?}");
    }
    let far = Far::writing(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    let response = play.send(HttpRequest { method: "HEAD".to_owned(), ..get(&far.url()) }).unwrap();
    assert_eq!((response.status, text(&response)), (200, ""), "an answer to HEAD has no body");
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let far = Far::answering(&ok("x"));
    let mut play = play("api.test, 127.0.0.1");
    play.names.set("api.test", &[&["127.0.0.1"]]);
    let url = format!("http://api.test:{}/", far.port());
    for _ in 0..5 {
        assert_eq!(text(&play.get(&url).unwrap()), "x");
    }
    assert_eq!((far.connections(), play.service.idle_connections(), play.names.lookups().len()), (1, 1, 1));
    // What one application may reach is not for each: this one may not connect to the address.
    play.settings.allow = HttpHosts::parse("api.test").unwrap();
    assert!(play.problem(&url).contains("its address 127.0.0.1 is not a public one"));
    assert_eq!(far.connections(), 1);
    // A host that says so, or closes it, is asked on another connection.
    play.settings.allow = HttpHosts::parse("api.test, 127.0.0.1").unwrap();
    let closing = Far::writing(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\ny");
    for _ in 0..3 {
        assert_eq!(text(&play.get(&closing.url()).unwrap()), "y");
    }
    assert_eq!(closing.connections(), 3);
}

#[test]
fn a_connection_that_the_host_has_closed_meanwhile_is_not_the_end_of_a_request_that_may_be_repeated() {
    // It closes each connection when the second request comes.
    let far = Far::serving(|near| {
        near.read();
        near.write(ok("x").as_bytes());
        near.read();
    });
    let play = play("127.0.0.1");
    for _ in 0..3 {
        assert_eq!(text(&play.get(&far.url()).unwrap()), "x");
    }
    assert_eq!(far.connections(), 3);
    let post = HttpRequest { method: "POST".to_owned(), body: "once".into(), ..get(&far.url()) };
    let problem = play.send(post).unwrap_err().to_string();
    assert!(problem.contains("closed the connection"), "{problem}");
    assert_eq!(far.heard().iter().filter(|request| request.ends_with("once")).count(), 1, "it may have had an effect");
}

#[test]
fn redirects_are_followed_within_the_list_and_counted() {
    let far = Far::serving(|near| {
        while let Some(request) = near.read() {
            let path = request.split(' ').nth(1).unwrap();
            let answer = match path.strip_prefix("/loop") {
                Some(_) => "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n".to_owned(),
                None => match path.strip_prefix('/').and_then(|left| left.parse::<u32>().ok()) {
                    Some(0) | None => ok(&request.lines().next().unwrap().replace(' ', "_")),
                    Some(left) => format!("HTTP/1.1 307 Go\r\nLocation: /{}\r\nContent-Length: 0\r\n\r\n", left - 1),
                },
            };
            near.write(answer.as_bytes());
        }
    });
    let play = play("127.0.0.1");
    let url = |path: &str| format!("{}/{path}", far.url());
    assert_eq!(text(&play.get(&url("5")).unwrap()), "GET_/0_HTTP/1.1");
    assert!(play.problem(&url("6")).contains("redirects once more, after 5 redirects"));
    assert!(play.problem(&url("loop")).contains("redirects once more"));
    let with = |redirects| HttpRequest { redirects: Some(redirects), ..get(&url("2")) };
    assert_eq!(play.send(with(2)).unwrap().status, 200);
    assert!(play.send(with(1)).is_err());
    let answer = play.send(with(0)).unwrap();
    assert_eq!((answer.status, &*answer.headers[0].1), (307, &b"/1"[..]), "the redirect is the answer");
}

#[test]
fn a_redirect_to_another_host_takes_no_secret_along() {
    let there = Far::answering(&ok("there"));
    let to = format!("HTTP/1.1 302 Found\r\nLocation: {}/x\r\nContent-Length: 0\r\n\r\n", there.url());
    let here = Far::answering(&to);
    let play = play("127.0.0.1");
    let request = HttpRequest {
        method: "POST".to_owned(),
        headers: vec![("authorization".to_owned(), "secret".into()), ("x-key".to_owned(), "secret".into())],
        body: "secret".into(),
        ..get(&here.url())
    };
    assert_eq!(text(&play.send(request).unwrap()), "there");
    assert!(here.heard()[0].matches("secret").count() == 3);
    let heard = there.heard();
    assert!(heard[0].starts_with("GET /x ") && !heard[0].contains("secret"), "{heard:?}");
}
