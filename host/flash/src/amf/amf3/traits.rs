//! What objects of one class have in common (AMF3 §3.12).

/// The traits of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct Traits {
    pub(in super::super) class: String,
    pub(in super::super) dynamic: bool,
    /// The class writes itself in its own way.
    pub(in super::super) externalizable: bool,
    pub(in super::super) sealed: Vec<String>,
}

/// The classes of Flex that write themselves as the one value they wrap. They are what AIR clients built with Flex send;
/// any other class's form is known to its authors alone.
const WRAPPERS: [&str; 3] =
    ["flex.messaging.io.ArrayCollection", "flex.messaging.io.ArrayList", "flex.messaging.io.ObjectProxy"];

impl Traits {
    /// Whether objects of this externalizable class are written as one AMF3 value.
    pub(super) fn is_wrapper(&self) -> bool {
        WRAPPERS.contains(&self.class.as_str())
    }
}
