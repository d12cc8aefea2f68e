//! A server under a service manager: what it tells it, the sockets that it is passed, and what becomes of it when something goes wrong.
//! `docs/systemd.md` has the table.

mod activation;
mod faults;
mod telling;
mod units;
