//! What a caller of `crypto.verifyJwt` asks for.

use jsonwebtoken::Algorithm;
use mlua::{Error, Lua, LuaString, Result, Table, Value};

use super::key::JwtKey;
use crate::engine::vm_context::VmContext;

/// The options that there are.
const NAMES: [&str; 6] = ["key", "algorithms", "issuer", "audience", "leeway", "requireExpiry"];
/// How far two clocks may be apart, in seconds.
const LEEWAY: f64 = 60.0;
const MAX_LEEWAY: f64 = 86_400.0;
/// How many issuers, audiences or algorithms there may be.
const MAX_LIST: usize = 100;

pub(super) struct Options {
    pub(super) key: JwtKey,
    /// Those that count. `None`: those of the key.
    pub(super) algorithms: Option<Vec<Algorithm>>,
    pub(super) issuer: Option<Vec<String>>,
    pub(super) audience: Option<Vec<String>>,
    /// In seconds.
    pub(super) leeway: f64,
    pub(super) require_expiry: bool,
}

impl Options {
    /// # Errors
    /// What is wrong with them. An option that is not known is an error: a misspelt one must not go unheeded.
    pub(super) fn read(lua: &Lua, context: &VmContext, table: &Table) -> Result<Self> {
        for pair in table.pairs::<Value, Value>() {
            let (name, _) = pair?;
            let is_known =
                matches!(&name, Value::String(name) if NAMES.iter().any(|known| *name.as_bytes() == *known.as_bytes()));
            if !is_known {
                // Any other key might have a metamethod that makes it a text.
                let name = match &name {
                    Value::String(name) => format!("{:?}", name.to_string_lossy()),
                    other => format!("that is a {}", other.type_name()),
                };
                return Err(wrong(&format!("has no option {name}: there are {}", NAMES.join(", "))));
            }
        }
        let leeway = table.raw_get::<Option<f64>>("leeway")?.unwrap_or(LEEWAY);
        if !(0.0..=MAX_LEEWAY).contains(&leeway) {
            return Err(wrong(&format!("takes a leeway from 0 to {MAX_LEEWAY} seconds, not {leeway}")));
        }
        let require_expiry = match table.raw_get::<Value>("requireExpiry")? {
            Value::Nil => true,
            Value::Boolean(is_required) => is_required,
            _ => return Err(wrong("takes true or false as requireExpiry")),
        };
        let algorithms = list(table, "algorithms")?.map(|names| names.iter().map(|name| algorithm(name)).collect());
        Ok(Self {
            key: JwtKey::read(lua, context, &table.raw_get("key")?)?,
            algorithms: algorithms.transpose()?,
            issuer: list(table, "issuer")?,
            audience: list(table, "audience")?,
            leeway,
            require_expiry,
        })
    }
}

fn wrong(problem: &str) -> Error {
    Error::runtime(format!("crypto.verifyJwt {problem}"))
}

fn algorithm(name: &str) -> Result<Algorithm> {
    name.parse().map_err(|_| {
        wrong(&format!(
            "does not know the algorithm {name:?}: there are HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, \
             ES384 and EdDSA"
        ))
    })
}

/// A string, or a list of strings.
fn list(table: &Table, name: &str) -> Result<Option<Vec<String>>> {
    let problem = || wrong(&format!("takes as {name} a string, or a list of 1 to {MAX_LIST} strings"));
    let text = |text: &LuaString| text.to_str().map(|text| text.to_owned()).map_err(|_| problem());
    match table.raw_get::<Value>(name)? {
        Value::Nil => Ok(None),
        Value::String(one) => Ok(Some(vec![text(&one)?])),
        Value::Table(list) if (1..=MAX_LIST).contains(&list.raw_len()) => {
            let items = (1..=list.raw_len()).map(|index| match list.raw_get::<Value>(index)? {
                Value::String(item) => text(&item),
                _ => Err(problem()),
            });
            items.collect::<Result<_>>().map(Some)
        }
        // An empty list must not count as no list: then it would allow all.
        _ => Err(problem()),
    }
}
