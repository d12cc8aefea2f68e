//! The functions of a test that act on the web and the files of the made-up servers.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use mlua::{Lua, LuaString, Result, Table, Value};

use super::files::MadeUpFiles;
use super::options::field;
use super::theatre::{Theatre, stage};
use super::web::Web;
use introd_policy::http::{HttpFailure, HttpResponse};

/// The web that a test gives to an application: the option `http` is the function that answers.
pub(super) fn web(options: Option<&Table>) -> Result<Web> {
    match options.map_or(Ok(Value::Nil), |options| options.get("http"))? {
        Value::Nil => Ok(Web::new(false)),
        Value::Function(_) => Ok(Web::new(true)),
        other => {
            Err(mlua::Error::runtime(format!("http is a function that answers requests, not a {}", other.type_name())))
        }
    }
}

/// The files that a test gives to an application: the option `files` has their contents by their names.
pub(super) fn files(options: Option<&Table>) -> Result<MadeUpFiles> {
    let Some(given) = field::<Table>(options, "files")? else { return Ok(MadeUpFiles::default()) };
    let files = MadeUpFiles::new();
    for pair in given.pairs::<String, LuaString>() {
        let (name, text) = pair?;
        files.write(&name, Some(text.as_bytes().to_vec()));
    }
    Ok(files)
}

/// Adds the functions of which `testing.lua` makes the words of tests.
pub(super) fn register(lua: &Lua, shared: &Rc<RefCell<Theatre>>, native: &Table) -> Result<()> {
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "http_asked",
        lua.create_function(move |lua, server: String| {
            // A server that has crashed asks nothing.
            let Ok(stage) = stage(&stage_of, &server) else { return Ok((None, None)) };
            let Some((number, request)) = stage.web.next_asked() else { return Ok((None, None)) };
            let headers = lua.create_table()?;
            for (name, value) in request.headers {
                headers.raw_set(name, lua.create_string(value)?)?;
            }
            let asked = lua.create_table()?;
            asked.raw_set("method", request.method)?;
            asked.raw_set("url", request.url)?;
            asked.raw_set("headers", headers)?;
            asked.raw_set("body", lua.create_string(request.body)?)?;
            Ok((Some(number), Some(asked)))
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "http_answer",
        lua.create_function(move |_, (server, number, answer, problem): (String, u64, Value, Value)| {
            let (outcome, after) = outcome(answer, &problem)?;
            if let Ok(mut stage) = stage(&stage_of, &server) {
                stage.web.answer(number, outcome, after);
                stage.look_at_web();
            }
            Ok(())
        })?,
    )?;
    let stage_of = Rc::clone(shared);
    native.raw_set(
        "write",
        lua.create_function(move |_, (server, name, text): (String, String, Option<LuaString>)| {
            let mut stage = stage(&stage_of, &server)?;
            if !stage.files.write(&name, text.map(|text| text.as_bytes().to_vec())) {
                return Err(mlua::Error::runtime(
                    "the files of this test are those of the folder: to write some, give the application files of its own by start { files = {} }",
                ));
            }
            stage.poll();
            Ok(())
        })?,
    )
}

/// What the test says comes of a request, and after how much time.
fn outcome(answer: Value, problem: &Value) -> Result<(std::result::Result<HttpResponse, HttpFailure>, Duration)> {
    let answer = match answer {
        Value::Table(answer) => answer,
        Value::Nil => {
            let why = if problem.is_nil() { "the test gives no answer".to_owned() } else { problem.to_string()? };
            return Ok((Err(HttpFailure::Failed(why)), Duration::ZERO));
        }
        other => {
            let kind = other.type_name();
            return Err(mlua::Error::runtime(format!(
                "an answer to an HTTP request is a table, or nil and the reason, not a {kind}"
            )));
        }
    };
    let given = Some(&answer);
    let after = Duration::from_millis(field(given, "after")?.unwrap_or(0));
    if let Some(why) = field::<String>(given, "problem")? {
        return Ok((Err(HttpFailure::Failed(why)), after));
    }
    let mut headers = Vec::new();
    for pair in field::<Table>(given, "headers")?.iter().flat_map(Table::pairs::<String, LuaString>) {
        let (name, value) = pair?;
        headers.push((name.to_ascii_lowercase(), value.as_bytes().to_vec()));
    }
    let body = field::<LuaString>(given, "body")?.map(|body| body.as_bytes().to_vec()).unwrap_or_default();
    Ok((Ok(HttpResponse { status: field(given, "status")?.unwrap_or(200), headers, body, place: None }), after))
}
