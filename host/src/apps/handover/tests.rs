use introd_config::{Config, Registered};
use introd_flash::server::Publication;
use introd_netgroup::GroupAddress;
use introd_policy::registry::GroupMember;
use introd_policy::{AppActors, FormerInstance, Opening, PublishedMember};
use parking_lot::Mutex;

use super::*;
use crate::apps::tests::{Idle, plugins};

/// The records of instances as version 1 of the format has them: `chat/room`, with the client of session 1.
const RECORDED: &str = concat!(
    "010d5f64656661756c74526f6f745f0e5f64656661756c7456486f73745f046368617404726f6f6d0100c00002000100010101010101010101010101",
    "010101010101010101010101010101010101010101010202020202020202020202020202020202020202020202020202020202020202030303030303",
    "0303030303030303030303030303030303030303030303030303040404040404040404040404040404040404040404040404040404040404040400c0",
    "000201e80700c00002090900c00002028f0f0055110000000000020007636f6e6e656374003ff0000000000000030003617070020009636861742f72",
    "6f6f6d0005746355726c02001672746d66703a2f2f686f73742f636861742f726f6f6d0000091106097769736801000a000001010103070707070707",
    "0707070707070707070707070707070707070707070707070707",
);

fn recorded() -> Vec<InstanceRecord> {
    postcard::from_bytes(&hex::decode(RECORDED).unwrap()).unwrap()
}

/// The record of a client, which only its session tells from the others.
fn client(session: u32) -> KnownRecord {
    KnownRecord { session, ..recorded()[0].clients[0].clone() }
}

/// The instance with these clients: those that are accepted, and the others.
fn instance(accepted: &[u32], unaccepted: &[u32]) -> InstanceRecord {
    let records = |some: &[u32]| some.iter().map(|session| client(*session)).collect();
    let [clients, unaccepted] = [accepted, unaccepted].map(records);
    InstanceRecord { clients, unaccepted, ..recorded().remove(0) }
}

fn written(records: &[InstanceRecord]) -> String {
    hex::encode(postcard::to_stdvec(records).unwrap())
}

#[test]
fn records_of_version_1_are_read_and_those_of_today_are_read_by_programs_that_know_version_1_alone() {
    let read = recorded();
    assert_eq!((read.len(), read[0].clients.len(), read[0].unaccepted.len()), (1, 1, 0));
    assert_eq!(written(&read), RECORDED);
    assert_eq!(written(&[instance(&[1], &[2, 3])]), RECORDED);
}

#[test]
fn clients_that_are_not_accepted_go_over_with_their_instance() {
    let all = [instance(&[1], &[]), instance(&[], &[2, 3]), instance(&[4], &[5])];
    let unaccepted = UnacceptedRecord::all(&all);
    assert_eq!(unaccepted.iter().map(|some| some.0.instance).collect::<Vec<_>>(), [1, 2]);
    let bytes = postcard::to_stdvec(&unaccepted).unwrap();
    let mut read: Vec<InstanceRecord> = postcard::from_bytes(&postcard::to_stdvec(&all[..]).unwrap()).unwrap();
    let unaccepted: Vec<UnacceptedRecord> = postcard::from_bytes(&bytes).unwrap();
    unaccepted.into_iter().for_each(|some| some.add_to(&mut read));
    assert_eq!(read, all);
    UnacceptedRecord(Beside { instance: 3, what: vec![client(6)] }).add_to(&mut read);
    assert_eq!(read, all, "there is no such instance");
}

#[test]
fn what_is_published_goes_over_with_its_instance_and_its_client() {
    let near_addresses: Arc<[SocketAddr]> = Arc::from([]);
    let known = |session: u32, streams: &[&str]| {
        let publication =
            |(number, name): (u64, &&str)| Publication { number, name: (*name).to_owned(), kind: "live".to_owned() };
        let publications = (1..).zip(streams).map(publication).collect();
        KnownClient { publications, ..client(session).known(true, &near_addresses).unwrap() }
    };
    let clients = vec![known(1, &["cam", "screen"]), known(2, &[]), known(3, &["talk"])];
    let peer = PeerId([9; 32]);
    let member = GroupMember { group: [8; 32], peer, position: GroupAddress::of(&peer).0 };
    let members =
        [None, Some((clients[0].client, [7; 32]))].map(|follows| PublishedMember { member, follows }).to_vec();
    let record = |clients: &[KnownClient], members: &[PublishedMember]| InstanceRecord {
        published: Published::of(clients, members),
        ..instance(&[1, 2, 3], &[])
    };
    let all = [record(&[], &[]), record(&clients, &members)];
    let published = PublishedRecord::all(&all);
    assert_eq!(published.iter().map(|some| some.0.instance).collect::<Vec<_>>(), [1]);
    let bytes = postcard::to_stdvec(&published).unwrap();
    let mut read: Vec<InstanceRecord> = postcard::from_bytes(&postcard::to_stdvec(&all[..]).unwrap()).unwrap();
    let published: Vec<PublishedRecord> = postcard::from_bytes(&bytes).unwrap();
    published.into_iter().for_each(|some| some.add_to(&mut read));
    assert_eq!(read, all);
    // The last client has gone meanwhile.
    let left: Vec<_> = [1, 2].map(|session| known(session, &[])).to_vec();
    let former = read.remove(1).published.add_to(left);
    assert_eq!(former, FormerInstance { clients: clients[..2].to_vec(), members });
}

#[test]
fn clients_whose_sessions_have_ended_are_forgotten() {
    let mut record = instance(&[1, 2], &[3, 4]);
    record.keep(&HashSet::from([2, 3, 9]));
    assert_eq!(record, instance(&[2], &[3]));
}

/// Keeps the clients with which policies begin, and whether each is accepted.
#[derive(Default)]
struct Begins(Mutex<Vec<(u32, bool)>>);

impl AppActors for Begins {
    fn open(&self, opening: Opening<'_>) -> Option<Arc<dyn AppActor>> {
        let known = opening.taken_over.into_iter().flat_map(|former| former.clients);
        self.0.lock().extend(known.map(|known| (known.client.session.get(), known.is_accepted)));
        Some(Arc::new(Idle))
    }
}

#[test]
fn a_script_begins_with_the_accepted_clients_and_knows_those_that_were_rejected_or_wait() {
    let mut config = Config::built_in();
    let vhost = &mut config.default_adaptor.default_vhost;
    let settings = Arc::clone(vhost.application("chat"));
    vhost.applications.insert("chat".to_owned(), Registered::new("chat".into(), settings));
    let begins = Arc::new(Begins::default());
    let applications = Applications::new(config, Some(begins.clone()), plugins());
    let record = instance(&[1, 2], &[3, 4]);
    let name = InstanceName {
        adaptor: record.adaptor.clone(),
        vhost: record.vhost.clone(),
        application: "chat".to_owned(),
        instance: "room".to_owned(),
    };
    assert!(applications.script_of(&name).is_none());
    // The old script has accepted 2, which its worker has not heard.
    applications.take_over(vec![record], &HashSet::from([2, 4]), &Arc::from([]));
    assert_eq!(*begins.0.lock(), [(1, true), (2, false), (3, false), (4, false)]);
    assert!(applications.script_of(&name).is_some());
}
