//! The table of timers: [`TimerPlugin`] as an `introd_plugin_timer`.

use std::ffi::c_void;
use std::marker::PhantomData;

use super::call::with;
use crate::abi::{self, introd_instance};
use crate::plugin::TimerPlugin;
use crate::values::Token;

struct Table<P>(PhantomData<P>);

impl<P: TimerPlugin> Table<P> {
    const TIMER: &'static abi::introd_plugin_timer = &abi::introd_plugin_timer {
        struct_size: size_of::<abi::introd_plugin_timer>() as u32,
        reserved: 0,
        on_timer: Some(on_timer::<P>),
    };
}

/// The `introd_plugin_timer` of a plugin.
pub fn timer_table<P: TimerPlugin>() -> *const c_void {
    std::ptr::from_ref(Table::<P>::TIMER).cast()
}

unsafe extern "C" fn on_timer<P: TimerPlugin>(instance: introd_instance, timer: abi::introd_token, user: u64) -> i32 {
    // SAFETY: the host gives what `create` has made.
    unsafe {
        with::<P>(instance, |plugin, _| {
            plugin.on_timer(Token(timer), user);
            abi::INTROD_OK
        })
    }
}
