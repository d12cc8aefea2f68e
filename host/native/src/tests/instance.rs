//! Instances: when they are called, and what they count.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::introd_plugin::abi::*;
use introd_policy::{RequestId, Verdict};
use rtmfp::{PeerId, SessionId};

use super::bench::{Bench, PLACE, ask, client_info, group_change, of_kind};
use super::fake::{creating, table};
use crate::PluginAnswer;
use crate::timers::TimedInstance;

fn token(answer: PluginAnswer) -> u64 {
    match answer {
        PluginAnswer::Pending(token) => token,
        PluginAnswer::Verdict(verdict) => panic!("{verdict:?}"),
    }
}

/// Leaves its verdict pending, if a verdict is asked for.
fn defers(host: *const introd_host, answer: *mut introd_answer) -> i32 {
    if answer.is_null() {
        return INTROD_OK;
    }
    // SAFETY: the table and the answer are those of the callback.
    assert_ne!(unsafe { ((*host).defer.unwrap())(host, answer) }, 0);
    INTROD_PENDING
}

fn disconnected(instance: &crate::PluginInstance) {
    instance.disconnect(SessionId::from_wire(1), PeerId([1; 32]), PLACE, "gone");
}

#[test]
fn a_plugin_that_has_panicked_is_called_no_more_not_even_to_end() {
    let bench = Bench::new();
    let (instance, fake) = bench.instance();
    fake.does(|_, _| INTROD_E_PANIC);
    disconnected(&instance);
    assert!(instance.is_disabled());
    assert_eq!(fake.calls(), ["disconnect"]);
    disconnected(&instance);
    instance.on_timer(1, 1);
    assert_eq!(ask(&instance), PluginAnswer::Verdict(Verdict::Failed("it has panicked".to_owned())));
    assert_eq!((instance.account().calls(), instance.account().failures()), (1, 2));
    drop(instance);
    assert_eq!(fake.calls(), [""; 0]);
}

#[test]
fn an_instance_ends_once() {
    let bench = Bench::new();
    let (instance, fake) = bench.instance();
    disconnected(&instance);
    instance.end();
    instance.end();
    drop(instance);
    assert_eq!(fake.calls(), ["disconnect", "destroy"]);
}

#[test]
fn a_verdict_is_given_by_its_plugin_or_taken_back() {
    let bench = Bench::new();
    let ((mine, fake), (other, others)) = (bench.instance(), bench.instance());
    fake.does(defers);
    let first = token(ask(&mine));
    assert!(mine.has_pending() && !other.has_pending());
    let complete = |by: &super::fake::Fake, token| {
        let verdict = of_kind(INTROD_DENY);
        // SAFETY: the table is the host's, and the verdict is valid for the call.
        unsafe { (by.functions().complete.unwrap())(by.host, token, &raw const verdict) }
    };
    assert_eq!(complete(others, first), INTROD_E_TOKEN, "another plugin");
    assert!(!other.cancel(first) && bench.verdicts().is_empty());
    assert_eq!((complete(fake, first), complete(fake, first)), (INTROD_OK, INTROD_E_TOKEN));
    assert_eq!(bench.verdicts(), [Verdict::Deny(None)]);
    // SAFETY: the table is the host's; a null verdict is none.
    let nothing = unsafe { (fake.functions().complete.unwrap())(fake.host, first, std::ptr::null()) };
    assert_eq!(nothing, INTROD_E_TOKEN, "the token counts first");
    assert!(!mine.cancel(first), "it has come");
    assert_eq!(fake.calls(), ["lookup"], "and the plugin is told nothing");
    let second = token(ask(&mine));
    assert!(mine.cancel(second) && !mine.cancel(second) && !mine.has_pending());
    assert_eq!(
        (complete(fake, second), fake.calls()),
        (INTROD_E_TOKEN, ["lookup", "cancel"].map(str::to_owned).to_vec())
    );
    // It takes a token, and decides at once: the token is invalid.
    let kept = Arc::new(Mutex::new(0));
    let keeps = Arc::clone(&kept);
    fake.does(move |host, answer| {
        if answer.is_null() {
            return INTROD_OK;
        }
        // SAFETY: as in `defers`.
        *keeps.lock().unwrap() = unsafe { ((*host).defer.unwrap())(host, answer) };
        // SAFETY: as above.
        assert_eq!(unsafe { ((*host).defer.unwrap())(host, answer) }, 0, "one token for each callback");
        INTROD_IGNORE
    });
    assert_eq!(ask(&mine), PluginAnswer::Verdict(Verdict::Ignore));
    assert_eq!((complete(fake, *kept.lock().unwrap()), mine.has_pending()), (INTROD_E_TOKEN, false));
}

#[test]
fn one_plugin_does_not_answer_for_another_whose_callback_runs() {
    let bench = Bench::new();
    let ((mine, fake), (_other, others)) = (bench.instance(), bench.instance());
    let table = others.host as usize;
    fake.does(move |host, answer| {
        let (deny, other) = (of_kind(INTROD_DENY), table as *const introd_host);
        // SAFETY: both tables are the host's.
        unsafe {
            assert_eq!(((*host).answer.unwrap())(other, answer, &raw const deny), INTROD_E_ARGUMENT);
            assert_eq!(((*host).defer.unwrap())(other, answer), 0);
        }
        INTROD_CONTINUE
    });
    assert_eq!(ask(&mine), PluginAnswer::Verdict(Verdict::Continue));
}

#[test]
fn failures_are_counted_and_nothing_else_is() {
    let bench = Bench::new();
    let (instance, fake) = bench.instance();
    fake.does(|_, _| INTROD_E_FAILED);
    for _ in 0..3 {
        disconnected(&instance);
        ask(&instance);
    }
    assert_eq!((instance.account().calls(), instance.account().failures()), (6, 6));
    fake.does(|_, _| INTROD_OK);
    disconnected(&instance);
    ask(&instance);
    assert_eq!((instance.account().calls(), instance.account().failures()), (8, 6));
    assert!(!instance.is_disabled());
}

#[test]
fn a_join_is_handled_or_goes_on_or_has_failed() {
    let bench = Bench::new();
    let (instance, fake) = bench.instance();
    let choose = |_, _| Vec::new();
    let change = group_change(&choose);
    for (status, expected) in [
        (INTROD_CONTINUE, Verdict::Continue),
        (INTROD_HANDLED, Verdict::Handled),
        (INTROD_DENY, Verdict::Continue),
        (INTROD_E_FULL, Verdict::Failed("it has no room".to_owned())),
    ] {
        fake.does(move |_, _| status);
        assert_eq!(instance.group_join(&change), expected);
    }
    instance.group_leave(&change);
    assert_eq!(fake.calls(), ["join", "join", "join", "join", "leave"]);
}

/// What a plugin can still do when its instance has ended, or could not be made.
#[test]
fn nothing_is_done_for_an_instance_that_has_ended() {
    let bench = Bench::new();
    let (ended, fake) = bench.instance();
    let timer = fake.extension::<introd_host_timer>(INTROD_EXT_TIMER);
    let metrics = fake.extension::<introd_host_metrics>(INTROD_EXT_METRICS);
    let text = crate::values::raw_bytes;
    let metric = |fake: &super::fake::Fake| {
        // SAFETY: the table is the host's.
        unsafe { (metrics.metric.unwrap())(fake.host, INTROD_METRIC_GAUGE, text(b"size"), text(b"")) }
    };
    let size = metric(fake);
    fake.does(defers);
    let pending = token(ask(&ended));
    // SAFETY: the table is the host's.
    let started = unsafe { (timer.start.unwrap())(fake.host, 3_600_000, 0, 1) };
    assert!(size != 0 && started != 0);
    fake.does(move |host, _| {
        // SAFETY: as above. While it is destroyed its table still serves it.
        assert_eq!(unsafe { (timer.stop.unwrap())(host, started) }, INTROD_E_TOKEN, "its timers are stopped before");
        // SAFETY: as above.
        assert_ne!(unsafe { (timer.start.unwrap())(host, 3_600_000, 0, 1) }, 0);
        INTROD_OK
    });
    ended.end();
    assert_eq!(fake.calls(), ["lookup", "destroy"]);
    let (failed, never_made) = bench.create(table(), INTROD_E_UNAVAILABLE);
    let error = failed.map(|_| ()).unwrap_err().to_string();
    assert!(error.ends_with("could not be made: what it needs cannot be reached"), "{error}");
    for fake in [fake, never_made] {
        let (host, functions) = (fake.host, fake.functions());
        let deny = of_kind(INTROD_DENY);
        let (id, client) = (introd_peer_id { bytes: [1; 32] }, introd_client { id: 1, peer: crate::values::NO_PEER });
        let address = crate::values::raw_observed("192.0.2.1:1".parse().unwrap());
        let mut peer = introd_peer {
            struct_size: size_of::<introd_peer>() as u32,
            reported_count: 0,
            client,
            observed: address,
            reported: std::ptr::null_mut(),
        };
        // SAFETY: the tables are the host's, and everything is valid for the calls.
        unsafe {
            assert_eq!((functions.complete.unwrap())(host, pending, &raw const deny), INTROD_E_TOKEN);
            assert_eq!((functions.answer.unwrap())(host, std::ptr::null_mut(), &raw const deny), INTROD_E_ARGUMENT);
            assert_eq!((functions.find_peer.unwrap())(host, &raw const id, &raw mut peer), INTROD_E_ARGUMENT);
            let introduce = functions.introduce.unwrap();
            assert_eq!(introduce(host, &raw const id, &raw const address, text(b"")), INTROD_E_ARGUMENT);
            assert_eq!((functions.disconnect.unwrap())(host, &raw const client), INTROD_E_ARGUMENT);
            assert_eq!((timer.start.unwrap())(host, 1, 0, 1), 0);
            (metrics.set.unwrap())(host, size, 7);
            (metrics.add.unwrap())(host, size, 7);
            let groups = fake.extension::<introd_host_groups>(INTROD_EXT_GROUPS);
            let group = introd_group_id { bytes: [1; 32] };
            let hint = groups.hint.unwrap();
            assert_eq!(
                hint(host, &raw const group, INTROD_HINT_MEMBER, &raw const client, &raw const id),
                INTROD_E_ARGUMENT
            );
            let log = fake.extension::<introd_host_log>(INTROD_EXT_LOG);
            assert_eq!((log.is_enabled.unwrap())(host, INTROD_LOG_ERROR), 0);
            (log.log.unwrap())(host, INTROD_LOG_ERROR, text(b"never written"));
        }
        assert_eq!(metric(fake), 0);
    }
    let choose = |_, count| vec![(PeerId([7; 32]), SessionId::from_wire(5)); count];
    let change = group_change(&choose);
    let mut member = introd_client { id: 0, peer: crate::values::NO_PEER };
    let groups = fake.extension::<introd_host_groups>(INTROD_EXT_GROUPS);
    let chosen = crate::groups::during(&change, |event| {
        // SAFETY: the table is the host's, and there is room for one.
        unsafe { (groups.members.unwrap())(fake.host, event, INTROD_MEMBERS_NEWEST, &raw mut member, 1) }
    });
    assert_eq!(chosen, 0);
    assert_eq!((bench.asked(), bench.verdicts()), (vec![], vec![]));
    assert_eq!(bench.state.metrics.snapshot()[0].value, 0);
    // None of its timers is left.
    let left = crate::timers::TimerOwner::new(u32::MAX);
    let left: &'static _ = Box::leak(Box::new(left));
    let mine = bench.state.timers.start(left, Duration::ZERO, None, 0).unwrap();
    assert_eq!(bench.state.timers.all(), [(mine, None)]);
}

#[test]
fn verdicts_that_are_pending_are_bounded() {
    use crate::answer::Subject;
    use crate::host_state::PendingVerdict;

    let bench = Bench::new();
    let (instance, fake) = bench.instance();
    let pending = || {
        let request = introd_policy::RequestId::from_number(1);
        bench.state.tokens.insert(0, PendingVerdict::Request { request, subject: Subject::Lookup })
    };
    assert_eq!((0..1 << 20).take_while(|_| pending().is_some()).count(), 1 << 18);
    fake.does(|host, answer| {
        // SAFETY: the table and the answer are those of the callback.
        assert_eq!(unsafe { ((*host).defer.unwrap())(host, answer) }, 0);
        INTROD_IGNORE
    });
    assert_eq!(ask(&instance), PluginAnswer::Verdict(Verdict::Ignore));
}

fn connect(instance: &crate::PluginInstance) -> PluginAnswer {
    let event = crate::ConnectEvent { session: SessionId::from_wire(5), info: &client_info(), place: PLACE };
    instance.connect(RequestId::from_number(9), event)
}

#[test]
fn a_connect_is_decided_by_the_plugin() {
    let bench = Bench::new();
    let (instance, fake) = bench.instance();
    assert_eq!(connect(&instance), PluginAnswer::Verdict(Verdict::Continue));
    fake.does(|_, _| INTROD_E_FULL);
    assert_eq!(connect(&instance), PluginAnswer::Verdict(Verdict::Failed("it has no room".to_owned())));
    fake.does(defers);
    let token = token(connect(&instance));
    let verdict = introd_verdict { text: crate::values::raw_bytes(b"no"), ..of_kind(INTROD_REJECT) };
    // SAFETY: the table is the host's, and the verdict is valid for the call.
    assert_eq!(unsafe { (fake.functions().complete.unwrap())(fake.host, token, &raw const verdict) }, INTROD_OK);
    let no = introd_flash::server::Rejection::rejected("no");
    assert_eq!(bench.verdicts(), [Verdict::Reject(Box::new(no))]);
    assert_eq!(fake.calls(), ["connect rtmfp://host/app/room?query"; 3]);
}

#[test]
fn a_plugin_is_told_of_addresses_that_have_changed() {
    let bench = Bench::new();
    let (instance, fake) = bench.instance();
    let far = "192.0.2.1:1".parse().unwrap();
    for reported in [None, Some(&[far][..])] {
        instance.addresses_changed(SessionId::from_wire(1), PeerId([1; 32]), PLACE, far, reported);
    }
    let changed = [INTROD_CHANGE_FAR_ADDRESS, INTROD_CHANGE_REPORTED_ADDRESSES];
    assert_eq!(fake.calls(), changed.map(|what| format!("addresses_changed {what}")));
}

#[test]
fn what_a_plugin_does_not_have_is_not_called() {
    let bench = Bench::new();
    let bare = introd_plugin {
        connect: None,
        disconnect: None,
        addresses_changed: None,
        lookup: None,
        cancel: None,
        get_extension: None,
        ..table()
    };
    let (made, fake) = bench.create(bare, INTROD_OK);
    let instance = made.unwrap();
    assert_eq!(connect(&instance), PluginAnswer::Verdict(Verdict::Continue));
    assert_eq!(ask(&instance), PluginAnswer::Verdict(Verdict::Continue));
    disconnected(&instance);
    let far = "192.0.2.1:1".parse().unwrap();
    instance.addresses_changed(SessionId::from_wire(1), PeerId([1; 32]), PLACE, far, None);
    let choose = |_, _| Vec::new();
    assert_eq!(instance.group_join(&group_change(&choose)), Verdict::Continue);
    instance.group_leave(&group_change(&choose));
    instance.on_timer(1, 1);
    assert!(!instance.has_registry());
    assert_eq!((fake.calls(), instance.account().calls()), (vec![], 0));
    // A verdict that it leaves pending can be taken back, though it is not told.
    let (made, fake) = bench.create(introd_plugin { cancel: None, ..table() }, INTROD_OK);
    let instance = made.unwrap();
    fake.does(defers);
    let token = token(ask(&instance));
    assert!(instance.cancel(token) && !instance.has_pending());
    assert_eq!(fake.calls(), ["lookup"]);
}

#[test]
fn a_plugin_decides_whether_it_is_made_while_it_is_made() {
    let bench = Bench::new();
    let library = crate::Library::of_table(Box::leak(Box::new(table()))).unwrap();
    let refusal = |creates: fn(*const introd_host, *mut introd_answer) -> i32| {
        let (made, _) = creating(creates, || bench.instance_of(library));
        let text = made.map(|_| ()).unwrap_err().to_string();
        text.strip_prefix("plugin fake (test) could not be made: ").map(str::to_owned)
    };
    assert_eq!(refusal(|_, _| INTROD_E_UNAVAILABLE).as_deref(), Some("what it needs cannot be reached"));
    assert_eq!(refusal(|_, _| 77).as_deref(), Some("it returned 77, which is no verdict here"));
    let answered = refusal(|host, answer| {
        let why = introd_verdict { text: crate::values::raw_bytes(b"no licence"), ..of_kind(INTROD_E_FAILED) };
        // SAFETY: the table and the answer are those of the callback, and the verdict is valid for the call.
        unsafe { ((*host).answer.unwrap())(host, answer, &raw const why) }
    });
    assert_eq!(answered.as_deref(), Some("no licence"));
    let (made, fakes) = creating(
        |host, answer| {
            // SAFETY: as above.
            assert_eq!(unsafe { ((*host).defer.unwrap())(host, answer) }, 0, "it cannot be made later");
            INTROD_OK
        },
        || bench.instance_of(library),
    );
    assert!(made.is_ok());
    assert_eq!((fakes[0].config.trim(), fakes[0].root.as_str()), ("<Config><rate>7</rate></Config>", "/root"));
}

#[test]
fn a_timer_that_is_started_while_an_instance_is_made_runs_out_at_the_instance() {
    let bench = Bench::new();
    let library = crate::Library::of_table(Box::leak(Box::new(table()))).unwrap();
    let (made, fakes) = creating(
        |host, _| {
            // SAFETY: the host's table of that name is of that type.
            unsafe {
                let timer =
                    ((*host).get_extension.unwrap())(host, INTROD_EXT_TIMER.as_ptr()).cast::<introd_host_timer>();
                assert_ne!(((*timer).start.unwrap())(host, 0, 0, 8), 0);
            }
            INTROD_OK
        },
        || bench.instance_of(library),
    );
    let state = Arc::clone(&bench.state);
    fakes[0].does(move |_, _| {
        state.timers.finish();
        INTROD_OK
    });
    bench.state.timers.run(&introd_liveness::Pulse::unwatched());
    assert_eq!(fakes[0].calls(), ["timer 8"]);
    drop(made);
}
