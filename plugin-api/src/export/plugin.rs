//! The main table: [`Plugin`] as an `introd_plugin`.

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;

use super::call::{PluginInstance, failed, guarded, hand_over, with};
use crate::abi::{self, introd_answer, introd_host, introd_instance, introd_plugin};
use crate::completion::Later;
use crate::config::Config;
use crate::event::{AddressChange, Connect, Disconnect, Lookup};
use crate::host::Host;
use crate::plugin::Plugin;
use crate::raw::{filled_up, raw};
use crate::values::Token;

/// The tables of a plugin's extensions.
pub trait Extensions {
    /// The table of the extension `id`, or null.
    fn table(id: &CStr) -> *const c_void;
}

struct Tables<P, E>(PhantomData<(P, E)>);

impl<P: Plugin, E: Extensions> Tables<P, E> {
    const PLUGIN: &'static introd_plugin = &introd_plugin {
        struct_size: size_of::<introd_plugin>() as u32,
        abi_major: abi::INTROD_ABI_MAJOR,
        abi_minor: abi::INTROD_ABI_MINOR,
        reserved: 0,
        name: raw(P::NAME.as_bytes()),
        version: raw(P::VERSION.as_bytes()),
        description: raw(P::DESCRIPTION.as_bytes()),
        create: Some(create::<P>),
        destroy: Some(destroy::<P>),
        connect: Some(connect::<P>),
        disconnect: Some(disconnect::<P>),
        addresses_changed: Some(addresses_changed::<P>),
        lookup: Some(lookup::<P>),
        cancel: Some(cancel::<P>),
        get_extension: Some(get_extension::<E>),
    };
}

/// The `introd_plugin` of a plugin.
pub fn table<P: Plugin, E: Extensions>() -> *const introd_plugin {
    Tables::<P, E>::PLUGIN
}

unsafe extern "C" fn get_extension<E: Extensions>(id: *const c_char) -> *const c_void {
    if id.is_null() {
        return std::ptr::null();
    }
    // SAFETY: the host gives a text that ends with a zero.
    E::table(unsafe { CStr::from_ptr(id) })
}

unsafe extern "C" fn create<P: Plugin>(
    host: *const introd_host,
    create: *const abi::introd_create,
    answer: *mut introd_answer,
    instance: *mut introd_instance,
) -> i32 {
    // SAFETY: the host gives its own table, which is valid until the process ends.
    let host = unsafe { Host::from_raw(host) };
    // SAFETY: the configuration is valid for the call.
    let (Some(host), Some(create)) = (host, unsafe { create.as_ref() }) else { return abi::INTROD_E_ARGUMENT };
    guarded(host, || {
        // SAFETY: as above.
        let config = unsafe { Config::from_raw(create) };
        match P::create(host, &config) {
            Ok(plugin) => {
                let made = Box::into_raw(Box::new(PluginInstance { plugin, host }));
                // SAFETY: the host gives a place to write the pointer to.
                unsafe { instance.write(made.cast()) };
                abi::INTROD_OK
            }
            Err(error) => failed(host, answer, &error.to_string()),
        }
    })
}

unsafe extern "C" fn destroy<P: Plugin>(instance: introd_instance) -> i32 {
    if instance.is_null() {
        return abi::INTROD_E_ARGUMENT;
    }
    // SAFETY: the host destroys what `create` has made, once, when nothing else uses it.
    let instance = unsafe { Box::from_raw(instance.cast::<PluginInstance<P>>()) };
    let host = instance.host;
    guarded(host, || {
        drop(instance);
        abi::INTROD_OK
    })
}

unsafe extern "C" fn connect<P: Plugin>(
    instance: introd_instance,
    connect: *const abi::introd_connect,
    answer: *mut introd_answer,
) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, host| {
            let Some(connect) = connect.as_ref() else { return abi::INTROD_E_ARGUMENT };
            hand_over(host, answer, plugin.connect(&Connect::from_raw(connect), Later::new(host, answer)))
        })
    }
}

unsafe extern "C" fn disconnect<P: Plugin>(
    instance: introd_instance,
    disconnect: *const abi::introd_disconnect,
) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, _| {
            let Some(disconnect) = disconnect.as_ref() else { return abi::INTROD_E_ARGUMENT };
            plugin.disconnect(&Disconnect::from_raw(disconnect));
            abi::INTROD_OK
        })
    }
}

unsafe extern "C" fn addresses_changed<P: Plugin>(
    instance: introd_instance,
    change: *const abi::introd_address_change,
) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, _| {
            let Some(change) = change.as_ref() else { return abi::INTROD_E_ARGUMENT };
            plugin.addresses_changed(&AddressChange::from_raw(change));
            abi::INTROD_OK
        })
    }
}

unsafe extern "C" fn lookup<P: Plugin>(
    instance: introd_instance,
    lookup: *const abi::introd_lookup,
    answer: *mut introd_answer,
) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, host| {
            let filled;
            let lookup = match lookup.cast::<u32>().as_ref() {
                None => return abi::INTROD_E_ARGUMENT,
                Some(size) if *size as usize >= size_of::<abi::introd_lookup>() => &*lookup,
                Some(_) => {
                    filled = filled_up(lookup);
                    &filled
                }
            };
            hand_over(host, answer, plugin.lookup(&Lookup::from_raw(lookup), Later::new(host, answer)))
        })
    }
}

unsafe extern "C" fn cancel<P: Plugin>(instance: introd_instance, token: abi::introd_token) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, _| {
            plugin.cancel(Token(token));
            abi::INTROD_OK
        })
    }
}
