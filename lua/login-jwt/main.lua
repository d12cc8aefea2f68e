-- Accepts clients that log in with a JSON Web Token: a site where users are known issues it, and this script verifies it without asking the
-- site. A client's program passes the token to connect(), or in the URL: rtmfp://host/login-jwt?token=...
-- A connection ends when its token expires, unless the program calls renew(token) with a new one before.
--
-- ScriptEngine/ApplicationObject/config in Application.xml has one of:
--   <keys>https://...</keys>     where the issuer publishes its keys (a JSON Web Key Set); ScriptEngine/HTTP/Allow must list its host
--   <publicKey>...</publicKey>   the key of the issuer: PEM, or a JSON Web Key or a set of them
--   <secret>...</secret>         a secret that only the issuer and this server know (algorithm HS256)
-- and may have:
--   <issuer>...</issuer>         the claim iss must be this
--   <audience>...</audience>     the claim aud must name this
--   <onePerUser/>                when a user connects again, the earlier connection ends
-- An element that is empty, as by a variable that is not set, counts as none; onePerUser may be empty.

local config = application.config
local SECOND = 1000
-- How far the clocks of the issuer and of this server may be apart, in seconds.
local LEEWAY = 30
-- How long a client has to renew its token after this script has been loaded again, which forgets what tokens there were.
local GRACE = 60 * SECOND
-- How often the issuer's keys are asked for, and how soon again if a token may be signed by a newer one.
local REFRESH, AGAIN = 3600 * SECOND, 60 * SECOND
-- Less than Policy/Deadline, which is two seconds by default.
local TIMEOUT = 1500
-- How often a handler looks whether the keys that it waits for have come.
local PAUSE = 50
-- A token that is valid for longer counts as valid until then: 9999-12-31T23:59:59Z, in seconds since 1970. Times beyond it could overflow.
local LATEST = 253402300799

local function given(name) return config[name] ~= "" and config[name] or nil end
local keysUrl, publicKey, secret = given "keys", given "publicKey", given "secret"

local options = {
    key = publicKey or not keysUrl and secret or nil,
    -- A token is signed by what the script expects, or it is refused.
    algorithms = (publicKey or keysUrl) and { "RS256", "PS256", "ES256", "EdDSA" } or { "HS256" },
    issuer = given "issuer",
    audience = given "audience",
    leeway = LEEWAY,
}

-- The clients that are logged in, by user.
local clients = {}

-- When the issuer was last asked for its keys, and whether its answer is still awaited.
local asked, isAsking = -AGAIN, false

-- Asks for the issuer's keys. Those that there are go on until others have come.
local function askForKeys()
    asked, isAsking = now(), true
    local response, problem = http.get(keysUrl, { timeout = TIMEOUT })
    local keys = response and response.status == 200 and response:json()
    -- What the site answers must be keys before any token depends on it.
    local areKeys, wrong = pcall(crypto.verifyJwt, "", { key = keys })
    if areKeys then
        options.key = keys
    else
        log.warn("the keys of the issuer cannot be had:", problem or wrong)
    end
    isAsking = false
end

-- Waits until the issuer's keys have come, if it has been asked for them; asks it if that was some time ago. Other handlers run meanwhile.
-- Returns false, and has not waited, if there is nothing to wait for.
local function waitForKeys()
    if now() - asked >= AGAIN then
        askForKeys()
        return true
    end
    if not isAsking then return false end
    -- A request takes TIMEOUT at most. The second condition ends the wait if askForKeys has failed.
    while isAsking and now() - asked < TIMEOUT + 2 * PAUSE do sleep(PAUSE) end
    return true
end

local function check(token)
    if not options.key then return nil, "there is no key" end
    local claims, problem = crypto.verifyJwt(token, options)
    if claims and type(claims.sub) ~= "string" then return nil, "the token names no user (sub)" end
    return claims, problem
end

-- Returns the claims of a token, or nil and the reason. The issuer may have signed it with a key that has not come yet.
local function verify(token)
    if type(token) ~= "string" then return nil, "there is no token" end
    local claims, problem = check(token)
    if not claims and keysUrl and waitForKeys() then return check(token) end
    return claims, problem
end

-- Ends the connection at that time, in milliseconds since 1970. A timer may take 24 days, a token may be valid for longer.
local function limit(client, time)
    clearTimeout(client.limit)
    client.limit = setTimeout(function()
        if now() < time then return limit(client, time) end
        log.info("the token of", client.user or "a client", "has expired")
        application.disconnect(client)
    end, time - now())
end

local function logIn(client, claims)
    client.user, client.roles = claims.sub, claims.roles
    limit(client, (math.min(claims.exp, LATEST) + LEEWAY) * SECOND)
    local earlier = clients[claims.sub]
    clients[claims.sub] = client
    if config.onePerUser and earlier and earlier ~= client then application.disconnect(earlier) end
end

function application.onAppStart()
    -- Clients that are connected already were accepted by an earlier version of this script.
    for _, client in pairs(application.clients) do limit(client, now() + GRACE) end
    if keysUrl then
        setInterval(askForKeys, REFRESH)
        askForKeys()
    elseif not options.key then
        log.error("config in Application.xml has no keys, no publicKey and no secret: no client can log in")
    end
end

function application.onConnect(client, token)
    local address = url.parse(client.uri)
    token = token or (address and address.parameters.token)
    local claims, problem = verify(token)
    if not claims then
        -- The reason is for the log. A client that is told it learns how to do better.
        log.info("rejected", client.ip .. ":", problem)
        application.rejectConnection(client, "Please log in.", { reason = "login" })
        return false
    end
    logIn(client, claims)
    return true
end

function application.onDisconnect(client)
    clearTimeout(client.limit)
    client.isGone = true
    if client.user and clients[client.user] == client then clients[client.user] = nil end
end

-- Called by a client's program, with a new token for the same user.
function Client:renew(token)
    local claims, problem = verify(token)
    if not claims or (self.user and claims.sub ~= self.user) then
        log.info("no new token for", self.user, problem)
        return false
    end
    -- The client may have disconnected while its new token waited for a key.
    if self.isGone then return false end
    logIn(self, claims)
    return true
end

-- Called by a client's program: whom the server takes it for.
function Client:whoAmI()
    return self.user and { user = self.user, roles = self.roles or Array {} } or null
end
