//! Applications and their instances.

use std::sync::Arc;

use introd_config::{Application, JoinLeaveMode, LookupMode, LookupsFrom};
use serde_json::{Value, json};

use super::paging::{Page, next, not_from_here};
use super::{Answer, Ask};
use crate::admin::calendar::Rfc3339;
use crate::apps::{AppInstance, TrafficCounts};

/// By what the list is in order: the adaptor, the virtual host, the application and the instance. An application without instances has
/// an empty one.
type Place<'a> = [&'a str; 4];

/// Separates the parts of a place where `next` has it. No name has it.
const SEPARATOR: char = '\u{0}';

/// An item of the list: an application that is registered and has no instance, or an instance.
#[derive(Clone)]
enum Item<'a> {
    Idle(Place<'a>),
    Instance(&'a Arc<AppInstance>),
}

impl<'a> Item<'a> {
    fn place(&self) -> Place<'a> {
        match self {
            Self::Idle(place) => *place,
            Self::Instance(instance) => place_of(instance),
        }
    }
}

fn place_of(instance: &AppInstance) -> Place<'_> {
    let name = instance.name();
    [&name.adaptor, &name.vhost, &name.application, &name.instance]
}

/// The instances behind a page's beginning in the order of their names, at most `limit`, and where the next page begins.
pub(super) fn page_of<'a, T: Clone>(
    mut items: Vec<T>,
    place: impl Fn(&T) -> Place<'a>,
    page: &Page,
) -> Result<(Vec<T>, Option<String>), super::Problem> {
    if let Some(after) = &page.after {
        let after = std::str::from_utf8(after).map_err(|_| not_from_here())?;
        let after: Vec<&str> = after.split(SEPARATOR).collect();
        let after: Place<'_> = after.try_into().map_err(|_| not_from_here())?;
        items.retain(|item| place(item) > after);
    }
    items.sort_unstable_by(|one, other| place(one).cmp(&place(other)));
    let is_last = items.len() <= page.limit;
    items.truncate(page.limit);
    let last = items.last().filter(|_| !is_last).map(|item| place(item).join(&SEPARATOR.to_string()));
    Ok((items, last.map(|last| next(last.as_bytes()))))
}

impl Ask<'_> {
    /// All applications that are registered or have an instance, with their instances.
    pub(super) fn applications(&self) -> Answer {
        let page = Page::read(self.query)?;
        let instances = self.inspector.services.applications.all_instances();
        let mut items: Vec<Item<'_>> = instances.iter().map(Item::Instance).collect();
        let mut used: Vec<[&str; 3]> = instances.iter().map(|instance| first_three(place_of(instance))).collect();
        used.sort_unstable();
        let idle = self.config.registered().map(|(adaptor, vhost, name, _)| [&*adaptor.name, &*vhost.name, name]);
        let idle = idle.filter(|place| used.binary_search(place).is_err());
        items.extend(idle.map(|[adaptor, vhost, name]| Item::Idle([adaptor, vhost, name, ""])));
        let (items, next) = page_of(items, Item::place, &page)?;
        let mut applications: Vec<Value> = Vec::new();
        for of_application in items.chunk_by(|one, other| first_three(one.place()) == first_three(other.place())) {
            let Some(first) = of_application.first() else { continue };
            let instances = of_application.iter().filter_map(|item| match item {
                Item::Idle(_) => None,
                Item::Instance(instance) => Some(describe(instance)),
            });
            let mut application = self.application(first_three(first.place()));
            application["instances"] = instances.collect();
            applications.push(application);
        }
        Ok(json!({"applications": applications, "next": next}))
    }

    fn application(&self, place: [&str; 3]) -> Value {
        let [adaptor, vhost, name] = place;
        let vhosts = self.config.all_adaptors().filter(|known| known.name == adaptor);
        let known = vhosts.flat_map(|adaptor| adaptor.all_vhosts()).find(|known| known.name == vhost);
        let is_registered = known.is_some_and(|vhost| vhost.applications.contains_key(name));
        let registered = known.and_then(|vhost| Some(vhost.served_by(name)?.1));
        let settings = known.map(|vhost| vhost.application(name));
        json!({
            "adaptor": adaptor,
            "vhost": vhost,
            "name": name,
            "is_registered": is_registered,
            "closed": registered.and_then(|registered| registered.closed.as_deref()),
            "policy": settings.map(|settings| self.policy(settings, registered.is_some_and(|known| known.has_script))),
        })
    }

    fn policy(&self, settings: &Application, has_script: bool) -> Value {
        let plugins = self.inspector.services.applications.plugins().chain(&settings.plugins);
        let plugins: Vec<&str> = plugins.iter().map(|plugin| plugin.library().name()).collect();
        json!({
            "has_script": has_script,
            "plugins": plugins,
            "lookup_mode": match settings.peer_lookup_events {
                LookupMode::None => "none",
                LookupMode::Partial => "partial",
                LookupMode::All => "all",
                LookupMode::Denied => "denied",
            },
            "lookups_from": match settings.lookups_from {
                LookupsFrom::Anyone => "anyone",
                LookupsFrom::Clients => "clients",
            },
            "join_leave_mode": match settings.join_leave_events {
                JoinLeaveMode::None => "none",
                JoinLeaveMode::All => "all",
            },
            "deadline_seconds": settings.policy.deadline.as_secs_f64(),
        })
    }
}

fn first_three([adaptor, vhost, application, _]: Place<'_>) -> [&str; 3] {
    [adaptor, vhost, application]
}

fn describe(instance: &AppInstance) -> Value {
    let traffic = instance.traffic();
    let TrafficCounts {
        accepted,
        rejected,
        disconnected,
        messages_in,
        messages_out,
        messages_dropped,
        bytes_in,
        bytes_out,
    } = traffic.counts();
    json!({
        "name": instance.name().instance,
        "clients": instance.clients(),
        "accepted": accepted,
        "rejected": rejected,
        "disconnected": disconnected,
        "messages_in": messages_in,
        "messages_out": messages_out,
        "messages_dropped": messages_dropped,
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
        "launched": Rfc3339(traffic.launched).to_string(),
        "up_seconds": traffic.since.elapsed().as_secs(),
        "script_memory_bytes": instance.actor().map(|script| script.memory()),
        "script_has_failed": instance.actor().map(|script| script.has_failed()),
    })
}

/// The place of an instance in lists.
pub(super) fn place(instance: &Arc<AppInstance>) -> Place<'_> {
    place_of(instance)
}
