//! Values of ActionScript and of Lua, both ways.
//!
//! | ActionScript | Lua |
//! |---|---|
//! | `null`, `undefined` as an argument or a result | `nil`; from Lua: `null` |
//! | `null`, `undefined` in an array or an object | `null`, `undefined`, two globals: a table cannot hold `nil` |
//! | Boolean | boolean |
//! | int, Number | integer if it is whole and below 2^53 in size, else float; from Lua: Number |
//! | String | string, which must be UTF-8 |
//! | Array | sequence; an empty one is written `Array{}`, because `{}` is an object |
//! | Array with named parts | table with both |
//! | Object | table with string keys; its class is kept |
//! | ByteArray, Date | made by `ByteArray(string)`, `Date(milliseconds)`; `.bytes`, `#`; `.time`, `.timeZone` |
//! | XML, Vector, Dictionary, externalized | kept as they are, to be handed on; `.type`, and `.value` in plain Lua |
//!
//! A Lua function, coroutine or object of the host has no counterpart and is an error, and so is an integer of 2^53 or more:
//! ActionScript would round it. The order of an object's properties is not kept; from Lua they go out sorted.

mod from_lua;
mod marks;
mod opaque;
mod to_lua;
mod userdata;

pub(crate) use from_lua::{all_from_lua, from_lua};
pub(crate) use marks::{EXACT, HOST, Marks};
pub(crate) use opaque::Opaque;
pub(crate) use to_lua::{number_to_lua, to_lua};
