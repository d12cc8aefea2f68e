//! What comes instead of a script's decision: when it fails, when it is late, and when it is busy with something else.

use introd_flash::amf::Value;
use introd_tests::program::{Files, Server};

use super::ask;
use crate::harness::clients::{LOOPBACK, connect, rejection, try_connect};
use crate::harness::log::logged;

fn policy(deadline: u32, on_deadline: &str, on_failure: &str) -> String {
    format!(
        "<Policy><Deadline>{deadline}</Deadline><OnDeadline>{on_deadline}</OnDeadline><OnFailure>{on_failure}</OnFailure></Policy>"
    )
}

#[tokio::test]
async fn the_settings_say_what_becomes_of_a_client_whose_script_fails() {
    let files = Files::new();
    let broken = "function application.onConnect(client) error('broken') end
        function Client:hello() return 'hello' end";
    files.script("strict", broken, &policy(2000, "continue", "deny"));
    files.script("silent", broken, &policy(2000, "continue", "ignore"));
    files.script("open", broken, &policy(2000, "deny", "continue"));
    let server = Server::configured(files.path(), 1);
    for app in ["strict", "silent"] {
        let why = rejection(&server.uri_of(app), LOOPBACK, 1, Vec::new()).await;
        assert!(why.ends_with("[ Server.Reject ] : the application failed"), "{app}: {why}");
    }
    // The script knows a client that the server has accepted in its place.
    let mut client = connect(&server.uri_of("open"), LOOPBACK, 2).await;
    assert_eq!(ask(&mut client, "hello", Vec::new()).await, Ok(Value::from("hello")));
}

#[tokio::test]
async fn a_deadline_passes_however_busy_the_script_is() {
    let files = Files::new();
    // Busy for as long as a handler may run; the other clients' connects wait in its queue meanwhile.
    let busy = "function application.onConnect(client, what)
            if what == 'work' then
                application.acceptConnection(client)
                for i = 1, 1e9 do end
            end
            return true
        end
        function Client:hello() return 'hello' end";
    let limits = "<ScriptEngine><MaxTimeOut>3</MaxTimeOut></ScriptEngine>";
    files.script("strict", busy, &format!("{limits}{}", policy(300, "deny", "continue")));
    files.script("open", busy, &format!("{limits}{}", policy(300, "continue", "deny")));
    let server = Server::configured(files.path(), 1);
    for app in ["strict", "open"] {
        let uri = server.uri_of(app);
        let _worker = connect_with(&uri, 1, "work").await;
        let late = try_connect(&uri, LOOPBACK, 2, vec!["wait".into()]).await;
        match (app, late) {
            ("strict", Err(failure)) => {
                assert!(failure.to_string().contains("the application did not decide in time"), "{failure}");
            }
            ("open", Ok(mut client)) => {
                // The script is told of it when it gets to it.
                assert_eq!(ask(&mut client, "hello", Vec::new()).await, Ok(Value::from("hello")));
            }
            (app, other) => panic!("{app}: {:?}", other.err().map(|failure| failure.to_string())),
        }
    }
}

async fn connect_with(uri: &str, number: u64, argument: &str) -> introd_client::Client {
    try_connect(uri, LOOPBACK, number, vec![argument.into()]).await.unwrap_or_else(|failure| panic!("{failure}"))
}

#[tokio::test]
async fn an_application_whose_script_has_hung_is_closed_whatever_the_settings_say_for_failures() {
    let files = Files::new();
    let hangs = "function application.onConnect(client) return true end
        function Client:hang() while true do end end";
    // No handler has a limit here; the server takes a script that runs for some seconds for one that hangs.
    let unlimited = "<ScriptEngine><MaxTimeOut>0</MaxTimeOut></ScriptEngine>";
    files.script("app", hangs, &format!("{unlimited}{}", policy(2000, "continue", "continue")));
    let server = Server::configured(files.path(), 1);
    let mut client = connect(&server.uri_of("app"), LOOPBACK, 1).await;
    assert!(ask(&mut client, "hang", Vec::new()).await.is_err());
    // The same call is answered by the watchdog before the thread is replaced.
    logged(&server, "closed until", 1).await;
    let why = rejection(&server.uri_of("app"), LOOPBACK, 2, Vec::new()).await;
    assert!(why.ends_with("the application is not available"), "{why}");
}
