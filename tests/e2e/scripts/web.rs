//! Scripts that ask a web service, and that read files, in the program.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use introd_flash::amf::Value;
use introd_flash::client::ConnectOptions;
use introd_tests::program::{Files, SHIPPED, Server, probe};

use super::ask;
use crate::harness::clients::{LOOPBACK, TIMEOUT, connect_with, rejection, try_connect};

/// The script of an application that is shipped.
fn main_of(application: &str) -> String {
    std::fs::read_to_string(format!("{SHIPPED}/{application}/main.lua")).expect("a script")
}

/// A web service that answers each request with what this function makes of its head and its body: a status and a body.
fn service(answer: impl Fn(&str, &str) -> (u16, String) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.expect("a connection"));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|length| length > 0) {}
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            let mut body = vec![0; length.parse().expect("a number")];
            reader.read_exact(&mut body).expect("a body");
            let (status, text) = answer(&head, &String::from_utf8(body).expect("UTF-8"));
            let length = text.len();
            let reply = format!("HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}");
            let _ = reader.get_mut().write_all(reply.as_bytes());
        }
    });
    address
}

#[tokio::test]
async fn a_login_is_decided_by_a_web_service() {
    let service = service(|head, body| {
        let is_right = head.starts_with("POST /login HTTP/1.1\r\n")
            && head.contains("authorization: Bearer sesame\r\n")
            && body.contains("\"name\":\"ann\"")
            && body.contains("\"token\":\"right\"")
            && body.contains("\"address\":\"127.0.0.1:");
        if is_right { (200, r#"{"name": "Ann", "rooms": ["lobby"]}"#.to_owned()) } else { (401, String::new()) }
    });
    let (files, text) = (Files::new(), main_of("login-web"));
    let settings = |allow: &str| {
        format!(
            "<ScriptEngine><HTTP><Allow>{allow}</Allow></HTTP><ApplicationObject><config><service>http://{service}/login</service><key>sesame</key></config></ApplicationObject></ScriptEngine>
             <Policy><Deadline>60000</Deadline></Policy>"
        )
    };
    files.script("login", &text, &settings(&service.to_string()));
    files.script("closed", &text, &settings("127.0.0.2"));
    let server = Server::configured(files.path(), 2);
    let arguments = |token: &str| vec![Value::from("ann"), Value::from(token)];
    let uri = server.uri_of("login");
    let mut ann =
        try_connect(&uri, LOOPBACK, 1, arguments("right")).await.unwrap_or_else(|failure| panic!("{failure}"));
    let Ok(Value::Object(who)) = ask(&mut ann, "whoAmI", Vec::new()).await else { panic!("it is an object") };
    assert!(who.properties.contains(&("name".into(), Value::from("Ann"))), "{who:?}");
    let wrong = rejection(&uri, LOOPBACK, 2, arguments("wrong")).await;
    assert!(wrong.contains("The name or the token is wrong."), "{wrong}");
    // An application that does not list the service cannot ask it.
    let closed = rejection(&server.uri_of("closed"), LOOPBACK, 3, arguments("right")).await;
    assert!(closed.contains("Logins are not possible at the moment."), "{closed}");
    server.logged().wait_for("ScriptEngine/HTTP/Allow in Application.xml does not list it", 1);
    ann.close().await;
    assert_eq!(server.stop().code, Some(0));
}

/// A script that wants far more than it may of a web service that never answers delays nobody else.
#[test]
fn clients_meet_while_another_application_waits_for_a_thousand_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let service = silent.local_addr().expect("an address");
    let files = Files::new();
    files.script(
        "hungry",
        &format!(
            "function application.onAppStart()
                local refused = 0
                for _ = 1, 3000 do
                    setTimeout(function()
                        local response, problem = http.get('http://{service}/')
                        refused = refused + 1
                        if refused == 1000 then trace('<<' .. problem .. '>>') end
                    end, 1)
                end
            end"
        ),
        &format!("<LoadOnStartup>true</LoadOnStartup><ScriptEngine><HTTP><Allow>{service}</Allow><Timeout>600000</Timeout></HTTP></ScriptEngine>"),
    );
    let decides = main_of("introductions");
    files.script("meet", &decides, super::ALL_LOOKUPS);
    let server = Server::configured(files.path(), 2);
    server.logged().wait_for("<<as many HTTP requests of this instance wait as may", 1);
    let ended = probe(&["--meet", "--json", &server.uri_of("meet")]);
    assert_eq!(ended.code, Some(0), "{ended:?}\n{}", server.log());
    let ended = server.stop();
    assert!(ended.code == Some(0) && !ended.stderr.contains("ERROR"), "{ended:?}");
}

#[tokio::test]
async fn the_pages_that_may_connect_are_those_of_a_file_that_may_change() {
    let (files, text) = (Files::new(), main_of("allowed-pages"));
    files.script("pages", &text, "");
    let list = files.of_application("pages", "allowed_pages.txt");
    std::fs::write(&list, "*.example.com\n").expect("a file");
    let server = Server::configured(files.path(), 2);
    let uri = server.uri_of("pages");
    let of_page = |page: &str| ConnectOptions { page_url: page.to_owned(), ..ConnectOptions::default() };
    let is_accepted = async |number: u64, page: &str| match connect_with(&uri, LOOPBACK, number, &of_page(page)).await {
        Ok(client) => {
            client.close().await;
            true
        }
        Err(failure) => {
            assert!(failure.problem.contains("This page may not connect."), "{failure}");
            false
        }
    };
    assert!(is_accepted(1, "http://www.example.com/game").await);
    assert!(!is_accepted(2, "http://www.example.net/").await);
    std::fs::write(&list, "*.example.com\n*.example.net\n").expect("a file");
    let deadline = Instant::now() + TIMEOUT;
    let mut number = 3;
    while !is_accepted(number, "http://www.example.net/").await {
        assert!(Instant::now() < deadline, "the change is not seen");
        tokio::time::sleep(Duration::from_millis(100)).await;
        number += 1;
    }
    assert_eq!(server.stop().code, Some(0));
}
