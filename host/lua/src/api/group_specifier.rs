//! `GroupSpecifier`: makes groupspecs of properties, and digests that compare with those of memberships.
//!
//! The properties that a script sets stay in a Lua table, where they count as the script's memory; a groupspec is made of them when the
//! script asks for one.

use std::net::{IpAddr, SocketAddr};

use mlua::{
    AnyUserData, Function, Lua, MetaMethod, MultiValue, Result, Table, UserData, UserDataMethods, Value, Variadic,
};

use super::address;
use introd_netgroup::groupspec::{GroupspecError, MAX_LEN, Password, Version};
use introd_netgroup::{GroupSpecifier, Groupspec};

/// A specifier in a script; its user value is the table of the properties that were set.
struct Handle;

type Flag = fn(&mut GroupSpecifier) -> &mut bool;
/// The properties that are on or off.
const FLAGS: &[(&str, Flag)] = &[
    ("routingEnabled", |specifier| &mut specifier.routing_enabled),
    ("multicastEnabled", |specifier| &mut specifier.multicast_enabled),
    ("objectReplicationEnabled", |specifier| &mut specifier.object_replication_enabled),
    ("postingEnabled", |specifier| &mut specifier.posting_enabled),
    ("serverChannelEnabled", |specifier| &mut specifier.server_channel_enabled),
    ("peerToPeerDisabled", |specifier| &mut specifier.peer_to_peer_disabled),
    ("ipMulticastMemberUpdatesEnabled", |specifier| &mut specifier.ip_multicast_member_updates_enabled),
];
/// Adobe's documents spell one of them in two ways.
const ALIASES: &[(&str, &str)] = &[("ipMemberUpdatesEnabled", "ipMulticastMemberUpdatesEnabled")];
const VERSION: &str = "minGroupspecVersion";
/// The newest version of groupspecs.
const MAX_VERSION: i64 = 2;

type Method = fn(&Lua, &Table, &[Value]) -> Result<Value>;
const METHODS: &[(&str, Method)] = &[
    ("addBootstrapPeer", add_bootstrap_peer),
    ("addIPMulticastAddress", add_ip_multicast_address),
    ("addOption", add_option),
    ("authorizations", |lua, fields, _| text(lua, &specifier(fields)?.authorizations())),
    ("encodeGroupspecDigest", |lua, fields, _| text(lua, &specifier(fields)?.digest().map_err(own)?.to_string())),
    ("groupspecWithAuthorizations", with_authorizations),
    ("groupspecWithoutAuthorizations", |lua, fields, _| {
        text(lua, specifier(fields)?.without_authorizations().map_err(own)?.as_str())
    }),
    ("makeUnique", make_unique),
    ("setPostingPassword", |lua, fields, arguments| set_password(lua, fields, "postingPassword", arguments)),
    ("setPublishPassword", |lua, fields, arguments| set_password(lua, fields, "publishPassword", arguments)),
    ("toString", with_authorizations),
    ("unestablished", |lua, fields, _| Ok(Value::Table(lua.create_sequence_from(specifier(fields)?.unestablished())?))),
];

type Static = fn(&[Value]) -> Result<String>;
const STATICS: &[(&str, Static)] = &[
    ("encodePostingAuthorization", |arguments| {
        Ok(GroupSpecifier::encode_posting_authorization(&required_password(arguments)?))
    }),
    ("encodePublishAuthorization", |arguments| {
        Ok(GroupSpecifier::encode_publish_authorization(&required_password(arguments)?))
    }),
    ("encodeBootstrapPeerIDSpec", |arguments| {
        Ok(GroupSpecifier::encode_bootstrap_peer_id_spec(&address::peer(argument(arguments, 0))?))
    }),
    ("encodeIPMulticastAddressSpec", |arguments| {
        let (address, source) = multicast_address(arguments)?;
        GroupSpecifier::encode_ip_multicast_address_spec(address, source).map_err(own)
    }),
];

/// How many entries each list may have.
const MAX_ENTRIES: usize = 256;

/// The names of all properties and methods, which the editors' file must have.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let flags = FLAGS.iter().map(|(name, _)| *name).chain(ALIASES.iter().map(|(name, _)| *name));
    flags.chain([VERSION]).chain(METHODS.iter().map(|(name, _)| *name))
}

/// Makes the global.
pub(crate) fn register(lua: &Lua) -> Result<()> {
    let class = lua.create_table()?;
    class.raw_set("maxSupportedGroupspecVersion", MAX_VERSION)?;
    for (name, work) in STATICS {
        class.raw_set(*name, lua.create_function(|_, arguments: Variadic<Value>| work(&arguments))?)?;
    }
    // A groupspec has a digest, whether it stands in a specifier or is a text.
    class.raw_set("encodeGroupspecDigest", lua.create_function(|_, spec: Value| digest(&spec))?)?;
    class.raw_set("new", lua.create_function(|lua, name: Value| create(lua, &name))?)?;
    let meta = lua.create_table()?;
    meta.raw_set("__call", lua.create_function(|lua, (_, name): (Value, Value)| create(lua, &name))?)?;
    meta.raw_set("__metatable", "GroupSpecifier")?;
    class.set_metatable(Some(meta))?;
    lua.globals().raw_set("GroupSpecifier", class)
}

impl UserData for Handle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_function(MetaMethod::Index, |lua, (this, key): (AnyUserData, Value)| index(lua, &this, &key));
        methods.add_meta_function(MetaMethod::NewIndex, |_, (this, key, value): (AnyUserData, Value, Value)| {
            set(&fields(&this)?, &key, value)
        });
        methods.add_meta_function(MetaMethod::ToString, |lua, this: AnyUserData| {
            with_authorizations(lua, &fields(&this)?, &[])
        });
    }
}

fn own(error: GroupspecError) -> mlua::Error {
    mlua::Error::runtime(error)
}

fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(mlua::Error::runtime(message.into()))
}

fn text(lua: &Lua, text: &str) -> Result<Value> {
    lua.create_string(text).map(Value::String)
}

fn create(lua: &Lua, name: &Value) -> Result<AnyUserData> {
    let Value::String(name) = name else {
        return wrong(format!("a group's name is a string, not a {}: GroupSpecifier(name)", name.type_name()));
    };
    // The error says what is wrong with the name.
    GroupSpecifier::new(name.to_string_lossy()).and_then(|specifier| specifier.digest()).map_err(own)?;
    let fields = lua.create_table()?;
    fields.raw_set("name", name)?;
    let handle = lua.create_userdata(Handle)?;
    handle.set_user_value(fields)?;
    Ok(handle)
}

fn fields(this: &AnyUserData) -> Result<Table> {
    // The metamethods could be called with any object.
    drop(this.borrow::<Handle>()?);
    this.user_value()
}

fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name)
}

fn index(lua: &Lua, this: &AnyUserData, key: &Value) -> Result<Value> {
    let fields = fields(this)?;
    let Value::String(key) = key else { return Ok(Value::Nil) };
    let key = key.to_string_lossy();
    let name = canonical(&key);
    if FLAGS.iter().any(|(flag, _)| *flag == name) {
        return Ok(Value::Boolean(fields.raw_get::<bool>(name)?));
    }
    if name == VERSION {
        return Ok(Value::Integer(fields.raw_get::<Option<i64>>(VERSION)?.unwrap_or(MAX_VERSION)));
    }
    match METHODS.iter().find(|(method, _)| *method == name) {
        Some((name, work)) => method(lua, name, *work).map(Value::Function),
        None => Ok(Value::Nil),
    }
}

fn method(lua: &Lua, name: &'static str, work: Method) -> Result<Function> {
    lua.create_function(move |lua, mut arguments: MultiValue| {
        let this = arguments.pop_front().and_then(|this| match this {
            Value::UserData(this) => fields(&this).ok(),
            _ => None,
        });
        let Some(fields) = this else {
            return wrong(format!("{name} is a method of a GroupSpecifier, called with a colon: specifier:{name}()"));
        };
        work(lua, &fields, &Vec::from(arguments))
    })
}

fn set(fields: &Table, key: &Value, value: Value) -> Result<()> {
    // An object may have a `__tostring`, which must not be called from here.
    let Value::String(key) = key else {
        return wrong(format!("a GroupSpecifier has no property that is a {}", key.type_name()));
    };
    let key = key.to_string_lossy();
    let name = canonical(&key);
    if FLAGS.iter().any(|(flag, _)| *flag == name) {
        let Value::Boolean(_) = value else {
            return wrong(format!("{name} of a GroupSpecifier is true or false, not a {}", value.type_name()));
        };
        return fields.raw_set(name, value);
    }
    if name == VERSION {
        return match value.as_i64() {
            Some(version @ 1..=MAX_VERSION) => fields.raw_set(VERSION, version),
            _ => wrong(format!("{VERSION} is 1 or {MAX_VERSION}")),
        };
    }
    if METHODS.iter().any(|(method, _)| *method == name) {
        return wrong(format!("{name} of a GroupSpecifier cannot be set"));
    }
    let shown: String = name.chars().take(64).collect();
    wrong(format!("a GroupSpecifier has no property {shown}"))
}

/// A specifier with what the script has set.
fn specifier(fields: &Table) -> Result<GroupSpecifier> {
    let name: mlua::LuaString = fields.raw_get("name")?;
    let mut specifier = GroupSpecifier::new(name.to_string_lossy()).map_err(own)?;
    for (name, flag) in FLAGS {
        *flag(&mut specifier) = fields.raw_get::<bool>(*name)?;
    }
    if fields.raw_get::<Option<i64>>(VERSION)? == Some(1) {
        specifier.version = Version::One;
    }
    let password = |name: &str| -> Result<Option<Password>> {
        let Some(pair) = fields.raw_get::<Option<Table>>(name)? else { return Ok(None) };
        let (password, salt): (mlua::LuaString, mlua::LuaString) = (pair.raw_get(1)?, pair.raw_get(2)?);
        Ok(Some(Password::new(password.to_string_lossy(), salt.as_bytes().to_vec())))
    };
    specifier.set_posting_password(password("postingPassword")?);
    specifier.set_publish_password(password("publishPassword")?);
    if let Some(tag) = fields.raw_get::<Option<mlua::LuaString>>("unique")? {
        let tag = <[u8; 32]>::try_from(&tag.as_bytes()[..]).map_err(mlua::Error::external)?;
        specifier.set_unique(tag);
    }
    each(fields, "bootstrapPeers", |peer| {
        specifier.add_bootstrap_peer(address::peer(&peer)?);
        Ok(())
    })?;
    each(fields, "multicastAddresses", |entry| {
        let Value::Table(entry) = entry else { return Ok(()) };
        let (address, source) = multicast_address(&[entry.raw_get(1)?, Value::Nil, entry.raw_get(2)?])?;
        specifier.add_ip_multicast_address(address, source).map_err(own)
    })?;
    each(fields, "options", |entry| {
        let Value::Table(entry) = entry else { return Ok(()) };
        let value: mlua::LuaString = entry.raw_get(2)?;
        specifier.add_option(entry.raw_get(1)?, value.as_bytes().to_vec());
        Ok(())
    })?;
    Ok(specifier)
}

fn each(fields: &Table, name: &str, mut work: impl FnMut(Value) -> Result<()>) -> Result<()> {
    let Some(list) = fields.raw_get::<Option<Table>>(name)? else { return Ok(()) };
    list.sequence_values::<Value>().try_for_each(|value| work(value?))
}

/// Adds an entry to a list. An entry of so many `bytes` that no groupspec could hold it is refused at once; the exact length is known
/// when the groupspec is made.
fn add(lua: &Lua, fields: &Table, name: &str, bytes: usize, entry: Value) -> Result<Value> {
    let list = match fields.raw_get::<Option<Table>>(name)? {
        Some(list) => list,
        None => {
            let list = lua.create_table()?;
            fields.raw_set(name, &list)?;
            list
        }
    };
    if list.raw_len() >= MAX_ENTRIES {
        return wrong(format!("a GroupSpecifier has at most {MAX_ENTRIES} of these"));
    }
    // Each byte is two digits, and each option has a length and a type.
    let length = fields.raw_get::<usize>("length").unwrap_or(0).saturating_add(2 * (bytes.min(MAX_LEN) + 2));
    if length > MAX_LEN {
        return Err(own(GroupspecError::TooLong(length)));
    }
    fields.raw_set("length", length)?;
    list.raw_push(entry)?;
    Ok(Value::Nil)
}

fn argument(arguments: &[Value], at: usize) -> &Value {
    arguments.get(at).unwrap_or(&Value::Nil)
}

fn with_authorizations(lua: &Lua, fields: &Table, _: &[Value]) -> Result<Value> {
    text(lua, specifier(fields)?.with_authorizations().map_err(own)?.as_str())
}

fn add_bootstrap_peer(lua: &Lua, fields: &Table, arguments: &[Value]) -> Result<Value> {
    let peer = address::peer(argument(arguments, 0))?;
    add(lua, fields, "bootstrapPeers", peer.0.len(), text(lua, &peer.to_string())?)
}

fn add_ip_multicast_address(lua: &Lua, fields: &Table, arguments: &[Value]) -> Result<Value> {
    let (address, source) = multicast_address(arguments)?;
    let spec = GroupSpecifier::encode_ip_multicast_address_spec(address, source).map_err(own)?;
    let source = source.map_or(Ok(Value::Nil), |source| text(lua, &source.to_string()))?;
    let entry = lua.create_sequence_from([text(lua, &address.to_string())?, source])?;
    add(lua, fields, "multicastAddresses", spec.len() / 2, Value::Table(entry))
}

fn add_option(lua: &Lua, fields: &Table, arguments: &[Value]) -> Result<Value> {
    let (Some(kind @ 0..), value) = (argument(arguments, 0).as_i64(), argument(arguments, 1)) else {
        return wrong("an option has a number: specifier:addOption(number, bytes)");
    };
    let value = match value {
        Value::String(_) => value.clone(),
        Value::Nil => text(lua, "")?,
        other => return wrong(format!("the value of an option is a string, not a {}", other.type_name())),
    };
    let bytes = value.as_string().map_or(0, |value| value.as_bytes().len());
    let entry = lua.create_sequence_from([Value::Integer(kind), value])?;
    add(lua, fields, "options", bytes, Value::Table(entry))
}

fn make_unique(lua: &Lua, fields: &Table, _: &[Value]) -> Result<Value> {
    let mut tag = [0; 32];
    getrandom::fill(&mut tag).map_err(mlua::Error::external)?;
    fields.raw_set("unique", lua.create_string(tag)?)?;
    Ok(Value::Nil)
}

/// `setPostingPassword(password, salt)`; nil takes it away.
fn set_password(lua: &Lua, fields: &Table, name: &str, arguments: &[Value]) -> Result<Value> {
    let before: Value = fields.raw_get(name)?;
    let pair = match password(arguments)? {
        Some((password, salt)) => Value::Table(lua.create_sequence_from([password, salt.unwrap_or(text(lua, "")?)])?),
        None => Value::Nil,
    };
    fields.raw_set(name, pair)?;
    if let Err(error) = specifier(fields).and_then(|specifier| specifier.with_authorizations().map_err(own)) {
        fields.raw_set(name, before)?;
        return Err(error);
    }
    Ok(Value::Nil)
}

/// A password and its salt, both as the script has them.
fn password(arguments: &[Value]) -> Result<Option<(Value, Option<Value>)>> {
    let salt = match argument(arguments, 1) {
        Value::Nil => None,
        salt @ Value::String(_) => Some(salt.clone()),
        other => return wrong(format!("a salt is a string, not a {}", other.type_name())),
    };
    match argument(arguments, 0) {
        Value::Nil => Ok(None),
        password @ Value::String(_) => Ok(Some((password.clone(), salt))),
        other => wrong(format!("a password is a string or nil, not a {}", other.type_name())),
    }
}

fn required_password(arguments: &[Value]) -> Result<Password> {
    let Some((password, salt)) = password(arguments)? else { return wrong("a password is a string, not a nil") };
    let bytes = |value: &Value| value.as_string().map_or_else(Vec::new, |text| text.as_bytes().to_vec());
    let salt = salt.as_ref().map_or_else(Vec::new, bytes);
    Ok(Password::new(String::from_utf8_lossy(&bytes(&password)), salt))
}

/// `(address)`, `(address, port)` or `(address, port, source)`.
fn multicast_address(arguments: &[Value]) -> Result<(SocketAddr, Option<IpAddr>)> {
    let address = argument(arguments, 0);
    let address = match argument(arguments, 1) {
        Value::Nil => address::parse(address)?,
        port => {
            let port = port.as_i64().and_then(|port| u16::try_from(port).ok());
            let Some(port) = port else { return wrong("a port is a number from 0 to 65535") };
            SocketAddr::new(ip(address)?, port)
        }
    };
    let source = match argument(arguments, 2) {
        Value::Nil => None,
        source => Some(ip(source)?),
    };
    Ok((address, source))
}

fn ip(value: &Value) -> Result<IpAddr> {
    let read = value.as_string().and_then(|text| {
        let text = text.to_string_lossy();
        text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    });
    read.ok_or_else(|| mlua::Error::runtime("an IP address is a string of numbers: \"224.0.0.254\""))
}

/// The groupspec of a specifier or of a text, with its authorizations.
pub(super) fn groupspec(spec: &Value) -> Result<Groupspec> {
    match spec {
        Value::UserData(this) => specifier(&fields(this)?)?.with_authorizations().map_err(own),
        Value::String(text) => Groupspec::parse(&text.to_string_lossy()).map_err(own),
        other => wrong(format!("a groupspec is a string or a GroupSpecifier, not a {}", other.type_name())),
    }
}

/// The digest of a specifier or a groupspec's text.
fn digest(spec: &Value) -> Result<String> {
    Ok(groupspec(spec)?.digest().to_string())
}
