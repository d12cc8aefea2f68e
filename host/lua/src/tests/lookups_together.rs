//! Lookups about which a script is asked one after the other, in one turn: each is for itself.

use std::net::SocketAddr;
use std::time::Duration;

use rtmfp::{Origin, PeerId, TaggedAddress};

use super::*;
use introd_config::Fallback;

const TARGETS: [PeerId; 3] = [PeerId([0xa1; 32]), PeerId([0xa2; 32]), PeerId([0xa3; 32])];

fn from(number: u16) -> SocketAddr {
    ([192, 0, 2, 1], number).into()
}

/// One lookup for each target, from ports 1, 2 and 3.
fn of_all(scene: &mut Scene) {
    let lookups: Vec<_> = TARGETS.iter().zip(1..).map(|(target, number)| (Some(*target), from(number), None)).collect();
    scene.stage.look_up_together(&lookups);
}

fn connect(scene: &mut Scene, id: PeerId) -> ClientId {
    let client = scene.stage.connect(|info| info.far_id = id);
    scene.sent();
    client
}

/// A scene in which a lookup is not answered if the script fails at it. `time` is what a handler has, if it is to end.
fn silent_at_failure(main: &str, time: Option<Duration>) -> Scene {
    scene_with(main, |settings| {
        settings.policy.on_failure = Fallback::Ignore;
        settings.script.time = time.or(settings.script.time);
    })
}

/// The ports of those that were redirected, with the addresses.
fn redirects(effects: &[Effect]) -> Vec<(u16, Vec<TaggedAddress>)> {
    let redirect = |effect: &Effect| match effect {
        Effect::Redirect { addresses, lookup } => Some((lookup.initiator.port(), addresses.to_vec())),
        _ => None,
    };
    effects.iter().filter_map(redirect).collect()
}

/// What clients were told of askers: the session, the asker's port and the tag.
fn introductions(effects: &[Effect]) -> Vec<(u32, u16, Vec<u8>)> {
    let introduction = |effect: &Effect| match effect {
        Effect::Command(ClientCommand::Introduce { client, initiator, tag }) => {
            Some((client.session.get(), initiator.port(), tag.to_vec()))
        }
        _ => None,
    };
    effects.iter().filter_map(introduction).collect()
}

#[test]
fn each_event_has_its_own_facts_and_keeps_them() {
    let main = "kept = {}
        local function told(event)
            return event.targetPeerID:sub(1, 2), event.initiatorAddress, event.tag:byte(-1), event.attempt, event.client,
                event.initiatorApplication
        end
        function application.onPeerLookup(event)
            kept[#kept + 1] = event
            trace(told(event))
        end
        function Client:answer()
            for _, event in ipairs(kept) do
                trace(told(event))
                application.sendPeerRedirect({ '198.51.100.' .. event.tag:byte(-1) .. ':7' }, event)
            end
        end";
    let mut scene = scene(main);
    let client = scene.stage.connect(|_| ());
    of_all(&mut scene);
    let told: Vec<_> = (1..=3).map(|number| format!("a{number} 192.0.2.1:{number} {number} 1 nil nil")).collect();
    assert_eq!(scene.traces(), told);
    scene.sent();
    scene.stage.call(client, "answer", 1.0, Vec::new());
    assert_eq!(scene.traces(), told, "later lookups have changed no event");
    let redirected = redirects(&scene.sent());
    let expected: Vec<_> = (1..=3)
        .map(|number| {
            let address = ([198, 51, 100, number as u8], 7).into();
            (number, vec![TaggedAddress::new(address, Origin::Reported)])
        })
        .collect();
    assert_eq!(redirected, expected);
}

#[test]
fn an_event_says_what_is_usual_of_it_and_what_is_not_now_and_later() {
    let main = "kept = {}
        local function told(event)
            local names = {}
            for name in pairs(event) do names[#names + 1] = name end
            table.sort(names)
            return event.attempt, event.interfaceID, event.interfaceId, event.client and 'client' or 'stranger',
                event.initiatorApplication == application.name and 'own' or event.initiatorApplication, table.concat(names, ' ')
        end
        function application.onPeerLookup(event)
            kept[#kept + 1] = event
            trace(told(event))
        end
        function Client:again() for _, event in ipairs(kept) do trace(told(event)) end end";
    let mut scene = scene(main);
    let client = connect(&mut scene, TARGETS[0]);
    for (attempt, interface, asker, application) in [
        (1, 4, None, None),
        (2, 4, None, None),
        (1, 4, Some(client), None),
        (1, 5, None, None),
        (1, 4, None, Some("hall/1")),
    ] {
        let AppEvent::PeerLookup(mut lookup) = a_lookup() else { panic!() };
        lookup.target = Some(TARGETS[1]);
        (lookup.attempt, lookup.interface, lookup.asker) = (attempt, rtmfp::InterfaceId(interface), asker);
        lookup.proposal = application.map(|name: &str| {
            let initiator_application = Some(name.into());
            Box::new(introd_policy::message::Proposal {
                initiator_application,
                offer: introd_policy::message::Offer::Introduction,
            })
        });
        scene.stage.tell(AppEvent::PeerLookup(lookup));
    }
    let fields = "attempt initiatorAddress interfaceID tag targetPeerID";
    let expected = [
        format!("1 4 4 stranger nil {fields}"),
        format!("2 4 4 stranger nil {fields}"),
        format!("1 4 4 client own {fields}"),
        format!("1 5 5 stranger nil {fields}"),
        "1 4 4 stranger hall/1 attempt initiatorAddress initiatorApplication interfaceID tag targetPeerID".to_owned(),
    ];
    assert_eq!(scene.traces(), expected);
    scene.stage.call(client, "again", 1.0, Vec::new());
    assert_eq!(scene.traces(), expected, "later lookups have changed no event");
}

#[test]
fn a_client_that_nobody_has_looked_for_is_introduced_as_one_that_was_found() {
    let main = "function application.onConnect(client) last = client end
        function application.onPeerLookup(event)
            trace(pcall(last.introducePeer, nil, event.initiatorAddress, event.tag))
            trace(last:introducePeer(event.initiatorAddress, event.tag))
            if event.tag:byte(-1) > 1 then trace(application.clients[event.targetPeerID] == last, last.farID == event.targetPeerID) end
        end";
    let mut scene = scene(main);
    let client = connect(&mut scene, TARGETS[0]);
    for number in 1..=3 {
        scene.stage.look_up_together(&[(Some(TARGETS[0]), from(number), None)]);
        let told = introductions(&scene.sent());
        assert_eq!(told, [(client.session.get(), number, vec![0, 0, 0, number as u8])]);
    }
    let traces = scene.traces();
    let (refused, rest): (Vec<_>, Vec<_>) = traces.iter().partition(|trace| trace.contains("is a method of a client"));
    assert_eq!(
        (refused.len(), &rest[..]),
        (3, &["true", "true", "true true", "true", "true true"].map(String::from).each_ref()[..])
    );
}

#[test]
fn a_handler_that_fails_fails_its_own_lookup() {
    let main = "function application.onPeerLookup(event)
            if event.tag:byte(-1) == 2 then error('no') end
            application.denyPeerLookup(event)
        end
        function application.onStatus(info) told = (told or 0) + 1 trace(told, info.details) end";
    let mut scene = silent_at_failure(main, None);
    of_all(&mut scene);
    scene.advance(10_000);
    let sent = scene.sent();
    let denied = sent.iter().map(|effect| match effect {
        Effect::Deny { lookup, .. } => lookup.initiator.port(),
        other => panic!("{other:?}"),
    });
    assert_eq!(denied.collect::<Vec<_>>(), [1, 3]);
    let entries = scene.journal();
    let failed = |entry: &JournalEntry| matches!(entry, JournalEntry::Failure(handler, failure) if handler == "onPeerLookup" && failure.line == 2);
    assert_eq!(entries.iter().filter(|entry| failed(entry)).count(), 1, "{entries:?}");
    assert!(entries.contains(&JournalEntry::Trace("1 onPeerLookup".to_owned())), "{entries:?}");
    assert_eq!(scene.stage.runtime.instance.requests.len(), 0);
}

#[test]
fn a_handler_that_waits_holds_up_no_other_and_ends_by_itself() {
    let main = "function application.onPeerLookup(event)
            local number = event.tag:byte(-1)
            if number < 3 then sleep(100 * number) end
            application.denyPeerLookup(event)
            trace(number)
        end";
    let mut scene = scene(main);
    of_all(&mut scene);
    assert_eq!(scene.traces(), ["3"]);
    scene.advance(100);
    assert_eq!(scene.traces(), ["1"]);
    // A coroutine that has waited takes no lookup but its own; the next turn has others.
    of_all(&mut scene);
    scene.advance(100);
    assert_eq!(scene.traces().len(), 4, "two of three have tags above 3");
    assert_eq!(scene.stage.runtime.script.vm.waiting(), 0);
    let denied = scene.sent().iter().filter(|effect| matches!(effect, Effect::Deny { .. })).count();
    assert_eq!(denied, 6);
}

#[test]
fn a_handler_whose_time_is_over_leaves_the_others_theirs_also_if_it_catches_that() {
    for endless in ["while true do end", "pcall(function() while true do end end)"] {
        let main = format!(
            "function application.onPeerLookup(event)
                if event.tag:byte(-1) == 2 then {endless} end
                application.denyPeerLookup(event)
            end"
        );
        let mut scene = silent_at_failure(&main, Some(Duration::from_millis(300)));
        of_all(&mut scene);
        let denied = scene.sent().iter().filter(|effect| matches!(effect, Effect::Deny { .. })).count();
        assert_eq!(denied, 2, "{endless}");
        let failures = scene.failures();
        let [(handler, _, 2, text)] = &failures[..] else { panic!("{endless}: {failures:?}") };
        assert!(handler == "onPeerLookup" && text.contains("has run longer"), "{endless}: {failures:?}");
    }
}

#[test]
fn a_handler_that_takes_itself_away_is_missed_by_the_next_lookup() {
    let main = "function application.onPeerLookup(event)
            application.denyPeerLookup(event)
            if event.tag:byte(-1) == 2 then application.onPeerLookup = nil end
        end";
    let mut scene = silent_at_failure(main, None);
    of_all(&mut scene);
    let denied = scene.sent().iter().filter(|effect| matches!(effect, Effect::Deny { .. })).count();
    assert_eq!(denied, 2);
    assert_eq!(scene.stage.runtime.instance.requests.len(), 0, "it has failed");
}

#[test]
fn a_script_without_a_handler_fails_at_no_lookup_by_an_error() {
    for main in ["", "application.onPeerLookup = false", "application.onPeerLookup = 7"] {
        let mut scene = silent_at_failure(main, None);
        of_all(&mut scene);
        assert!(scene.failures().is_empty() && scene.sent().is_empty(), "{main}");
        assert_eq!(scene.stage.runtime.instance.requests.len(), 0, "{main}");
    }
}

#[test]
fn the_end_of_the_application_comes_before_the_next_lookup() {
    let main = "function application.onPeerLookup(event) trace(event.tag:byte(-1)) application.shutdown() end";
    let mut scene = scene(main);
    let lookup = |number| (Some(TARGETS[0]), from(number), None);
    scene.stage.look_up_together(&[lookup(1)]);
    assert_eq!(scene.traces(), ["1"]);
    assert!(scene.stage.runtime.is_over());
}

const INTRODUCES: &str = "function application.onPeerLookup(event)
        local target = application.clients[event.targetPeerID]
        if not target then return end
        application.sendPeerRedirect({ target.farAddress, table.unpack(target.reportedAddresses) }, event)
        trace(target:introducePeer(event.initiatorAddress, event.tag))
    end";

#[test]
fn addresses_are_those_of_the_moment() {
    let mut scene = scene(INTRODUCES);
    let client = connect(&mut scene, TARGETS[0]);
    let (first, moved, reported) = (from(5), from(6), from(7));
    let observed = |address| TaggedAddress::new(address, Origin::Observed);
    let move_to = |scene: &mut Scene, address| scene.stage.tell(AppEvent::FarAddressChange { client, address });
    move_to(&mut scene, first);
    let mut seen = Vec::new();
    for number in 1..=3 {
        scene.stage.look_up_together(&[(Some(TARGETS[0]), from(number), None), (Some(TARGETS[0]), from(number), None)]);
        let sent = scene.sent();
        let redirected = redirects(&sent);
        assert_eq!(redirected[0], redirected[1]);
        let told = introductions(&sent);
        assert!(
            told.iter()
                .all(|(session, port, tag)| (*session, *port) == (client.session.get(), number) && tag.len() == 4)
        );
        assert_ne!(told[0].2, told[1].2, "each has its own tag");
        seen.push(redirected[0].1.clone());
        if number == 1 {
            let addresses = vec![reported, moved];
            scene.stage.tell(AppEvent::ReportedAddressesChange { client, addresses });
        } else {
            move_to(&mut scene, moved);
            scene.stage.tell(AppEvent::ReportedAddressesChange { client, addresses: vec![] });
        }
    }
    let as_reported = |address| TaggedAddress::new(address, Origin::Reported);
    let expected = [
        vec![observed(first)],
        vec![observed(first), as_reported(reported), as_reported(moved)],
        vec![observed(moved)],
    ];
    assert_eq!(seen, expected);
    assert_eq!(scene.traces(), vec!["true"; 6]);
}

#[test]
fn many_addresses_are_told_apart_however_many_are_remembered() {
    let mut scene = scene(INTRODUCES);
    let client = connect(&mut scene, TARGETS[0]);
    for number in 1..=9000 {
        scene.stage.tell(AppEvent::FarAddressChange { client, address: from(number) });
        scene.stage.look_up_together(&[(Some(TARGETS[0]), from(60_000 - number), None)]);
        let sent = scene.sent();
        let [(port, addresses)] = &redirects(&sent)[..] else { panic!("{sent:?}") };
        assert_eq!(
            (*port, &addresses[..]),
            (60_000 - number, &[TaggedAddress::new(from(number), Origin::Observed)][..])
        );
        assert_eq!(introductions(&sent)[0].1, 60_000 - number);
    }
}

#[test]
fn what_a_script_says_of_addresses_and_of_others_is_heeded() {
    let main = "function application.onPeerLookup(event)
            local target, other = application.clients[event.targetPeerID], application.clients[('a2'):rep(32)]
            local far, number = target.farAddress, event.tag:byte(-1)
            if number == 1 then
                application.sendPeerRedirect({ far, '192.0.2.9:9', far, '192.0.2.9:9', origins = { [far] = 'relay' } }, event)
                trace(other:introducePeer(event.initiatorAddress, event.tag))
            elseif number == 2 then
                application.sendPeerRedirect({ far, '192.0.2.9:9', far }, event)
                trace(target:introducePeer('192.0.2.77:77', event.tag))
            elseif number == 3 then
                application.sendPeerRedirect({ far, '192.0.2.9:9', '192.0.2.10:10', '192.0.2.11:11' }, event)
                trace(target:introducePeer(event.initiatorAddress, 'mine'))
            elseif number == 4 then
                application:sendPeerRedirect({ '192.0.2.9:9', '192.0.2.10:10', '192.0.2.11:11' }, event)
            elseif number == 5 then
                trace(pcall(application.sendPeerRedirect, { far, '192.0.2.9' }, event))
                trace(pcall(application.sendPeerRedirect, {}, event))
                trace(pcall(application.sendPeerRedirect, nil, event))
                trace(pcall(application.sendPeerRedirect, { far }))
                trace(pcall(application.sendPeerRedirect, { far, [3] = '192.0.2.9:9' }, event))
            else
                application.sendPeerRedirect(setmetatable({ far }, { __index = function() return '192.0.2.9:9' end }), event)
            end
        end";
    let mut scene = scene(main);
    let target = connect(&mut scene, TARGETS[0]);
    let other = connect(&mut scene, TARGETS[1]);
    let far = scene.stage.runtime.instance.roster.borrow().get(target).unwrap().far_address.get();
    scene.stage.look_up_together(&(1..=6).map(|number| (Some(TARGETS[0]), from(number), None)).collect::<Vec<_>>());
    let sent = scene.sent();
    let at = |number: u16| {
        TaggedAddress::new(
            from(0)
                .ip()
                .to_string()
                .replace(".1", &format!(".{number}"))
                .parse()
                .map(|ip| SocketAddr::new(ip, number))
                .unwrap(),
            Origin::Reported,
        )
    };
    let own = TaggedAddress::new(far, Origin::Observed);
    let expected = [
        (1, vec![TaggedAddress::new(far, Origin::Relay), at(9)]),
        (2, vec![own, at(9)]),
        (3, vec![own, at(9), at(10), at(11)]),
        (4, vec![at(9), at(10), at(11)]),
        (5, vec![own]),
        (6, vec![own]),
    ];
    assert_eq!(redirects(&sent), expected);
    let tag = |number: u8| vec![0, 0, 0, number];
    let told = [
        (other.session.get(), 1, tag(1)),
        (target.session.get(), 77, tag(2)),
        (target.session.get(), 3, b"mine".to_vec()),
    ];
    assert_eq!(introductions(&sent), told);
    let traces = scene.traces();
    assert_eq!(traces[..3], ["true", "true", "true"]);
    assert!(traces[3].contains("not \"192.0.2.9\""), "{traces:?}");
    assert!(traces[4].contains("no address") && traces[5].contains("takes a list of addresses"), "{traces:?}");
    assert!(traces[6].contains("takes the event of a lookup, not a nil"), "{traces:?}");
    assert_eq!(traces[7], "true true", "a list ends at its first hole");
}

#[test]
fn a_target_that_has_left_is_not_introduced() {
    let main = "function application.onPeerLookup(event)
            local target = application.clients[event.targetPeerID]
            sleep(10)
            trace(target:introducePeer(event.initiatorAddress, event.tag), application.clients[event.targetPeerID])
        end";
    let mut scene = scene(main);
    let target = connect(&mut scene, TARGETS[0]);
    scene.stage.look_up_together(&[(Some(TARGETS[0]), from(1), None)]);
    scene.stage.disconnect(target);
    scene.advance(10);
    assert_eq!(scene.traces(), ["false nil"]);
    assert!(introductions(&scene.sent()).is_empty());
}
