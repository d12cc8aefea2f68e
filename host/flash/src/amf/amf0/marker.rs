//! Type markers (AMF0 §2.1).

pub(in crate::amf) const NUMBER: u8 = 0x00;
pub(in crate::amf) const BOOLEAN: u8 = 0x01;
pub(in crate::amf) const STRING: u8 = 0x02;
pub(in crate::amf) const OBJECT: u8 = 0x03;
pub(in crate::amf) const MOVIE_CLIP: u8 = 0x04;
pub(in crate::amf) const NULL: u8 = 0x05;
pub(in crate::amf) const UNDEFINED: u8 = 0x06;
pub(in crate::amf) const REFERENCE: u8 = 0x07;
pub(in crate::amf) const ECMA_ARRAY: u8 = 0x08;
pub(in crate::amf) const OBJECT_END: u8 = 0x09;
pub(in crate::amf) const STRICT_ARRAY: u8 = 0x0a;
pub(in crate::amf) const DATE: u8 = 0x0b;
pub(in crate::amf) const LONG_STRING: u8 = 0x0c;
pub(in crate::amf) const UNSUPPORTED: u8 = 0x0d;
pub(in crate::amf) const RECORD_SET: u8 = 0x0e;
pub(in crate::amf) const XML_DOCUMENT: u8 = 0x0f;
pub(in crate::amf) const TYPED_OBJECT: u8 = 0x10;
pub(in crate::amf) const AVMPLUS: u8 = 0x11;
