//! Values both ways, and the properties that scripts see.

use proptest::prelude::*;

use super::*;
use introd_flash::amf::{EcmaArray, Object, Value, Vector};

/// A script that gives back what it gets.
const ECHO: &str = "function Client:echo(value) return value end
    function Client:look(...) local kinds = {} for i = 1, select('#', ...) do local v = select(i, ...)
        kinds[i] = math.type(v) or type(v) end return table.concat(kinds, ' ') end";

fn echo(scene: &mut Scene, value: Value) -> Result<Value, Value> {
    let client = scene.stage.connect(|_| ());
    scene.sent();
    scene.stage.call(client, "echo", 1.0, vec![value]);
    match scene.sent().pop() {
        Some(Effect::Command(ClientCommand::Answer { outcome, .. })) => outcome,
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> Value {
    text.into()
}

#[test]
fn what_lua_can_hold_comes_back_as_it_was() {
    let mut scene = scene(ECHO);
    let class = Object {
        class: "game.Player".into(),
        sealed: 0,
        dynamic: true,
        properties: vec![("name".into(), text("ann"))],
    };
    for value in [
        Value::Null,
        Value::Boolean(false),
        Value::Number(-0.5),
        Value::Number(1e300),
        Value::Number(f64::INFINITY),
        Value::Number(9_007_199_254_740_991.0),
        text("grüße"),
        Value::Array(vec![]),
        Value::Array(vec![Value::Null, Value::Undefined, Value::Boolean(true), Value::Array(vec![])]),
        Value::object::<&str, 0>([]),
        Value::object([("a", Value::Null), ("b", Value::object([("c", Value::Undefined)]))]),
        Value::Object(class),
        Value::EcmaArray(EcmaArray { named: vec![("x".into(), Value::Null)], dense: vec![text("first")] }),
        Value::ByteArray(vec![0, 255, 128]),
        Value::Date { milliseconds: 1.5e12, time_zone: 60 },
        Value::Xml("<a/>".into()),
        Value::Vector(Vector::Int { fixed: true, items: vec![1, -2] }),
        Value::Dictionary { weak_keys: true, entries: vec![(text("k"), Value::Null)] },
        Value::Externalized { class: "flex.X".into(), body: Box::new(Value::Array(vec![text("in")])) },
    ] {
        assert_eq!(echo(&mut scene, value.clone()), Ok(value));
    }
    let Ok(Value::Number(zero)) = echo(&mut scene, Value::Number(-0.0)) else { panic!() };
    assert!(zero.is_sign_negative());
    assert!(matches!(echo(&mut scene, Value::Number(f64::NAN)), Ok(Value::Number(nan)) if nan.is_nan()));
    // Of these Lua knows only the meaning.
    assert_eq!(echo(&mut scene, Value::Undefined), Ok(Value::Null));
    assert_eq!(echo(&mut scene, Value::Integer(-7)), Ok(Value::Number(-7.0)));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(Value::Undefined),
        any::<bool>().prop_map(Value::Boolean),
        any::<f64>().prop_filter("equal to itself", |number| !number.is_nan()).prop_map(Value::Number),
        ".*".prop_map(Value::String),
        any::<Vec<u8>>().prop_map(Value::ByteArray),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..8)
                .prop_map(|map| Value::Object(Object::plain(map.into_iter().collect()))),
        ]
    })
}

#[test]
fn any_value_comes_back_as_it_was() {
    let scene = std::cell::RefCell::new(scene(ECHO));
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(value in any_value())| {
        let wrapped = Value::Array(vec![value]);
        prop_assert_eq!(echo(&mut scene.borrow_mut(), wrapped.clone()), Ok(wrapped));
    });
}

#[test]
fn what_lua_sees() {
    let mut scene = scene(
        "function Client:see(n, whole, text, bytes, date, list, mixed, nothing)
            assert(n == 2.5 and whole == 3 and math.type(whole) == 'integer')
            assert(bytes.type == 'ByteArray' and bytes.bytes == 'ab\\0' and #bytes == 3 and tostring(bytes) == 'ab\\0')
            assert(bytes == ByteArray('ab\\0') and bytes ~= ByteArray('') and bytes.time == nil)
            assert(date.time == 86400000 and date.timeZone == 0 and date == Date(86400000))
            assert(#list == 3 and list[1] == 'a' and list[2] == null and list[3] == undefined and list[2] ~= undefined)
            assert(tostring(null) == 'null' and tostring(undefined) == 'undefined')
            assert(mixed[1] == 'zero' and mixed[2] == 'one' and mixed.name == 'x' and #mixed == 2)
            assert(nothing == nil)
            return { n = math.maxinteger // 2^20 // 1 | 0, list = Array(), object = {}, [1.5 // 1 | 0] = true }
        end",
    );
    let client = scene.stage.connect(|_| ());
    let mixed = EcmaArray {
        named: vec![("0".into(), text("zero")), ("1".into(), text("one")), ("name".into(), text("x"))],
        dense: vec![],
    };
    scene.stage.call(
        client,
        "see",
        1.0,
        vec![
            Value::Number(2.5),
            Value::Number(3.0),
            text("t"),
            Value::ByteArray(b"ab\0".to_vec()),
            Value::Date { milliseconds: 86_400_000.0, time_zone: 0 },
            Value::Array(vec![text("a"), Value::Null, Value::Undefined]),
            Value::EcmaArray(mixed),
            Value::Undefined,
        ],
    );
    scene.traces();
    let sent = scene.sent();
    let Some(Effect::Command(ClientCommand::Answer { outcome: Ok(Value::EcmaArray(array)), .. })) = sent.last() else {
        panic!("{sent:?}")
    };
    assert_eq!(array.dense, [Value::Boolean(true)]);
    assert_eq!(array.named.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["list", "n", "object"]);
    assert_eq!(array.named[0].1, Value::Array(vec![]));
    assert_eq!(array.named[2].1, Value::object::<&str, 0>([]));
}

#[test]
fn what_has_no_counterpart_is_an_error_with_a_line() {
    for (value, expected) in [
        ("print", "a function has no counterpart"),
        ("coroutine.create(print)", "a thread has no counterpart"),
        ("application.clients", "a list of clients has no counterpart"),
        ("client", "a Client has no counterpart"),
        ("1 << 53", "too large for an ActionScript number"),
        ("math.mininteger", "too large for an ActionScript number"),
        ("'\\xff'", "is not UTF-8"),
        ("{ [1.5] = 1 }", "a number as a key"),
        ("{ [true] = 1 }", "a boolean as a key"),
        ("('x'):rep(2 << 20)", "too much text"),
        ("(function() local t = {} for i = 1, 20000 do t[i] = i end return t end)()", "too many values"),
        // Small in Lua, where all are one: 16 GB, were they copied.
        (
            "(function() local b, t = ByteArray(('x'):rep(1e6)), {} for i = 1, 16000 do t[i] = b end return t end)()",
            "too many bytes",
        ),
        (
            "(function() local b, t = ('x'):rep(1e6), {} for i = 1, 200 do t[i] = b end return table.unpack(t) end)()",
            "too much text",
        ),
    ] {
        let mut scene =
            scene(&format!("function application.onConnect(client)\napplication.broadcastMsg('x', {value}) end"));
        scene.stage.connect(|_| ());
        let failures = scene.failures();
        assert!(matches!(&failures[..], [(_, _, 2, text)] if text.contains(expected)), "{value}: {failures:?}");
    }
}

#[test]
fn the_properties_of_a_client() {
    let main = "function application.onConnect(c)
        trace(c.farID == ('c1'):rep(28) .. '00000001', c.farId == c.farID, c.nearID, c.nearId == c.nearID)
        trace(c.farNonce, c.nearNonce)
        trace(c.farAddress, c.nearAddress, c.potentialNearAddresses[1], #c.reportedAddresses)
        trace(c.protocol, c.ip, c.id, c.uri, c.agent, c.referrer, c.pageUrl)
        c.reportedAddresses[1] = 'not kept'
        trace(#c.reportedAddresses, c.unknown, tostring(c))
        c.mine = 5 c.onFarAddressChange = print
        trace(c.mine, rawequal(c, application.clients[1]))
        Client.shared = 'for all' Client.mine = 'hidden'
        trace(c.shared, c.mine)
        for _, name in ipairs { 'farID', 'ip', 'reportedAddresses' } do trace(select(2, pcall(function() c[name] = 1 end))) end
    end";
    let mut scene = scene(main);
    scene.stage.connect(|info| {
        info.request.referrer = "app:/game.swf".into();
        info.request.page_url = "http://page".into();
    });
    assert_eq!(
        scene.traces(),
        [
            format!("true true {} true", "5e".repeat(32)),
            format!("{} {}", "fa".repeat(32), "0e".repeat(32)),
            "203.0.0.1:40000 198.51.100.1:1935 198.51.100.1:1935 0".to_owned(),
            "rtmfp 203.0.0.1 0:00000001 rtmfp://server/app AND 32,0,0,0 app:/game.swf http://page".to_owned(),
            "0 nil Client".to_owned(),
            "5 false".to_owned(),
            "for all 5".to_owned(),
            "main.lua:12: farID of a Client cannot be set".to_owned(),
            "main.lua:12: ip of a Client cannot be set".to_owned(),
            "main.lua:12: reportedAddresses of a Client cannot be set".to_owned(),
        ]
    );
}

#[test]
fn the_properties_of_the_application() {
    use introd_config::XmlSettings;
    let leaf = |text: &str| XmlSettings { text: text.to_owned(), children: Vec::new() };
    let config = XmlSettings {
        text: String::new(),
        children: vec![
            ("token".into(), leaf("secret")),
            ("peer".into(), leaf("a")),
            ("peer".into(), leaf("b")),
            ("limits".into(), XmlSettings { text: "t".into(), children: vec![("rate".into(), leaf("5"))] }),
        ],
    };
    let main = "local c = application.config
        trace(application.name, application.hostname, application.server:match('^introd/%d') ~= nil)
        trace(c.token, table.concat(c.peer, '+'), c.limits.rate, c.limits.text, c.missing)";
    let scene = scene_with(main, |settings| settings.script.config = config);
    let traces = scene.traces();
    // Its clients may come by any name: the computer's own is the best there is.
    let computer = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert!(traces[0].ends_with(&format!("/_definst_ {computer} true")), "{traces:?}");
    assert_eq!(traces[1], "secret a+b 5 t nil");
    let empty = super::scene("trace(next(application.config))");
    assert_eq!(empty.traces(), ["nil"]);
}

#[test]
fn addresses_carry_where_they_come_from() {
    use rtmfp::{Origin, PeerId, TaggedAddress};
    let main = "function application.onPeerLookup(event)
            local target = application.clients[event.targetPeerID]
            if target then
                application.sendPeerRedirect({ '10.0.0.1:1', target.farAddress, target.nearAddress, '192.0.2.77:7' }, event)
            else
                registry.publish(event.targetPeerID, { '10.0.0.1:1', '198.51.100.1:1935' })
                local addresses = registry.lookup(event.targetPeerID)
                table.insert(addresses, 1, '192.0.2.5:5')
                addresses.origins['192.0.2.5:5'] = 'observed'
                application.sendPeerRedirect(addresses, event)
            end
        end";
    let mut scene = scene(main);
    scene.stage.connect(|info| info.far_id = PeerId([3; 32]));
    scene.sent();
    let mut addresses = |target: u8| {
        scene.stage.look_up(Some(PeerId([target; 32])), "192.0.2.1:1".parse().unwrap(), None);
        match scene.stage.take().pop() {
            Some(Effect::Redirect { addresses, .. }) => addresses.into_vec(),
            other => panic!("{other:?}: {:?}", scene.stage.runtime.instance.journal.take()),
        }
    };
    let at = |text: &str, origin| TaggedAddress::new(text.parse().unwrap(), origin);
    assert_eq!(
        addresses(3),
        [
            at("10.0.0.1:1", Origin::Reported),
            at("203.0.0.1:40000", Origin::Observed),
            at("198.51.100.1:1935", Origin::Relay),
            at("192.0.2.77:7", Origin::Reported),
        ]
    );
    assert_eq!(
        addresses(9),
        [
            at("192.0.2.5:5", Origin::Observed),
            at("10.0.0.1:1", Origin::Reported),
            at("198.51.100.1:1935", Origin::Relay),
        ]
    );
}

#[test]
fn byte_arrays_are_part_of_the_memory_of_a_script() {
    let mut scene = scene_with(
        "kept = {}
        function Client:keep() for i = 1, 20 do kept[#kept + 1] = ByteArray(('x'):rep(1e6)) end return #kept end
        ",
        |settings| {
            settings.script.memory = 8 << 20;
            settings.script.time = Some(std::time::Duration::from_secs(60));
        },
    );
    let client = scene.stage.connect(|_| ());
    scene.stage.call(client, "keep", 1.0, Vec::new());
    let failures = scene.failures();
    assert!(matches!(&failures[..], [(_, _, _, text)] if text.contains("not enough memory")), "{failures:?}");
    // Memory that the script does not need any more is free again.
    let mut scene = scene_with(
        "function Client:waste() for i = 1, 100 do ByteArray(('x'):rep(1e6)) end return true end",
        |settings| {
            settings.script.memory = 8 << 20;
            settings.script.time = Some(std::time::Duration::from_secs(60));
        },
    );
    let client = scene.stage.connect(|_| ());
    scene.stage.call(client, "waste", 1.0, Vec::new());
    let failures = scene.failures();
    assert!(failures.is_empty(), "{failures:?}");
}

#[test]
fn numbers_and_names_at_the_edges() {
    let mut scene = scene(
        "function Client:kinds(large, exact, list, odd)
            trace(math.type(large), math.type(exact), #list, list['2'], list['7'])
            local seen = {} for key, value in pairs(odd.value) do seen[#seen + 1] = tostring(key) end
            trace(table.concat(seen, ' '))
        end",
    );
    let client = scene.stage.connect(|_| ());
    let named = |name: &str| (name.to_owned(), text(name));
    let list = EcmaArray { named: vec![named("0"), named("1"), named("7"), named("-1"), named("2")], dense: vec![] };
    let entries = vec![(Value::Number(f64::NAN), text("lost")), (Value::Number(2.5), text("kept"))];
    scene.stage.call(
        client,
        "kinds",
        0.0,
        vec![
            Value::Number(9_007_199_254_740_992.0),
            Value::Number(-9_007_199_254_740_991.0),
            Value::EcmaArray(list),
            Value::Dictionary { weak_keys: false, entries },
        ],
    );
    assert_eq!(scene.traces(), ["float integer 3 nil 7", "2.5"]);
}

#[test]
fn lists_of_addresses_are_bounded_and_no_address_counts_as_another_peers() {
    use rtmfp::{Origin, PeerId};
    let main = "function application.onPeerLookup(event)
            local list = {}
            for i = 1, 64 do list[i] = '192.0.2.1:' .. i end
            list[65] = 'never read'
            if not event.targetPeerID then list = { application.clients[1].farAddress } end
            application.sendPeerRedirect(list, event)
        end";
    let mut scene = scene(main);
    scene.stage.connect(|_| ());
    let mut addresses = |target| {
        scene.stage.look_up(target, "192.0.2.1:1".parse().unwrap(), None);
        match scene.stage.take().pop() {
            Some(Effect::Redirect { addresses, .. }) => addresses.into_vec(),
            other => panic!("{other:?}: {:?}", scene.stage.runtime.instance.journal.take()),
        }
    };
    let ports: Vec<u16> = addresses(Some(PeerId([9; 32]))).iter().map(|address| address.address.port()).collect();
    assert_eq!(ports, (1..=16).collect::<Vec<_>>());
    // The lookup is for another peer than the client whose address this is.
    assert_eq!(addresses(None)[0].origin, Origin::Reported);
}

/// In place of a number of addresses: the peer is to be withdrawn, unless it is connected to another instance.
const OF_OTHERS: usize = usize::MAX;

/// A registry that keeps what it is told.
#[derive(Default)]
struct Told(std::sync::Mutex<Vec<(u8, usize, Option<introd_policy::registry::PeerSession>)>>);

impl introd_policy::registry::Registry for Told {
    fn publish(
        &self,
        peer: rtmfp::PeerId,
        addresses: &[rtmfp::TaggedAddress],
    ) -> Result<(), introd_policy::registry::RegistryError> {
        self.0.lock().unwrap().push((peer.0[0], addresses.len(), None));
        Ok(())
    }

    fn publish_session(
        &self,
        peer: rtmfp::PeerId,
        addresses: &[rtmfp::TaggedAddress],
        session: introd_policy::registry::PeerSession,
    ) -> Result<(), introd_policy::registry::RegistryError> {
        self.0.lock().unwrap().push((peer.0[0], addresses.len(), Some(session)));
        Ok(())
    }

    fn withdraw(&self, peer: &rtmfp::PeerId) {
        self.0.lock().unwrap().push((peer.0[0], 0, None));
    }

    fn withdraw_of_others(&self, peer: &rtmfp::PeerId) {
        self.0.lock().unwrap().push((peer.0[0], OF_OTHERS, None));
    }

    fn lookup(&self, _: rtmfp::PeerId) -> introd_policy::registry::LookupFuture {
        Box::pin(std::future::ready(Ok(None)))
    }
}

#[test]
fn of_its_clients_a_script_publishes_what_they_have_proven_and_for_others_it_vouches() {
    use introd_policy::registry::PeerSession;
    let folder = Folder::new(
        "function application.onPeerLookup(event)
            registry.publish(event.targetPeerID, { '192.0.2.1:1' })
            registry.withdraw(event.targetPeerID)
        end",
    );
    let registry = std::sync::Arc::new(Told::default());
    let stage =
        Stage::with_registry(folder.path(), settings(|_| ()), registry.clone()).unwrap_or_else(|e| panic!("{e}"));
    let mut scene = Scene { folder, stage };
    let clients = [(3, false), (4, true)].map(|(id, is_proven)| {
        scene.stage.connect(|info| (info.far_id, info.is_proven) = (rtmfp::PeerId([id; 32]), is_proven)).session
    });
    for peer in [3, 4, 5] {
        scene.stage.look_up(Some(rtmfp::PeerId([peer; 32])), "192.0.2.1:1".parse().unwrap(), None);
    }
    let session = |place: usize, is_proven| Some(PeerSession { id: clients[place], is_proven, is_silent: false });
    assert_eq!(
        *registry.0.lock().unwrap(),
        [
            (3, 1, session(0, false)),
            (3, 0, None),
            (4, 1, session(1, true)),
            (4, 0, None),
            (5, 1, None),
            (5, OF_OTHERS, None)
        ]
    );
    assert!(scene.failures().is_empty());
}
