-- Accepts clients whose URL a site has signed for them:
--
--     rtmfp://host/login-signed-url/lobby?user=ann&expires=1767229200&signature=...
--
-- The signature is the HMAC of three lines: the time when the URL expires (seconds since 1970), the application's instance, and the user. In PHP:
--
--     $signature = hash_hmac("sha256", "$expires\nlobby\n$user", $secret);
--     $url = "rtmfp://host/login-signed-url/lobby?user=" . rawurlencode($user) . "&expires=$expires&signature=$signature";
--
-- ScriptEngine/ApplicationObject/config in Application.xml has:
--   <secret>...</secret>   known to the site and to this server alone

local secret = application.config.secret
-- The instance of the application that this is: "lobby" of "login-signed-url/lobby".
local instance = application.name:match("/(.*)$") or "_definst_"

-- The user that a URL is signed for, or nil and why it is refused.
local function userOf(text)
    if not secret or secret == "" then return nil, "there is no secret in Application.xml" end
    local parts, problem = url.parse(text)
    if not parts then return nil, problem end
    local given = parts.parameters
    local expires = tonumber(given.expires)
    if not (given.user and given.signature and math.type(expires) == "integer") then return nil, "the URL is not signed" end
    -- What varies in length comes last, so that no other three parts give the same text.
    local signature = crypto.hmac("sha256", secret, expires .. "\n" .. instance .. "\n" .. given.user)
    if not crypto.equal(signature, given.signature:lower()) then return nil, "the signature is wrong" end
    if os.time() >= expires then return nil, "the URL has expired at " .. os.date("!%F %T UTC", expires) end
    return given.user
end

function application.onAppStart()
    if not secret or secret == "" then log.error("config in Application.xml has no secret: no client can connect") end
end

function application.onConnect(client)
    local user, problem = userOf(client.uri)
    if not user then
        log.info("rejected", client.ip .. ":", problem)
        application.rejectConnection(client, "Please open the page again.", { reason = "url" })
        return false
    end
    client.user = user
    return true
end

-- Called by a client's program: whom the server takes it for.
function Client:whoAmI() return self.user end
