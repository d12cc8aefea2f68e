//! `http`: what scripts ask, and what they are told. The server's own part has its tests in `host/src/http_requests`.

use std::sync::{Arc, Mutex};

use super::{Folder, Scene, host, settings};
use crate::testing::{Scenery, Stage};
use crate::{HostSettings, ScriptState, Surroundings};
use introd_config::Application;
use introd_policy::http::{HttpFailure, HttpFuture, HttpRequest, HttpRequests, HttpResponse};
use introd_policy::message::AppEvent;
use introd_policy::{InstanceName, Verdict};
use tokio::sync::oneshot;

type Outcome = Result<HttpResponse, HttpFailure>;

/// A web that keeps requests until the test answers them.
#[derive(Default)]
struct Web(Mutex<Vec<(HttpRequest, oneshot::Sender<Outcome>)>>);

impl HttpRequests for Web {
    fn send(&self, _: &InstanceName, _: &Arc<Application>, request: HttpRequest) -> HttpFuture {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap().push((request, sender));
        Box::pin(async { receiver.await.unwrap() })
    }
}

impl Web {
    fn take(&self) -> Vec<(HttpRequest, oneshot::Sender<Outcome>)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

struct Play {
    scene: Scene,
    web: Arc<Web>,
}

/// A script whose requests come to the test.
fn play(main: &str) -> Play {
    let (folder, web) = (Folder::new(main), Arc::<Web>::default());
    let surroundings = Surroundings { http: Arc::clone(&web) as _, ..Surroundings::default() };
    let stage = Stage::within(folder.path(), settings(|_| ()), Scenery { surroundings, ..Scenery::default() });
    Play { scene: Scene { stage: stage.unwrap_or_else(|failure| panic!("{failure}")), folder }, web }
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> HttpResponse {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    HttpResponse { status, headers, body: body.into(), place: None }
}

impl Play {
    /// Answers the only request that waits; gives it back.
    fn answer(&mut self, outcome: Outcome) -> HttpRequest {
        let mut asked = self.web.take();
        assert_eq!(asked.len(), 1);
        let (request, sender) = asked.remove(0);
        sender.send(outcome).unwrap();
        self.scene.stage.poll();
        request
    }
}

#[test]
fn a_request_has_what_the_script_says_and_the_answer_is_its_own() {
    let mut play = play(
        "function application.onAppStart()
            local response = http.request {
                method = 'put', url = 'https://api.example.com/x?y', body = 'hello', timeout = 1500, redirects = 0,
                headers = { Authorization = 'Bearer x', ['X-Many'] = { 'b', 'a' }, ['X-Number'] = 7 },
            }
            trace(response.status, response.body, response.headers['Content-Type'], response.headers['content-type'])
            trace(response.headers['set-cookie'], response.headers['x-a'], response.headers[1], response:json().answer)
            trace(pcall(function() getmetatable(response).x = 1 end))
            local none, problem = http.get('http://api.example.com/')
            trace(none, problem)
            trace(http.post('http://api.example.com/', 'text', { headers = { a = 'b' } }):json())
            trace(http.post('http://api.example.com/', nil, { json = { answer = 42 } }).status)
        end",
    );
    let headers = [
        ("content-type", "application/json"),
        ("set-cookie", "a=1, 2"),
        ("set-cookie", "b"),
        ("x-a", "1"),
        ("x-a", "2"),
    ];
    let request = play.answer(Ok(response(201, &headers, "{\"answer\": 42}")));
    let sent = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    assert_eq!((request.method.as_str(), request.url.as_str()), ("PUT", "https://api.example.com/x?y"));
    assert_eq!((&*request.body, request.redirects), (&b"hello"[..], Some(0)));
    assert_eq!(request.timeout, Some(std::time::Duration::from_millis(1500)));
    let expected = [sent("authorization", "Bearer x"), sent("x-many", "b"), sent("x-many", "a"), sent("x-number", "7")];
    assert_eq!(request.headers, expected);
    let request = play.answer(Err(HttpFailure::TimedOut("too slow".to_owned())));
    assert_eq!(
        request,
        HttpRequest { method: "GET".to_owned(), url: "http://api.example.com/".to_owned(), ..HttpRequest::default() }
    );
    let request = play.answer(Ok(response(200, &[], "no JSON")));
    assert_eq!(
        (request.method.as_str(), &*request.body, &*request.headers),
        ("POST", &b"text"[..], &[sent("a", "b")][..])
    );
    let request = play.answer(Ok(response(204, &[], "")));
    assert_eq!(
        (&*request.body, &*request.headers),
        (&b"{\"answer\":42}"[..], &[sent("content-type", "application/json")][..])
    );
    let traces = play.scene.traces();
    assert_eq!(traces[0], "201 {\"answer\": 42} application/json application/json");
    assert_eq!(traces[1], "a=1, 2\\nb 1, 2 nil 42");
    assert!(traces[2].starts_with("false"), "{traces:?}");
    assert_eq!(traces[3], "nil too slow");
    assert!(traces[4].starts_with("nil the body of the answer is no JSON: "), "{traces:?}");
    assert_eq!(traces[5], "204");
}

#[test]
fn what_a_script_has_written_wrong_is_an_error_at_its_line_and_nothing_is_sent() {
    let cases = [
        ("http.get()", "an HTTP request needs a url"),
        ("http.get(12)", "the url is a string, not a integer"),
        ("http.get('x', 1)", "the options of http.get are a table"),
        ("http.get('x', { method = 'POST' })", "http.get has no option method"),
        ("http.get('x', { url = 'y' })", "http.get has no option url"),
        ("http.request('x')", "takes a table with the url"),
        ("http.request { 'x' }", "has options with names, not with a integer"),
        ("http.request { url = 'x', timout = 1 }", "no option \\\"timout\\\"; did you mean timeout?"),
        ("http.request { url = 'x', method = 'CONNECT' }", "the method is GET"),
        ("http.request { url = 'x', method = 'GET / HTTP/1.1\\r\\n' }", "the method is GET"),
        ("http.request { url = 'x', body = {} }", "to send a value, use json"),
        ("http.request { url = 'x', body = 'a', json = 1 }", "a body or json, and not both"),
        ("http.request { url = 'x', timeout = 0 }", "greater than 0"),
        ("http.request { url = 'x', timeout = -1 }", "greater than 0"),
        ("http.request { url = 'x', timeout = 0/0 }", "greater than 0"),
        ("http.request { url = 'x', timeout = math.huge }", "greater than 0"),
        ("http.request { url = 'x', timeout = 1e300 }", "greater than 0"),
        ("http.request { url = 'x', timeout = '1' }", "a number of milliseconds"),
        ("http.request { url = 'x', redirects = -1 }", "a whole number"),
        ("http.request { url = 'x', redirects = 1.5 }", "a whole number"),
        ("http.request { url = 'x', headers = 1 }", "the headers are a table"),
        ("http.request { url = 'x', headers = { 'a: b' } }", "the name of a header is a string"),
        ("http.request { url = 'x', headers = { ['a b'] = 'c' } }", "cannot be the name of a header"),
        ("http.request { url = 'x', headers = { ['a\\r\\nb'] = 'c' } }", "cannot be the name of a header"),
        ("http.request { url = 'x', headers = { a = 'b\\r\\nc: d' } }", "a line end or another control character"),
        ("http.request { url = 'x', headers = { a = 'b\\0' } }", "a line end or another control character"),
        ("http.request { url = 'x', headers = { a = { 'b', 'c\\n' } } }", "a line end or another control character"),
        ("http.request { url = 'x', headers = { a = true } }", "the header a is a string"),
        ("http.request { url = 'x', headers = { Host = 'b' } }", "the header host cannot be set"),
        ("http.request { url = 'x', headers = { ['Content-Length'] = 1 } }", "the header content-length cannot be set"),
        ("http.request { url = ('x'):rep(20000) }", "at most 16384 bytes"),
        ("http.request { url = 'x\\xff' }", "not UTF-8"),
        (
            "local many = {} for i = 1, 100 do many['a' .. i] = 'b' end http.get('x', { headers = many })",
            "at most 64 headers",
        ),
    ];
    for (call, why) in cases {
        let play = play(&format!("function application.onAppStart() trace(pcall(function() {call} end)) end"));
        let traces = play.scene.traces();
        let why = why.replace("\\\"", "\"");
        assert!(traces[0].starts_with("false main.lua:1: ") && traces[0].contains(&why), "{call}: {traces:?}");
        assert!(play.web.take().is_empty(), "{call}");
    }
}

#[test]
fn other_handlers_run_while_one_waits_for_an_answer() {
    let mut play = play(
        "function application.onConnect(client, name)
            if name ~= 'waits' then return true end
            local response = http.get('http://api.example.com/')
            return response.status == 200
        end",
    );
    let text = introd_flash::amf::Value::String("waits".to_owned());
    play.scene.stage.connect(|info| info.request.arguments = vec![text]);
    play.scene.stage.connect(|_| ());
    let accepted = |play: &mut Play| {
        play.scene.sent().iter().filter(|effect| matches!(effect, crate::testing::Effect::Accept { .. })).count()
    };
    assert_eq!(accepted(&mut play), 1);
    play.answer(Ok(response(200, &[], "")));
    assert_eq!(accepted(&mut play), 1);
}

#[test]
fn a_reload_and_the_end_of_the_instance_give_up_requests() {
    let mut play = play("function application.onAppStart() trace(http.get('http://api.example.com/')) end");
    let first = play.web.take().remove(0).1;
    assert!(!first.is_closed());
    play.scene.stage.tell(AppEvent::Reload);
    assert!(first.is_closed());
    let second = play.web.take().remove(0).1;
    play.scene.stage.tell(AppEvent::Stop);
    assert!(second.is_closed());
    assert_eq!(play.scene.traces(), [""; 0]);
}

/// On the host, with its threads.
#[test]
fn a_handler_that_waits_keeps_no_thread_and_an_instance_that_ends_gives_its_requests_up() {
    let (web, desk) = (Arc::<Web>::default(), Arc::new(host::Desk::default()));
    let surroundings = Surroundings { http: Arc::clone(&web) as _, ..Surroundings::default() };
    let scripts =
        crate::Host::start(HostSettings { threads: 1, ..HostSettings::default() }, desk.clone(), surroundings);
    let scripts = scripts.unwrap();
    let folder =
        Folder::new("function application.onConnect() return http.get('http://api.example.com/').status == 200 end");
    let [first, second] = ["first", "second"].map(|name| {
        let handle = host::open(&scripts, host::name(name, "1"), &folder);
        host::wait_for(&handle, ScriptState::Running);
        handle.try_send(host::connect(1)).unwrap();
        handle
    });
    let mut asked = Vec::new();
    while asked.len() < 2 {
        asked.append(&mut web.take());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let (_, answered) = asked.remove(0);
    answered.send(Ok(response(200, &[], ""))).unwrap();
    assert!(matches!(desk.take(1)[..], [crate::testing::Sent::Verdict(_, Verdict::Continue)]));
    first.try_send(AppEvent::Stop).unwrap();
    second.try_send(AppEvent::Stop).unwrap();
    while !asked[0].1.is_closed() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
