//! The web and the files that tests of scripts make up.

use super::*;

/// Runs tests of a script: what is written of them.
fn run(main: &str, tests: &str) -> String {
    run_in(&Folder::new(main), tests)
}

fn run_in(folder: &Folder, tests: &str) -> String {
    folder.write("list", "of the folder");
    folder.write("outside_test.lua", tests);
    let mut out = Vec::new();
    let passed = testing::run(&[folder.path().to_owned()], testing::Options::default(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(passed, "{text}");
    text
}

#[test]
fn without_answers_or_files_of_its_own_a_test_is_told_how_to_give_some() {
    run(
        "function Client:ask() return select(2, http.get('http://api.example.com/')) end
        function Client:read(name) return file.read(name) or select(2, file.read(name)) end",
        "it('says so', function()
            local app = start()
            local client = app:connect()
            local problem = client:call('ask')
            assert.is_truthy(problem:find('start { http = function(request)', 1, true), problem)
            assert.equal('of the folder', client:call('read', 'list'))
            assert.has_error(function() app:write('list', 'x') end, 'start { files = {} }')
            assert.has_error(function() start { http = 'x' } end, 'http is a function')
            assert.has_error(function() start { http = function() return 12 end }:connect():call('ask') end, 'a table, or nil and the reason')
            app = start { files = {} }
            problem = app:connect():call('read', 'list')
            assert.is_truthy(problem:find('there is no file \"list\"', 1, true), problem)
        end)",
    );
}

#[test]
fn requests_are_answered_at_the_time_at_which_they_are_made() {
    run(
        "function application.onAppStart()
            local began = now()
            setInterval(function()
                local response, problem = http.get('http://api.example.com/' .. now() - began, { timeout = 500 })
                trace(response and response.body or problem, now() - began)
            end, 1000)
        end",
        "it('stands still meanwhile', function()
            local asked, after = {}, 0
            local app = start { http = function(request)
                asked[#asked + 1] = request.method .. ' ' .. request.url:match('%d+$')
                return { body = 'x', after = after }
            end }
            app:advance(2500)
            assert.same({ 'GET 1000', 'GET 2000' }, asked)
            assert.same({ 'x 1000', 'x 2000' }, app.traces)
            after = 499
            app:advance(1000)
            assert.equal('x 3499', app.traces[3])
            after = 501
            app:advance(1000)
            assert.equal('there was no answer in time 4500', app.traces[4])
        end)",
    );
}

#[test]
fn each_of_several_servers_has_a_web_and_files_of_its_own() {
    run(
        "function application.onAppStart()
            file.watch('list', function(name) trace(file.read(name), http.get('http://api.example.com/').body) end)
        end",
        "it('has', function()
            local function server(name)
                return start { server = name, files = {}, http = function() return { body = name } end }
            end
            local a, b = server('a'), server('b')
            a:write('list', 'one')
            b:write('list', 'two')
            b:write('list', 'two')
            b:write('list', nil)
            assert.same({ 'one a' }, a.traces)
            assert.same({ 'two b', 'two b', 'nil b' }, b.traces)
            b:crash()
            a:write('list', 'three')
            assert.equal('three a', a.traces[2])
        end)",
    );
}

#[test]
fn hosts_that_application_xml_does_not_list_are_refused_in_tests_too() {
    let folder = Folder::new(
        "function Client:ask(url) local answer, problem = http.get(url) return answer and answer.body or problem end",
    );
    let allow = "api.example.com, *.example.org:81, 192.0.2.1";
    folder.write(
        "Application.xml",
        &format!("<Application><ScriptEngine><HTTP><Allow>{allow}</Allow></HTTP></ScriptEngine></Application>"),
    );
    run_in(
        &folder,
        "it('refuses', function()
            local client = start({ http = function() return { body = 'x' } end }):connect()
            for _, url in ipairs { 'http://api.example.com/', 'https://a.example.org:81', 'http://192.0.2.1:8/', 'http://3221225985/' } do
                assert.equal('x', client:call('ask', url))
            end
            for _, url in ipairs { 'http://example.com/', 'https://a.example.org', 'http://192.0.2.2/', 'http://[::1]/' } do
                local problem = client:call('ask', url)
                assert.is_truthy(problem:find('does not list it', 1, true), problem)
            end
        end)",
    );
}

#[test]
fn urls_that_the_server_refuses_are_refused_in_tests_as_well() {
    run(
        "function Client:ask(url) local answer, problem = http.get(url) return answer and answer.body or problem end",
        "it('says why', function()
            local client = start { http = function() return { body = 'x' } end }:connect()
            assert.equal('x', client:call('ask', 'http://192.0.2.1/'))
            assert.equal('x', client:call('ask', 'https://api.example.com/'))
            for _, url in ipairs { 'ftp://api.example.com/', 'file:///etc/passwd', 'ws://api.example.com/' } do
                assert.equal('the URL begins neither with http:// nor with https://', client:call('ask', url))
            end
            local problem = client:call('ask', 'http://me:secret@api.example.com/')
            assert.is_truthy(problem:find('header Authorization', 1, true), problem)
            problem = client:call('ask', '/relative')
            assert.is_truthy(problem:find('malformed', 1, true), problem)
        end)",
    );
}
