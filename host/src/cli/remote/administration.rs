//! The JSON API of a running server.

use std::net::SocketAddr;

use axum::http::{Method, StatusCode};
use serde_json::Value;

use super::args::RemoteArgs;
use super::http::{self, Answer, NoAnswer};
use super::{address, login};

/// The JSON API of a running server, as an administrator or without a login.
pub(super) struct Remote {
    addresses: Vec<SocketAddr>,
    authorization: Option<String>,
}

impl Remote {
    /// Finds the server. Nothing is sent yet.
    ///
    /// # Errors
    /// If the arguments or the configuration do not say where it is, or there is no password for the user.
    pub(super) async fn new(args: &RemoteArgs) -> anyhow::Result<Self> {
        let addresses = address::find(args.conf.as_deref(), args.admin.as_deref()).await?;
        let authorization = match &args.user {
            Some(user) => Some(login::authorization(user, args.password_file.as_deref())?),
            None => None,
        };
        Ok(Self { addresses, authorization })
    }

    /// Asks for what stands under a path of `/api/v1`.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses. The message says what to do.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, None).await
    }

    /// Lets the server do something.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, path, Some(body.to_string())).await
    }

    async fn ask(&self, method: Method, path: &str, json: Option<String>) -> anyhow::Result<Value> {
        let path = format!("/api/v1/{path}");
        let mut failures = Vec::new();
        for address in &self.addresses {
            match http::send(*address, method.clone(), &path, self.authorization.as_deref(), json.clone()).await {
                Ok(answer) => return self.read(*address, &answer),
                // Nothing was sent there: another address of the same server may do.
                Err(NoAnswer::NotConnected(error)) => failures.push(format!("{address}: {error}")),
                Err(failure) => anyhow::bail!("{address}: {failure}"),
            }
        }
        anyhow::bail!(
            "nothing listens there ({}): does the server run, and is its administration at that address? \
             (--conf DIR or --admin URL)",
            failures.join("; ")
        )
    }

    fn read(&self, from: SocketAddr, answer: &Answer) -> anyhow::Result<Value> {
        let value: Option<Value> = serde_json::from_slice(&answer.body).ok();
        if answer.status.is_success() {
            return value.ok_or_else(|| anyhow::anyhow!("{from} does not answer as the administration of introd does"));
        }
        let said = value.as_ref().and_then(|value| value["error"].as_str());
        let text = String::from_utf8_lossy(&answer.body);
        let said = introd_log::text::shown(said.unwrap_or_else(|| text.lines().next().unwrap_or_default()));
        anyhow::bail!("{}", self.refusal(answer.status, &said))
    }

    /// Why a server refuses, and what to do. `said` is what it says itself.
    fn refusal(&self, status: StatusCode, said: &str) -> String {
        match (status, &self.authorization) {
            (StatusCode::UNAUTHORIZED, None) => "the server wants a login: give --user NAME".to_owned(),
            (StatusCode::UNAUTHORIZED, Some(_)) => format!("wrong name or password: {said}"),
            (StatusCode::TOO_MANY_REQUESTS, _) => format!("locked out: {said}"),
            (_, _) if said.is_empty() => format!("the server answers {status}"),
            (_, _) => said.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(login: Option<&str>) -> Remote {
        Remote { addresses: Vec::new(), authorization: login.map(str::to_owned) }
    }

    fn read(login: Option<&str>, status: u16, body: &str) -> Result<Value, String> {
        let answer = Answer { status: StatusCode::from_u16(status).unwrap(), body: body.as_bytes().to_vec() };
        let from = "127.0.0.1:1111".parse().unwrap();
        remote(login).read(from, &answer).map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_is_its_value_and_a_refusal_says_why_and_what_to_do() {
        assert_eq!(read(None, 200, "{\"a\":1}"), Ok(serde_json::json!({"a": 1})));
        for (login, status, body, expected) in [
            (None, 401, "{\"error\":\"x\"}", "the server wants a login: give --user NAME"),
            (Some("Basic x"), 401, "{\"error\":\"Login failed.\"}", "wrong name or password: Login failed."),
            (Some("Basic x"), 429, "{\"error\":\"Try again in 7 seconds.\"}", "locked out: Try again in 7 seconds."),
            (None, 403, "{\"error\":\"Set a password.\"}", "Set a password."),
            (None, 403, "In plain text.\nMore.", "In plain text."),
            (None, 404, "{\"error\":\"no such client\"}", "no such client"),
            (None, 404, "\u{1b}[2J", "\\u{1b}[2J"),
            (None, 503, "", "the server answers 503 Service Unavailable"),
            (None, 200, "<html>", "127.0.0.1:1111 does not answer as the administration of introd does"),
        ] {
            assert_eq!(read(login, status, body), Err(expected.to_owned()), "{status} {body}");
        }
    }

    #[tokio::test]
    async fn where_nothing_listens_the_addresses_are_named() {
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let addresses = vec![free(), free()];
        let remote = Remote { addresses: addresses.clone(), authorization: None };
        let error = remote.get("server").await.unwrap_err().to_string();
        assert!(error.starts_with("nothing listens there") && error.contains("--admin URL"), "{error}");
        assert!(addresses.iter().all(|address| error.contains(&address.to_string())), "{error}");
    }
}
