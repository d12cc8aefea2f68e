//! A real browser: Chromium, driven by WebDriver (W3C) over plain HTTP.

mod driver;

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use driver::Driver;

/// A browser with one window. It and all its processes are gone when this is dropped.
pub(crate) struct Browser(Driver);

/// How the reader of the page wants to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Light,
    Dark,
}

impl Browser {
    /// Starts a browser.
    pub(crate) fn start() -> Self {
        Self(Driver::start())
    }

    /// The same on another thread, so that clients go on meanwhile.
    pub(crate) async fn started() -> Arc<Self> {
        meanwhile(|| Arc::new(Self::start())).await
    }

    /// Opens a view of the page of a server.
    pub(crate) fn open(&self, admin: SocketAddr, view: &str) {
        self.0.post("/url", &json!({ "url": format!("http://{admin}/{view}") }));
    }

    /// Logs in as a browser's own dialog does, which WebDriver cannot fill in. The login is then sent with every request.
    pub(crate) fn log_in(&self, admin: SocketAddr, user: &str, password: &str) {
        self.0.post("/url", &json!({ "url": format!("http://{user}:{password}@{admin}/page/icon.svg") }));
    }

    /// Puts a script into every document that is opened from now on, before those of the page.
    pub(crate) fn before_the_page(&self, script: &str) {
        self.0.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": script }));
    }

    /// The value of an expression of JavaScript.
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.0.post("/execute/sync", &json!({ "script": format!("return {expression}"), "args": [] }))
    }

    /// Runs a script in the page, as one of the page's own.
    pub(crate) fn run(&self, script: &str) {
        self.0.post("/execute/sync", &json!({ "script": script, "args": [] }));
    }

    /// Waits until an expression is true, and gives its value.
    pub(crate) fn wait(&self, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[0];
            const check = () => {{
                const value = {expression};
                if (value) done(value); else setTimeout(check, 30);
            }};
            check();"
        );
        let answer = self.0.try_post("/execute/async", &json!({ "script": script, "args": [] }));
        answer.unwrap_or_else(|error| panic!("not so in time: {expression}\n{error}\n{}", self.text("body")))
    }

    /// Waits until an element of those that fit the selector has that text in it.
    pub(crate) fn wait_for_text(&self, selector: &str, text: &str) {
        self.wait(&has_text(selector, text));
    }

    /// Waits until none has it any more.
    pub(crate) fn wait_until_gone(&self, selector: &str, text: &str) {
        self.wait(&format!("!({})", has_text(selector, text)));
    }

    /// The texts of all elements that fit the selector.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        let all =
            self.value(&format!("[...document.querySelectorAll({})].map((one) => one.innerText)", json!(selector)));
        all.as_array().expect("a list").iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The text of the first of them.
    pub(crate) fn text(&self, selector: &str) -> String {
        self.texts(selector).into_iter().next().unwrap_or_default()
    }

    /// How many there are.
    pub(crate) fn count(&self, selector: &str) -> u64 {
        self.value(&format!("document.querySelectorAll({}).length", json!(selector))).as_u64().expect("a number")
    }

    /// Clicks on an element as a mouse does, as soon as it is there.
    pub(crate) fn click(&self, selector: &str) {
        self.wait(&format!("document.querySelector({}) !== null", json!(selector)));
        self.0.post(&format!("/element/{}/click", self.0.element(selector)), &json!({}));
    }

    /// Presses the first button of those that fit the selector that has this text, as soon as it is there.
    pub(crate) fn press(&self, selector: &str, label: &str) {
        let all = format!("[...document.querySelectorAll({})]", json!(selector));
        self.wait(&format!(
            "(() => {{ const found = {all}.find((one) => one.innerText === {}); found?.click(); return found !== undefined; }})()",
            json!(label)
        ));
    }

    /// Types into an element. `\u{e007}` is the key Enter, `\u{e004}` Tab, `\u{e00c}` Escape.
    pub(crate) fn keys(&self, selector: &str, text: &str) {
        self.0.post(&format!("/element/{}/value", self.0.element(selector)), &json!({ "text": text }));
    }

    /// Types wherever the focus is.
    pub(crate) fn keys_at_the_focus(&self, text: &str) {
        let element = self.0.get("/element/active");
        let id =
            element.as_object().and_then(|known| known.values().next()).and_then(Value::as_str).expect("an element");
        self.0.post(&format!("/element/{id}/value"), &json!({ "text": text }));
    }

    /// Shows pages as a reader with these wishes and a window of that width has them.
    pub(crate) fn look(&self, look: Look, width: u32) {
        let scheme = if look == Look::Dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.0.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.0.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Keeps a picture of the whole page, if the variable `INTROD_PICTURES` names a folder for them.
    pub(crate) fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("INTROD_PICTURES") else { return };
        let wish = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.0.devtools("Page.captureScreenshot", &wish);
        let picture = driver::decode_base64(answer["data"].as_str().expect("a picture"));
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), picture).expect("a file");
    }

    /// What the browser has complained of: errors of scripts, and violations of the page's policy. That the server does not answer, or
    /// refuses something, is for the page to handle.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.0.post("/se/log", &json!({ "type": "browser" }));
        let severe = entries.as_array().expect("a list").iter().filter(|entry| entry["level"] == "SEVERE");
        let own = severe.filter(|entry| entry["source"] != "network");
        own.map(|entry| entry["message"].to_string()).collect()
    }
}

fn has_text(selector: &str, text: &str) -> String {
    let (selector, text) = (json!(selector), json!(text));
    format!("[...document.querySelectorAll({selector})].some((one) => one.innerText.includes({text}))")
}

/// Does something that blocks on another thread, so that clients of this one go on.
pub(crate) async fn meanwhile<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(task).await {
        Ok(value) => value,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
