//! The host's functions, with arguments of every kind.

use ::introd_plugin::abi::*;

use super::bench::{Bench, group_change};
use super::fake::table;
use crate::values::{raw_bytes, raw_observed};

fn peer_id(byte: u8) -> introd_peer_id {
    introd_peer_id { bytes: [byte; 32] }
}

fn client(id: u64) -> introd_client {
    introd_client { id, peer: peer_id(2) }
}

#[test]
fn a_peer_that_is_found_fills_what_there_is_room_for() {
    let bench = Bench::new();
    let (_instance, fake) = bench.instance();
    let mut addresses = [raw_observed("0.0.0.0:0".parse().unwrap()); 5];
    let mut find = |id: u8, size: usize, room: u32, has_memory: bool| {
        addresses.fill(raw_observed("0.0.0.0:0".parse().unwrap()));
        let mut peer = introd_peer {
            struct_size: size as u32,
            reported_count: room,
            client: client(0),
            observed: addresses[0],
            reported: if has_memory { addresses.as_mut_ptr() } else { std::ptr::null_mut() },
        };
        let id = peer_id(id);
        // SAFETY: the table is the host's, and there is room for as many addresses as it says.
        let status = unsafe { (fake.functions().find_peer.unwrap())(fake.host, &raw const id, &raw mut peer) };
        let written = addresses.iter().filter(|address| address.port != 0).count();
        (status, peer.reported_count, written, peer.client.id)
    };
    let whole = size_of::<introd_peer>();
    assert_eq!(find(1, whole, 5, true), (INTROD_OK, 3, 3, 11));
    assert_eq!(find(1, whole, 2, true), (INTROD_OK, 2, 2, 11));
    assert_eq!(find(1, whole, 0, true), (INTROD_OK, 0, 0, 11));
    assert_eq!(find(1, whole, 5, false), (INTROD_OK, 0, 0, 11));
    assert_eq!(find(2, whole, 5, true), (INTROD_NOT_FOUND, 5, 0, 0));
    assert_eq!(find(1, whole - 1, 5, true), (INTROD_E_ARGUMENT, 5, 0, 0));
}

#[test]
fn what_a_plugin_asks_of_the_server_is_checked_and_refused_without_room() {
    let bench = Bench::new();
    let (_instance, fake) = bench.instance();
    let (host, functions) = (fake.host, fake.functions());
    let address = |family| introd_address { family, ..raw_observed("192.0.2.9:9".parse().unwrap()) };
    let introduce = |target: u8, family: u8, tag: introd_bytes| {
        let (target, initiator) = (peer_id(target), address(family));
        // SAFETY: the table is the host's, and everything is valid for the call.
        unsafe { (functions.introduce.unwrap())(host, &raw const target, &raw const initiator, tag) }
    };
    let tag = |length: usize| raw_bytes(&[7; 100][..length]);
    assert_eq!((introduce(1, 4, tag(0)), introduce(1, 4, tag(64))), (INTROD_OK, INTROD_OK));
    assert_eq!(bench.asked(), ["introduce 1 192.0.2.9:9 0", "introduce 1 192.0.2.9:9 64"]);
    assert_eq!(introduce(2, 4, tag(0)), INTROD_NOT_FOUND);
    let nowhere = introd_bytes { ptr: std::ptr::null(), len: 3 };
    for status in [introduce(1, 4, tag(65)), introduce(1, 5, tag(0)), introduce(1, 4, nowhere)] {
        assert_eq!(status, INTROD_E_ARGUMENT);
    }
    let disconnect = |id| {
        let client = client(id);
        // SAFETY: the table is the host's, and everything is valid for the call.
        unsafe { (functions.disconnect.unwrap())(host, &raw const client) }
    };
    assert_eq!([7, 0, 1 << 32].map(disconnect), [INTROD_OK, INTROD_E_ARGUMENT, INTROD_E_ARGUMENT]);
    let groups = fake.extension::<introd_host_groups>(INTROD_EXT_GROUPS);
    let hint = |how, id| {
        let (group, to, about) = (introd_group_id { bytes: [3; 32] }, client(id), peer_id(4));
        // SAFETY: the table is the host's, and everything is valid for the call.
        unsafe { (groups.hint.unwrap())(host, &raw const group, how, &raw const to, &raw const about) }
    };
    assert_eq!((hint(INTROD_HINT_MEMBER, 8), hint(INTROD_HINT_NEIGHBOR, 9)), (INTROD_OK, INTROD_OK));
    for (how, id) in [(0, 8), (3, 8), (1, 0), (1, 1 << 33)] {
        assert_eq!(hint(how, id), INTROD_E_ARGUMENT, "{how} {id}");
    }
    assert_eq!(bench.asked(), ["disconnect 7 2", "hint 8 3 4", "hint 9 3 4"]);
    *bench.server.room.lock().unwrap() = 0;
    assert_eq!([introduce(1, 4, tag(0)), disconnect(7), hint(1, 8)], [INTROD_E_FULL; 3]);
}

#[test]
fn members_of_a_group_are_written_within_the_room_that_there_is() {
    use rtmfp::{PeerId, SessionId};

    use crate::groups::during;

    let bench = Bench::new();
    let (_instance, fake) = bench.instance();
    let groups = fake.extension::<introd_host_groups>(INTROD_EXT_GROUPS);
    // A server that names more members than it was asked for.
    let choose = |_, count: usize| vec![(PeerId([7; 32]), SessionId::from_wire(5)); count + 2];
    let change = group_change(&choose);
    let mut members = [client(0); 6];
    let written = during(&change, |event| {
        // SAFETY: the table is the host's, the event is that of the callback, and there is room for so many.
        unsafe {
            let none = (groups.members.unwrap())(fake.host, event, INTROD_MEMBERS_NEWEST, std::ptr::null_mut(), 4);
            assert_eq!(none, 0);
            (groups.members.unwrap())(fake.host, event, INTROD_MEMBERS_NEWEST, members.as_mut_ptr(), 4)
        }
    });
    assert_eq!((written, members.map(|member| member.id)), (4, [5, 5, 5, 5, 0, 0]));
}

#[test]
fn a_plugin_has_timers_if_it_has_the_table_for_them_and_metrics_of_two_kinds() {
    let bench = Bench::new();
    let (made, without) = bench.create(introd_plugin { get_extension: None, ..table() }, INTROD_OK);
    let (_with, fake) = bench.instance();
    let start = |fake: &super::fake::Fake, every| {
        let timer = fake.extension::<introd_host_timer>(INTROD_EXT_TIMER);
        // SAFETY: the table is the host's.
        unsafe { (timer.start.unwrap())(fake.host, u64::MAX, every, 1) }
    };
    assert_eq!((start(without, 0), made.is_ok()), (0, true));
    assert!(start(fake, 0) != 0 && start(fake, 5000) != 0);
    let periods = bench.state.timers.all().into_iter().map(|(_, every)| every);
    assert_eq!(periods.collect::<Vec<_>>(), [None, Some(std::time::Duration::from_secs(5))]);
    let metrics = fake.extension::<introd_host_metrics>(INTROD_EXT_METRICS);
    let metric =
        // SAFETY: as above.
        |kind, name: &[u8]| unsafe { (metrics.metric.unwrap())(fake.host, kind, raw_bytes(name), raw_bytes(b"")) };
    let (counter, gauge) = (metric(INTROD_METRIC_COUNTER, b"count"), metric(INTROD_METRIC_GAUGE, b"size"));
    assert_eq!((metric(0, b"x"), metric(3, b"x"), metric(1, b"\xff")), (0, 0, 0));
    for number in [counter, gauge] {
        // SAFETY: the table is the host's, and everything is valid for the call.
        unsafe {
            (metrics.add.unwrap())(fake.host, number, 5);
            (metrics.add.unwrap())(fake.host, number, -2);
            (metrics.set.unwrap())(fake.host, number, 2);
        }
    }
    assert_eq!(bench.state.metrics.snapshot().iter().map(|metric| metric.value).collect::<Vec<_>>(), [5, 2]);
}

#[test]
fn the_host_names_itself_and_has_further_tables_by_name() {
    let bench = Bench::new();
    let (_instance, fake) = bench.instance();
    let functions = fake.functions();
    // SAFETY: the texts of the host's table last.
    let texts = unsafe { [functions.name, functions.version].map(|raw| crate::values::text(raw).unwrap()) };
    assert_eq!(texts, ["introd", env!("CARGO_PKG_VERSION")]);
    let versions = [functions.struct_size, functions.abi_major, functions.abi_minor];
    assert_eq!(versions, [size_of::<introd_host>() as u32, INTROD_ABI_MAJOR, INTROD_ABI_MINOR]);
    let size = |id: *const std::ffi::c_char| {
        // SAFETY: the id is null or ends with a zero, and a table begins with its size.
        unsafe { (functions.get_extension.unwrap())(fake.host, id).cast::<u32>().as_ref().copied() }
    };
    for (id, expected) in [
        (INTROD_EXT_LOG, size_of::<introd_host_log>()),
        (INTROD_EXT_METRICS, size_of::<introd_host_metrics>()),
        (INTROD_EXT_TIMER, size_of::<introd_host_timer>()),
        (INTROD_EXT_REGISTRY, size_of::<introd_host_registry>()),
        (INTROD_EXT_GROUPS, size_of::<introd_host_groups>()),
    ] {
        assert_eq!(size(id.as_ptr()), Some(expected as u32), "{id:?}");
    }
    assert_eq!([size(std::ptr::null()), size(c"introd.log/2".as_ptr()), size(c"".as_ptr())], [None; 3]);
}

#[test]
fn a_library_without_an_instance_reaches_nothing() {
    let bench = Bench::new();
    let (_instance, fake) = bench.instance();
    let (host, deny) = (crate::entry::host(), super::bench::of_kind(INTROD_DENY));
    // SAFETY: the table is the host's, and everything is valid for the calls.
    unsafe {
        assert_eq!(((*host).complete.unwrap())(host, 1, &raw const deny), INTROD_E_TOKEN);
        let log = fake.extension::<introd_host_log>(INTROD_EXT_LOG);
        assert_eq!((log.is_enabled.unwrap())(host, INTROD_LOG_ERROR), 0);
        assert!(!((*host).get_extension.unwrap())(host, INTROD_EXT_LOG.as_ptr()).is_null());
    }
}

#[test]
fn a_timer_is_stopped_by_its_plugin_once() {
    let bench = Bench::new();
    let ((_mine, fake), (_other, others)) = (bench.instance(), bench.instance());
    let timer = fake.extension::<introd_host_timer>(INTROD_EXT_TIMER);
    // SAFETY: the tables are the host's.
    let stop = |by: &super::fake::Fake, token| unsafe { (timer.stop.unwrap())(by.host, token) };
    // SAFETY: as above.
    let token = unsafe { (timer.start.unwrap())(fake.host, u64::MAX, 0, 1) };
    assert_eq!(
        [stop(others, token), stop(fake, token), stop(fake, token)],
        [INTROD_E_TOKEN, INTROD_OK, INTROD_E_TOKEN]
    );
    assert!(bench.state.timers.all().is_empty());
}

#[test]
fn without_a_server_nothing_is_found_and_nothing_is_done() {
    let bench = Bench::without_server();
    let (_instance, fake) = bench.instance();
    let (id, client, address) = (peer_id(1), client(7), raw_observed("192.0.2.9:9".parse().unwrap()));
    // SAFETY: the table is the host's, and everything is valid for the calls.
    unsafe {
        let introduce = fake.functions().introduce.unwrap();
        assert_eq!(introduce(fake.host, &raw const id, &raw const address, raw_bytes(b"")), INTROD_E_ARGUMENT);
        assert_eq!((fake.functions().disconnect.unwrap())(fake.host, &raw const client), INTROD_E_ARGUMENT);
    }
}
