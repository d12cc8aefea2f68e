//! The instances that have a script as records, and back: another process goes on with them.
//!
//! The order and the types of the fields are the format: a change of them is a new version of the state
//! ([`STATE_VERSION`](crate::takeover::STATE_VERSION)). Instances without a script need no record: their clients make them anew.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use introd_flash::amf::AmfLimits;
use introd_flash::server::ConnectRequest;
use introd_policy::message::{ClientId, ClientInfo};
use introd_policy::{AppActor, InstanceName, KnownClient, OpenCall};
use rtmfp::{NetworkPrefix, PeerId, SessionId};
use serde::{Deserialize, Serialize};

use super::applications::{Applications, vhost_of};
use super::published::Published;
use super::wanted::{VhostLimits, Wanted};

/// An instance with a script, and the clients that the script knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRecord {
    adaptor: String,
    vhost: String,
    application: String,
    instance: String,
    /// The network of the client for which it was created.
    maker: Option<IpAddr>,
    /// The accepted ones.
    clients: Vec<KnownRecord>,
    /// Those that are not accepted, and of whose end the script is yet to be told. They go over in records of their own
    /// ([`UnacceptedRecord`]): programs that do not know these read the others.
    #[serde(skip)]
    unaccepted: Vec<KnownRecord>,
    /// What is published. It goes over in a record of its own ([`PublishedRecord`]), for the same reason.
    #[serde(skip)]
    published: Published,
}

/// What is of an instance and does not stand in its record, so that programs that do not know it read the record all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Beside<T> {
    /// The number of the instance among the records of instances.
    instance: u32,
    what: T,
}

/// The clients of an instance that its script was told of and that are not accepted: they were rejected, or wait for a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnacceptedRecord(Beside<Vec<KnownRecord>>);

/// What is published of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedRecord(Beside<Published>);

impl<T: Clone + Default + PartialEq> Beside<T> {
    /// What `of` gives of each instance, unless there is nothing.
    fn each(instances: &[InstanceRecord], of: impl Fn(&InstanceRecord) -> &T) -> Vec<Self> {
        let there_is = |(_, what): &(u32, &T)| **what != T::default();
        let all = (0..).zip(instances.iter().map(of)).filter(there_is);
        all.map(|(instance, what)| Self { instance, what: what.clone() }).collect()
    }

    /// Its instance, with what is of it; `None` if the instance is not there.
    fn place(self, instances: &mut [InstanceRecord]) -> Option<(&mut InstanceRecord, T)> {
        let instance = instances.get_mut(usize::try_from(self.instance).ok()?)?;
        Some((instance, self.what))
    }
}

impl UnacceptedRecord {
    /// Those of all instances.
    pub fn all(instances: &[InstanceRecord]) -> Vec<Self> {
        Beside::each(instances, |instance| &instance.unaccepted).into_iter().map(Self).collect()
    }

    /// Adds them to their instance. Those of an instance that is not there are left out.
    pub fn add_to(self, instances: &mut [InstanceRecord]) {
        if let Some((instance, clients)) = self.0.place(instances) {
            instance.unaccepted.extend(clients);
        }
    }
}

impl PublishedRecord {
    /// Those of all instances.
    pub fn all(instances: &[InstanceRecord]) -> Vec<Self> {
        Beside::each(instances, |instance| &instance.published).into_iter().map(Self).collect()
    }

    /// Adds it to its instance. That of an instance that is not there is left out.
    pub fn add_to(self, instances: &mut [InstanceRecord]) {
        if let Some((instance, published)) = self.0.place(instances) {
            instance.published = published;
        }
    }
}

impl InstanceRecord {
    /// Forgets clients of other sessions than these: they have gone, and the old process tells its script so.
    pub fn keep(&mut self, sessions: &HashSet<u32>) {
        let Self { clients, unaccepted, .. } = self;
        [clients, unaccepted].into_iter().for_each(|some| some.retain(|client| sessions.contains(&client.session)));
    }
}

/// What a client waits for, and its script has not answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenCallRecord {
    /// The worker of the client.
    pub worker: u8,
    /// The id of its session.
    pub session: u32,
    open: OpenRecord,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum OpenRecord {
    Call(f64),
    Publication(u64),
}

impl OpenCallRecord {
    fn of(known: &KnownClient, open: OpenCall) -> Self {
        let open = match open {
            OpenCall::Call(transaction) => OpenRecord::Call(transaction),
            OpenCall::Publication(publication) => OpenRecord::Publication(publication),
        };
        Self { worker: known.client.worker, session: known.client.session.get(), open }
    }

    /// What the client waits for.
    pub fn open(&self) -> OpenCall {
        match self.open {
            OpenRecord::Call(transaction) => OpenCall::Call(transaction),
            OpenRecord::Publication(publication) => OpenCall::Publication(publication),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KnownRecord {
    worker: u8,
    session: u32,
    far_id: [u8; 32],
    is_proven: bool,
    near_id: [u8; 32],
    far_nonce: [u8; 32],
    near_nonce: [u8; 32],
    /// Where its packets came from when it connected, and where they come from now.
    far_addresses: [SocketAddr; 2],
    near_address: SocketAddr,
    object_encoding: u8,
    /// What it said in `connect`, as a message.
    request: Vec<u8>,
    reported: Vec<SocketAddr>,
    groups: Vec<(u64, [u8; 32])>,
}

impl KnownRecord {
    /// `None` if what the client said cannot be written: its script does not see it again.
    fn of(known: &KnownClient) -> Option<Self> {
        let info = &known.info;
        Some(Self {
            worker: known.client.worker,
            session: known.client.session.get(),
            far_id: info.far_id.0,
            is_proven: info.is_proven,
            near_id: info.near_id.0,
            far_nonce: info.far_nonce,
            near_nonce: info.near_nonce,
            far_addresses: [info.far_address, known.far_address],
            near_address: info.near_address,
            object_encoding: info.request.object_encoding,
            request: info.request.to_message().ok()?,
            reported: known.reported.clone(),
            groups: known.groups.clone(),
        })
    }

    fn known(self, is_accepted: bool, near_addresses: &Arc<[SocketAddr]>) -> Option<KnownClient> {
        let request = ConnectRequest::from_message(&self.request, self.object_encoding, AmfLimits::default())?;
        let [far_address, now] = self.far_addresses;
        let info = ClientInfo {
            far_id: PeerId(self.far_id),
            is_proven: self.is_proven,
            near_id: PeerId(self.near_id),
            far_nonce: self.far_nonce,
            near_nonce: self.near_nonce,
            far_address,
            near_address: self.near_address,
            potential_near_addresses: Arc::clone(near_addresses),
            request,
        };
        Some(KnownClient {
            client: ClientId { worker: self.worker, session: SessionId::from_wire(self.session) },
            is_accepted,
            info: Arc::new(info),
            far_address: now,
            reported: self.reported,
            groups: self.groups,
            publications: Vec::new(),
            open: Vec::new(),
        })
    }
}

impl Applications {
    /// The script of the instance of that name, if there is one.
    pub fn script_of(&self, name: &InstanceName) -> Option<Arc<dyn AppActor>> {
        self.table().get(name)?.actor().cloned()
    }

    /// Whether the policy of any instance has something to do at this moment.
    pub fn has_busy_policies(&self) -> bool {
        self.all_instances().iter().filter_map(|instance| instance.actor()).any(|actor| actor.is_busy())
    }

    /// How many clients are in instances whose scripts end, and have not yet disconnected all of theirs. A script that has has no memory any more.
    pub fn clients_of_ending(&self) -> u64 {
        let ends = |instance: &&Arc<super::AppInstance>| {
            instance.actor().is_some_and(|actor| actor.is_over() && actor.memory() > 0)
        };
        self.all_instances().iter().filter(ends).map(|instance| instance.clients()).sum()
    }

    /// The instances that have a script, without those that end, and what their clients wait for.
    pub fn hand_over(&self) -> (Vec<InstanceRecord>, Vec<OpenCallRecord>) {
        let mut open_calls = Vec::new();
        let record = |instance: &Arc<super::AppInstance>| {
            // What ends has clients that are about to be closed, and another instance may have its name.
            let actor = instance.actor().filter(|actor| !actor.is_over())?;
            let clients = actor.clients();
            let some = |is_accepted: bool| {
                clients
                    .iter()
                    .filter(move |known| known.is_accepted == is_accepted)
                    .filter_map(KnownRecord::of)
                    .collect()
            };
            let of = |known: &'_ KnownClient| known.open.iter().map(|open| OpenCallRecord::of(known, *open)).collect();
            open_calls.extend(clients.iter().flat_map(|known| -> Vec<_> { of(known) }));
            let InstanceName { adaptor, vhost, application, instance: name } = instance.name().clone();
            Some(InstanceRecord {
                adaptor,
                vhost,
                application,
                instance: name,
                maker: instance.maker().map(NetworkPrefix::first),
                clients: some(true),
                unaccepted: some(false),
                published: Published::of(&clients, &actor.published_members()),
            })
        };
        let records = self.all_instances().iter().filter_map(record).collect();
        (records, open_calls)
    }

    /// Opens the instances that another process had: their scripts begin with the clients that they know. The clients themselves take their
    /// seats afterwards. `connecting`: the sessions whose clients are yet to be decided on, whatever the old script has said last. They count as
    /// not accepted.
    pub fn take_over(
        &self,
        records: Vec<InstanceRecord>,
        connecting: &HashSet<u32>,
        near_addresses: &Arc<[SocketAddr]>,
    ) {
        let config = self.config();
        for record in records {
            let InstanceRecord { adaptor, vhost, application, instance, maker, clients, unaccepted, published } =
                record;
            let name = InstanceName { adaptor, vhost, application, instance };
            let vhost = vhost_of(&config, &name);
            let registered = vhost.served_by(&name.application).map(|(_, registered)| registered);
            let is_accepted = |client: &KnownRecord| !connecting.contains(&client.session);
            let known = clients.into_iter().map(|client| (is_accepted(&client), client));
            let known = known.chain(unaccepted.into_iter().map(|client| (false, client)));
            let known = known.filter_map(|(is_accepted, client)| client.known(is_accepted, near_addresses));
            let former = published.add_to(known.collect());
            let wanted = Wanted {
                settings: Arc::clone(vhost.application(&name.application)),
                registered,
                limits: VhostLimits::NONE,
                taken_over: Some(former),
                maker: maker.map(NetworkPrefix::of),
                name: name.clone(),
            };
            if let Err(refusal) = self.open(&mut self.table(), wanted) {
                tracing::error!(app = %name, reason = %refusal.for_log(), "the instance cannot be taken over: its clients will be closed");
            }
        }
    }
}

#[cfg(test)]
mod tests;
