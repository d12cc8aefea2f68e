//! The table of groups: [`GroupPlugin`] as an `introd_plugin_groups`.

use std::ffi::c_void;
use std::marker::PhantomData;

use super::call::with;
use crate::abi::{self, introd_instance};
use crate::groups::{GroupEvent, GroupPlugin, GroupVerdict};

struct Table<P>(PhantomData<P>);

impl<P: GroupPlugin> Table<P> {
    const GROUPS: &'static abi::introd_plugin_groups = &abi::introd_plugin_groups {
        struct_size: size_of::<abi::introd_plugin_groups>() as u32,
        reserved: 0,
        join: Some(join::<P>),
        leave: Some(leave::<P>),
    };
}

/// The `introd_plugin_groups` of a plugin.
pub fn groups_table<P: GroupPlugin>() -> *const c_void {
    std::ptr::from_ref(Table::<P>::GROUPS).cast()
}

unsafe extern "C" fn join<P: GroupPlugin>(instance: introd_instance, event: *const abi::introd_group_event) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, host| {
            let Some(event) = event.as_ref() else { return abi::INTROD_E_ARGUMENT };
            match plugin.join(&GroupEvent::from_raw(host, event)) {
                GroupVerdict::Continue => abi::INTROD_CONTINUE,
                GroupVerdict::Handled => abi::INTROD_HANDLED,
            }
        })
    }
}

unsafe extern "C" fn leave<P: GroupPlugin>(instance: introd_instance, event: *const abi::introd_group_event) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, host| {
            let Some(event) = event.as_ref() else { return abi::INTROD_E_ARGUMENT };
            plugin.leave(&GroupEvent::from_raw(host, event));
            abi::INTROD_OK
        })
    }
}
