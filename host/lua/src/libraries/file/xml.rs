//! XML as tables: an element has its `name`, its `attributes`, the `text` in it, and the elements in it at 1, 2 and so on.

use mlua::{Lua, Table, Value};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::unreadable::{CHECK_EVERY, OnTime, Unreadable, utf8};

/// Deeper nesting than sensible files have, and more attributes: each is compared with all before it.
const MAX_DEPTH: usize = 100;
const MAX_ATTRIBUTES: usize = 256;

/// Reads a text in UTF-8 into its root element. There are no document types, and so no entities but XML's own five.
pub(super) fn decode(lua: &Lua, text: &[u8], on_time: OnTime<'_>) -> Result<Value, Unreadable> {
    let text = utf8(text)?;
    let (mut reader, mut tree) = (Reader::from_str(text), Tree { lua, open: Vec::new(), root: None });
    for count in 0.. {
        if count % CHECK_EVERY == 0 {
            on_time()?;
        }
        let at = reader.buffer_position();
        let event = reader.read_event();
        let event =
            event.map_err(|error| Unreadable::Text(error.to_string()).at(|| place(text, reader.error_position())))?;
        let is_end = matches!(event, Event::Eof);
        tree.take(event).map_err(|why| why.at(|| place(text, at)))?;
        if is_end {
            break;
        }
    }
    tree.root.map(Value::Table).ok_or_else(|| Unreadable::Text("there is no element in it".to_owned()))
}

/// A place in the text, for people.
fn place(text: &str, at: u64) -> String {
    let before = usize::try_from(at).ok().and_then(|at| text.get(..at)).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

/// The elements while they are read.
struct Tree<'a> {
    lua: &'a Lua,
    open: Vec<(Table, String)>,
    root: Option<Table>,
}

impl Tree<'_> {
    fn take(&mut self, event: Event<'_>) -> Result<(), Unreadable> {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::Empty(tag) => {
                self.start(&tag)?;
                self.end()
            }
            Event::End(_) => self.end(),
            Event::Text(piece) => self.text(&piece.xml10_content()),
            Event::CData(piece) => self.text(&piece.xml10_content()),
            Event::GeneralRef(reference) => self.text(&character(&reference)?),
            Event::DocType(_) => Err("a document type is not allowed".to_owned().into()),
            Event::Eof if !self.open.is_empty() => Err("an element is never closed".to_owned().into()),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), Unreadable> {
        if self.open.is_empty() && self.root.is_some() {
            return Err("there is a second root element".to_owned().into());
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("elements are nested deeper than {MAX_DEPTH}").into());
        }
        let (element, attributes) = (self.lua.create_table_with_capacity(0, 3)?, self.lua.create_table()?);
        element.raw_set("name", tag.name().as_ref() as &str)?;
        element.raw_set("attributes", &attributes)?;
        for (index, attribute) in tag.attributes().enumerate() {
            if index >= MAX_ATTRIBUTES {
                return Err(format!("an element has more than {MAX_ATTRIBUTES} attributes").into());
            }
            let attribute = attribute.map_err(|error| error.to_string())?;
            let name: &str = attribute.key.as_ref();
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
            attributes.raw_set(name, &*value)?;
        }
        self.open.push((element, String::new()));
        Ok(())
    }

    fn end(&mut self) -> Result<(), Unreadable> {
        let Some((element, text)) = self.open.pop() else { return Ok(()) };
        element.raw_set("text", text.trim())?;
        match self.open.last() {
            Some((parent, _)) => parent.raw_push(&element)?,
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, piece: &str) -> Result<(), Unreadable> {
        match self.open.last_mut() {
            Some((_, text)) => text.push_str(piece),
            None if !piece.trim().is_empty() => return Err("there is text outside the root element".to_owned().into()),
            None => (),
        }
        Ok(())
    }
}

fn character(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(character) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(character.into());
    }
    let name = reference.xml10_content();
    let text = match name.as_ref() {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "apos" => "'",
        "quot" => "\"",
        name => return Err(format!("there is no entity &{name};")),
    };
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, assertion: &str) {
        let lua = Lua::new();
        let root = decode(&lua, text.as_bytes(), &|| Ok(())).unwrap();
        lua.globals().raw_set("root", root).unwrap();
        lua.load(assertion).exec().unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    fn problem(text: &[u8]) -> String {
        match decode(&Lua::new(), text, &|| Ok(())) {
            Err(Unreadable::Text(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    fn is_read(text: &str) -> bool {
        decode(&Lua::new(), text.as_bytes(), &|| Ok(())).is_ok()
    }

    #[test]
    fn elements_have_names_attributes_texts_and_elements() {
        check(
            "\u{feff}<?xml version=\"1.0\"?>\n<!-- pages -->\n<pages mode='all'> a &lt;&#65;<![CDATA[<b>]]> <page url=\"x&amp;y\"/><page>z</page></pages>\n",
            "assert(root.name == 'pages' and root.attributes.mode == 'all' and root.text == 'a <A<b>')
            assert(#root == 2 and root[1].name == 'page' and root[1].attributes.url == 'x&y' and root[1].text == '')
            assert(root[2].text == 'z' and next(root[2].attributes) == nil)",
        );
    }

    #[test]
    fn what_is_no_xml_is_refused_with_its_place() {
        for (text, why) in [
            (&b""[..], "no element"),
            (b"<a>", "never closed"),
            (b"<a/>\n <b/>", "line 2, column 2: there is a second root element"),
            (b"<a/>x", "outside the root element"),
            (b"<a></b>", "line 1"),
            (b"<a>&nbsp;</a>", "there is no entity &nbsp;"),
            (b"<!DOCTYPE a [<!ENTITY x 'xxxx'>]><a>&x;</a>", "document type"),
            (b"<a b='1' b='2'/>", "line 1"),
            (b"<a>\xff</a>", "not UTF-8, from byte 4 on"),
        ] {
            let problem = problem(text);
            assert!(problem.contains(why), "{problem}");
        }
        let deep = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(is_read(&deep(MAX_DEPTH)));
        assert!(problem(deep(MAX_DEPTH + 1).as_bytes()).contains("nested deeper"));
        assert!(problem("<a>".repeat(100_000).as_bytes()).contains("nested deeper"));
        let many =
            |count: usize| format!("<a {}/>", (0..count).map(|number| format!("a{number}='' ")).collect::<String>());
        assert!(is_read(&many(MAX_ATTRIBUTES)));
        assert!(problem(many(MAX_ATTRIBUTES + 1).as_bytes()).contains("more than 256 attributes"));
    }
}
