//! What may stand in each file: its keys, and the table of them.
//!
//! To add a setting, write its key into the file here, and read it in the file of the crate that has the same name.

pub(crate) mod adaptor;
pub(crate) mod application;
mod common;
pub(crate) mod server;
pub(crate) mod users;
pub(crate) mod vhost;

use crate::schema::Schema;

/// Every file of the configuration.
pub(crate) static SCHEMAS: [&Schema; 5] =
    [&server::SCHEMA, &users::SCHEMA, &adaptor::SCHEMA, &vhost::SCHEMA, &application::SCHEMA];
