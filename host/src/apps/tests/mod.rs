//! Instances without policies, and what the tests share. The other files test instances with policies.

mod catch_all;
mod defaults;
mod memory;
mod native;
mod policies;
mod room;
mod rules;

use std::net::IpAddr;
use std::sync::Arc;

use introd_config::{Application, Config};
use introd_flash::amf::Value;
use introd_flash::server::ConnectRequest;
use introd_flash::uri::{AppPath, Uri};
use introd_native::Plugins;
use introd_policy::message::AppEvent;
use introd_policy::{AppActor, Replies, RequestId};

use super::*;

/// The request of a client that connects to that URI and says nothing about itself.
pub(crate) fn request(text: &str) -> ConnectRequest {
    let uri = Uri::parse(text);
    ConnectRequest {
        path: AppPath::parse(&uri.path).unwrap(),
        uri,
        tc_url: text.to_owned(),
        query: String::new(),
        agent: String::new(),
        referrer: String::new(),
        page_url: String::new(),
        object_encoding: 0,
        object: Value::Null,
        arguments: Vec::new(),
    }
}

/// A policy that does nothing.
pub(super) struct Idle;

impl AppActor for Idle {
    fn queue(&self, _: AppEvent) -> Result<(), Box<AppEvent>> {
        Ok(())
    }

    fn wake(&self) {}

    fn cancel(&self, _: RequestId) {}

    fn is_over(&self) -> bool {
        false
    }

    fn has_failed(&self) -> bool {
        false
    }

    fn reconfigure(&self, _: Arc<Application>) {}
}

pub(super) fn localhost() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

/// No plugins.
pub(super) fn plugins() -> Arc<Plugins> {
    Arc::new(Plugins::new(Arc::new(Replies::new(1, |_| ()))))
}

pub(super) fn applications(change: impl FnOnce(&mut Config)) -> Arc<Applications> {
    let mut config = Config::built_in();
    change(&mut config);
    Arc::new(Applications::new(config, None, plugins()))
}

#[test]
fn an_instance_lives_as_long_as_it_has_clients() {
    let applications = applications(|_| ());
    let first = applications.admit(0, &request("rtmfp://host/chat/lobby"), localhost()).unwrap();
    let second = applications.admit(0, &request("rtmfp://host/chat/lobby"), localhost()).unwrap();
    let other = applications.admit(0, &request("rtmfp://host/chat"), localhost()).unwrap();
    let id = first.instance().id();
    assert_eq!(second.instance().id(), id);
    assert_ne!(other.instance().id(), id);
    assert_eq!(other.instance().name().to_string(), "chat/_definst_");
    assert_eq!((applications.clients(), applications.instances()), (3, 2));
    drop(first);
    assert_eq!(applications.instance(id).map(|instance| instance.clients()), Some(1));
    drop((second, other));
    assert!(applications.instance(id).is_none());
    assert_eq!((applications.clients(), applications.instances()), (0, 0));
    assert!(applications.table().is_clean(), "nothing is left behind");
}

#[test]
fn limits_hold_and_are_given_back() {
    let applications = applications(|config| {
        config.default_adaptor.default_vhost.max_connections = Some(2);
        config.default_adaptor.default_vhost.max_app_instances = Some(1);
    });
    let first = applications.admit(0, &request("rtmfp://host/a"), localhost()).unwrap();
    let refusal = applications.admit(0, &request("rtmfp://host/b"), localhost()).err();
    assert_eq!(refusal, Some(Refusal::TooManyInstances));
    let second = applications.admit(0, &request("rtmfp://host/a"), localhost()).unwrap();
    let refusal = applications.admit(0, &request("rtmfp://host/a"), localhost()).err();
    assert_eq!(refusal, Some(Refusal::TooManyConnections));
    drop((first, second));
    assert!(applications.admit(0, &request("rtmfp://host/b"), localhost()).is_ok());
}

#[test]
fn new_settings_reach_the_instances_there_are() {
    use introd_config::LookupMode;
    let applications = applications(|_| ());
    let seat = applications.admit(0, &request("rtmfp://host/a"), localhost()).unwrap();
    assert_eq!(seat.instance().settings().peer_lookup_events, LookupMode::None);
    let mut config = Config::built_in();
    let defaults = &mut config.default_adaptor.default_vhost.defaults;
    Arc::make_mut(defaults).peer_lookup_events = LookupMode::All;
    applications.reconfigure(config);
    assert_eq!(seat.instance().settings().peer_lookup_events, LookupMode::All);
}

#[test]
fn who_has_a_say_and_whom_the_rules_bar() {
    use introd_config::{Access, LookupMode, LookupsFrom};
    type Change = fn(&mut Config);
    fn settings(config: &mut Config) -> &mut Application {
        Arc::make_mut(&mut config.default_adaptor.default_vhost.defaults)
    }
    // Each row: a change of the configuration; whether the instance has a say; whether a client and a stranger from that address are barred.
    let cases: [(&str, Change, bool, bool, bool); 6] = [
        ("nothing", |_| (), false, false, false),
        (
            "a script that is not there",
            |config| settings(config).peer_lookup_events = LookupMode::All,
            true,
            false,
            false,
        ),
        ("mode Partial", |config| settings(config).peer_lookup_events = LookupMode::Partial, false, false, false),
        ("clients only", |config| settings(config).lookups_from = LookupsFrom::Clients, true, false, true),
        ("the adaptor", |config| config.default_adaptor.access = Access::deny_all(), true, true, true),
        (
            "the virtual host",
            |config| config.default_adaptor.default_vhost.access = Access::deny_all(),
            true,
            true,
            true,
        ),
    ];
    for (what, change, has_say, bars_clients, bars_strangers) in cases {
        let applications = applications(|_| ());
        let seat = applications.admit(0, &request("rtmfp://host/a"), localhost()).unwrap();
        let id = seat.instance().id();
        assert!(!applications.guards().has(id));
        let mut config = Config::built_in();
        change(&mut config);
        applications.reconfigure(config);
        let instance = seat.instance();
        assert_eq!((instance.has_say(), applications.guards().has(id)), (has_say, has_say), "{what}");
        assert_eq!(instance.bars(localhost(), true), bars_clients, "{what}");
        assert_eq!(instance.bars(localhost(), false), bars_strangers, "{what}");
        assert_eq!(instance.permits(localhost()), !bars_clients, "{what}");
        // These hold for lookups without a client as asker or target.
        assert_eq!(applications.bars_strangers(0, localhost()), bars_strangers, "{what}");
        assert_eq!(applications.has_adaptor_rules(), what == "the adaptor");
        applications.reconfigure(Config::built_in());
        assert!(!applications.guards().has(id) && !applications.bars_strangers(0, localhost()), "{what}");
    }
}

#[test]
fn many_threads_leave_the_counts_right() {
    let applications = applications(|_| ());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let applications = &applications;
            scope.spawn(move || {
                for round in 0..500 {
                    let uri = format!("rtmfp://host/app/{}", (round + thread) % 3);
                    drop(applications.admit(0, &request(&uri), localhost()).unwrap());
                }
            });
        }
    });
    assert_eq!((applications.clients(), applications.instances()), (0, 0));
    assert!(applications.by_id.read().is_empty());
}
