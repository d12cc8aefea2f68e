//! What policies are told of joins and leaves, and which side names members if a policy cannot be told.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Instant;

use tokio::sync::mpsc;

use super::*;
use crate::apps::Applications;
use crate::introducer::Counters;
use crate::serve::mail::mailbox;
use crate::serve::testing::request;
use crate::stories::Stories;
use introd_config::{Application, Config, Fallback, Registered};
use introd_native::Plugins;
use introd_policy::{AppActor, AppActors, Opening, Replies, RequestId};

/// A policy with room for a number of joins. It always accepts leaves and other ends.
#[derive(Default)]
struct Policy {
    room: usize,
    told: Mutex<Vec<(&'static str, u64)>>,
}

impl AppActor for Policy {
    fn queue(&self, event: AppEvent) -> Result<(), Box<AppEvent>> {
        let mut told = self.told.lock().unwrap();
        match event {
            AppEvent::GroupJoin { membership, .. } if told.len() < self.room => told.push(("join", membership)),
            AppEvent::GroupLeave { membership, .. } => told.push(("leave", membership)),
            event => return Err(Box::new(event)),
        }
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

struct Only(Arc<Policy>);

impl AppActors for Only {
    fn open(&self, _: Opening<'_>) -> Option<Arc<dyn AppActor>> {
        Some(Arc::clone(&self.0) as Arc<dyn AppActor>)
    }
}

/// Two clients join and leave three groups each in an instance whose policy has the groups. Returns what the policy was told, how
/// many hints went out, and what was counted.
fn two_clients(room: usize, on_failure: Fallback) -> (Vec<(&'static str, u64)>, usize, [u64; 3]) {
    let policy = Arc::new(Policy { room, ..Policy::default() });
    let mut config = Config::built_in();
    let vhost = &mut config.default_adaptor.default_vhost;
    let mut settings = Application::clone(&vhost.defaults);
    settings.join_leave_events = JoinLeaveMode::All;
    settings.policy.on_failure = on_failure;
    vhost.applications.insert("app".to_owned(), Registered::new("app".into(), Arc::new(settings)));
    let actors: Arc<dyn AppActors> = Arc::new(Only(Arc::clone(&policy)));
    let applications =
        Arc::new(Applications::new(config, Some(actors), Arc::new(Plugins::new(Arc::new(Replies::new(1, |_| ()))))));
    let seat = applications.admit(0, &request("rtmfp://host/app"), IpAddr::from([127, 0, 0, 1])).unwrap();
    let (counters, (sender, mut receiver)) = (Counters::new(1), mailbox());
    let mailboxes: [mpsc::Sender<Mail>; 1] = [sender];
    let (directory, tables, stories) = (Directory::new(), Memberships::default(), Stories::new(1));
    let bookkeeping = |number: u8| Bookkeeping {
        instance: seat.instance(),
        peer: PeerId([number; 32]),
        session: SessionId::from_wire(number.into()),
        counters: counters.worker(0),
        mailboxes: &mailboxes,
        directory: &directory,
        groups: &tables,
        shared: None,
        stories: &stories,
        worker: 0,
        now: Instant::now(),
    };
    let mut clients = [1, 2].map(|number| (bookkeeping(number), ClientGroups::new(Instant::now())));
    for group in 0..3 {
        for (bookkeeping, groups) in &mut clients {
            bookkeeping.join(groups, GroupDigest([group; 32])).unwrap();
        }
    }
    for (bookkeeping, groups) in &mut clients {
        groups.memberships.drain(..).for_each(|membership| bookkeeping.leave(&membership));
    }
    let hints = std::iter::from_fn(|| receiver.try_recv().ok()).count();
    let told = policy.told.lock().unwrap().clone();
    let snapshot = counters.snapshot();
    let counted = [Counter::GroupJoins, Counter::GroupLeaves, Counter::ApplicationBusy].map(|of| snapshot.get(of));
    assert!(tables.is_empty());
    (told, hints, counted)
}

#[test]
fn each_join_that_was_told_has_its_leave() {
    let (told, hints, counted) = two_clients(100, Fallback::Deny);
    let expected: Vec<_> = [1, 1, 2, 2, 3, 3]
        .map(|number| ("join", number))
        .into_iter()
        .chain([1, 2, 3, 1, 2, 3].map(|number| ("leave", number)))
        .collect();
    assert_eq!(told, expected);
    assert_eq!((hints, counted), (0, [6, 6, 0]));
}

#[test]
fn a_busy_policy_that_was_not_told_of_a_join_is_not_told_of_the_leave() {
    let (told, hints, counted) = two_clients(2, Fallback::Deny);
    assert_eq!(told, [("join", 1), ("join", 1), ("leave", 1), ("leave", 1)]);
    assert_eq!((hints, counted), (0, [6, 6, 4]));
}

#[test]
fn the_server_names_members_for_a_busy_policy_if_the_settings_say_so() {
    // Of two groups the policy is not told: in each, both are told of the other.
    let (told, hints, counted) = two_clients(2, Fallback::Continue);
    assert_eq!(told.len(), 4);
    assert_eq!((hints, counted), (4, [6, 6, 4]));
}

#[test]
fn a_session_that_waits_for_its_id_is_no_member_and_takes_no_members_place() {
    let replies = Arc::new(Replies::new(1, |_| ()));
    let applications = Arc::new(Applications::new(Config::built_in(), None, Arc::new(Plugins::new(replies))));
    let seat = applications.admit(0, &request("rtmfp://host/app"), IpAddr::from([127, 0, 0, 1])).unwrap();
    let (counters, (sender, _receiver)) = (Counters::new(1), mailbox());
    let (directory, tables, stories) = (Directory::new(), Memberships::default(), Stories::new(1));
    let (peer, mailboxes, group) = (PeerId([1; 32]), [sender], GroupDigest([5; 32]));
    let [holder, waits] = [1, 2].map(SessionId::from_wire);
    let of = |session| Bookkeeping {
        instance: seat.instance(),
        peer,
        session,
        counters: counters.worker(0),
        mailboxes: &mailboxes,
        directory: &directory,
        groups: &tables,
        shared: None,
        stories: &stories,
        worker: 0,
        now: Instant::now(),
    };
    for session in [holder, waits] {
        directory.connect(peer, session, 0, ([192, 0, 2, 1], 1).into(), false);
    }
    let member = || tables.handle(&seat.instance().group_key(&group), &peer);
    let mut groups = [holder, waits].map(|_| ClientGroups::new(Instant::now()));
    for (session, groups) in [holder, waits].into_iter().zip(&mut groups) {
        of(session).join(groups, group).unwrap();
    }
    assert_eq!(member(), Some(holder));
    let [of_holder, of_waits] = groups.each_ref().map(|groups| &groups.memberships[0]);
    assert!(!of_holder.is_waiting && of_waits.is_waiting);
    // The member joins again, by another flow of the same session.
    let mut again = ClientGroups::new(Instant::now());
    of(holder).join(&mut again, group).unwrap();
    assert!(!again.memberships[0].is_waiting);
    let counted = |counter| counters.snapshot().get(counter);
    of(waits).leave(of_waits);
    assert_eq!((member(), counted(Counter::GroupLeaves)), (Some(holder), 0), "it has nothing to leave");
    // When it holds the id, it is the member.
    directory.remove(&peer, holder);
    let mut later = ClientGroups::new(Instant::now());
    of(waits).join(&mut later, group).unwrap();
    assert_eq!((member(), later.memberships[0].is_waiting), (Some(waits), false));
}
