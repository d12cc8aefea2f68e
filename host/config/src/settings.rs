//! Settings that the server hands on without knowing them: to scripts and to plugins.

use super::key::{Key, Scope};
use super::overlay::OVERRIDE;
use super::texts::Tree;
use super::view::View;
use super::xml::Element;

/// What stands in an element of free form. Attributes count as elements in it that hold a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XmlSettings {
    /// Its text, without the white space around it.
    pub text: String,
    /// What is in it, by name and in order; a name may come several times.
    pub children: Vec<(String, XmlSettings)>,
}

impl XmlSettings {
    /// What stands in the element of a key.
    pub(super) fn read<S: Scope>(view: &View<'_, S>, key: &Key<S, Tree>) -> Self {
        view.tree(key).map(Self::from).unwrap_or_default()
    }

    /// An element of that name that holds it all. What were attributes are elements.
    pub fn to_xml(&self, name: &str) -> String {
        let mut out = String::new();
        self.put_xml(name, &mut out);
        out
    }

    // Not deeper than the parser allows.
    fn put_xml(&self, name: &str, out: &mut String) {
        // Names come from the parser, which lets nothing through that would have to be escaped.
        out.extend(["<", name, ">"]);
        out.push_str(&quick_xml::escape::escape(self.text.as_str()));
        for (name, child) in &self.children {
            child.put_xml(name, out);
        }
        out.extend(["</", name, ">"]);
    }

    /// The first child of that name.
    pub fn get(&self, name: &str) -> Option<&XmlSettings> {
        self.children.iter().find(|(known, _)| known == name).map(|(_, settings)| settings)
    }
}

impl From<&Element> for XmlSettings {
    // Not deeper than the parser allows.
    fn from(element: &Element) -> Self {
        let attributes = element.attributes.iter().filter(|attribute| attribute.name != OVERRIDE.name);
        let attributes = attributes.map(|it| (it.name.clone(), Self { text: it.value.clone(), children: Vec::new() }));
        let elements = element.children.iter().map(|child| (child.name.clone(), Self::from(child)));
        Self { text: element.text.clone(), children: attributes.chain(elements).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(text: &str) -> XmlSettings {
        XmlSettings { text: text.into(), children: Vec::new() }
    }

    #[test]
    fn settings_are_written_as_elements_with_their_text_escaped() {
        let limits = XmlSettings { text: String::new(), children: vec![("Max".into(), leaf("5"))] };
        let children = vec![("Name".into(), leaf("a<b&c")), ("Limits".into(), limits), ("Name".into(), leaf(""))];
        let settings = XmlSettings { text: "text".into(), children };
        let expected = "<Mine>text<Name>a&lt;b&amp;c</Name><Limits><Max>5</Max></Limits><Name></Name></Mine>";
        assert_eq!(settings.to_xml("Mine"), expected);
        assert_eq!(settings.get("Name"), Some(&leaf("a<b&c")), "the first of that name");
        assert_eq!((settings.get("Max"), settings.get("name")), (None, None));
    }
}
