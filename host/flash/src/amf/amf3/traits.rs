//! The traits that objects of one class share (AMF3 §3.12).

/// The traits of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::amf) struct Traits {
    pub(in crate::amf) class: String,
    pub(in crate::amf) dynamic: bool,
    /// Whether the class writes its objects in a form of its own.
    pub(in crate::amf) externalizable: bool,
    pub(in crate::amf) sealed: Vec<String>,
}

/// The classes of Flex that write their objects as the one value that they wrap. AIR clients built with Flex send them. The forms of
/// other such classes are not known.
const WRAPPERS: [&str; 3] =
    ["flex.messaging.io.ArrayCollection", "flex.messaging.io.ArrayList", "flex.messaging.io.ObjectProxy"];

impl Traits {
    /// Whether objects of this externalizable class are written as one AMF3 value.
    pub(super) fn is_wrapper(&self) -> bool {
        WRAPPERS.contains(&self.class.as_str())
    }
}
