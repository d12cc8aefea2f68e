mod acting;
mod description;
mod draining;
mod lists;
mod reading;
mod stories;
mod streaming;

use crate::admin::testing::{Answer, Stage};

impl Stage {
    /// Reads below the root of the API.
    async fn api(&self, path: &str) -> Answer {
        self.get(&format!("{}{path}", super::ROOT)).await
    }

    /// Acts below the root of the API.
    async fn act(&self, path: &str, body: &str) -> Answer {
        self.post(&format!("{}{path}", super::ROOT), crate::admin::testing::LOGIN, body).await
    }
}
