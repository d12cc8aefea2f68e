//! Values of ActionScript, as both formats have them.

/// A value of AMF0 or AMF3.
///
/// Both formats are decoded to it, and it can be written in both. A value that AMF0 has no type for is embedded as AMF3.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `undefined`.
    #[default]
    Undefined,
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// AMF3's 29-bit signed integer. Outside −2^28 ..= 2^28−1, and in AMF0, it is written as a number.
    Integer(i32),
    /// A double.
    Number(f64),
    /// Text; in AMF0 also the long string.
    String(String),
    /// A point in time.
    Date {
        /// Milliseconds since 1970-01-01 00:00 UTC.
        milliseconds: f64,
        /// Minutes. It is reserved and 0 in practice, and AMF3 does not have it.
        time_zone: i16,
    },
    /// The XML document class of ActionScript 1 and 2 (`flash.xml.XMLDocument`).
    XmlDocument(String),
    /// The XML class of ActionScript 3.
    Xml(String),
    /// An object with named properties.
    Object(Object),
    /// An array without named parts: AMF0's strict array, AMF3's dense array.
    Array(Vec<Value>),
    /// An array with named parts.
    EcmaArray(EcmaArray),
    /// Bytes.
    ByteArray(Vec<u8>),
    /// A typed vector.
    Vector(Vector),
    /// A map from values to values.
    Dictionary {
        /// Whether the runtime has weak references to the keys.
        weak_keys: bool,
        /// The keys and values, in their order.
        entries: Vec<(Value, Value)>,
    },
    /// An object of a class that writes its objects as one value: the collection classes of Flex.
    Externalized {
        /// The class alias.
        class: String,
        /// The value that it has written.
        body: Box<Value>,
    },
}

/// An object with its class, and its properties in the order in which they were sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// The class alias; empty for a plain object.
    pub class: String,
    /// How many of the properties, from the first, are in the class's traits in AMF3. It is 0 in AMF0.
    pub sealed: usize,
    /// Whether AMF3 allows properties besides the sealed ones. It is true in AMF0.
    pub dynamic: bool,
    /// The names and values. If a name occurs twice, [`Object::get`] finds the last.
    pub properties: Vec<(String, Value)>,
}

impl Object {
    /// A plain object, without a class.
    pub fn plain(properties: Vec<(String, Value)>) -> Self {
        Self { class: String::new(), sealed: 0, dynamic: true, properties }
    }

    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.properties.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// An array with named parts: AMF0's ECMA array, whose indices are names too, and AMF3's associative array.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EcmaArray {
    /// The named part, in its order.
    pub named: Vec<(String, Value)>,
    /// The part with the indices 0, 1, 2, … AMF0 has no such part: there it is written with the names `0`, `1`, `2`, …
    pub dense: Vec<Value>,
}

/// AMF3's vectors. `fixed` says that the vector's length cannot change.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    /// `Vector.<int>`.
    Int {
        /// Whether the length is fixed.
        fixed: bool,
        /// The items.
        items: Vec<i32>,
    },
    /// `Vector.<uint>`.
    Uint {
        /// Whether the length is fixed.
        fixed: bool,
        /// The items.
        items: Vec<u32>,
    },
    /// `Vector.<Number>`.
    Double {
        /// Whether the length is fixed.
        fixed: bool,
        /// The items.
        items: Vec<f64>,
    },
    /// A vector of objects of one class.
    Object {
        /// Whether the length is fixed.
        fixed: bool,
        /// The class alias of the items; empty for any.
        class: String,
        /// The items.
        items: Vec<Value>,
    },
}

impl Value {
    /// A plain object with these properties.
    pub fn object<N: Into<String>, const COUNT: usize>(properties: [(N, Value); COUNT]) -> Self {
        Self::Object(Object::plain(properties.into_iter().map(|(name, value)| (name.into(), value)).collect()))
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one of either kind.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Integer(number) => Some(f64::from(*number)),
            _ => None,
        }
    }

    /// The value of a property of an object, or of a named part of an array.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Object(object) => object.get(name),
            Self::EcmaArray(array) => array.named.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}
