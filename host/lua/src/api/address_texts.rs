//! Addresses as strings of a VM: those that the script has met lately are neither written nor read again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;

use foldhash::fast::RandomState;
use mlua::{Lua, LuaString, Result, Table};

use super::address;

/// How many addresses are remembered. When there are more, all are forgotten: scripts see no difference.
const MAX_KNOWN: usize = 4096;

/// The addresses that one VM has met.
pub(crate) struct AddressTexts {
    /// The number of an address by its text, for the prelude: it counts from 0, and is valid until the host has run again.
    pub(super) numbers: Table,
    known: RefCell<Known>,
}

#[derive(Default)]
struct Known {
    /// The addresses by number.
    addresses: Vec<SocketAddr>,
    /// The texts that the host has made.
    texts: HashMap<SocketAddr, LuaString, RandomState>,
}

impl AddressTexts {
    pub(super) fn new(lua: &Lua) -> Result<Self> {
        Ok(Self { numbers: lua.create_table()?, known: RefCell::default() })
    }

    /// The text of an address.
    pub(super) fn text(&self, lua: &Lua, address: SocketAddr) -> Result<LuaString> {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if let Some(text) = self.known.borrow().texts.get(&address) {
            return Ok(text.clone());
        }
        let text = lua.create_string(address::text(address))?;
        self.learn(&text, address)?;
        self.known.borrow_mut().texts.insert(address, text.clone());
        Ok(text)
    }

    /// Remembers that this text is that address.
    pub(super) fn learn(&self, text: &LuaString, address: SocketAddr) -> Result<()> {
        let mut known = self.known.borrow_mut();
        if known.addresses.len() >= MAX_KNOWN {
            self.numbers.clear()?;
            *known = Known::default();
        }
        self.numbers.raw_set(text, known.addresses.len())?;
        known.addresses.push(address);
        Ok(())
    }

    /// The address of that number.
    pub(super) fn at(&self, number: usize) -> Option<SocketAddr> {
        self.known.borrow().addresses.get(number).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u16) -> SocketAddr {
        ([192, 0, 2, 1], number).into()
    }

    #[test]
    fn a_text_leads_to_its_address_and_is_the_same_string_each_time() {
        let lua = Lua::new();
        let texts = AddressTexts::new(&lua).unwrap();
        let mapped = SocketAddr::new("::ffff:192.0.2.1".parse().unwrap(), 7);
        let text = texts.text(&lua, mapped).unwrap();
        assert_eq!(text.to_string_lossy(), "192.0.2.1:7");
        assert_eq!(texts.text(&lua, at(7)).unwrap().to_pointer(), text.to_pointer());
        let number: usize = texts.numbers.raw_get(&text).unwrap();
        assert_eq!((texts.at(number), texts.at(number + 1)), (Some(at(7)), None));
        // As a script writes it.
        let own = lua.create_string("[::ffff:192.0.2.1]:7").unwrap();
        texts.learn(&own, mapped).unwrap();
        assert_eq!(texts.at(texts.numbers.raw_get(own).unwrap()), Some(mapped));
    }

    #[test]
    fn their_number_is_bounded_and_a_forgotten_one_is_met_again() {
        let lua = Lua::new();
        let texts = AddressTexts::new(&lua).unwrap();
        for number in 0..=MAX_KNOWN as u16 {
            texts.text(&lua, at(number)).unwrap();
        }
        let entries = || texts.numbers.pairs::<mlua::Value, mlua::Value>().count();
        assert_eq!((entries(), texts.known.borrow().texts.len(), texts.known.borrow().addresses.len()), (1, 1, 1));
        let again = texts.text(&lua, at(3)).unwrap();
        assert_eq!(texts.at(texts.numbers.raw_get(again).unwrap()), Some(at(3)));
    }
}
