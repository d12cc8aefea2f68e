-- The table of a server's clients is divided into buckets, each with a version. A bucket that has been missed is sent again, and no other.

local buckets = { COUNT = 64 }

-- The bucket of a peer. Peer IDs are hashes, so that buckets fill evenly.
function buckets.of(peerID)
    return tonumber(peerID:sub(1, 2), 16) % buckets.COUNT + 1
end

local function isPeerID(value)
    return type(value) == "string" and #value == 64 and not value:find("[^0-9a-f]")
end
buckets.isPeerID = isPeerID

-- Texts of a list, as far as they are texts of a sensible length.
local function texts(value, most, length)
    local found = {}
    if type(value) == "table" then
        for index = 1, math.min(#value, most) do
            local text = value[index]
            if type(text) == "string" and #text <= length then table.insert(found, text) end
        end
    end
    return found
end

-- An entry as another server has sent it, or nil if it is none.
function buckets.entry(value)
    if type(value) ~= "table" or type(value.far) ~= "string" or #value.far > 64 then return nil end
    local entry = { far = value.far, reported = texts(value.reported, 12, 64), groups = {} }
    for _, digest in ipairs(texts(value.groups, 64, 64)) do
        if isPeerID(digest) then table.insert(entry.groups, digest) end
    end
    return entry
end

buckets.texts = texts

return buckets
