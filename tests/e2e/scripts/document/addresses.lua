-- All the addresses that lead to a client. The document throws the result of `concat` away; it is kept here, for without
-- the server's own addresses nobody finds a client of another server.
function getClientRedirectAddrs(client)
    local redirectAddresses = { table.unpack(client.reportedAddresses) }
    table.insert(redirectAddresses, client.farAddress)
    for _, address in ipairs(client.potentialNearAddresses) do
        table.insert(redirectAddresses, address)
    end
    return redirectAddresses
end
