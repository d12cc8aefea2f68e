//! Applications, their instances, and their clients.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use rtmfp::{PeerId, SessionId};

use super::server::write_traffic;
use super::xml::{Data, Failure, Timestamp};
use super::{Answer, Call, failed, no_stream};
use crate::apps::TrafficCounts;

/// A client's id, which is also what a script sees as `client.id`.
pub(super) fn user_id(session: SessionId) -> String {
    format!("{}:{session}", session.prefix())
}

impl Call<'_> {
    /// The applications that are registered, and those that have an instance.
    pub(super) fn apps(&self) -> Result<Data, Failure> {
        let (adaptor, vhost) = self.vhost()?;
        let adaptors = self.config.all_adaptors().filter(|known| known.name == adaptor);
        let vhosts = adaptors.flat_map(|adaptor| adaptor.all_vhosts()).filter(|known| known.name == vhost);
        let mut names: BTreeSet<String> = vhosts.flat_map(|vhost| vhost.applications.keys().cloned()).collect();
        names.extend(self.instances()?.iter().map(|instance| instance.name().application.clone()));
        let mut data = Data::default();
        data.array(names);
        Ok(data)
    }

    pub(super) fn active_instances(&self) -> Result<Data, Failure> {
        let mut data = Data::default();
        data.array(self.instances()?.iter().map(|instance| instance.name()));
        Ok(data)
    }

    /// The sums over the instances that an application has now.
    pub(super) fn app_stats(&self) -> Result<Data, Failure> {
        let application = self.need(&["app", "appname"])?;
        let mut instances = self.instances()?;
        instances.retain(|instance| instance.name().application == application);
        let launched = instances.iter().map(|instance| instance.traffic()).min_by_key(|traffic| traffic.since);
        let Some(launched) = launched else {
            return Err(failed("The application has no instance.".to_owned()));
        };
        let mut counts = TrafficCounts::default();
        instances.iter().for_each(|instance| counts += instance.traffic().counts());
        let mut data = Data::default();
        write_traffic(&mut data, &counts, instances.iter().map(|instance| instance.clients()).sum());
        data.text("launch_time", Timestamp(launched.launched));
        data.text("up_time", launched.since.elapsed().as_secs());
        data.text("total_instances", instances.len());
        Ok(data)
    }

    pub(super) fn instance_stats(&self) -> Result<Data, Failure> {
        let instance = self.instance()?;
        let traffic = instance.traffic();
        let mut data = Data::default();
        write_traffic(&mut data, &traffic.counts(), instance.clients());
        data.text("launch_time", Timestamp(traffic.launched));
        data.text("up_time", traffic.since.elapsed().as_secs());
        if let Some(script) = instance.actor() {
            data.element("script", |data| {
                data.text("memory", script.memory());
                data.text("has_failed", script.has_failed());
            });
        }
        Ok(data)
    }

    /// The script of an instance: its memory in bytes, and its last errors, the newest last. The names are this server's own.
    pub(super) fn script_stats(&self) -> Result<Data, Failure> {
        let instance = self.instance()?;
        let script = instance.actor().ok_or_else(|| failed("The application has no script.".to_owned()))?;
        let mut data = Data::default();
        data.text("memory", script.memory());
        data.text("max_memory", instance.settings().script.memory);
        data.text("has_failed", script.has_failed());
        data.element("errors", |data| {
            for (index, error) in script.errors().iter().enumerate() {
                data.element(&format!("_{index}"), |data| {
                    data.text("time", Timestamp(error.at));
                    data.text("text", &error.text);
                });
            }
        });
        Ok(data)
    }

    /// The streams of an instance that are named: there is none. Without names, there are all: none.
    pub(super) fn net_stream_stats(&self) -> Answer {
        self.instance()?;
        match self.query.get(&["streamids"]).filter(|named| !named.is_empty()) {
            Some(_) => Err(no_stream()),
            None => Ok(Some(Data::default())),
        }
    }

    pub(super) fn users(&self) -> Result<Data, Failure> {
        let instance = self.instance()?;
        let mut data = Data::default();
        data.array(self.inspector.members_of(&instance).iter().map(|member| user_id(member.session)));
        Ok(data)
    }

    /// The client that `userid` names, by its id or its peer id.
    pub(super) fn user(&self) -> Result<SessionId, Failure> {
        let id = self.need(&["userid", "user"])?;
        let none = || failed("There is no such user.".to_owned());
        if let Ok(peer) = id.parse::<PeerId>() {
            return self.inspector.services.directory.lookup(&peer).map(|peer| peer.owner).ok_or_else(none);
        }
        let (worker, session) = id.split_once(':').ok_or_else(none)?;
        let session = u32::from_str_radix(session, 16).map(SessionId::from_wire).map_err(|_| none())?;
        if worker.parse() == Ok(session.prefix()) { Ok(session) } else { Err(none()) }
    }

    pub(super) async fn user_stats(&self) -> Result<Data, Failure> {
        let instance = self.query.get(&["appinst"]).map(|_| self.instance()).transpose()?;
        let report = self.inspector.client_report(self.user()?).await;
        let report = report.filter(|report| instance.is_none_or(|instance| Arc::ptr_eq(&instance, &report.instance)));
        let report = report.ok_or_else(|| failed("There is no such user.".to_owned()))?;
        let mut data = Data::default();
        data.text("connect_time", Timestamp(SystemTime::now() - report.connected_for));
        data.text("msg_in", report.stats.msg_in);
        data.text("msg_out", report.stats.msg_out);
        data.text("msg_dropped", report.stats.msg_dropped);
        data.text("bytes_in", report.stats.bytes_in);
        data.text("bytes_out", report.stats.bytes_out);
        // AMS ends with the queues of streams, which this server does not have. What follows is this server's own.
        data.text("protocol", "rtmfp");
        data.text("peer_id", report.peer);
        data.text("is_proven", report.is_proven);
        data.text("address", report.address);
        data.text("ping_rtt", report.stats.ping_rtt);
        data.text("silent_for", report.silent_for.as_secs());
        data.text("groups", report.memberships.len());
        Ok(data)
    }
}
