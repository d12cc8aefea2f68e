//! What a script in another process begins with, and what it is told of the clients that come with it.

use std::sync::Arc;

use introd_flash::server::Publication;
use introd_policy::message::{AppEvent, ClientCommand};
use introd_policy::{AppActor, AppActors, FormerInstance, KnownClient, Opening, Totals, Verdict};

use super::host::{Desk, Nobody, client, connect, name, open, patient_host};
use super::*;
use crate::Host;
use crate::testing::Sent;

/// A script in another process, which begins with these clients.
fn taken_over(folder: &Folder, clients: Vec<KnownClient>) -> (Host, Arc<Desk>, Arc<dyn AppActor>) {
    let (host, desk) = patient_host(1);
    let (settings, totals) = (Arc::new(settings(|_| ())), Arc::new(Nobody) as Arc<dyn Totals>);
    let opening = Opening {
        name: &name("app", "1"),
        folder: folder.path(),
        settings: &settings,
        totals: &totals,
        taken_over: Some(FormerInstance { clients, members: Vec::new() }),
    };
    let actor = AppActors::open(&host, opening).unwrap();
    (host, desk, actor)
}

fn gone(number: u32) -> AppEvent {
    AppEvent::Disconnect { client: client(number) }
}

/// The first client is accepted, the second is rejected, and the third waits.
const DECIDES: &str = "
    local asked = 0
    function application.onConnect(client)
        asked = asked + 1
        if asked < 3 then return asked == 1 end
        return nil
    end";

/// Says what it was told to who comes after others have gone.
const NOTES: &str = "
    local notes, is_asked = '', false
    function application.onAppStart(info) notes = info.reason .. #application.clients end
    function application.onConnect(client)
        notes = notes .. ' asked'
        if is_asked then application.rejectConnection(client, notes) end
        return nil
    end
    function application.onDisconnect(client)
        notes = notes .. ' gone'
        is_asked = true
    end";

#[test]
fn a_script_is_told_once_of_the_end_of_each_client_that_the_script_of_another_process_was_told_of() {
    let (host, desk) = patient_host(1);
    let (decides, notes) = (Folder::new(DECIDES), Folder::new(NOTES));
    let before = open(&host, name("app", "1"), &decides);
    for number in 1..=3 {
        before.try_send(connect(number)).unwrap();
    }
    assert!(matches!(desk.take(2)[..], [Sent::Verdict(_, Verdict::Continue), Sent::Verdict(_, Verdict::Reject(_))]));
    while before.is_busy() {
        std::thread::yield_now();
    }
    let known = before.clients();
    let are_accepted = |known: &[KnownClient]| known.iter().map(|known| known.is_accepted).collect::<Vec<_>>();
    assert_eq!(are_accepted(&known), [true, false, false]);

    let (_host, desk, script) = taken_over(&notes, known.clone());
    assert_eq!(are_accepted(&script.clients()), [true, false, false], "another process may follow");
    // It is asked about the one that waits, which has not gone for that.
    script.tell(connect(3)).unwrap();
    for number in [3, 2, 1, 2, 3] {
        script.tell(gone(number)).unwrap();
    }
    script.tell(connect(9)).unwrap();
    let said = desk.take(1);
    let [Sent::Verdict(_, Verdict::Reject(rejection))] = &said[..] else { panic!("{said:?}") };
    assert_eq!(rejection.description, "takeover1 asked gone gone gone asked");
    while script.is_busy() {
        std::thread::yield_now();
    }
    assert_eq!(script.clients().len(), 1, "the one that has just come");
}

#[test]
fn ends_that_wait_for_on_app_start_are_told_of_by_the_process_in_which_they_happened() {
    let (first, desk) = patient_host(1);
    let folder = Folder::new("");
    let before = open(&first, name("app", "1"), &folder);
    for number in 1..=2 {
        before.try_send(connect(number)).unwrap();
    }
    desk.take(2);
    let known = before.clients();
    assert_eq!(known.len(), 2);
    let waits = Folder::new(
        "function application.onAppStart() application.clients[1]:call('begins') sleep(1e6) end
        function application.onDisconnect(client) application.clients[1]:call('gone') end",
    );
    let (host, desk, script) = taken_over(&waits, known);
    desk.take(1);
    script.tell(gone(1)).unwrap();
    while script.is_busy() {
        std::thread::yield_now();
    }
    host.stop_after_takeover();
    let sent = desk.take(1);
    let is_told = |sent: &Sent| matches!(sent, Sent::Command(ClientCommand::Call { method, .. }) if method == "gone");
    assert_eq!(sent.iter().filter(|sent| is_told(sent)).count(), 1, "{sent:?}");
}

/// Says which streams have ended, and that a client is gone, to the client that is left.
const TELLS: &str = "
    local function tell(...) for _, client in ipairs(application.clients) do client:call('told', nil, ...) end end
    function application.onUnpublish(client, stream) tell(stream.name, stream.type) end
    function application.onDisconnect(client) tell('gone') end";

#[test]
fn a_script_is_told_of_the_end_of_streams_that_the_script_of_another_process_has_allowed() {
    let (host, desk) = patient_host(1);
    let (allows, tells) = (
        Folder::new("function application.onPublish(client, stream) return stream.name ~= 'no' end"),
        Folder::new(TELLS),
    );
    let before = open(&host, name("app", "1"), &allows);
    for number in 1..=2 {
        before.try_send(connect(number)).unwrap();
    }
    let publication = |number, name: &str| Publication { number, name: name.to_owned(), kind: "live".to_owned() };
    for (number, stream) in [(1, "cam"), (2, "no"), (3, "ended"), (4, "screen")] {
        before.tell(AppEvent::Publish { client: client(1), publication: publication(number, stream) }).unwrap();
    }
    desk.take(6);
    before.tell(AppEvent::Unpublish { client: client(1), publication: publication(3, "ended") }).unwrap();
    let known = before.clients();
    let published: Vec<u64> = known[0].publications.iter().map(|publication| publication.number).collect();
    assert_eq!((published, known[1].publications.len()), (vec![1, 4], 0));

    let (_host, desk, script) = taken_over(&tells, known);
    script.tell(AppEvent::Unpublish { client: client(1), publication: publication(4, "screen") }).unwrap();
    script.tell(gone(1)).unwrap();
    let mut told = Vec::new();
    // Each but the last goes to both clients.
    while told.len() < 3 {
        for sent in desk.take(1) {
            let Sent::Command(ClientCommand::Call { client: to, arguments, .. }) = sent else { panic!("{sent:?}") };
            told.extend((to == client(2)).then(|| format!("{:?}", arguments[0])));
        }
    }
    assert_eq!(told, ["String(\"screen\")", "String(\"cam\")", "String(\"gone\")"]);
}
