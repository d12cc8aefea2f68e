//! RTMP messages on RTMFP flows (RFC 7425 §5).

pub mod amf;
