use super::*;
use crate::tests::bench::of_kind;
use crate::values::{raw_bytes, raw_observed, raw_peer};

fn bytes(text: &str) -> introd_plugin::abi::introd_bytes {
    raw_bytes(text.as_bytes())
}

fn read_as(subject: Subject, verdict: &introd_verdict) -> Option<Verdict> {
    // SAFETY: what the verdicts of these tests point to is valid.
    unsafe { read(subject, verdict) }.map(|(_, verdict)| verdict)
}

#[test]
fn each_question_takes_its_own_verdicts_and_no_others() {
    let address = raw_observed("192.0.2.1:7".parse().unwrap());
    let peer = raw_peer(PeerId([7; 32]));
    // With everything that any of them could need.
    let whole = |kind| introd_verdict {
        addresses: &raw const address,
        address_count: 1,
        peer: &raw const peer,
        text: bytes("why"),
        uri: bytes("rtmfp://other/app"),
        members: &raw const peer,
        member_count: 1,
        ..of_kind(kind)
    };
    let kinds = |subject| (0..=11).filter(|kind| read_as(subject, &whole(*kind)).is_some()).collect::<Vec<i32>>();
    assert_eq!(kinds(Subject::Create), [abi::INTROD_CONTINUE]);
    assert_eq!(kinds(Subject::Lookup), [0, 1, 2, 3, 4, 10], "continue, redirect, introduce, deny, ignore, relay");
    assert_eq!(kinds(Subject::Connect), [0, 1, 6], "continue, redirect, reject");
    assert_eq!(kinds(Subject::Registry), [1, 7], "redirect, not found");
    assert_eq!(kinds(Subject::Neighbors), [9], "members");
    for subject in [Subject::Create, Subject::Lookup, Subject::Connect, Subject::Registry, Subject::Neighbors] {
        assert_eq!(read_as(subject, &whole(-1)), Some(Verdict::Failed("why".to_owned())));
        assert_eq!(read_as(subject, &of_kind(-6)), Some(Verdict::Failed("it has no room".to_owned())));
    }
    // Without what they need.
    for (subject, kind) in [(Subject::Lookup, 1), (Subject::Registry, 1), (Subject::Lookup, 2), (Subject::Connect, 1)] {
        assert_eq!(read_as(subject, &of_kind(kind)), None, "{subject:?} {kind}");
    }
    let short = introd_verdict { struct_size: offset_of!(introd_verdict, members) as u32 - 1, ..of_kind(0) };
    assert_eq!(read_as(Subject::Lookup, &short), None);
    // SAFETY: a null pointer is none.
    assert!(unsafe { read(Subject::Lookup, ptr::null()) }.is_none());
}

#[test]
fn members_are_up_to_a_bound_and_may_be_none() {
    let peers: Vec<_> = (0..100).map(|number| raw_peer(PeerId([number; 32]))).collect();
    let read = |count| {
        let verdict = introd_verdict { members: peers.as_ptr(), member_count: count, ..of_kind(abi::INTROD_MEMBERS) };
        match read_as(Subject::Neighbors, &verdict) {
            Some(Verdict::Members(members)) => members,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(read(2), [PeerId([0; 32]), PeerId([1; 32])]);
    assert_eq!((read(0).len(), read(64).len(), read(100).len()), (0, 64, 64));
    let nowhere = introd_verdict { member_count: 1, ..of_kind(abi::INTROD_MEMBERS) };
    assert_eq!(read_as(Subject::Neighbors, &nowhere), None);
    assert_eq!(read_as(Subject::Neighbors, &of_kind(abi::INTROD_MEMBERS)), Some(Verdict::Members(Vec::new())));
}

#[test]
fn a_verdict_of_version_1_0_is_read_up_to_its_end() {
    // What stands behind its end is not the verdict's.
    let peer = raw_peer(PeerId([7; 32]));
    let old = |kind| introd_verdict {
        struct_size: offset_of!(introd_verdict, members) as u32,
        text: bytes("why"),
        members: &raw const peer,
        member_count: 1,
        ..of_kind(kind)
    };
    assert_eq!(read_as(Subject::Lookup, &old(abi::INTROD_DENY)), Some(Verdict::Deny(None)));
    assert_eq!(read_as(Subject::Lookup, &old(-1)), Some(Verdict::Failed("why".to_owned())));
    assert_eq!(read_as(Subject::Neighbors, &old(abi::INTROD_MEMBERS)), Some(Verdict::Members(Vec::new())));
}

#[test]
fn the_place_to_which_a_client_is_moved_is_whole_or_refused() {
    let moved = |uri: &str| match read_as(Subject::Connect, &introd_verdict { uri: bytes(uri), ..of_kind(1) }) {
        Some(Verdict::Reject(rejection)) => rejection.redirect,
        None => None,
        other => panic!("{other:?}"),
    };
    for uri in ["rtmfp://other/app", &"x".repeat(1024)] {
        assert_eq!(moved(uri).as_deref(), Some(uri));
    }
    for uri in ["", &"x".repeat(1025), &format!("{}ä", "x".repeat(1023))] {
        assert_eq!(moved(uri), None, "{}", uri.len());
    }
}

#[test]
fn a_relay_is_read_with_its_peer_and_its_limits_or_without() {
    let peer = raw_peer(PeerId([7; 32]));
    let read = |verdict: &introd_verdict| match read_as(Subject::Lookup, verdict) {
        Some(Verdict::Relay(RelayVerdict { peer, terms })) => (peer, terms.bytes_per_second, terms.lifetime),
        other => panic!("{other:?}"),
    };
    let plain = of_kind(abi::INTROD_RELAY);
    assert_eq!(read(&plain), (None, None, None));
    let whole =
        introd_verdict { peer: &raw const peer, relay_bytes_per_second: 64_000, relay_lifetime_ms: 60_000, ..plain };
    assert_eq!(read(&whole), (Some(PeerId([7; 32])), Some(64_000), Some(Duration::from_secs(60))));
    // No time of the server overflows by it.
    let endless = introd_verdict { relay_lifetime_ms: u64::MAX, relay_bytes_per_second: u64::MAX, ..plain };
    assert_eq!(read(&endless), (None, Some(u64::MAX), Some(RelayTerms::MAX_LIFETIME)));
    // What stands behind the end of a verdict of ABI 1.2 is not the verdict's.
    let old = introd_verdict { struct_size: offset_of!(introd_verdict, relay_bytes_per_second) as u32, ..whole };
    assert_eq!(read(&old), (Some(PeerId([7; 32])), None, None));
    // Without `answer` it has no details.
    let answered = Answer::new(Subject::Lookup, 1, None).verdict(abi::INTROD_RELAY);
    assert_eq!(answered, Verdict::Relay(RelayVerdict { peer: None, terms: RelayTerms::default() }));
}

#[test]
fn only_the_plugin_that_is_asked_answers_and_only_while_it_is() {
    let is_taken = |named, owner| Answer::with(named, owner, |_| ()).is_some();
    let (mut outer, mut inner) = (Answer::new(Subject::Lookup, 1, None), Answer::new(Subject::Lookup, 1, None));
    let kept = outer.during(|first| {
        assert!(is_taken(first, 1) && !is_taken(first, 2), "another plugin");
        inner.during(|second| {
            assert!(is_taken(second, 1) && !is_taken(second, 2));
            assert!(!is_taken(first, 1), "that callback does not run here");
        });
        assert!(is_taken(first, 1), "it goes on");
        std::thread::scope(|scope| {
            let address = first as usize;
            assert!(!scope.spawn(move || is_taken(address as *mut introd_answer, 1)).join().unwrap());
        });
        first
    });
    assert!(!is_taken(kept, 1));
}

#[test]
fn details_count_if_the_callback_returns_their_verdict() {
    let verdict = |said: Option<(i32, Verdict)>, status| {
        let mut answer = Answer::new(Subject::Lookup, 1, None);
        answer.verdict = said;
        answer.verdict(status)
    };
    let introduce = Verdict::Introduce(PeerId([7; 32]));
    assert_eq!(verdict(Some((2, introduce.clone())), 2), introduce);
    assert_eq!(verdict(Some((2, introduce)), 3), Verdict::Deny(None));
    assert!(matches!(verdict(None, 2), Verdict::Failed(_)));
}

#[test]
fn what_is_no_verdict_says_why() {
    let why = |subject, status| match Answer::new(subject, 1, None).verdict(status) {
        Verdict::Failed(why) => why,
        other => panic!("{other:?}"),
    };
    for kind in [abi::INTROD_REDIRECT, abi::INTROD_INTRODUCE, abi::INTROD_REJECT] {
        assert_eq!(why(Subject::Lookup, kind), format!("it returned verdict {kind} without saying more by `answer`"));
    }
    assert_eq!(why(Subject::Lookup, abi::INTROD_PENDING), "it returned INTROD_PENDING without a token of `defer`");
    assert_eq!(why(Subject::Lookup, 77), "it returned 77, which is no verdict here");
    for (subject, kind) in [
        (Subject::Connect, abi::INTROD_DENY),
        (Subject::Connect, abi::INTROD_RELAY),
        (Subject::Create, abi::INTROD_IGNORE),
        (Subject::Registry, abi::INTROD_CONTINUE),
        (Subject::Lookup, abi::INTROD_NOT_FOUND),
    ] {
        assert_eq!(why(subject, kind), format!("it returned {kind}, which is no verdict here"));
    }
}

#[test]
fn a_client_is_rejected_or_moved_with_the_text_of_the_plugin() {
    let read = |kind| {
        let verdict = introd_verdict { text: bytes("full"), uri: bytes("rtmfp://other/app"), ..of_kind(kind) };
        match read_as(Subject::Connect, &verdict) {
            Some(Verdict::Reject(rejection)) => *rejection,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(read(abi::INTROD_REJECT), Rejection::rejected("full"));
    let moved = Rejection::rejected("connect to rtmfp://other/app instead");
    let moved = Rejection { redirect: Some("rtmfp://other/app".to_owned()), ..moved };
    assert_eq!(read(abi::INTROD_REDIRECT), moved);
    let no_text = introd_verdict { text: raw_bytes(b"\xff"), ..of_kind(abi::INTROD_REJECT) };
    assert_eq!(read_as(Subject::Connect, &no_text), None);
}
