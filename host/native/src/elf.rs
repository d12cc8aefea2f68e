//! What the first bytes of a file say of whether this process can load it. The system's own words can mislead: it says of a library for
//! another processor that there is no such file.

use std::io::Read;
use std::path::Path;

use introd_plugin::files;

/// The part of an ELF file's header that tells for what it was built.
const HEADER: usize = 20;
/// The types of ELF files (`e_type`).
const RELOCATABLE: u16 = 1;
const EXECUTABLE: u16 = 2;
const SHARED: u16 = 3;

/// Why this process cannot load a file, if the beginning of the file says so. `None` if it looks like a library for this machine, or
/// cannot be read.
pub(super) fn mismatch(path: &Path) -> Option<String> {
    let own = beginning(Path::new("/proc/self/exe"))?;
    why_not(&beginning(path)?, &own)
}

fn beginning(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HEADER);
    files::open(path).ok()?.0.take(HEADER as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn why_not(theirs: &[u8], own: &[u8]) -> Option<String> {
    if theirs.is_empty() {
        return Some("the file is empty".to_owned());
    }
    let Some(theirs) = Elf::read(theirs) else {
        return Some(not_elf(theirs).to_owned());
    };
    let own = Elf::read(own)?;
    if theirs.target() != own.target() {
        return Some(format!(
            "it is built for {}, and this server runs on {}: build it for this machine",
            theirs.machine_name(),
            own.machine_name()
        ));
    }
    match theirs.kind {
        RELOCATABLE => Some("it is an object file: link it as a shared library (cc -shared)".to_owned()),
        EXECUTABLE => Some("it is a program and no library".to_owned()),
        SHARED => None,
        _ => Some("it is no shared library".to_owned()),
    }
}

fn not_elf(bytes: &[u8]) -> &'static str {
    match bytes {
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => {
            "it is a static library: link it as a shared library (cc -shared)"
        }
        [b'M', b'Z', ..] => "it is a library for Windows",
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => "it is a library for macOS",
        _ => "it is no shared library (ELF)",
    }
}

/// For what an ELF file was built.
struct Elf {
    /// `EI_CLASS`: 1 for 32 bits, 2 for 64.
    class: u8,
    /// `EI_DATA`: 1 for little-endian, 2 for big-endian.
    order: u8,
    kind: u16,
    machine: u16,
}

impl Elf {
    fn read(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER] = bytes.first_chunk()?;
        let [0x7f, b'E', b'L', b'F', class, order, ..] = *header else { return None };
        let number = |at: usize| {
            let pair = [header[at], header[at + 1]];
            if order == 2 { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        Some(Self { class, order, kind: number(16), machine: number(18) })
    }

    fn target(&self) -> (u8, u8, u16) {
        (self.class, self.order, self.machine)
    }

    fn machine_name(&self) -> String {
        let name = match self.machine {
            3 => "x86 (32 bits)",
            8 => "MIPS",
            20 => "PowerPC",
            21 => "PowerPC (64 bits)",
            22 => "s390",
            40 => "ARM (32 bits)",
            62 if self.class == 1 => "x32",
            62 => "x86-64",
            183 => "ARM64",
            243 => "RISC-V",
            258 => "LoongArch",
            other => return format!("a machine of the ELF number {other}"),
        };
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(class: u8, order: u8, kind: u16, machine: u16) -> Vec<u8> {
        let mut bytes = vec![0x7f, b'E', b'L', b'F', class, order];
        bytes.resize(16, 0);
        for number in [kind, machine] {
            bytes.extend(if order == 2 { number.to_be_bytes() } else { number.to_le_bytes() });
        }
        bytes
    }

    #[test]
    fn a_file_for_another_machine_is_told_from_one_of_another_kind() {
        let own = elf(2, 1, SHARED, 62);
        for (theirs, expected) in [
            (elf(2, 1, SHARED, 62), None),
            (elf(2, 1, RELOCATABLE, 62), Some("it is an object file: link it as a shared library (cc -shared)")),
            (elf(2, 1, EXECUTABLE, 62), Some("it is a program and no library")),
            (elf(2, 1, 4, 62), Some("it is no shared library")),
            (
                elf(2, 1, SHARED, 183),
                Some("it is built for ARM64, and this server runs on x86-64: build it for this machine"),
            ),
            (
                elf(1, 1, SHARED, 3),
                Some("it is built for x86 (32 bits), and this server runs on x86-64: build it for this machine"),
            ),
            (
                elf(2, 2, SHARED, 22),
                Some("it is built for s390, and this server runs on x86-64: build it for this machine"),
            ),
            (b"!<arch>\n".to_vec(), Some("it is a static library: link it as a shared library (cc -shared)")),
            (b"MZ\x90\0".to_vec(), Some("it is a library for Windows")),
            (vec![0xcf, 0xfa, 0xed, 0xfe], Some("it is a library for macOS")),
            (b"\x7fELF".to_vec(), Some("it is no shared library (ELF)")),
            (b"#!/bin/sh\n".to_vec(), Some("it is no shared library (ELF)")),
            (Vec::new(), Some("the file is empty")),
        ] {
            assert_eq!(why_not(&theirs, &own).as_deref(), expected, "{theirs:x?}");
        }
    }

    #[test]
    fn this_program_is_for_this_machine() {
        let why = mismatch(Path::new("/proc/self/exe"));
        assert!(why.as_deref().is_none_or(|why| why.contains("program")), "{why:?}");
    }
}
