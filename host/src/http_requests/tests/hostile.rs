//! Hosts that answer slowly, without end, or with what is no answer.

use super::far::ok;
use super::*;

fn is_too_large(result: &Result<HttpResponse, HttpFailure>) -> bool {
    matches!(result, Err(HttpFailure::TooLarge(_)))
}

#[test]
fn a_host_that_takes_its_time_is_given_up_and_the_message_says_where_it_was() {
    let silent = Far::serving(|near| near.drain());
    let slow = Far::serving(|near| {
        near.read();
        let answer = ok("xxxxxxxxxx");
        for byte in answer.bytes() {
            if !near.write(&[byte]) {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let slow_body = Far::serving(|near| {
        near.read();
        near.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
        near.drain();
    });
    let mut play = play("127.0.0.1, hanging.test");
    play.names.set("hanging.test", &[]);
    play.settings.timeout = Duration::from_millis(200);
    for (url, phase) in [
        (silent.url(), "the host had not begun to answer"),
        (slow.url(), "the host had not begun to answer"),
        (slow_body.url(), "the host had not sent the whole answer"),
        ("http://hanging.test/".to_owned(), "the host's name was being looked up"),
    ] {
        let problem = play.get(&url).unwrap_err();
        assert!(matches!(&problem, HttpFailure::TimedOut(text) if text.contains(phase)), "{url}: {problem}");
    }
    // A script may want less time than it has, and not more.
    play.settings.timeout = PATIENCE;
    let short = HttpRequest { timeout: Some(Duration::from_millis(50)), ..get(&silent.url()) };
    assert!(matches!(play.send(short), Err(HttpFailure::TimedOut(_))));
    play.settings.timeout = Duration::from_millis(50);
    let long = HttpRequest { timeout: Some(PATIENCE * 1000), ..get(&silent.url()) };
    assert!(matches!(play.send(long), Err(HttpFailure::TimedOut(_))));
}

#[test]
fn a_body_is_read_up_to_its_limit_however_its_length_is_told() {
    let mut play = play("127.0.0.1");
    play.settings.max_response_bytes = 1000;
    let fits = Far::answering(&ok(&"x".repeat(1000)));
    assert_eq!(play.get(&fits.url()).unwrap().body.len(), 1000);
    let longer = Far::answering(&ok(&"x".repeat(1001)));
    assert!(is_too_large(&play.get(&longer.url())));
    let announced = Far::serving(|near| {
        near.read();
        near.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 30).as_bytes());
        near.drain();
    });
    assert!(is_too_large(&play.get(&announced.url())), "nothing of it is waited for");
    let endless = |head: &'static str, part: &'static str| {
        Far::serving(move |near| {
            near.read();
            near.write(head.as_bytes());
            while near.write(part.as_bytes()) {}
        })
    };
    for (head, part) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "xxxxxxxxxxxxxxxxxxxxxxxx"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "10\r\nxxxxxxxxxxxxxxxx\r\n"),
    ] {
        let far = endless(head, part);
        assert!(is_too_large(&play.get(&far.url())), "{head}");
    }
    // Nothing is unpacked: what a small body would become when unpacked does not matter.
    let packed = Far::answering("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbomb");
    assert_eq!(text(&play.get(&packed.url()).unwrap()), "bomb");
}

#[test]
fn headers_are_read_up_to_their_limit() {
    let mut play = play("127.0.0.1");
    play.settings.max_header_bytes = 8192;
    let endless = |head: &'static str, part: &'static str| {
        Far::serving(move |near| {
            near.read();
            near.write(head.as_bytes());
            while near.write(part.as_bytes()) {}
        })
    };
    for (head, part) in [
        ("HTTP/1.1 200 OK\r\n", "a: b\r\n"),
        ("HTTP/1.1 200 OK\r\na: ", "bbbbbbbbbbbbbbbb"),
        ("HTTP/1.1 200 ", "OKOKOKOKOKOKOKOK"),
    ] {
        let far = endless(head, part);
        let result = play.get(&far.url());
        assert!(is_too_large(&result), "{head}: {result:?}");
    }
    // An answer that is announced again and again, and never comes.
    play.settings.timeout = Duration::from_millis(500);
    let announcing = endless("", "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(play.get(&announcing.url()).is_err());
}

#[test]
fn what_is_no_answer_of_http_is_refused() {
    let play = play("127.0.0.1");
    for bytes in [
        &b""[..],
        b"<html>an answer of HTTP/0.9</html>",
        b"220 mail.example ESMTP\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\0\0\0\r\n\r\n",
    ] {
        let far = Far::writing(bytes);
        let result = play.get(&far.url());
        assert!(matches!(result, Err(HttpFailure::Failed(_))), "{:?}: {result:?}", String::from_utf8_lossy(bytes));
    }
    assert!(play.problem("http://127.0.0.1:1/").contains("cannot be reached at 127.0.0.1:1"));
}
