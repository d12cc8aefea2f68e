//! Instances: when they are called, and what they count.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::introd_plugin::abi::*;
use introd_netgroup::GroupDigest;
use introd_policy::Verdict;
use rtmfp::{PeerId, SessionId};

use super::fake::{Bench, ask, of_kind, table};
use crate::PluginAnswer;
use crate::events::InstancePath;
use crate::groups::GroupChange;
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
    let place = InstancePath { application: "app", instance: "room" };
    instance.disconnect(SessionId::from_wire(1), PeerId([1; 32]), place, "gone");
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
    assert_eq!(bench.verdicts(), [Verdict::Deny]);
    // SAFETY: the table is the host's; a null verdict is none.
    let nothing = unsafe { (fake.functions().complete.unwrap())(fake.host, first, std::ptr::null()) };
    assert_eq!(nothing, INTROD_E_TOKEN, "the token counts first");
    assert!(!mine.cancel(first), "it has come");
    assert_eq!(fake.calls(), ["lookup"], "and the plugin is told nothing");
    let second = token(ask(&mine));
    assert!(mine.cancel(second) && !mine.cancel(second) && !mine.has_pending());
    assert_eq!((complete(fake, second), fake.calls()), (INTROD_E_TOKEN, vec!["lookup", "cancel"]));
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
fn failures_and_slow_calls_are_counted() {
    let bench = Bench::new();
    let (instance, fake) = bench.instance();
    fake.does(|_, _| INTROD_E_FAILED);
    for _ in 0..3 {
        disconnected(&instance);
        ask(&instance);
    }
    assert_eq!((instance.account().calls(), instance.account().failures()), (6, 6));
    assert!(!instance.is_disabled());
    // Longer than a callback may take.
    fake.does(|_, _| {
        std::thread::sleep(Duration::from_millis(10));
        INTROD_OK
    });
    let before = instance.account().slow();
    instance.on_timer(1, 1);
    assert_eq!(instance.account().slow(), before, "a timer may take its time");
    disconnected(&instance);
    assert_eq!(instance.account().slow(), before + 1);
    assert!(instance.account().time() >= Duration::from_millis(20));
    // On a busy machine a quick call may seem slow, but not each of them.
    fake.does(|_, _| INTROD_OK);
    let is_quick = || {
        let before = instance.account().slow();
        disconnected(&instance);
        instance.account().slow() == before
    };
    assert!((0..1000).any(|_| is_quick()));
}

#[test]
fn a_join_is_handled_or_goes_on_or_has_failed() {
    let bench = Bench::new();
    let (instance, fake) = bench.instance();
    let choose = |_, _| Vec::new();
    let change = GroupChange {
        group: GroupDigest([1; 32]),
        session: SessionId::from_wire(1),
        peer: PeerId([2; 32]),
        place: InstancePath { application: "app", instance: "room" },
        members: 3,
        choose: &choose,
    };
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
    assert_eq!(fake.calls(), ["join"; 4]);
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
    let change = GroupChange {
        group: GroupDigest([1; 32]),
        session: SessionId::from_wire(1),
        peer: PeerId([2; 32]),
        place: InstancePath { application: "app", instance: "room" },
        members: 3,
        choose: &choose,
    };
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
