//! Making a library of a plugin: the macro [`export!`](crate::export!), and the functions behind the C tables.
//!
//! `call` is where control passes from C to a plugin's methods and where panics stop; the other files fill one table each.

mod call;
mod group_registry;
mod groups;
mod plugin;
mod registry;
mod timer;

/// What [`export!`](crate::export!) is made of.
#[doc(hidden)]
pub mod glue {
    pub use super::group_registry::group_registry_table;
    pub use super::groups::groups_table;
    pub use super::plugin::{Extensions, table};
    pub use super::registry::registry_table;
    pub use super::timer::timer_table;
}

/// Exports a plugin from its library. A library has exactly one such line.
///
/// After the type, name the other traits that it implements: `timer` for [`TimerPlugin`](crate::TimerPlugin), `registry` for
/// [`RegistryPlugin`](crate::RegistryPlugin), `group_registry` for [`GroupRegistryPlugin`](crate::GroupRegistryPlugin), `groups` for
/// [`GroupPlugin`](crate::GroupPlugin).
///
/// It is the only line of a plugin that `unsafe` code comes of. The lint `unsafe_code` does not look into macros of other crates, so that
/// the plugin's own code may have `#![forbid(unsafe_code)]`.
///
/// ```ignore
/// introd_plugin::export!(MyPlugin, registry, timer);
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:ty $(, $extension:ident)* $(,)?) => {
        /// # Safety
        /// Only a host calls it, with its own table.
        // No `allow(unsafe_code)`: the compiler refuses one within a crate that forbids unsafe code, and does not need it here.
        #[unsafe(no_mangle)]
        #[allow(unreachable_pub, reason = "the one exported function of a plugin")]
        pub unsafe extern "C" fn introd_plugin_entry_v1(
            host: *const $crate::abi::introd_host,
        ) -> *const $crate::abi::introd_plugin {
            struct Extensions;

            impl $crate::glue::Extensions for Extensions {
                fn table(id: &::core::ffi::CStr) -> *const ::core::ffi::c_void {
                    $($crate::export!(@extension $plugin, $extension, id);)*
                    ::core::ptr::null()
                }
            }

            let _ = host;
            $crate::glue::table::<$plugin, Extensions>()
        }
    };
    (@extension $plugin:ty, timer, $id:ident) => {
        if $id == $crate::abi::INTROD_EXT_TIMER {
            return $crate::glue::timer_table::<$plugin>();
        }
    };
    (@extension $plugin:ty, registry, $id:ident) => {
        if $id == $crate::abi::INTROD_EXT_REGISTRY {
            return $crate::glue::registry_table::<$plugin>();
        }
    };
    (@extension $plugin:ty, groups, $id:ident) => {
        if $id == $crate::abi::INTROD_EXT_GROUPS {
            return $crate::glue::groups_table::<$plugin>();
        }
    };
    (@extension $plugin:ty, group_registry, $id:ident) => {
        if $id == $crate::abi::INTROD_EXT_GROUP_REGISTRY {
            return $crate::glue::group_registry_table::<$plugin>();
        }
    };
}
