-- The functions that the document leaves to the reader. The registry is this server's own; what it does not know, the
-- other server may, whose address stands in the configuration.
local registry = {}

function addClient(peerId, clientAddresses)
    registry[peerId] = clientAddresses
    trace("<<add", peerId, table.concat(clientAddresses, " ") .. ">>")
end

function removeClient(peerId)
    registry[peerId] = nil
    trace("<<remove", peerId .. ">>")
end

function updateClient(peerId, clientAddresses)
    registry[peerId] = clientAddresses
    trace("<<update", peerId, table.concat(clientAddresses, " ") .. ">>")
end

function getClientIfLocal(peerId)
    return registry[peerId] and application.clients[peerId]
end

function getRemoteClientAddrs(peerId)
    local other = application.config.other
    return other and { other }
end
