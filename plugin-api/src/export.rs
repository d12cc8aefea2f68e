//! Making a library of a plugin.

/// Exports a plugin: a library has one such line.
///
/// Behind the type stand the further traits that it implements: `timer` for [`TimerPlugin`](crate::TimerPlugin), `registry` for
/// [`RegistryPlugin`](crate::RegistryPlugin), `groups` for [`GroupPlugin`](crate::GroupPlugin).
///
/// ```ignore
/// introd_plugin::export!(MyPlugin, registry, timer);
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:ty $(, $extension:ident)* $(,)?) => {
        /// # Safety
        /// For the host, which gives its own table.
        #[unsafe(no_mangle)]
        #[allow(unsafe_code, unreachable_pub, reason = "the one exported function of a plugin")]
        pub unsafe extern "C" fn introd_plugin_entry_v1(
            host: *const $crate::abi::introd_host,
        ) -> *const $crate::abi::introd_plugin {
            struct Extensions;

            impl $crate::glue::Extensions for Extensions {
                fn table(id: &core::ffi::CStr) -> *const core::ffi::c_void {
                    $($crate::export!(@extension $plugin, $extension, id);)*
                    core::ptr::null()
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
}

/// What [`export!`] is made of.
#[doc(hidden)]
pub mod glue {
    use std::any::Any;
    use std::ffi::{CStr, c_char, c_void};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::abi::{self, introd_answer, introd_host, introd_instance, introd_plugin};
    use crate::completion::{Later, Reply};
    use crate::config::Config;
    use crate::event::{AddressChange, Connect, Disconnect, Lookup};
    use crate::groups::{GroupEvent, GroupPlugin, GroupVerdict};
    use crate::host::{Host, Level};
    use crate::plugin::{Plugin, TimerPlugin};
    use crate::raw::{array, raw};
    use crate::registry::{RegistryError, RegistryPlugin, Standing};
    use crate::values::{Address, Token};
    use crate::verdict::{Verdict, of_kind};

    /// The further tables of a plugin.
    pub trait Extensions {
        fn table(id: &CStr) -> *const c_void;
    }

    struct Instance<P> {
        plugin: P,
        host: Host,
    }

    struct Tables<P, E>(std::marker::PhantomData<(P, E)>);

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

    /// What a panic said.
    fn said(payload: &(dyn Any + Send)) -> &str {
        let text = payload.downcast_ref::<&str>().copied();
        text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
    }

    /// Runs `work`; a panic ends here.
    fn guarded(host: Option<Host>, work: impl FnOnce() -> i32) -> i32 {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(status) => status,
            Err(payload) => {
                if let Some(host) = host {
                    host.log(Level::Error, &format!("panicked: {}", said(&*payload)));
                }
                // What was thrown may panic again when it is dropped.
                std::mem::forget(payload);
                abi::INTROD_E_PANIC
            }
        }
    }

    /// Runs `work` with an instance.
    ///
    /// # Safety
    /// `instance` was made by [`create`] for the same `P`, and has not been destroyed.
    unsafe fn with<P: Plugin>(instance: introd_instance, work: impl FnOnce(&P, Host) -> i32) -> i32 {
        // SAFETY: the caller says so. The instance is `Sync`, and only shared here.
        let Some(instance) = (unsafe { instance.cast::<Instance<P>>().as_ref() }) else {
            return abi::INTROD_E_ARGUMENT;
        };
        guarded(Some(instance.host), || work(&instance.plugin, instance.host))
    }

    /// Hands a reply over.
    fn reply<V: Verdict>(host: Host, answer: *mut introd_answer, reply: Reply<V>) -> i32 {
        match reply {
            Reply::Now(verdict) => {
                verdict.simple().unwrap_or_else(|| verdict.with_raw(|verdict| host.answer(answer, verdict)))
            }
            Reply::Later(_) => abi::INTROD_PENDING,
            Reply::Failed(reason) => failed(host, answer, &reason),
        }
    }

    fn failed(host: Host, answer: *mut introd_answer, reason: &str) -> i32 {
        let verdict = abi::introd_verdict { text: raw(reason.as_bytes()), ..of_kind(abi::INTROD_E_FAILED) };
        host.answer(answer, &verdict);
        abi::INTROD_E_FAILED
    }

    unsafe extern "C" fn create<P: Plugin>(
        host: *const introd_host,
        create: *const abi::introd_create,
        answer: *mut introd_answer,
        instance: *mut introd_instance,
    ) -> i32 {
        // SAFETY: the host gives its own table, which is valid until the process ends.
        let host = unsafe { Host::from_raw(host) };
        // SAFETY: what a new instance is told is valid for the call.
        let (Some(host), Some(create)) = (host, unsafe { create.as_ref() }) else { return abi::INTROD_E_ARGUMENT };
        guarded(Some(host), || {
            // SAFETY: as above.
            let config = unsafe { Config::from_raw(create) };
            match P::create(host, &config) {
                Ok(plugin) => {
                    let made = Box::into_raw(Box::new(Instance { plugin, host }));
                    // SAFETY: the host has a place for it.
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
        let instance = unsafe { Box::from_raw(instance.cast::<Instance<P>>()) };
        let host = instance.host;
        guarded(Some(host), || {
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
                reply(host, answer, plugin.connect(&Connect::from_raw(connect), Later::new(host, answer)))
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
                let filled_up;
                let lookup = match lookup.cast::<u32>().as_ref() {
                    None => return abi::INTROD_E_ARGUMENT,
                    Some(size) if *size as usize >= size_of::<abi::introd_lookup>() => &*lookup,
                    Some(_) => {
                        filled_up = crate::raw::filled_up(lookup);
                        &filled_up
                    }
                };
                reply(host, answer, plugin.lookup(&Lookup::from_raw(lookup), Later::new(host, answer)))
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

    struct Timers<P>(std::marker::PhantomData<P>);

    impl<P: TimerPlugin> Timers<P> {
        const TABLE: &'static abi::introd_plugin_timer = &abi::introd_plugin_timer {
            struct_size: size_of::<abi::introd_plugin_timer>() as u32,
            reserved: 0,
            on_timer: Some(on_timer::<P>),
        };
    }

    pub fn timer_table<P: TimerPlugin>() -> *const c_void {
        std::ptr::from_ref(Timers::<P>::TABLE).cast()
    }

    unsafe extern "C" fn on_timer<P: TimerPlugin>(
        instance: introd_instance,
        timer: abi::introd_token,
        user: u64,
    ) -> i32 {
        // SAFETY: the host gives what `create` has made.
        unsafe {
            with::<P>(instance, |plugin, _| {
                plugin.on_timer(Token(timer), user);
                abi::INTROD_OK
            })
        }
    }

    struct Registries<P>(std::marker::PhantomData<P>);

    impl<P: RegistryPlugin> Registries<P> {
        const TABLE: &'static abi::introd_plugin_registry = &abi::introd_plugin_registry {
            struct_size: size_of::<abi::introd_plugin_registry>() as u32,
            capabilities: if P::TELLS_CHANGES { abi::INTROD_REGISTRY_CHANGES } else { 0 },
            publish: Some(publish::<P>),
            withdraw: Some(withdraw::<P>),
            lookup: Some(find::<P>),
            publish_session: Some(publish_session::<P>),
        };
    }

    pub fn registry_table<P: RegistryPlugin>() -> *const c_void {
        std::ptr::from_ref(Registries::<P>::TABLE).cast()
    }

    fn status(result: Result<(), RegistryError>) -> i32 {
        match result {
            Ok(()) => abi::INTROD_OK,
            Err(RegistryError::Full) => abi::INTROD_E_FULL,
            Err(RegistryError::Unavailable) => abi::INTROD_E_UNAVAILABLE,
        }
    }

    unsafe extern "C" fn publish<P: RegistryPlugin>(
        instance: introd_instance,
        peer: *const abi::introd_peer_id,
        addresses: *const abi::introd_address,
        address_count: usize,
    ) -> i32 {
        // SAFETY: the host gives what `create` has made, and an array of that length.
        unsafe {
            with::<P>(instance, |plugin, _| {
                let Some(peer) = peer.as_ref() else { return abi::INTROD_E_ARGUMENT };
                let addresses: Vec<Address> =
                    array(addresses, address_count).iter().map(|address| Address::from(*address)).collect();
                status(plugin.publish((*peer).into(), &addresses))
            })
        }
    }

    unsafe extern "C" fn publish_session<P: RegistryPlugin>(
        instance: introd_instance,
        publication: *const abi::introd_publication,
    ) -> i32 {
        // SAFETY: the host gives what `create` has made, and an array of that length.
        unsafe {
            with::<P>(instance, |plugin, _| {
                let Some(publication) = publication.as_ref() else { return abi::INTROD_E_ARGUMENT };
                let addresses = array(publication.addresses, publication.address_count);
                let addresses: Vec<Address> = addresses.iter().map(|address| Address::from(*address)).collect();
                let standing = Standing {
                    session: publication.client.id,
                    is_proven: publication.flags & abi::INTROD_PUBLICATION_PROVEN != 0,
                    is_silent: publication.flags & abi::INTROD_PUBLICATION_SILENT != 0,
                };
                status(plugin.publish_session(publication.client.peer.into(), &addresses, standing))
            })
        }
    }

    unsafe extern "C" fn withdraw<P: RegistryPlugin>(
        instance: introd_instance,
        peer: *const abi::introd_peer_id,
    ) -> i32 {
        // SAFETY: the host gives what `create` has made.
        unsafe {
            with::<P>(instance, |plugin, _| {
                let Some(peer) = peer.as_ref() else { return abi::INTROD_E_ARGUMENT };
                status(plugin.withdraw((*peer).into()))
            })
        }
    }

    unsafe extern "C" fn find<P: RegistryPlugin>(
        instance: introd_instance,
        peer: *const abi::introd_peer_id,
        answer: *mut introd_answer,
    ) -> i32 {
        // SAFETY: the host gives what `create` has made.
        unsafe {
            with::<P>(instance, |plugin, host| {
                let Some(peer) = peer.as_ref() else { return abi::INTROD_E_ARGUMENT };
                reply(host, answer, plugin.find((*peer).into(), Later::new(host, answer)))
            })
        }
    }

    struct Groups<P>(std::marker::PhantomData<P>);

    impl<P: GroupPlugin> Groups<P> {
        const TABLE: &'static abi::introd_plugin_groups = &abi::introd_plugin_groups {
            struct_size: size_of::<abi::introd_plugin_groups>() as u32,
            reserved: 0,
            join: Some(join::<P>),
            leave: Some(leave::<P>),
        };
    }

    pub fn groups_table<P: GroupPlugin>() -> *const c_void {
        std::ptr::from_ref(Groups::<P>::TABLE).cast()
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

    unsafe extern "C" fn leave<P: GroupPlugin>(
        instance: introd_instance,
        event: *const abi::introd_group_event,
    ) -> i32 {
        // SAFETY: the host gives what `create` has made.
        unsafe {
            with::<P>(instance, |plugin, host| {
                let Some(event) = event.as_ref() else { return abi::INTROD_E_ARGUMENT };
                plugin.leave(&GroupEvent::from_raw(host, event));
                abi::INTROD_OK
            })
        }
    }
}
