-- Accepts clients of the web pages that a file names, and follows the file when it changes.
-- The file is allowed_pages.txt in the application's folder. Each line names the host of a page: example.com, or *.example.com for all hosts
-- below it. What follows a # is a comment.
-- A page is what the client says (pageUrl): browsers tell the truth, other programs need not.

local FILE = "allowed_pages.txt"

-- Hosts by name, and the names below which all hosts are allowed; nil until the file has been read.
local hosts, parents

local function load()
    local lines, problem = file.lines(FILE)
    if not lines then
        -- The list that was read last stays in force.
        trace("the list of pages cannot be read:", problem)
        return
    end
    local names, domains = {}, {}
    for _, line in ipairs(lines) do
        local name = line:gsub("#.*", ""):match("^%s*(.-)%s*$"):lower()
        local domain = name:match("^%*%.(.+)$")
        if domain then
            domains[domain] = true
        elseif name ~= "" then
            names[name] = true
        end
    end
    hosts, parents = names, domains
end

-- The host of a URL without its port; nil if there is none.
local function hostOf(url)
    local host = url:lower():match("^https?://([^/?#]+)")
    return host and host:gsub(":%d+$", "") or nil
end

local function isAllowed(host)
    if hosts[host] then return true end
    local rest = host:match("^[^.]+%.(.+)$")
    while rest do
        if parents[rest] then return true end
        rest = rest:match("^[^.]+%.(.+)$")
    end
    return false
end

function application.onAppStart()
    -- Watching begins before the first reading, so that no change is missed.
    file.watch(FILE, load)
    load()
end

function application.onConnect(client)
    -- The file could not be read at the start: it may be there by now.
    if not hosts then load() end
    local host = hostOf(client.pageUrl)
    if hosts and host and isAllowed(host) then return true end
    application.rejectConnection(client, "This page may not connect.", { reason = "page" })
    return false
end
