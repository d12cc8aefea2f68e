//! What C makes of the header is what Rust makes of its types; and nothing of a released header has moved or changed.
//!
//! The header is plain enough to be read line by line: each struct is `typedef struct NAME {`, each field ends with `;`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use ::introd_plugin::abi::*;

/// Offset and size of each field, and size and alignment of the whole.
struct Layout {
    name: &'static str,
    size: usize,
    align: usize,
    fields: Vec<(&'static str, usize, usize)>,
}

fn size_of_field<T, F>(_: impl FnOnce(*const T) -> *const F) -> usize {
    size_of::<F>()
}

macro_rules! layouts {
    ($($name:ident { $($field:ident),* $(,)? })*) => {
        vec![$(Layout {
            name: stringify!($name),
            size: size_of::<$name>(),
            align: align_of::<$name>(),
            fields: vec![$((
                stringify!($field),
                std::mem::offset_of!($name, $field),
                // SAFETY: nothing is read; only the type of the field is asked for.
                #[allow(unsafe_code, reason = "taking the address of a field of no object")]
                size_of_field(|table: *const $name| unsafe { &raw const (*table).$field }),
            )),*],
        }),*]
    };
}

fn layouts() -> Vec<Layout> {
    layouts! {
        introd_bytes { ptr, len }
        introd_peer_id { bytes }
        introd_address { ip, port, family, origin }
        introd_client { id, peer }
        introd_verdict {
            struct_size, kind, addresses, address_count, peer, text, uri, members, member_count, relay_bytes_per_second,
            relay_lifetime_ms,
        }
        introd_lookup {
            struct_size, flags, target, asker, initiator, interface_id, tag, epd, application, instance,
            asker_application, asker_instance, attempt, reserved,
        }
        introd_connect {
            struct_size, argument_count, client, far_address, near_address, far_nonce, near_nonce, application, instance, uri,
            query, agent, referrer, page_url, arguments,
        }
        introd_disconnect { struct_size, reserved, client, application, instance, reason }
        introd_address_change {
            struct_size, changed, client, application, instance, far_address, reported_count, reported,
        }
        introd_peer { struct_size, reported_count, client, observed, reported }
        introd_create { struct_size, reserved, config, root, handed_over }
        introd_host {
            struct_size, abi_major, abi_minor, reserved, context, name, version, answer, defer, complete, find_peer,
            introduce, disconnect, get_extension,
        }
        introd_plugin {
            struct_size, abi_major, abi_minor, reserved, name, version, description, create, destroy, connect, disconnect,
            addresses_changed, lookup, cancel, get_extension,
        }
        introd_host_log { struct_size, reserved, is_enabled, log }
        introd_host_metrics { struct_size, reserved, metric, add, set }
        introd_host_timer { struct_size, reserved, start, stop }
        introd_plugin_timer { struct_size, reserved, on_timer }
        introd_plugin_registry {
            struct_size, capabilities, publish, withdraw, lookup, publish_session, reconfigure, servers, hand_over,
            took_over, handed_over,
        }
        introd_registry_server { struct_size, flags, name }
        introd_publication { struct_size, flags, client, addresses, address_count }
        introd_host_registry { struct_size, reserved, changed }
        introd_group_id { bytes }
        introd_group_event { struct_size, reserved, id, client, application, instance, members, group }
        introd_plugin_groups { struct_size, reserved, join, leave }
        introd_host_groups { struct_size, reserved, members, hint }
        introd_ring_position { bytes }
        introd_group_member { struct_size, reserved, group, peer, position }
        introd_neighbor_query { struct_size, reserved, group, peer, position, near_count, far_count }
        introd_plugin_group_registry { struct_size, reserved, join, leave, neighbors }
    }
}

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

/// Each struct of a header with the declarations of its fields, and the macros and other types with what they stand for.
#[derive(Debug, Default)]
struct Header {
    structs: BTreeMap<String, Vec<String>>,
    others: BTreeMap<String, String>,
}

fn read(path: &Path) -> Header {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        plain.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    let mut header = Header::default();
    for line in plain.lines() {
        if let Some(definition) = line.strip_prefix("#define ")
            && let Some((name, value)) = definition.split_once(' ')
        {
            header.others.insert(name.to_owned(), value.to_owned());
        }
    }
    let mut rest = plain.as_str();
    while let Some((_, after)) = rest.split_once("typedef ") {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(body) = after.strip_prefix("struct ")
            && let Some((name, body)) = body.split_once(" {\n")
            && !name.contains(';')
        {
            let (body, after) = body.split_once("\n}").unwrap_or_else(|| panic!("{name} has no end"));
            let fields = body.split(';').map(words).filter(|field| !field.is_empty()).collect();
            header.structs.insert(name.to_owned(), fields);
            rest = after;
        } else {
            let (declaration, after) = after.split_once(';').expect("a type ends");
            header.others.insert(words(declaration), String::new());
            rest = after;
        }
    }
    header
}

/// The name that a declaration gives.
fn name_of(field: &str) -> &str {
    let declarator = field.split_once("(*").map_or(field, |(_, rest)| rest);
    let end = declarator.find([')', '[']).unwrap_or(declarator.len());
    let name = &declarator[..end];
    name.rsplit([' ', '*']).next().unwrap_or(name)
}

#[test]
fn no_field_is_forgotten() {
    let header = read(&include().join("introd_plugin.h"));
    let layouts = layouts();
    let known: BTreeMap<&str, Vec<&str>> =
        layouts.iter().map(|layout| (layout.name, layout.fields.iter().map(|field| field.0).collect())).collect();
    let there: BTreeMap<&str, Vec<&str>> = header
        .structs
        .iter()
        .map(|(name, fields)| (name.as_str(), fields.iter().map(|field| name_of(field)).collect()))
        .collect();
    assert_eq!(known, there);
}

#[test]
fn c_and_cpp_see_the_same_layouts() {
    let mut source = "#include <introd_plugin.h>\n#ifdef __cplusplus\n#define _Static_assert static_assert\n#define _Alignof alignof\n#endif\n".to_owned();
    for Layout { name, size, align, fields } in layouts() {
        source += &format!("_Static_assert(sizeof({name}) == {size}, \"{name}\");\n");
        source += &format!("_Static_assert(_Alignof({name}) == {align}, \"{name}\");\n");
        for (field, offset, size) in fields {
            source += &format!("_Static_assert(offsetof({name}, {field}) == {offset}, \"{name}.{field}\");\n");
            source += &format!("_Static_assert(sizeof((({name} *)0)->{field}) == {size}, \"{name}.{field}\");\n");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for (compiler, standard, file) in [("cc", "-std=c11", "layout.c"), ("c++", "-std=c++17", "layout.cpp")] {
        let file = folder.path().join(file);
        std::fs::write(&file, &source).unwrap();
        let mut command = Command::new(compiler);
        command.args([standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I"]);
        let output = command.arg(include()).arg(&file).output().expect("there is a compiler");
        assert!(output.status.success(), "{compiler}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What breaks plugins that were built with an older header.
fn breaks(old: &Header, new: &Header) -> Vec<String> {
    let mut breaks = Vec::new();
    for (name, fields) in &old.structs {
        let Some(now) = new.structs.get(name) else {
            breaks.push(format!("{name} is gone"));
            continue;
        };
        // What begins with its size may grow. The others stand in arrays and in other structs.
        let may_grow = fields.first().is_some_and(|field| field == "uint32_t struct_size");
        for (place, field) in fields.iter().enumerate() {
            match now.get(place) {
                Some(now) if now == field => (),
                Some(now) => breaks.push(format!("{name}: `{field}` has become `{now}`")),
                None => breaks.push(format!("{name}: `{field}` is gone")),
            }
        }
        if !may_grow && now.len() > fields.len() {
            breaks.push(format!("{name} has grown"));
        }
    }
    for (name, value) in &old.others {
        let may_change = name == "INTROD_ABI_MINOR";
        match new.others.get(name) {
            Some(now) if now == value || may_change => (),
            Some(now) => breaks.push(format!("{name} was {value} and is {now}")),
            None => breaks.push(format!("{name} is gone")),
        }
    }
    breaks
}

#[test]
fn released_headers_still_hold() {
    let new = read(&include().join("introd_plugin.h"));
    let mut releases = 0;
    for entry in std::fs::read_dir(include().join("frozen")).unwrap() {
        let path = entry.unwrap().path().join("introd_plugin.h");
        if path.exists() {
            releases += 1;
            assert_eq!(breaks(&read(&path), &new), Vec::<String>::new(), "{}", path.display());
        }
    }
    assert!(releases > 0);
}

#[test]
fn the_guard_sees_what_breaks() {
    let path = include().join("introd_plugin.h");
    let old = read(&path);
    assert!(old.structs.len() > 20 && old.others.len() > 40, "{old:?}");
    let mut new = read(&path);
    let host = new.structs.get_mut("introd_host").unwrap();
    host.push("int32_t (*later)(void)".to_owned());
    assert_eq!(breaks(&old, &new), Vec::<String>::new(), "tables may grow");
    let host = new.structs.get_mut("introd_host").unwrap();
    host.swap(6, 7);
    assert_eq!(breaks(&old, &new).len(), 2, "fields may not move");
    let mut new = read(&path);
    new.structs.get_mut("introd_lookup").unwrap()[1] = "uint64_t flags".to_owned();
    new.structs.get_mut("introd_address").unwrap().push("uint32_t scope".to_owned());
    new.structs.remove("introd_peer");
    new.others.insert("INTROD_DENY".to_owned(), "9".to_owned());
    new.others.remove("INTROD_IGNORE");
    let breaks = breaks(&old, &new);
    assert_eq!(breaks.len(), 5, "{breaks:?}");
}
