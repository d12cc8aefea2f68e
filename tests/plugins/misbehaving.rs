//! Plugins that break the rules of the ABI: each breach has a defined result.

use introd_plugin::abi::{INTROD_E_ARGUMENT, INTROD_E_TOKEN, INTROD_OK};
use introd_policy::Verdict;

use crate::bench::{Bench, c_plugin};

const OK: i64 = INTROD_OK as i64;
const E_TOKEN: i64 = INTROD_E_TOKEN as i64;
const E_ARGUMENT: i64 = INTROD_E_ARGUMENT as i64;

fn bench(name: &str) -> Bench {
    Bench::new(c_plugin("misbehaving.c", name, &[]), &[])
}

fn failed(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Failed(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_of_two_completions_counts() {
    let bench = bench("twice");
    let (_, verdicts) = bench.pending(1);
    assert_eq!(verdicts, [Verdict::Deny(None)]);
    assert_eq!((bench.metric("first"), bench.metric("second")), (OK, E_TOKEN));
}

#[test]
fn a_verdict_at_once_takes_the_token_back() {
    let bench = bench("back");
    assert_eq!(bench.verdict(2), Verdict::Deny(None));
    assert_eq!(bench.verdict(3), Verdict::Continue);
    assert_eq!(bench.metric("late"), E_TOKEN);
    assert_eq!(bench.replies(), []);
}

#[test]
fn one_of_ten_threads_completes_a_token() {
    let bench = bench("threads");
    for _ in 0..20 {
        let (_, verdicts) = bench.pending(4);
        assert_eq!(verdicts, [Verdict::Deny(None)]);
        assert_eq!(bench.metric("done"), 1);
    }
}

#[test]
fn after_cancel_nothing_can_be_completed() {
    let bench = bench("cancel");
    let (token, verdicts) = bench.pending(8);
    assert_eq!(verdicts, []);
    assert!(bench.instance.cancel(token), "it was pending");
    assert_eq!(bench.metric("complete_in_cancel"), E_TOKEN);
    assert_eq!(bench.metric("cancelled_the_kept"), 1);
    assert!(!bench.instance.cancel(token), "it is not any more");
    assert_eq!(bench.verdict(3), Verdict::Continue);
    assert_eq!(bench.metric("late"), E_TOKEN);
    assert_eq!(bench.replies(), []);
}

#[test]
fn a_callback_gets_one_token() {
    let bench = bench("two-tokens");
    bench.pending(8);
    assert_eq!((bench.metric("second_token"), bench.metric("defer_in_create")), (0, 0));
}

#[test]
fn an_invalid_return_value_is_a_failure() {
    let bench = bench("verdicts");
    for (target, why) in [
        (5, "it returned 77, which is no verdict here"),
        (6, "it returned verdict 1 without saying more by `answer`"),
        (7, "it returned INTROD_PENDING without a token of `defer`"),
        (19, "it failed"),
    ] {
        assert_eq!(failed(&bench.verdict(target)), why);
    }
    assert_eq!(bench.metric("call_failures"), 4);
}

#[test]
fn malformed_verdicts_are_rejected() {
    let bench = bench("senseless");
    for target in [9, 10, 11, 12] {
        assert_eq!(bench.verdict(target), Verdict::Ignore, "{target}");
        assert_eq!(bench.metric("bad_verdict"), E_ARGUMENT, "{target}");
    }
    let (_, verdicts) = bench.pending(15);
    assert_eq!(verdicts, [Verdict::Ignore]);
    assert_eq!(bench.metric("nonsense"), E_ARGUMENT);
    assert_eq!(bench.metric("null_verdict"), E_ARGUMENT);
    assert_eq!(bench.metric("sense"), OK);
}

#[test]
fn an_answer_belongs_to_its_callback() {
    let bench = bench("kept-answer");
    assert_eq!(bench.verdict(13), Verdict::Continue);
    assert_eq!(bench.verdict(14), Verdict::Continue);
    assert_eq!((bench.metric("kept_answer"), bench.metric("kept_answer_defer")), (E_ARGUMENT, 0));
}

#[test]
fn null_pointers_are_errors() {
    let bench = bench("null");
    assert_eq!(bench.verdict(16), Verdict::Continue);
    for name in ["null_answer", "null_host", "null_peer", "null_introduce", "null_disconnect"] {
        assert_eq!(bench.metric(name), E_ARGUMENT, "{name}");
    }
    assert_eq!((bench.metric("null_extension"), bench.metric("unknown_extension")), (0, 0));
}

#[test]
fn tokens_cannot_be_made_up() {
    let bench = bench("made-up");
    assert_eq!(bench.verdict(17), Verdict::Continue);
    assert_eq!((bench.metric("no_token"), bench.metric("made_up_token")), (E_TOKEN, E_TOKEN));
}

#[test]
fn a_panic_disables_the_instance() {
    let bench = bench("panicked");
    assert_eq!(failed(&bench.verdict(18)), "it panicked");
    assert!(bench.instance.is_disabled());
    let calls = bench.instance.account().calls();
    assert_eq!(failed(&bench.verdict(1)), "it has panicked");
    assert_eq!(bench.instance.account().calls(), calls, "it is not called any more");
}

#[test]
fn addresses_are_bounded() {
    let bench = bench("addresses");
    let Verdict::Redirect(addresses) = bench.verdict(20) else { panic!("no redirect") };
    let ports: Vec<u16> = addresses.iter().map(|address| address.address.port()).collect();
    assert_eq!(ports, (1..=16).collect::<Vec<u16>>());
}

#[test]
fn host_services_reject_malformed_arguments() {
    let bench = bench("services");
    assert_eq!(bench.verdict(21), Verdict::Continue);
    assert_eq!((bench.metric("timer"), bench.metric("stop_timer")), (0, E_TOKEN));
    assert_eq!((bench.metric("metric"), bench.metric("metric_name")), (0, 0));
}

#[test]
fn missing_callbacks_are_not_called() {
    let bench = Bench::new(c_plugin("misbehaving.c", "no-callbacks", &["NO_CALLBACKS"]), &[]);
    assert_eq!(bench.verdict(5), Verdict::Continue);
    assert_eq!(bench.instance.library().callbacks(), <[&str; 0]>::default());
}

#[test]
fn a_token_of_one_plugin_is_invalid_for_another() {
    let (mine, other) = (bench("mine"), bench("other"));
    let (token, _) = mine.pending(8);
    assert!(!other.instance.cancel(token));
    assert!(mine.instance.cancel(token));
}
