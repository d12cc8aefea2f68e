//! The table of a registry of groups: [`GroupRegistryPlugin`] as an `introd_plugin_group_registry`.

use std::ffi::c_void;
use std::marker::PhantomData;

use super::call::{hand_over, with};
use super::registry::status;
use crate::abi::{self, introd_answer, introd_instance};
use crate::completion::Later;
use crate::group_registry::{GroupRegistryPlugin, NeighborQuery};

struct Table<P>(PhantomData<P>);

impl<P: GroupRegistryPlugin> Table<P> {
    const GROUP_REGISTRY: &'static abi::introd_plugin_group_registry = &abi::introd_plugin_group_registry {
        struct_size: size_of::<abi::introd_plugin_group_registry>() as u32,
        reserved: 0,
        join: Some(join::<P>),
        leave: Some(leave::<P>),
        neighbors: Some(neighbors::<P>),
    };
}

/// The `introd_plugin_group_registry` of a plugin.
pub fn group_registry_table<P: GroupRegistryPlugin>() -> *const c_void {
    std::ptr::from_ref(Table::<P>::GROUP_REGISTRY).cast()
}

unsafe extern "C" fn join<P: GroupRegistryPlugin>(
    instance: introd_instance,
    member: *const abi::introd_group_member,
) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, _| {
            let Some(member) = member.as_ref() else { return abi::INTROD_E_ARGUMENT };
            status(plugin.join_group(&member.into()))
        })
    }
}

unsafe extern "C" fn leave<P: GroupRegistryPlugin>(
    instance: introd_instance,
    member: *const abi::introd_group_member,
) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, _| {
            let Some(member) = member.as_ref() else { return abi::INTROD_E_ARGUMENT };
            status(plugin.leave_group(&member.into()))
        })
    }
}

unsafe extern "C" fn neighbors<P: GroupRegistryPlugin>(
    instance: introd_instance,
    query: *const abi::introd_neighbor_query,
    answer: *mut introd_answer,
) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, host| {
            let Some(query) = query.as_ref() else { return abi::INTROD_E_ARGUMENT };
            hand_over(host, answer, plugin.group_neighbors(&NeighborQuery::from(query), Later::new(host, answer)))
        })
    }
}
