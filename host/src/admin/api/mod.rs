//! The JSON API, `/api/v1`: what the page, the command line and other programs ask for.
//!
//! [`endpoints`] has the paths. Each file below it answers one of them or a few, from the tables of the server and from what workers
//! answer; the functions behind them serve the Administration API of AMS as well. `README.md` beside this file describes the API.
//!
//! # Why no page of another site can act
//!
//! Browsers send the credentials of HTTP Basic by themselves, for any page. An action is a POST whose `Content-Type` is
//! `application/json`. For another origin, a browser first asks by OPTIONS whether it may send that, and gets no permission. Besides, a
//! request whose `Sec-Fetch-Site` or `Origin` names another site is refused before its login is looked at.

mod actions;
mod applications;
mod body;
mod clients;
mod counters;
mod drain;
mod endpoints;
mod events;
mod groups;
mod introductions;
mod paging;
mod plugins;
mod problem;
mod registry;
mod relay;
mod scripts;
mod server;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use introd_config::Config;
use serde_json::{Value, json};

use super::caller::Caller;
use super::gate::Wish;
use super::inspector::Inspector;
use super::query::Query;
use super::rooms::Rooms;
use super::streams::OpenStreams;
use body::Body;
use endpoints::{Endpoint, Found, find};
use problem::Problem;

pub(super) use endpoints::{ROOT, ROUTES};

/// The longest body of a request, in bytes.
pub(super) const MAX_BODY: usize = 64 << 10;

/// What an answer is made from.
struct Ask<'a> {
    rooms: &'a Rooms,
    inspector: &'a Inspector,
    config: Arc<Config>,
    caller: &'a Caller,
    query: &'a Query,
}

/// The description of the API, in the form of OpenAPI 3.1.
const OPENAPI: &str = include_str!("openapi.json");

type Answer = Result<Value, Problem>;

/// The answer to a request that is refused before anything of it is looked at.
pub(super) fn refuse(status: StatusCode, text: &'static str) -> Response {
    Problem::Body(status, text).into_response()
}

/// Answers a request.
pub(super) async fn respond(rooms: &Arc<Rooms>, caller: Caller, query: &Query, request: Request) -> Response {
    answer(rooms, caller, query, request).await.unwrap_or_else(Problem::into_response)
}

async fn answer(rooms: &Arc<Rooms>, caller: Caller, query: &Query, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let found = find(&parts.method, parts.uri.path());
    // Who may not read does not learn what there is.
    rooms.admit(&caller, if parts.method == Method::POST { Wish::Post } else { Wish::Read }).await?;
    let (endpoint, name) = match found {
        Found::Endpoint(endpoint, name) => (endpoint, name),
        Found::OtherMethods(methods) => return Err(Problem::Method(methods)),
        Found::Nothing => return Err(Problem::NotFound("There is nothing under this path.")),
    };
    let config = rooms.inspector.services.applications.config();
    let ask = Ask { rooms, inspector: &rooms.inspector, config, caller: &caller, query };
    let value = match endpoint {
        Endpoint::Server => ask.server().await,
        Endpoint::Counters => Ok(counters::counters(ask.inspector)),
        Endpoint::Applications => ask.applications(),
        Endpoint::Clients => ask.clients().await,
        Endpoint::Client => ask.client(&name).await,
        Endpoint::Groups => ask.groups().await,
        Endpoint::Group => ask.group(&name),
        Endpoint::Peer => ask.story(&name).await,
        Endpoint::Events => ask.events(),
        Endpoint::Introductions => ask.introductions(),
        Endpoint::Lookups => Ok(ask.lookups()),
        Endpoint::Plugins => Ok(ask.plugins()),
        Endpoint::Scripts => ask.scripts(),
        Endpoint::Registry => Ok(ask.registry()),
        Endpoint::Relay => ask.relay(),
        Endpoint::LogLevel => Ok(json!({"level": introd_log::level()})),
        Endpoint::SetLogLevel => ask.set_log_level(&Body::read(&parts.headers, body).await?),
        Endpoint::Disconnect => ask.disconnect(&name, &Body::read(&parts.headers, body).await?).await,
        Endpoint::Reload => ask.reload(&name, &Body::read(&parts.headers, body).await?),
        Endpoint::Unload => ask.unload(&name, &Body::read(&parts.headers, body).await?).await,
        Endpoint::Drain => ask.begin_drain(&Body::read(&parts.headers, body).await?).await,
        Endpoint::CancelDrain => ask.cancel_drain(&Body::read(&parts.headers, body).await?).await,
        Endpoint::Broadcast => ask.broadcast(&Body::read(&parts.headers, body).await?).await,
        Endpoint::OpenApi => return Ok(problem::answer_text(StatusCode::OK, OPENAPI.to_owned())),
        Endpoint::Stream => {
            let of_connection = parts.extensions.get::<OpenStreams>().cloned().unwrap_or_default();
            return stream::stream(rooms, caller, of_connection);
        }
    }?;
    Ok(problem::answer(StatusCode::OK, &value))
}
