//! The chunks of RFC 7016 §2.3, one type each.

mod ack;
mod any;
mod control;
mod data;
pub mod kind;
mod startup;

pub use ack::{Ack, AckForm, BUFFER_BLOCK, Ranges};
pub use any::Chunk;
pub use control::{BufferProbe, FlowException, PacketFragment};
pub use data::{FragmentControl, NextUserData, UserData, UserDataOptions, metadata_option, return_association_option};
pub use startup::{CookieChange, ForwardedIHello, IHello, IIKeying, RHello, RIKeying, Redirect};

#[cfg(test)]
mod tests;
