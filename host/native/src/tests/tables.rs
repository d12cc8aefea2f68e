//! Tables of plugins that are taken, and others that are refused.

use std::ffi::{c_char, c_void};

use ::introd_plugin::abi::{
    INTROD_ABI_MAJOR, INTROD_EXT_REGISTRY, INTROD_EXT_TIMER, introd_bytes, introd_plugin, introd_plugin_registry,
    introd_plugin_timer,
};

use super::fake::{Kind, registry_table, table};
use crate::library::Library;
use crate::values::raw_bytes;

fn refusal(change: impl FnOnce(&mut introd_plugin)) -> Option<String> {
    let mut table = table();
    change(&mut table);
    Library::of_table(Box::leak(Box::new(table))).err().map(|error| error.to_string())
}

fn text(length: usize) -> introd_bytes {
    raw_bytes(Box::leak(vec![b'x'; length].into_boxed_slice()))
}

#[test]
fn what_a_plugin_says_of_itself_is_bounded() {
    for (length, is_taken) in [(0, false), (1, true), (64, true), (65, false)] {
        assert_eq!(refusal(|table| table.name = text(length)).is_none(), is_taken, "{length}");
    }
    for (length, is_taken) in [(0, true), (64, true), (65, false)] {
        assert_eq!(refusal(|table| table.version = text(length)).is_none(), is_taken, "{length}");
    }
    for (length, is_taken) in [(0, true), (1024, true), (1025, false)] {
        assert_eq!(refusal(|table| table.description = text(length)).is_none(), is_taken, "{length}");
    }
    for name in ["a b", "a.b", "\u{e4}", "a\n"] {
        assert!(refusal(|table| table.name = raw_bytes(name.as_bytes())).is_some(), "{name:?}");
    }
    assert!(refusal(|table| table.name = raw_bytes(b"Az-09_")).is_none());
    let nowhere = introd_bytes { ptr: std::ptr::null(), len: 3 };
    assert!(refusal(|table| table.version = nowhere).is_some_and(|why| why.contains("its version is no text")));
    assert!(refusal(|table| table.description = raw_bytes(b"\xff")).is_some());
}

#[test]
fn a_table_is_whole_and_of_this_version() {
    let whole = size_of::<introd_plugin>() as u32;
    for (size, is_taken) in [(12, false), (whole - 1, false), (whole, true), (whole + 8, true)] {
        assert_eq!(refusal(|table| table.struct_size = size).is_none(), is_taken, "{size}");
    }
    for (major, is_taken) in [(INTROD_ABI_MAJOR - 1, false), (INTROD_ABI_MAJOR, true), (INTROD_ABI_MAJOR + 1, false)] {
        assert_eq!(refusal(|table| table.abi_major = major).is_none(), is_taken, "{major}");
    }
    assert!(refusal(|table| table.abi_minor = 99).is_none(), "what it has beyond that is not called");
    assert!(refusal(|table| table.create = None).is_some() && refusal(|table| table.destroy = None).is_some());
    assert!(refusal(|table| table.get_extension = None).is_none());
}

#[test]
fn a_further_table_counts_if_it_is_as_long_as_in_its_first_version() {
    /// A registry of version 1.0, and the function that came with 1.1 behind its end.
    static REGISTRY: introd_plugin_registry = introd_plugin_registry {
        struct_size: std::mem::offset_of!(introd_plugin_registry, publish_session) as u32,
        capabilities: 0,
        publish: None,
        withdraw: None,
        lookup: None,
        publish_session: Some(publish_session),
        reconfigure: None,
        servers: None,
        hand_over: None,
        took_over: None,
        handed_over: None,
    };
    static TIMER: introd_plugin_timer =
        introd_plugin_timer { struct_size: size_of::<introd_plugin_timer>() as u32 - 1, reserved: 0, on_timer: None };

    unsafe extern "C" fn publish_session(_: *mut c_void, _: *const ::introd_plugin::abi::introd_publication) -> i32 {
        0
    }
    unsafe extern "C" fn get_extension(id: *const c_char) -> *const c_void {
        // SAFETY: the host gives a text that ends with a zero.
        match unsafe { std::ffi::CStr::from_ptr(id) } {
            id if id == INTROD_EXT_TIMER => (&raw const TIMER).cast(),
            id if id == INTROD_EXT_REGISTRY => (&raw const REGISTRY).cast(),
            _ => std::ptr::null(),
        }
    }
    let table = Box::leak(Box::new(introd_plugin { get_extension: Some(get_extension), ..table() }));
    let library = Library::of_table(table).unwrap();
    assert!(library.extension::<introd_plugin_timer>(INTROD_EXT_TIMER).is_none(), "it is too short");
    assert!(library.registry().is_some_and(|registry| registry.publish_session.is_none()), "nothing behind its end");
    assert_eq!(library.extensions(), ["introd.registry/1"]);
}

#[test]
fn what_a_plugin_offers_is_listed() {
    let library = |table| Library::of_table(Box::leak(Box::new(table))).unwrap();
    let whole = library(registry_table(Kind::Current));
    assert_eq!(whole.extensions(), ["introd.registry/1", "introd.groups/1", "introd.timer/1"]);
    let of_groups = library(registry_table(Kind::Groups)).extensions();
    assert_eq!(of_groups, ["introd.registry/1", "introd.group-registry/1", "introd.groups/1", "introd.timer/1"]);
    assert_eq!(whole.callbacks(), ["connect", "disconnect", "addresses_changed", "lookup", "cancel"]);
    assert!(whole.registry().is_some_and(|registry| registry.publish_session.is_some()));
    let bare = library(introd_plugin { connect: None, lookup: None, get_extension: None, ..table() });
    assert_eq!((bare.extensions(), bare.callbacks()), (vec![], vec!["disconnect", "addresses_changed", "cancel"]));
}

#[test]
fn a_text_of_no_length_may_be_nowhere() {
    let nowhere = introd_bytes { ptr: std::ptr::null(), len: 0 };
    assert!(refusal(|table| (table.version, table.description) = (nowhere, nowhere)).is_none());
}
