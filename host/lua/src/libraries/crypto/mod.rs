//! `crypto`: hashes, encodings, random bytes, and the verification of JSON Web Tokens.

mod encodings;
mod hashes;
mod jwt;

use std::rc::Rc;

use mlua::{Error, IntoLuaMulti as _, Lua, LuaString, Result, Table, Value};
use subtle::ConstantTimeEq as _;

use self::encodings::Encoding;
use self::hashes::Hash;
use super::outside::{self, refused};
use crate::engine::vm_context::VmContext;
use crate::instance::Instance;

/// The most random bytes of one call.
const MAX_RANDOM: usize = 64 << 10;

/// Makes the table `crypto`.
pub(super) fn register(lua: &Lua, context: &Rc<VmContext>, instance: &Rc<Instance>) -> Result<()> {
    let crypto = lua.create_table()?;
    digests(lua, context, &crypto)?;
    texts(lua, context, &crypto)?;
    let (shared, random) = (Rc::clone(context), Rc::clone(instance));
    crypto.raw_set(
        "randomBytes",
        lua.create_function(move |lua, count: f64| {
            shared.on_time()?;
            if count.fract() != 0.0 || !(0.0..=MAX_RANDOM as f64).contains(&count) {
                let message = format!("crypto.randomBytes makes from 0 to {MAX_RANDOM} bytes at a time, not {count}");
                return Err(Error::runtime(message));
            }
            let mut bytes = vec![0; count as usize];
            random.random.fill(&mut bytes).map_err(Error::external)?;
            lua.create_string(bytes)
        })?,
    )?;
    let (shared, clock) = (Rc::clone(context), Rc::clone(instance));
    crypto.raw_set(
        "verifyJwt",
        lua.create_function(move |lua, (token, options): (Value, Table)| {
            shared.on_time()?;
            let now = clock.milliseconds() / 1000.0;
            let claims = match outside::text(token) {
                Ok(token) => jwt::verify(lua, &shared, &token.as_bytes(), &options, now)?,
                Err(reason) => Err(reason),
            };
            match claims {
                Ok(claims) => claims.into_lua_multi(lua),
                Err(reason) => refused(lua, &reason),
            }
        })?,
    )?;
    lua.globals().raw_set("crypto", crypto)
}

fn digests(lua: &Lua, context: &Rc<VmContext>, crypto: &Table) -> Result<()> {
    type Form = Option<LuaString>;
    let form = |form: &Form| form.as_ref().map_or(Ok(Encoding::Hex), Encoding::named);
    let shared = Rc::clone(context);
    crypto.raw_set(
        "hash",
        lua.create_function(move |lua, (hash, text, encoding): (LuaString, LuaString, Form)| {
            let (hash, encoding) = (Hash::named(&hash)?, form(&encoding)?);
            let digest = hash.digest(&text.as_bytes(), &|| shared.on_time())?;
            lua.create_string(encoding.encode(&digest))
        })?,
    )?;
    let shared = Rc::clone(context);
    crypto.raw_set(
        "hmac",
        lua.create_function(move |lua, (hash, key, text, encoding): (LuaString, LuaString, LuaString, Form)| {
            let (hash, encoding) = (Hash::named(&hash)?, form(&encoding)?);
            let code = hash.code(&key.as_bytes(), &text.as_bytes(), &|| shared.on_time())?;
            lua.create_string(encoding.encode(&code))
        })?,
    )
}

fn texts(lua: &Lua, context: &Rc<VmContext>, crypto: &Table) -> Result<()> {
    let shared = Rc::clone(context);
    crypto.raw_set(
        "encode",
        lua.create_function(move |lua, (encoding, bytes): (LuaString, LuaString)| {
            let (encoding, bytes) = (Encoding::named(&encoding)?, bytes.as_bytes());
            shared.begin(bytes.len())?;
            let mut held = shared.held();
            held.grow_to(lua, encoding.encoded_length(bytes.len()))?;
            let text = encoding.encode(&bytes);
            lua.create_string(text)
        })?,
    )?;
    let shared = Rc::clone(context);
    crypto.raw_set(
        "decode",
        lua.create_function(move |lua, (encoding, text): (LuaString, Value)| {
            let encoding = Encoding::named(&encoding)?;
            let text = match outside::text(text) {
                Ok(text) => text,
                Err(problem) => return refused(lua, &problem),
            };
            let text = text.as_bytes();
            shared.begin(text.len())?;
            let mut held = shared.held();
            // What is decoded is no longer than the text.
            held.grow_to(lua, text.len())?;
            match encoding.decode(&text) {
                Ok(bytes) => lua.create_string(bytes)?.into_lua_multi(lua),
                Err(problem) => refused(lua, &problem),
            }
        })?,
    )?;
    let shared = Rc::clone(context);
    crypto.raw_set(
        "equal",
        lua.create_function(move |_, (left, right): (Value, Value)| {
            // What is no string is equal to nothing: a secret that is missing must not be equal to one that nobody gave.
            let (Value::String(left), Value::String(right)) = (left, right) else { return Ok(false) };
            let (left, right) = (left.as_bytes(), right.as_bytes());
            shared.begin(left.len())?;
            Ok(bool::from(left.ct_eq(&right)))
        })?,
    )
}
