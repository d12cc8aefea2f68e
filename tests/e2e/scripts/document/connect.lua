-- Connect and disconnect, with a registry. What the document calls `this` is the first parameter here.
application.onConnect = function(client)
    if client.protocol == "rtmfp" then
        addClient(client.farID, getClientRedirectAddrs(client))
        client.onFarAddressChange = function(this)
            updateClient(this.farId, getClientRedirectAddrs(client))
        end
        client.onReportedAddressesChange = function(this)
            updateClient(this.farId, getClientRedirectAddrs(client))
        end
    end
end

application.onDisconnect = function(client)
    removeClient(client.farId)
end
