use super::*;

const NANO: Duration = Duration::from_nanos(1);

/// All callbacks; those that run on threads which serve nobody stand first.
const ALL: [Callback; 13] = [
    Callback::Create,
    Callback::Destroy,
    Callback::Timer,
    Callback::Connect,
    Callback::Disconnect,
    Callback::AddressesChanged,
    Callback::Lookup,
    Callback::Cancel,
    Callback::Publish,
    Callback::Withdraw,
    Callback::Find,
    Callback::Join,
    Callback::Leave,
];

#[test]
fn calls_their_time_and_their_failures_are_counted() {
    let account = Account::default();
    assert_eq!((account.calls(), account.time(), account.failures(), account.slow()), (0, Duration::ZERO, 0, 0));
    account.add(Duration::from_micros(3));
    account.add(Duration::from_micros(4));
    account.add_failure();
    assert_eq!((account.calls(), account.time(), account.failures()), (2, Duration::from_micros(7), 1));
}

#[test]
fn slow_calls_are_counted_each_and_logged_once_in_a_while() {
    let account = Account::default();
    let second = LOG_INTERVAL;
    // The first is logged even at the very start.
    assert_eq!([0; 3].map(|_| account.add_slow(Duration::ZERO)), [Some(1), None, None]);
    assert_eq!([second - NANO, second, second].map(|at| account.add_slow(at)), [None, Some(5), None]);
    assert_eq!([2 * second - NANO, 2 * second].map(|at| account.add_slow(at)), [None, Some(8)]);
    assert_eq!(account.add_slow(Duration::MAX), Some(9));
    assert_eq!(account.slow(), 9);
}

#[test]
fn a_failure_is_logged_once_in_a_while_with_the_number_of_those_that_were_not() {
    let (mut log, start) = (FailureLog::default(), Instant::now());
    let second = LOG_INTERVAL;
    assert_eq!([Duration::ZERO, NANO, second - NANO].map(|at| log.admit(start + at)), [Some(0), None, None]);
    assert_eq!(log.admit(start + second), Some(2));
    assert_eq!(log.admit(start + second), None);
    assert_eq!([2 * second, 3 * second].map(|at| log.admit(start + at)), [Some(1), Some(0)]);
}

#[test]
fn callbacks_on_threads_that_serve_nobody_may_block() {
    let may_block = ALL.map(Callback::may_block);
    assert_eq!((may_block[..3].to_vec(), may_block[3..].to_vec()), (vec![true; 3], vec![false; 10]));
}

#[test]
fn callbacks_are_named_as_in_the_header() {
    let names = ALL.map(Callback::name);
    let expected = [
        "create",
        "destroy",
        "on_timer",
        "connect",
        "disconnect",
        "addresses_changed",
        "lookup",
        "cancel",
        "registry publish",
        "registry withdraw",
        "registry lookup",
        "group join",
        "group leave",
    ];
    assert_eq!(names, expected);
}
