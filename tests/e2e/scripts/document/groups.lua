local groups = {}

Client.onGroupJoin = function(this, groupControl)
    groupControl["client"] = this -- Remember the associated Client.
    local groupControlArray = groups[groupControl.groupspecDigest]
    if groupControlArray then
        trace("<<Register Client in existing Group (by groupspec digest): " ..
            groupControl.groupspecDigest ..
            ", current Group size is: " ..
            #groupControlArray .. ">>")

        -- find a random member to bootstrap with
        r = math.random()
        index = math.floor(r * #groupControlArray)

        local peerGroupControl = groupControlArray[index + 1]
        groupControl:addNeighbor(peerGroupControl["client"].farID)
        table.insert(groupControlArray, groupControl)
    else
        trace("<<Track client joining new Group (by groupspec digest): " .. groupControl.groupspecDigest .. ">>")

        groupControlArray = {}
        table.insert(groupControlArray, groupControl)
        groups[groupControl.groupspecDigest] = groupControlArray
    end
end
