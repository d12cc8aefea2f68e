//! Calling methods of the server.

use std::time::Duration;

use introd_flash::amf::Value;
use introd_flash::client::{Incoming, Status};
use introd_flash::command::{Command, Encoding};
use rtmfp::Event;

use crate::client::Client;
use crate::failure::{ClientFailure, ClientStep};

const CHECK: &str = "the server's log, and the network between this client and the server";

impl Client {
    /// Calls a method of the server, and waits for its answer: the values after the command object, or the status with which the server
    /// refuses the call. A server that does not know the method answers `NetConnection.Call.Failed`, as a rule, or nothing.
    ///
    /// # Errors
    /// [`ClientStep::Call`] if the call cannot be sent, the connection ends, or no answer comes before the timeout.
    pub async fn call(
        &mut self,
        method: &str,
        arguments: Vec<Value>,
        timeout: Duration,
    ) -> Result<Result<Vec<Value>, Status>, ClientFailure> {
        let transaction = self.next_transaction();
        let message = Command::new(method, transaction, arguments).to_message(Encoding::Amf0, 0);
        let message = message.map_err(|error| failure(error.to_string()))?;
        self.send_to_server(message).map_err(|error| failure(error.to_string()))?;
        let answer = tokio::time::timeout(timeout, self.answer(transaction)).await;
        answer.unwrap_or_else(|_| {
            Err(failure(format!("the server did not answer {method} within {} s", timeout.as_secs_f64())))
        })
    }

    async fn answer(&mut self, wanted: f64) -> Result<Result<Vec<Value>, Status>, ClientFailure> {
        loop {
            let event = self.next().await.map_err(|error| ClientFailure::io(ClientStep::Call, &error))?;
            if let Event::Closed { session, reason } = &event
                && *session == self.session()
            {
                return Err(failure(format!("the connection to the server ended: {reason}")));
            }
            match self.server_message(&event) {
                Some(Incoming::Result { transaction, mut values, .. }) if transaction == wanted => {
                    // The command object comes first.
                    values.drain(..values.len().min(1));
                    return Ok(Ok(values));
                }
                Some(Incoming::Error { transaction, status }) if transaction == wanted => return Ok(Err(status)),
                _ => (),
            }
        }
    }
}

fn failure(problem: String) -> ClientFailure {
    ClientFailure::new(ClientStep::Call, problem, CHECK)
}
