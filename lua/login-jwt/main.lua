-- Accepts clients that log in with a JSON Web Token: a site where users are known issues it, and this script verifies it without asking the
-- site. A client's program passes the token to connect(), or in the URL: rtmfp://host/login-jwt?token=...
-- A connection ends when its token expires, unless the program calls renew(token) with a new one before.
--
-- ScriptEngine/ApplicationObject/config in Application.xml has one of:
--   <publicKey>...</publicKey>   the key of the issuer: PEM, or a JSON Web Key or a set of them
--   <secret>...</secret>         a secret that only the issuer and this server know (algorithm HS256)
-- and may have:
--   <issuer>...</issuer>         the claim iss must be this
--   <audience>...</audience>     the claim aud must name this
--   <onePerUser/>                when a user connects again, the earlier connection ends

local config = application.config
local SECOND = 1000
-- How far the clocks of the issuer and of this server may be apart, in seconds.
local LEEWAY = 30
-- How long a client has to renew its token after this script has been loaded again, which forgets what tokens there were.
local GRACE = 60 * SECOND

local options = {
    key = config.publicKey or config.secret,
    -- A token is signed by what the script expects, or it is refused.
    algorithms = config.publicKey and { "RS256", "PS256", "ES256", "EdDSA" } or { "HS256" },
    issuer = config.issuer,
    audience = config.audience,
    leeway = LEEWAY,
}

-- The clients that are logged in, by user.
local clients = {}

local function verify(token)
    if not options.key then return nil, "there is no publicKey and no secret in Application.xml" end
    if type(token) ~= "string" then return nil, "there is no token" end
    local claims, problem = crypto.verifyJwt(token, options)
    if claims and type(claims.sub) ~= "string" then return nil, "the token names no user (sub)" end
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
    limit(client, (claims.exp + LEEWAY) * SECOND)
    local earlier = clients[claims.sub]
    clients[claims.sub] = client
    if config.onePerUser and earlier and earlier ~= client then application.disconnect(earlier) end
end

function application.onAppStart()
    if not options.key then log.error("config in Application.xml has neither publicKey nor secret: no client can log in") end
    -- Clients that are connected already were accepted by an earlier version of this script.
    for _, client in pairs(application.clients) do limit(client, now() + GRACE) end
end

function application.onConnect(client, token)
    local address = url.parse(client.uri)
    local claims, problem = verify(token or (address and address.parameters.token))
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
    if client.user and clients[client.user] == client then clients[client.user] = nil end
end

-- Called by a client's program, with a new token for the same user.
function Client:renew(token)
    local claims, problem = verify(token)
    if not claims or (self.user and claims.sub ~= self.user) then
        log.info("no new token for", self.user, problem)
        return false
    end
    logIn(self, claims)
    return true
end

-- Called by a client's program: whom the server takes it for.
function Client:whoAmI()
    return self.user and { user = self.user, roles = self.roles or Array {} } or null
end
