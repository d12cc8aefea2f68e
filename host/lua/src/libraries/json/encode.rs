//! From Lua to JSON.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;

use mlua::{Error, Lua, Result, Table, Value};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

use super::path::Path;
use super::{CHECK_EVERY, MAX_DEPTH};
use crate::engine::host_memory::Held;
use crate::engine::values::{EXACT, HOST, Opaque};
use crate::engine::vm_context::VmContext;

/// How the text is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// In one line, without blanks.
    Compact,
    /// With a line for each value, for people to read.
    Pretty,
}

/// About how many bytes an entry of the set of names takes beside the name.
const ENTRY: usize = 64;

/// The JSON text of a value. The names of objects are sorted, so that equal values have equal texts. No metamethod is called.
///
/// # Errors
/// If the value, or one in it, has no form in JSON; if it is nested too deeply, or in itself; if the script has no time or memory left.
pub(crate) fn encode(lua: &Lua, context: &VmContext, value: &Value, style: Style) -> Result<Vec<u8>> {
    context.on_time()?;
    let encoder = Encoder {
        lua,
        context,
        depth: Cell::new(0),
        until_check: Cell::new(CHECK_EVERY),
        path: Path::default(),
        failure: RefCell::default(),
    };
    let mut output = Output { encoder: &encoder, text: Vec::new(), held: context.held() };
    let outcome = match style {
        Style::Compact => Part(&encoder, value).serialize(&mut serde_json::Serializer::new(&mut output)),
        Style::Pretty => Part(&encoder, value).serialize(&mut serde_json::Serializer::pretty(&mut output)),
    };
    match outcome {
        Ok(()) => Ok(output.text),
        Err(error) => {
            Err(encoder.failure.take().unwrap_or_else(|| Error::runtime(format!("{error}{}", encoder.path.describe()))))
        }
    }
}

/// What all parts of one value share.
struct Encoder<'a> {
    lua: &'a Lua,
    context: &'a VmContext,
    depth: Cell<usize>,
    until_check: Cell<u32>,
    path: Path,
    /// What has gone wrong: serde's errors are texts, and would lose that a script's time is over.
    failure: RefCell<Option<Error>>,
}

/// A text that grows, and whose memory counts as the script's.
struct Output<'a> {
    encoder: &'a Encoder<'a>,
    text: Vec<u8>,
    held: Held,
}

impl io::Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.text.len() + bytes.len();
        if needed > self.text.capacity() {
            let capacity = needed.max(self.text.capacity() * 2);
            self.held.grow_to(self.encoder.lua, capacity).map_err(|error| {
                self.encoder.failure.replace(Some(error));
                io::Error::from(io::ErrorKind::OutOfMemory)
            })?;
            self.text.reserve_exact(capacity - self.text.len());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A value within the whole.
struct Part<'a>(&'a Encoder<'a>, &'a Value);

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Self(encoder, value) = *self;
        encoder.checked(encoder.step())?;
        let marks = &encoder.context.marks;
        match value {
            Value::Nil => serializer.serialize_unit(),
            Value::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Value::Integer(number) => serializer.serialize_i64(*number),
            // As in messages to clients, a whole number has no fraction, so that other programs read it as an integer.
            Value::Number(number) if number.fract() == 0.0 && number.abs() < EXACT && !is_minus_zero(*number) => {
                serializer.serialize_i64(*number as i64)
            }
            Value::Number(number) if number.is_finite() => serializer.serialize_f64(*number),
            Value::Number(number) => Err(encoder.refuse(&format!("{number} has no form in JSON"))),
            Value::String(text) => match text.to_str() {
                Ok(text) => serializer.serialize_str(&text),
                Err(_) => Err(encoder.refuse(NOT_UTF_8)),
            },
            Value::Table(table) => encoder.table(table, serializer),
            Value::UserData(data) if *data == marks.null || *data == marks.undefined => serializer.serialize_unit(),
            Value::UserData(data) if data.is::<Opaque>() => {
                let kind = encoder.checked(data.borrow::<Opaque>())?.kind();
                let hint = "encode what is in it (.bytes, .time or .value)";
                Err(encoder.refuse(&format!("a {kind} has no form in JSON: {hint}")))
            }
            other => Err(encoder.refuse(&format!("a {} has no form in JSON", other.type_name()))),
        }
    }
}

const NOT_UTF_8: &str = "this string is not UTF-8 text, which JSON needs: make it text by crypto.encode";

fn is_minus_zero(number: f64) -> bool {
    number == 0.0 && number.is_sign_negative()
}

impl Encoder<'_> {
    /// Keeps an error of the VM, and gives serde one that stands for it.
    fn checked<T, E: serde::ser::Error>(&self, result: Result<T>) -> std::result::Result<T, E> {
        result.map_err(|error| {
            self.failure.borrow_mut().get_or_insert(error);
            E::custom("failed")
        })
    }

    /// The value cannot be encoded.
    fn refuse<E: serde::ser::Error>(&self, problem: &str) -> E {
        E::custom(problem)
    }

    fn step(&self) -> Result<()> {
        match self.until_check.get() {
            0 => {
                self.until_check.set(CHECK_EVERY);
                self.context.on_time()
            }
            left => {
                self.until_check.set(left - 1);
                Ok(())
            }
        }
    }

    fn table<S: Serializer>(&self, table: &Table, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let metatable = table.metatable();
        let host = metatable.as_ref().map(|meta| meta.raw_get::<Option<String>>(HOST));
        if let Some(kind) = self.checked(host.transpose())?.flatten() {
            return Err(self.refuse(&format!("a {kind} has no form in JSON")));
        }
        if self.depth.get() == MAX_DEPTH {
            let problem = format!("tables may be nested {MAX_DEPTH} deep, and not in themselves");
            return Err(self.refuse(&problem));
        }
        self.depth.set(self.depth.get() + 1);
        let is_array = metatable.as_ref() == Some(&self.context.marks.array);
        let len = table.raw_len();
        let mut held = self.context.held();
        let names = self.names(table, len, &mut held)?;
        let result = if len == 0 && !is_array {
            self.object(table, &names, serializer)
        } else if let Some(name) = names.first() {
            Err(self
                .refuse(&format!("this table is a list, and has the field {name:?} as well: JSON has no such values")))
        } else {
            self.list(table, len, serializer)
        };
        self.depth.set(self.depth.get() - 1);
        result
    }

    /// The names of a table's fields that are not in its sequence, sorted.
    fn names<E: serde::ser::Error>(
        &self,
        table: &Table,
        len: usize,
        held: &mut Held,
    ) -> std::result::Result<BTreeSet<String>, E> {
        let (mut names, mut bytes) = (BTreeSet::new(), 0);
        for pair in table.pairs::<Value, Value>() {
            let (key, _) = self.checked(pair)?;
            self.checked(self.step())?;
            let name = match key {
                Value::Integer(index) if index >= 1 && index as usize <= len => continue,
                Value::String(name) => match name.to_str() {
                    Ok(name) => name.to_owned(),
                    Err(_) => return Err(self.refuse(NOT_UTF_8)),
                },
                other => {
                    let key = other.to_string().unwrap_or_default();
                    let problem = format!(
                        "{key} ({}) as a key has no form in JSON: keys are strings, or the numbers from 1 on without a gap",
                        other.type_name()
                    );
                    return Err(self.refuse(&problem));
                }
            };
            bytes += name.len() + ENTRY;
            self.checked(held.grow_to(self.lua, bytes))?;
            names.insert(name);
        }
        Ok(names)
    }

    fn object<S: Serializer>(
        &self,
        table: &Table,
        names: &BTreeSet<String>,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(names.len()))?;
        for name in names {
            let value = self.checked(table.raw_get::<Value>(name.as_str()))?;
            map.serialize_entry(name, &Part(self, &value)).inspect_err(|_| self.path.add_name(name))?;
        }
        map.end()
    }

    fn list<S: Serializer>(&self, table: &Table, len: usize, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(len))?;
        for index in 1..=len {
            let value = self.checked(table.raw_get::<Value>(index))?;
            list.serialize_element(&Part(self, &value)).inspect_err(|_| self.path.add_position(index))?;
        }
        list.end()
    }
}
