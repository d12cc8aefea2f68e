//! The events that plugins receive.

use std::net::SocketAddr;

use crate::abi;
use crate::raw::{array, bytes, text};
use crate::values::{Address, Client, PeerId};

macro_rules! wrapped {
    ($(#[$about:meta])* $name:ident, $raw:ident) => {
        $(#[$about])*
        #[derive(Clone, Copy)]
        pub struct $name<'a>(&'a abi::$raw);

        impl<'a> $name<'a> {
            /// Wraps an event of the host.
            ///
            /// # Safety
            /// Everything that `raw` points to is as the header says, and stays so for as long as `'a` lasts.
            #[doc(hidden)]
            pub unsafe fn from_raw(raw: &'a abi::$raw) -> Self {
                Self(raw)
            }

            /// The application that the event belongs to.
            pub fn application(&self) -> &'a str {
                // SAFETY: `from_raw` was told that it is valid.
                unsafe { text(self.0.application) }
            }

            /// The instance of the application.
            pub fn instance(&self) -> &'a str {
                // SAFETY: as above.
                unsafe { text(self.0.instance) }
            }
        }
    };
}

wrapped! {
    /// A lookup: an asker wants to reach a peer, and asks this server where the peer is.
    Lookup, introd_lookup
}
wrapped! {
    /// A client wants to connect.
    Connect, introd_connect
}
wrapped! {
    /// A client has disconnected, or was rejected.
    Disconnect, introd_disconnect
}
wrapped! {
    /// The addresses of a client have changed.
    AddressChange, introd_address_change
}

impl<'a> Lookup<'a> {
    /// The peer that is looked for; `None` if the endpoint discriminator names no peer ID.
    pub fn target(&self) -> Option<PeerId> {
        (self.0.flags & abi::INTROD_LOOKUP_HAS_TARGET != 0).then(|| self.0.target.into())
    }

    /// The client that looks; `None` if the asker is not a client of this server.
    pub fn asker(&self) -> Option<Client> {
        (self.0.flags & abi::INTROD_LOOKUP_HAS_ASKER != 0).then(|| self.0.asker.into())
    }

    /// Whether the target is connected to this server.
    pub fn target_is_local(&self) -> bool {
        self.0.flags & abi::INTROD_LOOKUP_TARGET_IS_LOCAL != 0
    }

    /// The address that the lookup came from. It is not proven: the source address of a packet can be forged.
    pub fn initiator(&self) -> SocketAddr {
        Address::from(self.0.initiator).socket
    }

    /// Whether the plugin decides for the target's application. The asker's application, if there is one, has agreed already. Both must
    /// agree: if either refuses, the two are not introduced.
    pub fn is_for_target(&self) -> bool {
        self.0.flags & abi::INTROD_LOOKUP_FOR_TARGET != 0
    }

    /// Whether the same instance of this plugin has just decided about this lookup for the asker's application. A plugin that counts
    /// lookups should not count this call.
    pub fn is_asked_again(&self) -> bool {
        self.0.flags & abi::INTROD_LOOKUP_AGAIN != 0
    }

    /// How many times the asker has made this lookup, with this time: 1 if it does not repeat an earlier one. Askers repeat a lookup, with
    /// the same tag, until the peer answers. It is 1, too, if the host has an ABI before 1.2, or follows too many lookups to know.
    pub fn attempt(&self) -> u32 {
        self.0.attempt.max(1)
    }

    /// The application that the asker is connected to; empty if the asker is not a client, or the host has ABI 1.0.
    pub fn asker_application(&self) -> &'a str {
        // SAFETY: `from_raw` was told that it is valid.
        unsafe { text(self.0.asker_application) }
    }

    /// The instance of the asker's application.
    pub fn asker_instance(&self) -> &'a str {
        // SAFETY: as above.
        unsafe { text(self.0.asker_instance) }
    }

    /// The tag of the lookup, which the answer to the asker repeats.
    pub fn tag(&self) -> &'a [u8] {
        // SAFETY: `from_raw` was told that it is valid.
        unsafe { bytes(self.0.tag) }
    }

    /// The endpoint discriminator as the asker sent it (RFC 7425 §4.4.2.1).
    pub fn epd(&self) -> &'a [u8] {
        // SAFETY: as above.
        unsafe { bytes(self.0.epd) }
    }
}

macro_rules! texts {
    ($($(#[$about:meta])* $name:ident;)*) => {
        $(
            $(#[$about])*
            pub fn $name(&self) -> &'a str {
                // SAFETY: `from_raw` was told that it is valid.
                unsafe { text(self.0.$name) }
            }
        )*
    };
}

impl<'a> Connect<'a> {
    /// The client that wants to connect.
    pub fn client(&self) -> Client {
        self.0.client.into()
    }

    /// The address that the client's packets come from. The handshake has proven that the client receives packets there.
    pub fn far_address(&self) -> SocketAddr {
        Address::from(self.0.far_address).socket
    }

    /// The server's address that the client connected to.
    pub fn near_address(&self) -> SocketAddr {
        Address::from(self.0.near_address).socket
    }

    /// The client's nonce of this session (RFC 7425 §4.6.5).
    pub fn far_nonce(&self) -> &'a [u8; 32] {
        &self.0.far_nonce
    }

    /// The server's nonce of this session.
    pub fn near_nonce(&self) -> &'a [u8; 32] {
        &self.0.near_nonce
    }

    texts! {
        /// The client's `tcUrl`, unchanged.
        uri;
        /// The query of the URI, without the question mark.
        query;
        /// The client's `flashVer`: its platform and version.
        agent;
        /// The client's `swfUrl`: where its program was loaded from.
        referrer;
        /// The client's `pageUrl`: the web page that its program runs in.
        page_url;
    }

    /// The arguments that the client's program passed to `connect` after the URI: strings unchanged, numbers and booleans as
    /// JavaScript writes them, and an empty text for everything else.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = &'a str> {
        // SAFETY: `from_raw` was told that the array and what is in it are valid.
        unsafe { array(self.0.arguments, self.0.argument_count as usize).iter().map(|raw| text(*raw)) }
    }
}

impl<'a> Disconnect<'a> {
    /// The client that has disconnected.
    pub fn client(&self) -> Client {
        self.0.client.into()
    }

    texts! {
        /// Why the client disconnected, as a text for people to read.
        reason;
    }
}

impl<'a> AddressChange<'a> {
    /// The client whose addresses have changed.
    pub fn client(&self) -> Client {
        self.0.client.into()
    }

    /// The address that the client's packets come from now.
    pub fn far_address(&self) -> SocketAddr {
        Address::from(self.0.far_address).socket
    }

    /// Whether [`Self::far_address`] has changed.
    pub fn far_address_changed(&self) -> bool {
        self.0.changed & abi::INTROD_CHANGE_FAR_ADDRESS != 0
    }

    /// The addresses that the client reports now; `None` if they have not changed.
    pub fn reported(&self) -> Option<impl ExactSizeIterator<Item = SocketAddr> + use<'a>> {
        // SAFETY: `from_raw` was told that the array is valid.
        let reported = unsafe { array(self.0.reported, self.0.reported_count as usize) };
        (self.0.changed & abi::INTROD_CHANGE_REPORTED_ADDRESSES != 0)
            .then(|| reported.iter().map(|address| Address::from(*address).socket))
    }
}
