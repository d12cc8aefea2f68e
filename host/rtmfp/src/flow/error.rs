//! Local misuse of flows.

/// Why a call on [`super::Flows`] was refused. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// There is no such session, or it is not open.
    #[error("the session is not open")]
    NoSession,
    /// There is no such flow, or it is closed or closing.
    #[error("the flow is not open")]
    NotOpen,
    /// The flow to be answered is not open (RFC 7016 §3.6.2.1).
    #[error("the flow to return is not open")]
    ReturnNotOpen,
    /// The metadata would not leave room for data ([`super::FlowConfig::max_metadata`]).
    #[error("the flow metadata is too long")]
    MetadataTooLong,
    /// [`super::FlowConfig::max_sending`] flows exist.
    #[error("too many sending flows")]
    TooManyFlows,
    /// The flow's queue is full; [`super::FlowEvent::Writable`] will tell when it is not.
    #[error("the send queue is full")]
    Full,
    /// The message is over [`super::FlowConfig::max_message`].
    #[error("the message is too long")]
    MessageTooLong,
}
