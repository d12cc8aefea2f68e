//! The configuration of an instance.

use std::path::{Path, PathBuf};

use crate::abi;
use crate::raw::{bytes, filled_up, text};

/// The configuration of an instance: the `<Config>` element of Application.xml or Server.xml.
///
/// Attributes have become elements, and variables have been replaced.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    xml: &'a str,
    root: &'a str,
    handed_over: &'a [u8],
}

impl<'a> Config<'a> {
    /// A configuration for tests of a plugin: `xml` is a whole `<Config>` element.
    pub fn new(xml: &'a str, root: &'a str) -> Self {
        Self { xml, root, handed_over: &[] }
    }

    /// The same configuration for a registry that goes on with `state`, for tests of a plugin.
    #[must_use]
    pub fn with_handed_over(self, state: &'a [u8]) -> Self {
        Self { handed_over: state, ..self }
    }

    /// # Safety
    /// Everything that `raw` points to is as the header says, and stays so for as long as `'a` lasts.
    pub(crate) unsafe fn from_raw(raw: &'a abi::introd_create) -> Self {
        // SAFETY: the caller says so, and each field that a host does not know may be zeros.
        unsafe {
            let raw = filled_up(std::ptr::from_ref(raw));
            Self { xml: text(raw.config), root: text(raw.root), handed_over: bytes(raw.handed_over) }
        }
    }

    /// The whole element, as text.
    pub fn xml(&self) -> &'a str {
        self.xml
    }

    /// What the registry of the process that this server takes over from has given by
    /// [`RegistryPlugin::hand_over`](crate::RegistryPlugin::hand_over); `None` if there is no such process, or it gave nothing.
    pub fn handed_over(&self) -> Option<&'a [u8]> {
        Some(self.handed_over).filter(|state| !state.is_empty())
    }

    /// A path of the configuration. A relative path is taken to be relative to the folder that holds `conf`.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        Path::new(self.root).join(path)
    }
}

/// A configuration does not fit the type that it was parsed into.
#[cfg(feature = "config")]
#[derive(Debug)]
pub struct ConfigError(quick_xml::DeError);

#[cfg(feature = "config")]
impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the configuration is not understood: {}", self.0)
    }
}

#[cfg(feature = "config")]
impl std::error::Error for ConfigError {}

#[cfg(feature = "config")]
impl Config<'_> {
    /// Parses the element into a type of the plugin: a struct with a field for each element in it, and a `Vec` for an element that may
    /// be repeated. With `#[serde(deny_unknown_fields)]` a misspelled element is an error.
    ///
    /// # Errors
    /// If the configuration does not fit the type.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConfigError> {
        quick_xml::de::from_str(self.xml).map_err(ConfigError)
    }

    /// The text of the first child element of this name; for plugins that need a value or two.
    pub fn text(&self, name: &str) -> Option<String> {
        use quick_xml::Reader;
        use quick_xml::events::Event;

        let mut reader = Reader::from_str(self.xml);
        let mut depth = 0;
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) if depth == 1 && start.name().as_ref() == name => {
                    let end = start.to_end().into_owned();
                    let text = reader.read_text(end.name()).ok()?;
                    let text = quick_xml::escape::unescape(text.as_ref()).ok()?;
                    return Some(text.trim().to_owned());
                }
                Event::Empty(empty) if depth == 1 && empty.name().as_ref() == name => {
                    return Some(String::new());
                }
                Event::Start(_) => depth += 1,
                Event::End(_) => depth -= 1,
                Event::Eof => return None,
                _ => (),
            }
        }
    }
}

#[cfg(all(test, feature = "config"))]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        limit: u32,
        #[serde(default)]
        name: Vec<String>,
    }

    #[test]
    fn elements_become_fields() {
        let config = Config::new("<Config><limit>10</limit><name>a &amp; b</name><name>c</name></Config>", "/srv");
        let known: Known = config.parse().unwrap();
        assert_eq!(known, Known { limit: 10, name: vec!["a & b".to_owned(), "c".to_owned()] });
        assert_eq!(config.text("limit").as_deref(), Some("10"));
        assert_eq!(config.text("name").as_deref(), Some("a & b"));
        assert_eq!(config.text("other"), None);
        assert_eq!(config.path("lists/a.txt"), Path::new("/srv/lists/a.txt"));
        assert_eq!(config.path("/etc/a.txt"), Path::new("/etc/a.txt"));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        for xml in ["<Config><limit>many</limit></Config>", "<Config><limits>1</limits></Config>", "<Config>", "", "x"]
        {
            let error = Config::new(xml, "").parse::<Known>().unwrap_err().to_string();
            assert!(error.starts_with("the configuration is not understood: "), "{error}");
            assert_eq!(Config::new(xml, "").text("name"), None);
        }
    }

    #[test]
    fn only_what_is_directly_in_it_counts() {
        let config = Config::new("<Config><in><name>x</name></in><name/><name>y</name></Config>", "");
        assert_eq!(config.text("name").as_deref(), Some(""));
    }
}
