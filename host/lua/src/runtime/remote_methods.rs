//! The functions that clients may call: those of their objects and of `Client`, by name or by a path as in `chat.say`.

use mlua::{Function, Table, Value};

use super::Runtime;
use crate::api::client::{CHECK_BANDWIDTH, is_reserved};
use crate::api::script::as_function;
use crate::instance::roster::RosterMember;

/// How many parts a path may have.
const MAX_PARTS: usize = 8;

impl Runtime {
    /// The function that a client calls by that name. Only the script's own are found: nothing of the server's, except `checkBandwidth`.
    pub(super) fn function_for_client(&self, member: &RosterMember, name: &str) -> Option<Function> {
        if is_reserved(name) {
            return None;
        }
        let own = self.client_function(member, name).or_else(|| self.function_at(member, name));
        own.or_else(|| self.script.state.methods.raw_get(name).ok().filter(|_| name == CHECK_BANDWIDTH))
    }

    /// The function at the end of a path, `a.b.c` or as ActionScript has it, `a/b/c`: the last part is a field of the table that the one
    /// before leads to, and the first a field of the client's object or of `Client`.
    fn function_at(&self, member: &RosterMember, path: &str) -> Option<Function> {
        let parts: Vec<&str> = path.split(['.', '/']).take(MAX_PARTS + 1).collect();
        let (first, rest) = parts.split_first()?;
        let is_odd = |part: &&str| part.is_empty() || part.starts_with("__");
        if rest.is_empty() || parts.len() > MAX_PARTS || is_reserved(first) || parts.iter().any(is_odd) {
            return None;
        }
        let state = &self.script.state;
        let own = state.objects.known(member.id);
        [own.as_ref(), Some(&state.prototype)].into_iter().flatten().find_map(|root| self.descend(root, &parts))
    }

    fn descend(&self, root: &Table, parts: &[&str]) -> Option<Function> {
        let (last, tables) = parts.split_last()?;
        let mut table = root.clone();
        for name in tables {
            let Value::Table(inner) = table.raw_get(*name).ok()? else { return None };
            table = Some(inner).filter(|inner| self.is_open(inner))?;
        }
        let function = as_function(table.raw_get(*last).ok()?)?;
        // Functions of the server or of Lua itself that stand there are for the script.
        function.info().source.is_some_and(|source| source.starts_with('@')).then_some(function)
    }

    /// Whether a path may lead through a table: not through the global variables, and not through the server's objects.
    fn is_open(&self, table: &Table) -> bool {
        let state = &self.script.state;
        let hidden = [&self.script.lua().globals(), &state.application, &state.prototype, &state.methods];
        let is_object =
            table.metatable().is_some_and(|meta| meta.raw_get::<Value>("__host").is_ok_and(|host| !host.is_nil()));
        !is_object && !hidden.contains(&table)
    }
}
