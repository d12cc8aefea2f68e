//! What a plugin is told.

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
            /// What the host has handed over.
            ///
            /// # Safety
            /// Everything that `raw` points to is as the header says, and stays so for as long as `'a` lasts.
            #[doc(hidden)]
            pub unsafe fn from_raw(raw: &'a abi::$raw) -> Self {
                Self(raw)
            }

            /// The application.
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
    /// Somebody looks for a peer.
    Lookup, introd_lookup
}
wrapped! {
    /// A client wants to connect.
    Connect, introd_connect
}
wrapped! {
    /// A client is gone.
    Disconnect, introd_disconnect
}
wrapped! {
    /// The addresses of a client have changed.
    AddressChange, introd_address_change
}

impl<'a> Lookup<'a> {
    /// Who is looked for; `None` for an endpoint discriminator of another kind.
    pub fn target(&self) -> Option<PeerId> {
        (self.0.flags & abi::INTROD_LOOKUP_HAS_TARGET != 0).then(|| self.0.target.into())
    }

    /// Who looks, if that is a client of this server.
    pub fn asker(&self) -> Option<Client> {
        (self.0.flags & abi::INTROD_LOOKUP_HAS_ASKER != 0).then(|| self.0.asker.into())
    }

    /// Whether the target is connected to this server.
    pub fn target_is_local(&self) -> bool {
        self.0.flags & abi::INTROD_LOOKUP_TARGET_IS_LOCAL != 0
    }

    /// Where the lookup came from. Its sender need not be there: addresses can be forged.
    pub fn initiator(&self) -> SocketAddr {
        Address::from(self.0.initiator).socket
    }

    /// Whether [`Self::application`] is that of the target: that of the asker, if it has one, would have the two introduced, and this one is
    /// asked besides. A no of either is a no.
    pub fn is_for_target(&self) -> bool {
        self.0.flags & abi::INTROD_LOOKUP_FOR_TARGET != 0
    }

    /// Whether the same instance of this plugin has just been asked about this lookup for the asker's application: who counts
    /// lookups counts this one no more.
    pub fn is_asked_again(&self) -> bool {
        self.0.flags & abi::INTROD_LOOKUP_AGAIN != 0
    }

    /// The application that the asker is a client of; empty if it is no client, and from a host of ABI 1.0.
    pub fn asker_application(&self) -> &'a str {
        // SAFETY: `from_raw` was told that it is valid.
        unsafe { text(self.0.asker_application) }
    }

    /// The instance of the asker's application.
    pub fn asker_instance(&self) -> &'a str {
        // SAFETY: as above.
        unsafe { text(self.0.asker_instance) }
    }

    /// The tag of the lookup, which its answer repeats.
    pub fn tag(&self) -> &'a [u8] {
        // SAFETY: `from_raw` was told that it is valid.
        unsafe { bytes(self.0.tag) }
    }

    /// The whole endpoint discriminator (RFC 7425 §4.4.2.1).
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
    /// The client.
    pub fn client(&self) -> Client {
        self.0.client.into()
    }

    /// Where its packets come from. It is there: the handshake has shown it.
    pub fn far_address(&self) -> SocketAddr {
        Address::from(self.0.far_address).socket
    }

    /// The address of the server that it reached.
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
        /// `tcUrl`, as it came.
        uri;
        /// The query of the URI, without the question mark.
        query;
        /// `flashVer`: the client's platform and version.
        agent;
        /// `swfUrl`: where the client's program came from.
        referrer;
        /// `pageUrl`: the page that it is on.
        page_url;
    }

    /// What the client's program gave to `connect` besides the URI: strings as they are, numbers and booleans as JavaScript
    /// writes them, everything else empty.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = &'a str> {
        // SAFETY: `from_raw` was told that the array and what is in it are valid.
        unsafe { array(self.0.arguments, self.0.argument_count as usize).iter().map(|raw| text(*raw)) }
    }
}

impl<'a> Disconnect<'a> {
    /// The client.
    pub fn client(&self) -> Client {
        self.0.client.into()
    }

    texts! {
        /// Why, for people.
        reason;
    }
}

impl<'a> AddressChange<'a> {
    /// The client.
    pub fn client(&self) -> Client {
        self.0.client.into()
    }

    /// Where its packets come from now.
    pub fn far_address(&self) -> SocketAddr {
        Address::from(self.0.far_address).socket
    }

    /// Whether it is that address that has changed.
    pub fn far_address_changed(&self) -> bool {
        self.0.changed & abi::INTROD_CHANGE_FAR_ADDRESS != 0
    }

    /// The addresses that it now says it has; `None` if they have not changed.
    pub fn reported(&self) -> Option<impl ExactSizeIterator<Item = SocketAddr> + use<'a>> {
        // SAFETY: `from_raw` was told that the array is valid.
        let reported = unsafe { array(self.0.reported, self.0.reported_count as usize) };
        (self.0.changed & abi::INTROD_CHANGE_REPORTED_ADDRESSES != 0)
            .then(|| reported.iter().map(|address| Address::from(*address).socket))
    }
}
