//! What a script gives to be called, functions and metamethods, is called where a handler can be left: nowhere inside a function
//! of C or of Rust (`limits.rs`).

use mlua::{Function, Table};

use super::*;

/// Calls every function that a script can reach with objects that tell where they are called. The table `places` has those where
/// a handler could not be left.
const SPIES: &str = "
    local where
    places, calls = {}, 0
    local function note()
        calls = calls + 1
        if not coroutine.isyieldable() then places[where] = true end
    end
    local meta = {
        __name = 'spy',
        __index = function(_, name) note() return type(name) == 'number' and name < 4 and 'x' or nil end,
        __newindex = note,
        __len = function() note() return 3 end,
        __tostring = function() note() return 'a spy' end,
        __call = note,
        __close = note,
        __pairs = function() note() return next, {}, nil end,
    }
    for _, name in ipairs { 'add', 'sub', 'mul', 'div', 'mod', 'pow', 'unm', 'idiv', 'band', 'bor', 'bxor', 'shl', 'shr', 'bnot',
        'concat', 'eq', 'lt', 'le' } do
        meta['__' .. name] = function() note() return false end
    end
    local function spy() return setmetatable({}, meta) end
    -- The metatable of strings cannot be given any of this.
    for name, f in pairs(meta) do
        if type(f) == 'function' and name ~= '__index' then pcall(rawset, getmetatable(''), name, f) end
    end
    local function list() return setmetatable({ 'c', 'b', 'a' }, meta) end
    local function callback() note() return spy() end

    local function try(name, f, ...)
        where = name
        local results = table.pack(pcall(f, ...))
        -- An iterator.
        if results[1] and type(results[2]) == 'function' then pcall(results[2], results[3], results[4]) end
    end

    local skipped = { ['_G.application.shutdown'] = true, ['_G.sleep'] = true, ['_G.try_all'] = true }
    local function functions(prefix, value, found, seen)
        if seen[value] then return end
        seen[value] = true
        for name, member in pairs(value) do
            local full = prefix .. '.' .. tostring(name)
            if type(member) == 'function' and not skipped[full] then found[#found + 1] = { full, member } end
            if type(member) == 'table' and member ~= METHODS then functions(full, member, found, seen) end
        end
    end

    function try_all(client)
        local found = {}
        functions('_G', _G, found, {})
        functions('Client', METHODS, found, {})
        assert(#found > 100, #found)
        -- Made anew for each call, which may change them.
        local function value(i, client)
            if i == 1 then return spy() elseif i == 2 then return list() end
            return ({ [3] = callback, [4] = 'abc', [5] = '%s', [6] = 2, [7] = client })[i]
        end
        for _, entry in ipairs(found) do
            try(entry[1], entry[2])
            for a = 1, 7 do
                try(entry[1], entry[2], value(a, client))
                for b = 1, 7 do
                    try(entry[1], entry[2], value(a, client), value(b, client))
                    for c = 1, 7 do try(entry[1], entry[2], value(a, client), value(b, client), value(c, client)) end
                end
            end
        end
        try('table.move', table.move, list(), 1, 2, 2, spy())
        local both = list()
        try('table.move', table.move, both, 1, 2, 2, both)
        try('table.concat', table.concat, spy(), 'x', 1, 3)
        -- Options whose names are objects.
        for _, entry in ipairs(found) do
            for a = 4, 5 do
                try(entry[1], entry[2], value(a, client), { [spy()] = spy() })
                try(entry[1], entry[2], value(a, client), value(a, client), { [spy()] = spy() })
            end
        end
        try('string.format', string.format, '%5.2s%%%d %s', spy(), 1, spy())
        try('string.gsub', string.gsub, 'abc', '.', spy())
        local objects = { spy(), list(), 'abc', '10', 2, client, Date(1), null }
        for _, a in ipairs(objects) do
            for _, b in ipairs(objects) do
                for name, work in pairs {
                    add = function() return a + b end, sub = function() return a - b end, mul = function() return a * b end,
                    div = function() return a / b end, mod = function() return a % b end, pow = function() return a ^ b end,
                    idiv = function() return a // b end, band = function() return a & b end, shl = function() return a << b end,
                    concat = function() return a .. b end, eq = function() return a == b end, lt = function() return a < b end,
                    le = function() return a <= b end, unm = function() return -a end, bnot = function() return ~a end,
                    len = function() return #a end, index = function() return a[b] end, set = function() a[b] = 1 end,
                    call = function() return a(b) end, iterate = function() for _ in a do return end end,
                    pairs = function() for _ in pairs(a) do return end end,
                    ipairs = function() for _ in ipairs(a) do return end end,
                    close = function() local _ <close> = a end, close_by_error = function() local _ <close> = a error(b) end,
                    error = function() error(a) end, coroutine = function() coroutine.wrap(function() error(a) end)() end,
                } do
                    try(name, work)
                end
            end
        end
        where = 'a handler'
    end
    function application.onConnect(client, how)
        if how == 'all' then try_all(client) elseif how == 'error' then error(spy()) end
        return spy()
    end
    function application.onPeerLookup() error(spy()) end
    function Client:give() return spy() end
    function Client:ask() self:call('x', spy(), 1) end
";

#[test]
fn what_a_script_gives_to_be_called_is_called_where_a_handler_can_be_left() {
    let mut scene = scene_with(SPIES, |settings| settings.script.time = None);
    let lua = scene.stage.runtime.script.lua().clone();
    let globals = lua.globals();
    globals.raw_set("METHODS", &scene.stage.runtime.script.state.methods).unwrap();
    // One that does it wrong, for the spies to find.
    let wrong = lua.create_function(|_, function: Function| function.call::<()>(())).unwrap();
    globals.raw_set("wrong", wrong).unwrap();
    for how in ["all", "error"] {
        scene.stage.connect(|info| info.request.arguments = vec![how.into()]);
    }
    let client = scene.stage.connect(|_| ());
    for method in ["give", "ask"] {
        scene.stage.call(client, method, 1.0, Vec::new());
    }
    scene.stage.look_up(None, "192.0.2.1:1".parse().unwrap(), None);
    scene.advance(100_000);
    let places: Table = globals.raw_get("places").unwrap();
    let places: Vec<String> = places.pairs::<String, bool>().map(|place| place.unwrap().0).collect();
    assert_eq!(places, ["_G.wrong"]);
    let calls: u64 = globals.raw_get("calls").unwrap();
    assert!(calls > 1000, "{calls}");
}
