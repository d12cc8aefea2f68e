//! The server as a whole: its statistics, adaptors, virtual hosts and administrators.

use super::xml::{Data, Failure, Timestamp};
use super::{Call, failed};
use crate::admin::system::System;
use crate::apps::TrafficCounts;
use crate::introducer::{Counter, Snapshot};

impl Call<'_> {
    pub(super) async fn server_stats(&self) -> Data {
        let (system, rates) = (System::now(), self.inspector.rates());
        let mut data = Data::default();
        data.text("launchTime", Timestamp(self.inspector.launched()));
        data.text("uptime", self.inspector.uptime().as_secs());
        data.text("cpus", system.processors);
        data.text("cpu_Usage", rates.cpu_percent);
        data.text("num_cores", system.processors);
        data.text("memory_Usage", system.memory_percent());
        data.text("physical_Mem", system.physical_memory);
        let io = self.io_stats().await;
        data.element("io", |data| data.append(io));
        data
    }

    /// The names and their order are those of an Adobe server's answer. What this server does not have is 0: streams, RTMP, other
    /// processes of the same server.
    pub(super) async fn io_stats(&self) -> Data {
        let counters = self.inspector.services.counters.snapshot();
        let reports = self.inspector.worker_reports().await;
        let reads: u64 = reports.iter().flatten().map(|report| report.endpoint.datagrams).sum();
        let rates = self.inspector.rates();
        let connected = self.inspector.services.applications.clients();
        let (system, workers) = (System::now(), self.inspector.workers());
        let mut data = Data::default();
        let get = |counter: Counter| counters.get(counter);
        let connects = get(Counter::Connects);
        for (name, value) in [
            ("msg_in", get(Counter::MessagesIn)),
            ("msg_out", get(Counter::MessagesOut)),
            ("msg_dropped", get(Counter::MessagesDropped)),
            ("bytes_in", get(Counter::BytesIn)),
            ("bytes_out", get(Counter::BytesOut)),
            ("reads", reads),
            ("writes", 0),
            ("bw_in", rates.bytes_in),
            ("bw_out", rates.bytes_out),
            ("total_connects", connects),
            ("total_disconnects", get(Counter::Disconnects)),
            ("connected", connected),
            ("rtmp_connects", 0),
            ("rtmfp_connects", connects),
            ("normal_connects", connects),
            ("virtual_connects", 0),
            ("group_connects", 0),
            ("service_connects", 0),
            ("service_requests", 0),
            ("admin_connects", 0),
            ("debug_connects", 0),
            ("total_threads", system.threads),
            ("working_threads", workers as u64),
            ("swf_verification_attempts", 0),
            ("swf_verification_exceptions", 0),
            ("swf_verification_failures", 0),
            ("swf_verification_unsupported_rejects", 0),
            ("swf_verification_matches", 0),
            ("swf_verification_remote_misses", 0),
            ("server_bytes_in", 0),
            ("server_bytes_out", 0),
        ] {
            data.text(name, value);
        }
        write_lookups(&mut data, &counters);
        data
    }

    pub(super) fn adaptors(&self) -> Data {
        let mut data = Data::default();
        data.array(self.config.all_adaptors().map(|adaptor| &adaptor.name));
        data
    }

    pub(super) fn vhosts(&self) -> Result<Data, Failure> {
        let named = self.query.get(&["adaptor"]).unwrap_or(&self.config.default_adaptor.name);
        let adaptor = self.config.all_adaptors().find(|adaptor| adaptor.name == named);
        let adaptor = adaptor.ok_or_else(|| failed("There is no such adaptor.".to_owned()))?;
        let mut data = Data::default();
        data.array(adaptor.all_vhosts().map(|vhost| &vhost.name));
        Ok(data)
    }

    pub(super) fn vhost_stats(&self) -> Result<Data, Failure> {
        let instances = self.instances()?;
        let mut counts = TrafficCounts::default();
        instances.iter().for_each(|instance| counts += instance.traffic().counts());
        let mut data = Data::default();
        write_traffic(&mut data, &counts, instances.iter().map(|instance| instance.clients()).sum());
        data.text("total_instances", instances.len());
        Ok(data)
    }

    pub(super) fn admins(&self) -> Data {
        let mut data = Data::default();
        data.array(self.config.users.with_passwords().map(|user| &user.name));
        data
    }

    pub(super) fn admin_context(&self) -> Result<Data, Failure> {
        let (adaptor, vhost) = self.vhost()?;
        let mut data = Data::default();
        data.text("admin_type", "server");
        data.text("admin_name", self.user);
        data.text("adaptor", adaptor);
        data.text("vhost", vhost);
        Ok(data)
    }
}

/// The introductions. AMS counts what one process of a server does for another as remote; this server has one process.
fn write_lookups(data: &mut Data, counters: &Snapshot) {
    let get = |counter: Counter| counters.get(counter);
    for (name, value) in [
        ("rtmfp_lookups", get(Counter::Lookups)),
        ("rtmfp_remote_lookups", 0),
        ("rtmfp_remote_lookup_requests", 0),
        ("rtmfp_redirects", get(Counter::Redirects)),
        ("rtmfp_remote_redirects", 0),
        ("rtmfp_remote_redirect_requests", 0),
        ("rtmfp_forwards", get(Counter::Forwards)),
        ("rtmfp_remote_forwards", 0),
        ("rtmfp_remote_forward_requests", 0),
        ("rtmfp_lookups_denied", get(Counter::LookupsDenied)),
        ("group_join", get(Counter::GroupJoins)),
        ("group_leave", get(Counter::GroupLeaves)),
    ] {
        data.text(name, value);
    }
}

/// The traffic of instances.
pub(super) fn write_traffic(data: &mut Data, counts: &TrafficCounts, connected: u64) {
    for (name, value) in [
        ("accepted", counts.accepted),
        ("rejected", counts.rejected),
        ("connected", connected),
        ("bytes_in", counts.bytes_in),
        ("bytes_out", counts.bytes_out),
        ("msg_in", counts.messages_in),
        ("msg_out", counts.messages_out),
        ("msg_dropped", counts.messages_dropped),
        ("total_connects", counts.accepted),
        ("total_disconnects", counts.disconnected),
    ] {
        data.text(name, value);
    }
}
