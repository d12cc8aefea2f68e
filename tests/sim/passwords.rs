//! Passwords that keyings prove, either way (RFC 7425 §4.3.5).

use std::sync::Arc;
use std::time::Duration;

use rtmfp::crypto::{Group, Password, Signing};
use rtmfp::{Config, OpenFailure};

use crate::network::{Sim, ephemeral};

/// The settings of an initiator and of a responder.
fn configs(initiator: Signing, responder: Signing) -> (Config, Config) {
    let [near, far] = [1, 2].map(|number| ephemeral(number, &[Group::Modp2]));
    let initiator = Config { signing: Arc::new(initiator), ..Config::peer(near) };
    (initiator, Config { signing: Arc::new(responder), ..Config::server(vec![far]) })
}

fn signs(passwords: &[(&str, &str)]) -> Signing {
    let sign_with = passwords.iter().map(|(id, secret)| Password::new(*id, *secret)).collect();
    Signing { sign_with, ..Signing::default() }
}

fn knows(passwords: &[(&str, &str)]) -> Signing {
    Signing { known: signs(passwords).sign_with, ..Signing::default() }
}

#[test]
fn a_responder_that_requires_a_password_opens_to_ends_that_prove_it() {
    let known = [("spring", "one"), ("summer", "two")];
    let requires = || Signing { require_of_initiators: true, ..knows(&known) };
    for (proved, opens) in [
        (&[][..], false),
        (&[("spring", "one")], true),
        (&[("summer", "two")], true),
        (&[("autumn", "three"), ("summer", "two")], true),
        (&[("autumn", "three")], false),
        (&[("spring", "two")], false),
        (&[("spring", "one"), ("summer", "one")], false),
    ] {
        let mut sim = Sim::new(1);
        let (initiator, responder) = configs(signs(proved), requires());
        let (a, b) = (sim.node(initiator), sim.node(responder));
        let id = sim.open(a, b);
        if opens {
            sim.run_until(|sim| sim.is_connected(a, b));
        } else {
            sim.run_until(|sim| sim.failure(a, id).is_some());
            assert_eq!(sim.failure(a, id), Some(OpenFailure::KeyingUnanswered(sim.address(b))), "{proved:?}");
            assert_eq!((sim.session_count(b), sim.times_opened(b)), (0, 0));
            let endpoint = &sim.get(b).endpoint;
            assert!(endpoint.counters().failed_keyings > 0);
            assert_eq!(
                (sim.get(b).keying_jobs, endpoint.used_cookies()),
                (0, 0),
                "nothing is computed, nothing remembered"
            );
        }
    }
}

#[test]
fn an_initiator_that_requires_a_password_opens_to_ends_that_prove_it() {
    let requires = || Signing { require_of_responders: true, ..knows(&[("house", "door")]) };
    for (proved, opens) in [(&[][..], false), (&[("house", "door")], true), (&[("house", "gate")], false)] {
        let mut sim = Sim::new(2);
        let (initiator, responder) = configs(requires(), signs(proved));
        let (a, b) = (sim.node(initiator), sim.node(responder));
        sim.open(a, b);
        if opens {
            sim.run_until(|sim| sim.is_connected(a, b));
        } else {
            sim.run_for(Duration::from_secs(120));
            assert_eq!(sim.times_opened(a), 0, "{proved:?}");
            assert_eq!((sim.session_count(a), sim.session_count(b)), (0, 0));
        }
    }
}

#[test]
fn both_ends_can_require_and_prove_at_once_and_an_end_that_requires_nothing_accepts_all() {
    let both = || Signing {
        require_of_initiators: true,
        require_of_responders: true,
        known: knows(&[("both", "ways")]).known,
        ..signs(&[("both", "ways")])
    };
    for (initiator, responder) in [(both(), both()), (signs(&[("both", "wrong")]), knows(&[("both", "ways")]))] {
        let mut sim = Sim::new(3);
        let (initiator, responder) = configs(initiator, responder);
        let (a, b) = (sim.node(initiator), sim.node(responder));
        sim.connect(a, b);
    }
}

#[test]
fn a_keying_with_a_changed_cookie_is_signed_anew() {
    let mut sim = Sim::new(4);
    let (initiator, responder) =
        configs(signs(&[("both", "ways")]), Signing { require_of_initiators: true, ..knows(&[("both", "ways")]) });
    let (a, b) = (sim.peer_behind_nat_with(initiator), sim.node(responder));
    // Between hello and keying the NAT maps the initiator to another port, so that the cookie does not fit the address.
    sim.get_mut(a).keying_delay = Duration::from_millis(4000);
    sim.open(a, b);
    sim.run_for(Duration::from_millis(45));
    sim.rebind(a);
    sim.run_until(|sim| sim.is_connected(a, b));
    assert_eq!(sim.get(b).endpoint.counters().cookie_changes, 1);
}
