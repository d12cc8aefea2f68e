//! What the tests share: clients in this process, packets made by hand, and the log.

pub(crate) mod between;
pub(crate) mod browser;
pub(crate) mod clients;
pub(crate) mod command_line;
pub(crate) mod http;
pub(crate) mod independent;
pub(crate) mod log;
pub(crate) mod members;
pub(crate) mod plain_server;
pub(crate) mod service_manager;
pub(crate) mod stranger;
