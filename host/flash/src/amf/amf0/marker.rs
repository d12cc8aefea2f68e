//! Type markers (AMF0 §2.1).

pub(in super::super) const NUMBER: u8 = 0x00;
pub(in super::super) const BOOLEAN: u8 = 0x01;
pub(in super::super) const STRING: u8 = 0x02;
pub(in super::super) const OBJECT: u8 = 0x03;
pub(in super::super) const MOVIE_CLIP: u8 = 0x04;
pub(in super::super) const NULL: u8 = 0x05;
pub(in super::super) const UNDEFINED: u8 = 0x06;
pub(in super::super) const REFERENCE: u8 = 0x07;
pub(in super::super) const ECMA_ARRAY: u8 = 0x08;
pub(in super::super) const OBJECT_END: u8 = 0x09;
pub(in super::super) const STRICT_ARRAY: u8 = 0x0a;
pub(in super::super) const DATE: u8 = 0x0b;
pub(in super::super) const LONG_STRING: u8 = 0x0c;
pub(in super::super) const UNSUPPORTED: u8 = 0x0d;
pub(in super::super) const RECORD_SET: u8 = 0x0e;
pub(in super::super) const XML_DOCUMENT: u8 = 0x0f;
pub(in super::super) const TYPED_OBJECT: u8 = 0x10;
pub(in super::super) const AVMPLUS: u8 = 0x11;
