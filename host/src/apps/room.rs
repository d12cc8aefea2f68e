//! Making room for one more instance, where a limit on their number is reached.

use super::applications::Applications;
use super::refusal::Refusal;
use super::table::{Among, Table};
use super::wanted::Wanted;

impl Applications {
    /// Makes room for one more instance: at a limit, an instance without clients ends.
    pub(super) fn make_room(&self, table: &mut Table, wanted: &Wanted<'_>) -> Result<(), Refusal> {
        let Wanted { name, limits, .. } = wanted;
        let has_script = wanted.registered.is_some_and(|registered| registered.has_script);
        if has_script {
            self.make_room_in_memory(table)?;
        }
        if let Some((maker, max)) = wanted.maker.zip(limits.instances_per_address)
            && has_script
            && table.made_by(maker, name) >= max
            && !self.end_longest_idle(table, Among::MadeBy(maker, name))
        {
            return Err(Refusal::TooManyInstancesOf(maker));
        }
        if limits.instances.is_some_and(|max| table.instances(name) >= max)
            && !self.end_longest_idle(table, Among::Vhost(name))
        {
            return Err(Refusal::TooManyInstances);
        }
        if table.len() > usize::from(u16::MAX) && !self.end_longest_idle(table, Among::All) {
            return Err(Refusal::TooManyInstances);
        }
        Ok(())
    }

    /// Ends the instance that has been without clients for longest, to make room. False if there is none.
    pub(super) fn end_longest_idle(&self, table: &mut Table, among: Among<'_>) -> bool {
        let Some(instance) = table.idle(among).next().cloned() else { return false };
        tracing::info!(app = %instance.name(), "the instance ends: it has no clients, and others need the room");
        self.end(table, &instance);
        true
    }
}
