use std::net::IpAddr;

use super::*;
use crate::flash::amf::Value;
use crate::flash::server::ConnectRequest;
use crate::flash::uri::{AppPath, Uri};

fn request(text: &str) -> ConnectRequest {
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

fn localhost() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

fn applications(change: impl FnOnce(&mut Config)) -> Arc<Applications> {
    let mut config = Config::built_in();
    change(&mut config);
    Arc::new(Applications::new(config, None))
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
    assert!(applications.table().vhosts.is_empty(), "nothing is left behind");
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
    use crate::config::LookupMode;
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
    assert!(applications.by_id.read().unwrap().is_empty());
}
