//! The page shows the servers that share the registry.

use introd_tests::folder::Folder;
use introd_tests::program::Server;
use introd_tests::redis::Redis;

use super::browser_at;
use crate::harness::browser::meanwhile;
use crate::registry::configured;

#[tokio::test]
async fn servers_that_share_the_registry_are_shown_with_those_that_have_died() {
    let (redis, folder) = (Redis::start(), Folder::new());
    let start = |name| Server::administered(&configured(&folder, &redis.url(), name, ""), 1);
    let (here, there) = (start("here"), start("there"));
    let browser = browser_at(here.admin[0], "#/server").await;
    meanwhile(move || {
        browser.wait_for_text(".servers li", "here: alive (this server)");
        browser.wait_for_text(".servers li", "there: alive");
        drop(there);
        browser.wait_for_text(".servers li", "there: dead");
        assert_eq!(browser.complaints(), Vec::<String>::new());
    })
    .await;
}
