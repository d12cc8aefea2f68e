//! The lines of a text.

use mlua::{Lua, Value};

use super::unreadable::{CHECK_EVERY, OnTime, Unreadable, utf8};

/// The lines of a text in UTF-8, without what ends them. A mark of the byte order is no part of the first one.
pub(super) fn lines(lua: &Lua, text: &[u8], on_time: OnTime<'_>) -> Result<Value, Unreadable> {
    let list = lua.create_table()?;
    for (index, line) in utf8(text)?.lines().enumerate() {
        if index % CHECK_EVERY == 0 {
            on_time()?;
        }
        list.raw_push(line)?;
    }
    Ok(Value::Table(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<String>, Unreadable> {
        let lua = Lua::new();
        let Value::Table(list) = lines(&lua, text, &|| Ok(()))? else { panic!("it is a list") };
        Ok(list.sequence_values().map(|line| line.unwrap()).collect())
    }

    #[test]
    fn lines_end_as_on_any_system() {
        assert_eq!(read(b"\xef\xbb\xbfa\r\nb\n\nc").unwrap(), ["a", "b", "", "c"]);
        assert_eq!(read(b"a\n").unwrap(), ["a"]);
        assert_eq!(read(b"").unwrap(), [""; 0]);
        assert!(matches!(read(b"ab\xff"), Err(Unreadable::Text(why)) if why == "it is not UTF-8, from byte 3 on"));
        let over = || Err(mlua::Error::runtime("over"));
        assert!(matches!(lines(&Lua::new(), b"a", &over), Err(Unreadable::Limit(_))));
    }
}
