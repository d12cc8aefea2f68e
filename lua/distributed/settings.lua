-- Reads the settings of the application: ScriptEngine/ApplicationObject/config in Application.xml.

local settings = {}

-- An element that is there once is a value, one that is there several times a list of them.
local function list(value)
    if value == nil then return {} end
    if type(value) == "table" and value[1] ~= nil then return value end
    return { value }
end

local function milliseconds(config, name, default)
    local value = config[name]
    if value == nil then return default end
    local number = tonumber(value)
    if not number or number < 100 then
        error(name .. " in the configuration is a number of milliseconds, 100 or more, not " .. tostring(value), 0)
    end
    return number
end

-- The groupspec of the servers without multicast addresses: a text, or made of a secret.
local function baseGroupspec(config)
    if config.groupspec then return config.groupspec end
    local secret = config.secret
    if type(secret) ~= "string" or #secret < 16 then
        return nil
    end
    local spec = GroupSpecifier("introd servers " .. secret)
    spec.postingEnabled, spec.routingEnabled = true, true
    -- It belongs to the group, so it is the same on all servers. Without addresses nothing is sent because of it.
    spec.ipMulticastMemberUpdatesEnabled = true
    return spec:toString()
end

-- The groupspec of the servers, with the multicast addresses of this server's local network behind it.
local function groupspec(config)
    local spec = baseGroupspec(config)
    if not spec then return nil end
    for _, address in ipairs(list(config.lan)) do
        local read, part = pcall(GroupSpecifier.encodeIPMulticastAddressSpec, address)
        if not read then
            error("lan in the configuration is a multicast address with a port, as 224.0.0.254:30000, not " .. tostring(address), 0)
        end
        spec = spec .. part
    end
    return spec
end

-- The settings; nil and the reason if the configuration does not say which group the servers are in.
function settings.read(config)
    local spec = groupspec(config)
    if not spec then
        return nil, "the configuration has neither a groupspec nor a secret of 16 characters or more"
    end
    local read = {
        name = config.endpointName,
        bind = list(config.bind),
        groupspec = spec,
        bootstrap = {},
        -- How often a server says that it lives, and after how long of silence it counts as gone.
        beat = milliseconds(config, "beat", 5000),
        gone = milliseconds(config, "gone", 20000),
        -- After how long without a word from a bootstrap node that is said in the log.
        alarm = milliseconds(config, "alarm", 30000),
        -- How many clients of other servers are remembered.
        maxClients = tonumber(config.maxClients) or 200000,
    }
    for _, node in ipairs(list(config.bootstrap)) do
        if type(node) ~= "table" or not node.name or not node.address then
            error("a bootstrap node in the configuration has a name and an address", 0)
        end
        -- All servers may have the same list.
        if node.name ~= read.name then
            table.insert(read.bootstrap, { name = node.name, addresses = list(node.address) })
        end
    end
    -- Only one instance can have the addresses and the name. The others reach it as they reach other servers.
    if not application.name:find("/_definst_$") then
        if read.name and read.bind[1] then
            table.insert(read.bootstrap, { name = read.name, addresses = read.bind })
        end
        read.name, read.bind = nil, {}
    end
    return read
end

return settings
