//! XML text as a small tree in which everything knows its place.

use std::path::Path;
use std::sync::Arc;

use quick_xml::errors::{Error as XmlError, IllFormedError};
use quick_xml::escape::EscapeError;
use quick_xml::events::attributes::AttrError;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::encoding;
use super::positions::Positions;
use super::problem::{Place, Problem};

/// Deeper nesting than any known element needs.
const MAX_DEPTH: usize = 32;
/// More elements than any sensible file has.
const MAX_ELEMENTS: usize = 20_000;
/// As much of the name of an encoding is shown.
const MAX_SHOWN: usize = 40;
/// More attributes than any known element has.
const MAX_ATTRIBUTES: usize = 16;

/// An element with all that is in it.
#[derive(Clone, Debug)]
pub(super) struct Element {
    /// Its name.
    pub(super) name: String,
    /// Where its tag begins.
    pub(super) place: Place,
    /// Its attributes in order; no name comes twice.
    pub(super) attributes: Vec<Attribute>,
    /// The elements in it.
    pub(super) children: Vec<Element>,
    /// The text in it, without the white space around it.
    pub(super) text: String,
    /// Where the text begins, or the tag if there is none.
    pub(super) text_place: Place,
}

/// An attribute.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    /// Its name.
    pub(super) name: String,
    /// Where its name begins.
    pub(super) place: Place,
    /// Its value, without the white space around it.
    pub(super) value: String,
}

impl Element {
    /// An element with nothing in it: what is left out in a file.
    pub(super) fn empty(name: &str, place: &Place) -> Self {
        Self {
            name: name.into(),
            place: place.clone(),
            attributes: Vec::new(),
            children: Vec::new(),
            text: String::new(),
            text_place: place.clone(),
        }
    }

    /// Whether there is any value in it.
    // Not deeper than the parser allows.
    pub(super) fn says_something(&self) -> bool {
        !self.text.is_empty()
            || self.attributes.iter().any(|attribute| !attribute.value.is_empty())
            || self.children.iter().any(Self::says_something)
    }

    /// Takes what is missing here from another element of the same kind.
    // Not deeper than the parser allows.
    pub(super) fn fill_in(&mut self, other: Element) {
        if self.text.is_empty() {
            (self.text, self.text_place) = (other.text, other.text_place);
        }
        for attribute in other.attributes {
            if self.attribute(&attribute.name).is_none() {
                self.attributes.push(attribute);
            }
        }
        for child in other.children {
            match self.children.iter_mut().find(|known| known.name == child.name) {
                Some(known) => known.fill_in(child),
                None => self.children.push(child),
            }
        }
    }

    /// The attribute of that name.
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The first element in it of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Reads the text of `file` into its root element. There are no document types and so no entities but XML's own five.
///
/// # Errors
/// The first thing that is not well-formed or beyond the bounds: after it nothing else can be trusted.
pub(super) fn parse(file: &Arc<Path>, text: &str) -> Result<Element, Problem> {
    let mut tree = Tree { positions: Positions::new(file, text), open: Vec::new(), root: None, elements: 0 };
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = false;
    loop {
        let start = offset(reader.buffer_position());
        let event = reader.read_event().map_err(|error| tree.malformed(&reader, &error))?;
        match event {
            Event::Start(tag) => tree.start(start, &tag, false)?,
            Event::Empty(tag) => tree.start(start, &tag, true)?,
            Event::End(_) => tree.end(),
            Event::Text(piece) => tree.text(start, &piece.xml10_content())?,
            Event::CData(piece) => tree.text(start, &piece.xml10_content())?,
            Event::GeneralRef(reference) => {
                let character = tree.resolve(start, &reference)?;
                tree.text(start, &character)?;
            }
            Event::DocType(_) => {
                return Err(tree.error(start, "a document type (and with it any entity of one's own) is not allowed"));
            }
            Event::Decl(declaration) => {
                // What it names has been made UTF-8 of before.
                let encoding = declaration.encoding().and_then(Result::ok).unwrap_or_default();
                if !encoding.is_empty() && !encoding::is_known(&encoding) {
                    let encoding: String = encoding.escape_debug().take(MAX_SHOWN).collect();
                    return Err(
                        tree.error(start, format!("the encoding {encoding} is not known; save the file in UTF-8"))
                    );
                }
            }
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => return tree.finish(start),
        }
    }
}

fn no_entity(name: &str) -> String {
    format!("there is no entity &{name}; (only &lt; &gt; &amp; &apos; &quot;)")
}

fn bad_value(attribute: &str, error: &XmlError) -> String {
    match error {
        XmlError::Escape(EscapeError::UnrecognizedEntity(_, name)) => no_entity(name),
        other => format!("in the value of {attribute}: {other}"),
    }
}

/// Files are far below 4 GiB; anything else would be an error of the reader.
fn offset(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// The tree while it grows.
struct Tree<'a> {
    positions: Positions<'a>,
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Tree<'_> {
    fn error(&mut self, at: usize, message: impl Into<String>) -> Problem {
        Problem::error(&self.positions.place(at), message)
    }

    fn malformed(&mut self, reader: &Reader<&[u8]>, error: &XmlError) -> Problem {
        let message = match error {
            XmlError::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => {
                let opened = self.open.last().map_or(0, |element| element.place.line());
                format!("</{found}> closes <{expected}>, opened in line {opened}")
            }
            XmlError::IllFormed(IllFormedError::UnmatchedEndTag(name)) => format!("</{name}> closes nothing"),
            XmlError::IllFormed(IllFormedError::UnclosedReference) => {
                "& begins an entity; the character itself is &amp;".into()
            }
            XmlError::IllFormed(error) => error.to_string(),
            XmlError::Syntax(error) => error.to_string(),
            other => other.to_string(),
        };
        self.error(offset(reader.error_position()), message)
    }

    fn start(&mut self, at: usize, tag: &BytesStart<'_>, is_closed: bool) -> Result<(), Problem> {
        if self.open.is_empty() && self.root.is_some() {
            return Err(self.error(at, "a second root element; a file has one"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.error(at, format!("elements are nested deeper than {MAX_DEPTH}")));
        }
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(self.error(at, format!("more than {MAX_ELEMENTS} elements")));
        }
        let place = self.positions.place(at);
        let mut element = Element::empty(tag.name().as_ref(), &place);
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| self.bad_attribute(at, &error))?;
            let name: &str = attribute.key.as_ref();
            let place = self.positions.place_of(name).unwrap_or_else(|| place.clone());
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| Problem::error(&place, bad_value(name, &error)))?;
            if element.attributes.len() == MAX_ATTRIBUTES {
                return Err(Problem::error(&place, format!("more than {MAX_ATTRIBUTES} attributes")));
            }
            element.attributes.push(Attribute { name: name.into(), place, value: value.trim().into() });
        }
        self.open.push(element);
        if is_closed {
            self.end();
        }
        Ok(())
    }

    /// Positions in such errors count from the name of the tag, which stands behind its `<`.
    fn bad_attribute(&mut self, at: usize, error: &AttrError) -> Problem {
        let (position, message) = match error {
            AttrError::ExpectedEq(position) => (position, "an attribute is `name=\"value\"`"),
            AttrError::ExpectedValue(position) => (position, "an attribute without a value"),
            AttrError::UnquotedValue(position) => (position, "the value of an attribute stands in quotes"),
            AttrError::ExpectedQuote(position, _) => {
                (position, "the value of an attribute ends with the quote that it begins with")
            }
            AttrError::Duplicated(position, _) => (position, "this attribute stands there already"),
        };
        self.error(at.saturating_add(1).saturating_add(*position), message)
    }

    fn end(&mut self) {
        let Some(mut element) = self.open.pop() else { return };
        element.text.truncate(element.text.trim_end().len());
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    /// Adds a piece of text; the white space in front of the first is dropped.
    fn text(&mut self, at: usize, piece: &str) -> Result<(), Problem> {
        let leading = piece.len() - piece.trim_start().len();
        if self.open.is_empty() {
            return if leading == piece.len() {
                Ok(())
            } else {
                Err(self.error(at + leading, "text outside the root element"))
            };
        }
        let place = self.positions.place(at + leading);
        let Some(element) = self.open.last_mut() else { return Ok(()) };
        if !element.text.is_empty() {
            element.text.push_str(piece);
        } else if leading < piece.len() {
            element.text.push_str(piece.trim_start());
            element.text_place = place;
        }
        Ok(())
    }

    fn resolve(&mut self, at: usize, reference: &BytesRef<'_>) -> Result<String, Problem> {
        match reference.resolve_char_ref() {
            Ok(Some(character)) => return Ok(character.into()),
            Ok(None) => {}
            Err(error) => return Err(self.error(at, error.to_string())),
        }
        let name = reference.xml10_content();
        let character = match name.as_ref() {
            "lt" => "<",
            "gt" => ">",
            "amp" => "&",
            "apos" => "'",
            "quot" => "\"",
            name => return Err(self.error(at, no_entity(name))),
        };
        Ok(character.into())
    }

    fn finish(mut self, at: usize) -> Result<Element, Problem> {
        if let Some(element) = self.open.last() {
            return Err(Problem::error(&element.place, format!("<{}> is never closed", element.name)));
        }
        match self.root.take() {
            Some(root) => Ok(root),
            None => Err(self.error(at, "the file holds no element")),
        }
    }
}
