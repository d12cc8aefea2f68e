---@meta
-- What a script finds besides Lua's own: for editors that speak LuaLS annotations. A test holds it against the host.

---The application instance. Its functions are called with a dot. Assign the handlers that you want called.
---@class application
---@field clients Clients all clients that are connected
---@field name string the application and its instance: "chat/lobby"
---@field server string the server and its version
---@field hostname string the virtual host; the name of the machine, for the default one
---@field config table what stands in ScriptEngine/ApplicationObject/config of Application.xml
---@field onAppStart? fun() the script is loaded, for the first time or anew
---@field onAppStop? fun(info: {reason: "server"|"shutdown"|"reload"}) the instance ends; may not wait
---@field onConnect? fun(client: Client, ...: any): boolean? may it connect? nothing or true: yes; false: no; nil: later
---@field onDisconnect? fun(client: Client) it is gone; comes last, and once
---@field onPeerLookup? fun(event: PeerLookupEvent) somebody looks for a peer
---@field onStatus? fun(info: ScriptStatus) a handler has failed
application = {}

---Lets a client in that waits. False if it does not wait.
---@param client Client
---@return boolean
function application.acceptConnection(client) end

---Turns a client away that waits, or disconnects one that is in.
---@param client Client
---@param description? string for people
---@param info? any for the client's program: info.application
---@return boolean
function application.rejectConnection(client, description, info) end

---Turns a client away and names another server: info.ex.redirect.
---@param client Client
---@param url? string
---@param description? string
---@param info? any
---@return boolean
function application.redirectConnection(client, url, description, info) end

---Closes a client's connection.
---@param client Client
---@return boolean
function application.disconnect(client) end

---Answers a lookup with addresses to try, 16 at most. An error if the lookup has been answered.
---@param addresses string[]|Addresses
---@param event PeerLookupEvent
---@return boolean
function application.sendPeerRedirect(addresses, event) end

---Answers a lookup with a no that is counted; nothing is sent. An error if the lookup has been answered.
---@param event PeerLookupEvent
---@return boolean
function application.denyPeerLookup(event) end

---Calls a method of all clients.
---@param method string
---@param ... any
function application.broadcastMsg(method, ...) end

---Ends this instance: its clients are disconnected.
---@return boolean
function application.shutdown() end

---The clients that are connected: by number from 1, by peer ID, with # and ipairs. The order means nothing.
---@class Clients
---@field length integer
---@field [integer] Client
---@field [string] Client

---A client. `Client` itself is what all clients have in common: functions put there are handlers of each, or methods that
---clients can call. Fields may be set on each client, too.
---@class Client
---@field farID string the client's peer ID: 64 hexadecimal digits
---@field farId string the same
---@field nearID string the server's peer ID
---@field nearId string the same
---@field farNonce string
---@field nearNonce string
---@field farAddress string where its packets come from: "ip:port"
---@field nearAddress string the server's public address that it reached
---@field potentialNearAddresses string[] all public addresses of the server
---@field reportedAddresses string[] the addresses that it says it has, as far as they are believed
---@field protocol string "rtmfp"
---@field ip string
---@field id string
---@field uri string
---@field agent string
---@field referrer string
---@field pageUrl string
---@field groupControls GroupControl[] the groups that it is in
---@field onFarAddressChange? fun(self: Client) it has moved
---@field onReportedAddressesChange? fun(self: Client) it has said which addresses it has
---@field onReportedAddressChange? fun(self: Client) the same
---@field onGroupJoin? fun(self: Client, groupControl: GroupControl) it has joined a group
---@field onGroupLeave? fun(self: Client, groupspecDigest: string, groupControl: GroupControl) it has left a group, or is gone
---@field [string] any
Client = {}

---Tells the client of somebody who looks for it, so that it opens its NAT to them.
---@param initiatorAddress string
---@param tag string|ByteArray
---@return boolean
function Client:introducePeer(initiatorAddress, tag) end

---Calls a method of the client's program.
---@param method string
---@param handler? fun(...)|{onResult?: fun(self, ...), onStatus?: fun(self, info)} gets the results, or nil and what failed
---@param ... any
---@return boolean
function Client:call(method, handler, ...) end

---Calls a method of the client's program and waits for its results: nil and what failed, if it failed. A client that has not
---answered after a minute, or leaves, has failed.
---@param method string
---@param ... any
---@return any
function Client:callAndWait(method, ...) end

---Sends the client a ping.
---@return boolean
function Client:ping() end

---Waits for what was counted of the client since it asked to connect; nil if it is gone. Bytes are those of messages,
---ping_rtt is in milliseconds.
---@return {bytes_in: integer, bytes_out: integer, msg_in: integer, msg_out: integer, msg_dropped: integer, ping_rtt: integer}?
function Client:getStats() end

---A client's membership in a group. Fields may be set on it.
---@class GroupControl
---@field groupspecDigest string names the group
---@field [string] any
local GroupControl = {}

---Has the client connect to another member now. False if the client has left.
---@param peerID string
---@return boolean
function GroupControl:addNeighbor(peerID) end

---Tells the client of another member. False if the client has left.
---@param peerID string
---@return boolean
function GroupControl:addMemberHint(peerID) end

---Makes groupspecs. Everything is off to begin with, but peers may connect to each other. Which numbers Flash gives to some
---properties is not known; `unestablished` names those that are set. Members that run Flash may compute another digest for them.
---@class GroupSpecifier
---@field maxSupportedGroupspecVersion integer 2
---@field minGroupspecVersion integer 1 or 2, the default
---@field routingEnabled boolean messages to one member or to neighbours
---@field multicastEnabled boolean streams in the group
---@field objectReplicationEnabled boolean
---@field postingEnabled boolean messages to all members
---@field serverChannelEnabled boolean members join through their server too
---@field peerToPeerDisabled boolean no neighbours at all
---@field ipMulticastMemberUpdatesEnabled boolean members find each other on the local network
---@field ipMemberUpdatesEnabled boolean the same
---@overload fun(name: string): GroupSpecifier
GroupSpecifier = {}

---The same as GroupSpecifier(name).
---@param name string
---@return GroupSpecifier
function GroupSpecifier.new(name) end

---Names a member to begin with.
---@param peerID string
function GroupSpecifier:addBootstrapPeer(peerID) end

---Says where members can be found on the local network: "224.0.0.254:30000", or the address and the port apart.
---@param address string
---@param port? integer
---@param source? string the address of the one source
function GroupSpecifier:addIPMulticastAddress(address, port, source) end

---Adds an option to the canonical part as it is, for those whose number you know and introd does not.
---@param number integer
---@param bytes? string
function GroupSpecifier:addOption(number, bytes) end

---Only those may post who have the password; nil lets everybody.
---@param password string?
---@param salt? string
function GroupSpecifier:setPostingPassword(password, salt) end

---Only those may publish streams who have the password; nil lets everybody.
---@param password string?
---@param salt? string
function GroupSpecifier:setPublishPassword(password, salt) end

---Sets the group apart from all others of its name.
function GroupSpecifier:makeUnique() end

---The groupspec with the passwords.
---@return string
function GroupSpecifier:groupspecWithAuthorizations() end

---The groupspec without the passwords.
---@return string
function GroupSpecifier:groupspecWithoutAuthorizations() end

---What appended to a groupspec without passwords gives them.
---@return string
function GroupSpecifier:authorizations() end

---The same as groupspecWithAuthorizations.
---@return string
function GroupSpecifier:toString() end

---The properties in use whose numbers are introd's own, or assumed.
---@return string[]
function GroupSpecifier:unestablished() end

---What groupControl.groupspecDigest is for members of the group. Also with a dot, of a groupspec's text.
---@param groupspec? string
---@return string
function GroupSpecifier:encodeGroupspecDigest(groupspec) end

---What appended to a groupspec lets its holder post.
---@param password string
---@param salt? string
---@return string
function GroupSpecifier.encodePostingAuthorization(password, salt) end

---What appended to a groupspec lets its holder publish.
---@param password string
---@param salt? string
---@return string
function GroupSpecifier.encodePublishAuthorization(password, salt) end

---What appended to a groupspec names a member to begin with.
---@param peerID string
---@return string
function GroupSpecifier.encodeBootstrapPeerIDSpec(peerID) end

---What appended to a groupspec says where members can be found on the local network.
---@param address string
---@param port? integer
---@param source? string
---@return string
function GroupSpecifier.encodeIPMulticastAddressSpec(address, port, source) end

---Somebody looks for a peer. It can be kept, and answered once, until the deadline in Application.xml.
---@class PeerLookupEvent
---@field targetPeerID string? whom they look for
---@field targetPeerId string? the same
---@field initiatorAddress string where they are
---@field tag string names the lookup
---@field interfaceID integer where it came in
---@field interfaceId integer the same
---@field client Client? the asker, if it is a client of this instance
---@field initiatorApplication string? the application and instance that the asker is a client of, "chat/lobby"; nil if it is no client of this server
---@field [string] any

---@class ScriptStatus
---@field level string "error"
---@field code string "Application.Script.Error"
---@field description string
---@field details string the handler
---@field filename string
---@field lineno string

---Addresses with where they come from.
---@class Addresses
---@field [integer] string
---@field origins table<string, "reported"|"observed"|"relay"|"unspecified">

---The shared peer registry.
---@class registry
registry = {}

---Waits for the addresses of a peer; nil if nobody knows it, nil and a text if the registry fails.
---@param peerID string
---@return Addresses?
---@return string? problem
function registry.lookup(peerID) end

---Says where a peer can be reached. False and a text if the registry cannot take it in.
---@param peerID string
---@param addresses string[]|Addresses
---@return boolean
---@return string? problem
function registry.publish(peerID, addresses) end

---Takes back what was published of a peer.
---@param peerID string
function registry.withdraw(peerID) end

---Writes a line to the log.
---@param ... any
function trace(...) end

---The same as trace.
---@param ... any
function print(...) end

---Runs another file of the application, or of the script library, and gives back what it returns.
---@param name string
---@return any
function load(name) end

---Runs another file once and gives back what it returned: "a.b" is a/b.lua or a/b/init.lua.
---@param module string
---@return any
function require(module) end

---Waits.
---@param milliseconds number
function sleep(milliseconds) end

---Milliseconds since 1970, on a clock that never goes back.
---@return integer
function now() end

---Calls a function again and again. A call that still waits makes the next be left out.
---@param f function
---@param milliseconds number
---@param ... any
---@return integer id
function setInterval(f, milliseconds, ...) end

---Calls a function once.
---@param f function
---@param milliseconds number
---@param ... any
---@return integer id
function setTimeout(f, milliseconds, ...) end

---Stops a timer.
---@param id integer
function clearInterval(id) end

---Stops a timer.
---@param id integer
function clearTimeout(id) end

---null in a table: a table cannot hold nil.
null = {}

---undefined in a table.
undefined = {}

---Marks a table as an array: an empty table is an object otherwise.
---@param list? table
---@return table
function Array(list) end

---@class ByteArray
---@field type string
---@field bytes string

---Bytes for ActionScript, where a string is text.
---@param bytes string
---@return ByteArray
function ByteArray(bytes) end

---@class Date
---@field type string
---@field time number milliseconds since 1970
---@field timeZone integer minutes

---A moment for ActionScript.
---@param milliseconds? number without it, now
---@return Date
function Date(milliseconds) end
