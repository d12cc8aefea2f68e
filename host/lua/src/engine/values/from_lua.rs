//! From Lua to ActionScript.

use mlua::{Result, Table, Value as Lv};

use super::marks::{CLASS, EXACT, HOST, Marks};
use super::opaque::Opaque;
use introd_flash::amf::{AmfLimits, EcmaArray, Object, Value};

/// Converts a value for ActionScript.
///
/// # Errors
/// If the value has no counterpart in ActionScript, or is larger than one message may be.
pub(crate) fn from_lua(marks: &Marks, value: &Lv) -> Result<Value> {
    Writer::new(marks).value(value)
}

/// Converts all values of one message.
///
/// # Errors
/// If a value has no counterpart in ActionScript, or all together are larger than one message may be.
pub(crate) fn all_from_lua<'a>(marks: &Marks, values: impl IntoIterator<Item = &'a Lv>) -> Result<Vec<Value>> {
    let mut writer = Writer::new(marks);
    values.into_iter().map(|value| writer.value(value)).collect()
}

struct Writer<'a> {
    marks: &'a Marks,
    depth: usize,
    elements: usize,
    bytes: usize,
}

fn no_counterpart(text: impl Into<String>) -> mlua::Error {
    mlua::Error::runtime(text.into())
}

impl<'a> Writer<'a> {
    fn new(marks: &'a Marks) -> Self {
        let AmfLimits { depth, elements, bytes } = AmfLimits::default();
        Self { marks, depth, elements, bytes }
    }

    fn value(&mut self, value: &Lv) -> Result<Value> {
        self.count()?;
        match value {
            Lv::Nil => Ok(Value::Null),
            Lv::Boolean(boolean) => Ok(Value::Boolean(*boolean)),
            Lv::Integer(number) if number.unsigned_abs() < EXACT as u64 => Ok(Value::Number(*number as f64)),
            Lv::Integer(number) => Err(no_counterpart(format!("{number} is too large for an ActionScript number"))),
            Lv::Number(number) => Ok(Value::Number(*number)),
            Lv::String(text) => Ok(Value::String(self.text(&text.as_bytes())?)),
            Lv::Table(table) => self.nested(table),
            Lv::UserData(data) if *data == self.marks.null => Ok(Value::Null),
            Lv::UserData(data) if *data == self.marks.undefined => Ok(Value::Undefined),
            Lv::UserData(data) if data.is::<Opaque>() => {
                let opaque = data.borrow::<Opaque>()?;
                self.charge(&opaque.value)?;
                Ok(opaque.value.clone())
            }
            other => Err(no_counterpart(format!("a {} has no counterpart in ActionScript", other.type_name()))),
        }
    }

    fn count(&mut self) -> Result<()> {
        self.elements =
            self.elements.checked_sub(1).ok_or_else(|| no_counterpart("too many values for one message"))?;
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or_else(|| no_counterpart("too much text, or too many bytes, for one message"))?;
        Ok(())
    }

    /// Counts the contents of a value that is about to be copied: a value that stands in a table a thousand times counts a thousand times.
    fn charge(&mut self, value: &Value) -> Result<()> {
        value.walk(&mut |bytes| {
            self.count()?;
            self.take(bytes)
        })
    }

    fn text(&mut self, bytes: &[u8]) -> Result<String> {
        self.take(bytes.len())?;
        let text = std::str::from_utf8(bytes);
        text.map(str::to_owned)
            .map_err(|_| no_counterpart("this string is not UTF-8 text; send it as ByteArray(string)"))
    }

    fn nested(&mut self, table: &Table) -> Result<Value> {
        self.depth =
            self.depth.checked_sub(1).ok_or_else(|| no_counterpart("tables nested too deeply, or in themselves"))?;
        let value = self.table(table)?;
        self.depth += 1;
        Ok(value)
    }

    fn table(&mut self, table: &Table) -> Result<Value> {
        let metatable = table.metatable();
        let is_array = metatable.as_ref() == Some(&self.marks.array);
        let host = |meta: &Table| meta.raw_get::<Option<String>>(HOST);
        if let Some(kind) = metatable.as_ref().map(host).transpose()?.flatten() {
            return Err(no_counterpart(format!("a {kind} has no counterpart in ActionScript")));
        }
        let class: Option<String> = metatable.map(|class| class.raw_get(CLASS)).transpose()?.flatten();
        self.take(class.as_ref().map_or(0, String::len))?;
        let len = table.raw_len();
        let (mut dense, mut named) = (Vec::new(), Vec::new());
        for index in 1..=len {
            dense.push(self.value(&table.raw_get::<Lv>(index)?)?);
        }
        for pair in table.pairs::<Lv, Lv>() {
            let (key, value) = pair?;
            let name = match key {
                Lv::Integer(index) if index >= 1 && index <= len as i64 => continue,
                Lv::Integer(index) => index.to_string(),
                Lv::String(name) => self.text(&name.as_bytes())?,
                other => {
                    let kind = other.type_name();
                    return Err(no_counterpart(format!("a {kind} as a key has no counterpart in ActionScript")));
                }
            };
            named.push((name, self.value(&value)?));
        }
        named.sort_by(|(left, _), (right, _)| left.cmp(right));
        if named.is_empty() && (is_array || !dense.is_empty()) && class.is_none() {
            return Ok(Value::Array(dense));
        }
        if dense.is_empty() && !is_array {
            let class = class.unwrap_or_default();
            return Ok(Value::Object(Object { class, sealed: 0, dynamic: true, properties: named }));
        }
        Ok(Value::EcmaArray(EcmaArray { named, dense }))
    }
}
