//! Limits on the number of instances with a script, and which of them make room.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_config::{Config, Registered};
use introd_policy::{AppActor, AppActors, Opening};
use rtmfp::NetworkPrefix;

use super::{Idle, localhost, plugins, request};
use crate::apps::table::MAX_IDLE_INSTANCES;
use crate::apps::{Applications, Refusal};

/// Gives each instance a policy that does nothing.
struct Scripts;

impl AppActors for Scripts {
    fn open(&self, _: Opening<'_>) -> Option<Arc<dyn AppActor>> {
        Some(Arc::new(Idle))
    }
}

/// With an application `club` that has a script.
fn scripted(change: impl FnOnce(&mut Config)) -> Arc<Applications> {
    let mut config = Config::built_in();
    let vhost = &mut config.default_adaptor.default_vhost;
    let registered = Registered { has_script: true, ..Registered::new("club".into(), Arc::clone(&vhost.defaults)) };
    vhost.applications.insert("club".to_owned(), registered);
    change(&mut config);
    Arc::new(Applications::new(config, Some(Arc::new(Scripts)), plugins()))
}

#[test]
fn the_longest_idle_instance_makes_room_in_a_full_virtual_host_and_none_with_clients_does() {
    let applications = scripted(|config| config.default_adaptor.default_vhost.max_app_instances = Some(2));
    let visit = |room: &str| applications.admit(0, &request(&format!("rtmfp://host/club/{room}")), localhost());
    let stays = visit("stays").unwrap();
    let (first, second) = (visit("first").unwrap(), visit("second").err());
    assert_eq!(second, Some(Refusal::TooManyInstances), "both have clients");
    let first_id = first.instance().id();
    drop(first);
    assert!(applications.instance(first_id).is_some(), "it waits for clients to come back");
    let second = visit("second").unwrap();
    assert_eq!(applications.instances(), 2);
    assert_eq!(second.instance().name().instance, "second");
    // A client that comes back finds its instance waiting no more.
    drop(second);
    let back = visit("second").unwrap();
    assert_eq!(visit("third").err(), Some(Refusal::TooManyInstances));
    drop((stays, back));
    assert_eq!(applications.table().waiting(), 2);
}

#[test]
fn quick_visits_to_ever_new_instances_leave_a_bounded_number_of_them() {
    let applications = scripted(|config| {
        config.default_adaptor.default_vhost.max_app_instances = None;
        config.default_adaptor.default_vhost.max_app_instances_per_address = None;
    });
    for room in 0..3 * MAX_IDLE_INSTANCES {
        drop(applications.admit(0, &request(&format!("rtmfp://host/club/{room}")), localhost()).unwrap());
    }
    assert_eq!(applications.instances(), MAX_IDLE_INSTANCES);
    let last = 3 * MAX_IDLE_INSTANCES - 1;
    let seat = applications.admit(0, &request(&format!("rtmfp://host/club/{last}")), localhost()).unwrap();
    assert_eq!(applications.instances(), MAX_IDLE_INSTANCES, "the last one was still there");
    drop(seat);
}

#[test]
fn one_address_makes_a_bounded_number_of_instances_and_keeps_no_other_out() {
    let applications = scripted(|config| config.default_adaptor.default_vhost.max_app_instances_per_address = Some(2));
    let elsewhere = IpAddr::from([192, 0, 2, 1]);
    let visit = |from: IpAddr, path: &str| applications.admit(0, &request(&format!("rtmfp://host/{path}")), from);
    let others = visit(elsewhere, "club/others").unwrap();
    drop(visit(elsewhere, "club/idle").unwrap());
    let (first, second) = (visit(localhost(), "club/1").unwrap(), visit(localhost(), "club/2").unwrap());
    let refusal = visit(localhost(), "club/3").err();
    let is_its = Refusal::TooManyInstancesOf(NetworkPrefix::of(localhost()));
    assert_eq!(
        refusal.as_ref(),
        Some(&is_its),
        "all instances of this network have clients, and no instance of another network ends"
    );
    let refusal = refusal.unwrap();
    assert!(refusal.is_for_lack_of_room());
    assert!(refusal.for_log().contains("127.0.0.1") && !refusal.to_rejection().description.contains("127.0.0.1"));
    assert_eq!(refusal.to_rejection().code, "NetConnection.Connect.Rejected");
    assert_eq!(applications.instances(), 4);
    // Its clients may still connect to existing instances, of any network, and to applications without a script.
    let (third, fourth) = (visit(localhost(), "club/others").unwrap(), visit(localhost(), "plain/1").unwrap());
    let fifth = visit(elsewhere, "club/1").unwrap();
    // An instance makes room when its last client has left, and only then.
    drop(second);
    drop(visit(localhost(), "club/3").unwrap());
    let made: Vec<String> = applications.table().all().map(|it| it.name().instance.clone()).collect();
    assert!(!made.contains(&"2".to_owned()) && made.contains(&"3".to_owned()), "{made:?}");
    // A client of another network keeps an instance alive that the first has made, and the instance still counts for the first.
    drop((first, visit(localhost(), "club/4").unwrap()));
    let fifth_id = fifth.instance().id();
    assert!(visit(localhost(), "club/5").is_ok() && applications.instance(fifth_id).is_some());
    drop((others, third, fourth, fifth));
    applications.end_idle(Instant::now() + Duration::from_secs(1 << 20));
    assert!(applications.table().is_clean(), "nothing is left behind");
}

#[test]
fn the_bound_by_address_is_that_of_a_virtual_host_and_changes_with_it() {
    let applications = scripted(|config| {
        let adaptor = &mut config.default_adaptor;
        adaptor.default_vhost.max_app_instances_per_address = Some(1);
        let other = introd_config::Vhost { name: "other".to_owned(), ..adaptor.default_vhost.clone() };
        adaptor.vhosts.push(other);
    });
    let visit =
        |host: &str, room: &str| applications.admit(0, &request(&format!("rtmfp://{host}/club/{room}")), localhost());
    let (_first, _second) = (visit("host", "1").unwrap(), visit("other", "1").unwrap());
    assert!(visit("host", "2").is_err() && visit("other", "2").is_err());
    let mut config = Config::clone(&applications.config());
    config.default_adaptor.default_vhost.max_app_instances_per_address = None;
    applications.reconfigure(config);
    assert!(visit("host", "2").is_ok() && visit("other", "2").is_err());
}

#[test]
fn an_instance_of_another_virtual_host_makes_no_room() {
    let applications = scripted(|config| {
        let adaptor = &mut config.default_adaptor;
        adaptor.default_vhost.max_app_instances = Some(1);
        let other = introd_config::Vhost { name: "other".to_owned(), ..adaptor.default_vhost.clone() };
        adaptor.vhosts.push(other);
    });
    let visit =
        |host: &str, room: &str| applications.admit(0, &request(&format!("rtmfp://{host}/club/{room}")), localhost());
    // The longest idle instance is in the other virtual host, and this one has none without clients.
    drop(visit("other", "idle").unwrap());
    let _stays = visit("host", "1").unwrap();
    assert_eq!(visit("host", "2").err(), Some(Refusal::TooManyInstances));
    assert_eq!(applications.table().waiting(), 1, "and the idle one stays");
}

#[test]
fn the_counts_of_a_virtual_host_stay_while_it_has_clients_or_instances() {
    let applications = scripted(|config| config.default_adaptor.default_vhost.max_connections = Some(2));
    let visit = || applications.admit(0, &request("rtmfp://host/club/1"), localhost());
    let (first, second) = (visit().unwrap(), visit().unwrap());
    // Its instance has clients: it does not end, however idle the others are.
    applications.end_idle(Instant::now() + Duration::from_secs(1 << 20));
    assert_eq!(applications.instances(), 1);
    assert_eq!(visit().err(), Some(Refusal::TooManyConnections));
    drop((first, second));
    let plain = applications.admit(0, &request("rtmfp://host/plain"), localhost()).unwrap();
    applications.end_idle(Instant::now() + Duration::from_secs(1 << 20));
    assert_eq!(applications.instances(), 1, "the idle one ends, the one with a client stays");
    drop((visit().unwrap(), plain));
    applications.end_idle(Instant::now() + Duration::from_secs(1 << 20));
    assert!(applications.table().is_clean());
}

#[test]
fn there_is_a_number_for_so_many_instances_and_the_longest_idle_makes_room() {
    let applications = scripted(|config| {
        config.default_adaptor.default_vhost.max_app_instances = None;
        config.default_adaptor.default_vhost.max_app_instances_per_address = None;
    });
    let visit = |path: String| applications.admit(0, &request(&format!("rtmfp://host/{path}")), localhost());
    let most = usize::from(u16::MAX) + 1;
    drop(visit("club/idle".to_owned()).unwrap());
    let mut seats: Vec<_> = (1..most).map(|room| visit(format!("plain/{room}")).unwrap()).collect();
    assert_eq!(applications.instances(), most);
    seats.push(visit("plain/more".to_owned()).unwrap());
    assert_eq!((applications.instances(), applications.table().waiting()), (most, 0), "the idle one has ended");
    assert_eq!(visit("plain/another".to_owned()).err(), Some(Refusal::TooManyInstances));
    assert!(visit("plain/more".to_owned()).is_ok(), "it exists");
    seats.pop();
    assert!(visit("plain/another".to_owned()).is_ok());
}

#[test]
fn each_limit_counts_up_to_its_number() {
    let applications = scripted(|config| {
        let vhost = &mut config.default_adaptor.default_vhost;
        (vhost.max_app_instances, vhost.max_app_instances_per_address) = (Some(3), Some(2));
    });
    let visit = |from: [u8; 4], path: &str| {
        applications.admit(0, &request(&format!("rtmfp://host/{path}")), IpAddr::from(from))
    };
    let (near, far) = ([127, 0, 0, 1], [192, 0, 2, 1]);
    let _seats = [visit(near, "club/1").unwrap(), visit(near, "club/2").unwrap()];
    assert!(matches!(visit(near, "club/3"), Err(Refusal::TooManyInstancesOf(_))));
    let plain = visit(near, "plain/1").unwrap();
    assert_eq!(visit(far, "club/3").err(), Some(Refusal::TooManyInstances), "the virtual host is full");
    drop(plain);
    assert!(visit(far, "club/3").is_ok());
}
