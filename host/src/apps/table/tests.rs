use std::sync::atomic::{AtomicUsize, Ordering};

use introd_config::Config;
use introd_policy::RequestId;
use introd_policy::message::AppEvent;

use super::*;

/// A policy that uses so much memory, and counts how often it is asked for that.
#[derive(Default)]
struct Uses(AtomicUsize, AtomicUsize);

impl AppActor for Uses {
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

    fn memory(&self) -> usize {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.load(Ordering::Relaxed)
    }

    fn reconfigure(&self, _: Arc<introd_config::Application>) {}
}

/// An instance of that number with a policy that uses so much memory.
fn instance(number: u16, memory: usize) -> (Arc<AppInstance>, Arc<Uses>) {
    instance_of(number, memory, None)
}

/// The same, made by a client of that network.
fn instance_of(number: u16, memory: usize, maker: Option<NetworkPrefix>) -> (Arc<AppInstance>, Arc<Uses>) {
    let uses = Arc::new(Uses(memory.into(), AtomicUsize::new(0)));
    let (config, name) = (Config::built_in(), InstanceName::first("adaptor", "vhost", &number.to_string()));
    let settings = Arc::clone(&config.default_adaptor.default_vhost.defaults);
    let policy: Arc<dyn AppActor> = Arc::clone(&uses) as _;
    let made = AppInstance::new(
        InstanceId(number),
        name,
        settings,
        Default::default(),
        Some((policy, "app".into())),
        None,
        maker,
    );
    (Arc::new(made), uses)
}

#[test]
fn the_memory_of_policies_that_end_counts_until_it_is_free() {
    let mut table = Table::default();
    let all: Vec<_> = (1..=3).map(|number| instance(number, 10 * usize::from(number))).collect();
    all.iter().for_each(|(instance, _)| table.add(instance));
    assert_eq!(table.ending_memory(), 0, "none of them ends");
    assert!(table.remove(&all[0].0) && !table.remove(&all[0].0), "it is gone already");
    assert!(table.remove(&all[1].0));
    assert_eq!(table.ending_memory(), 10 + 20);
    all[0].1.0.store(0, Ordering::Relaxed);
    assert_eq!(table.ending_memory(), 20);
    assert_eq!(table.ending.len(), 1, "nothing is kept of one that has freed its memory");
    all[0].1.0.store(5, Ordering::Relaxed);
    assert_eq!(table.ending_memory(), 20);
}

#[test]
fn policies_that_have_ended_are_forgotten_though_nobody_asks_for_their_memory() {
    let mut table = Table::default();
    // Some take their time.
    let mut slow = Vec::new();
    for number in 0..10_000 {
        let (instance, uses) = instance(number, usize::from(number % 1000 == 0));
        table.add(&instance);
        assert!(table.remove(&instance));
        slow.extend((number % 1000 == 0).then_some(uses));
        assert!(table.ending.len() <= 8 * (slow.len() + 1), "{} of {}", table.ending.len(), slow.len());
    }
    assert_eq!((table.ending_memory(), slow.len()), (10, 10));
    assert!(table.ending.capacity() <= 8 * 11);
}

#[test]
fn another_instance_of_the_same_name_stays() {
    let mut table = Table::default();
    let [old, new] = [0; 2].map(|_| instance(7, 1).0);
    table.add(&old);
    table.remove(&old);
    table.add(&new);
    assert!(!table.remove(&old));
    assert!(table.get(new.name()).is_some_and(|there| Arc::ptr_eq(there, &new)));
    assert_eq!((table.len(), table.instances(new.name())), (1, 1));
}

#[test]
fn what_a_virtual_host_has_is_counted_until_its_last_instance_and_client_are_gone() {
    let mut table = Table::default();
    let maker = NetworkPrefix::of([192, 0, 2, 1].into());
    let [one, other] = [1, 2].map(|number| instance_of(number, 0, Some(maker)).0);
    let name = one.name();
    let counts = |table: &Table| (table.clients(name), table.instances(name), table.made_by(maker, name));
    table.add(&one);
    table.add(&other);
    assert_eq!(counts(&table), (0, 2, 2));
    assert!(table.remove(&one));
    assert_eq!(counts(&table), (0, 1, 1));
    table.enter(name);
    assert!(table.remove(&other));
    assert_eq!(counts(&table), (1, 0, 0), "a client is still there");
    assert!(table.vhosts.values().all(|count| count.by_maker.is_empty()), "nothing is kept of the network");
    table.add(&one);
    table.leave(name);
    assert_eq!(counts(&table), (0, 1, 1));
    assert!(table.remove(&one) && table.is_clean());
}

#[test]
fn the_end_of_a_policy_costs_constant_time_however_many_have_memory_yet() {
    let mut table = Table::default();
    let all: Vec<_> = (0..2000).map(|number| instance(number, 1)).collect();
    for (instance, _) in &all {
        table.add(instance);
        table.remove(instance);
    }
    let asked: usize = all.iter().map(|(_, uses)| uses.1.load(Ordering::Relaxed)).sum();
    assert!(asked <= 4 * all.len(), "{asked}");
    assert_eq!(table.ending_memory(), all.len());
}
