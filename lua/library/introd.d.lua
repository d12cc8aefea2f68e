---@meta
-- The functions and objects that the server adds to Lua 5.4, for editors that use the Lua language server. README.md is the guide.
-- A test compares the names in this file with those that the server registers.

---The application instance. Call its functions with a dot: `application.disconnect(client)`. To handle an event, assign a function to
---the handler of that name.
---@class application
---@field clients Clients all clients that are connected to this instance
---@field name string the names of the application and the instance: "chat/lobby"
---@field server string the name and version of the server
---@field hostname string the name of the virtual host; for the default virtual host, the name of the machine
---@field config table the content of ScriptEngine/ApplicationObject/config in Application.xml
---@field onAppStart? fun(info: {reason: "start"|"reload"|"takeover"}) called when the script has been loaded, for the first time or again; clients and lookups wait until it has ended
---@field onAppStop? fun(info: {reason: "server"|"shutdown"|"reload"|"takeover"}) called when the instance ends; it must not wait
---@field onConnect? fun(client: Client, ...: any): boolean? called when a client wants to connect; return true to accept it, false to reject it, or `nil` (written as `return nil`) to decide later. To return nothing accepts it, unless ConnectDefault in Application.xml is `pending`
---@field onConnectAccept? fun(client: Client, ...: any) called when a client has been accepted, by the script or by the server; it gets the arguments of `onConnect`
---@field onConnectReject? fun(client: Client, ...: any) called when the script has rejected a client; it gets the arguments of `onConnect`
---@field onDisconnect? fun(client: Client) called once when a client has disconnected, after all its other handlers
---@field onPeerLookup? fun(event: PeerLookupEvent) called when an asker looks for a peer
---@field onPublish? fun(client: Client, stream: PublishedStream): boolean? called when a client wants to publish a stream to the server, which passes no media on; return false to refuse
---@field onUnpublish? fun(client: Client, stream: PublishedStream) called when a client has stopped publishing a stream, or is about to be gone
---@field onStatus? fun(info: ScriptStatus) called when a handler has failed
application = {}

---Accepts a client whose `onConnect` has not decided yet. Returns false if the client does not wait for that.
---@param client Client
---@return boolean
function application.acceptConnection(client) end

---Rejects a client whose `onConnect` has not decided yet, or disconnects a client that is connected.
---@param client Client
---@param description? string a text for people to read
---@param info? any a value that the client's program finds in info.application
---@return boolean
function application.rejectConnection(client, description, info) end

---Rejects a client and names another server, which the client's program finds in info.ex.redirect.
---@param client Client
---@param url? string
---@param description? string
---@param info? any
---@return boolean
function application.redirectConnection(client, url, description, info) end

---Closes a client's connection. The reason is for the log, the JSON API and the page alone: the client is not told. To tell it something,
---call one of its methods before.
---@param client Client
---@param reason? string of 256 bytes at most; a longer one is cut off
---@return boolean
function application.disconnect(client, reason) end

---Answers a lookup with the addresses that the asker should try, 16 at most. Beside the farAddress of a target that stands in the server's own
---network, askers outside are sent to the server's public address with the same port. It is an error if the lookup has been answered already.
---@param addresses string[]|Addresses
---@param event PeerLookupEvent
---@return boolean
function application.sendPeerRedirect(addresses, event) end

---Refuses a lookup. The asker gets no answer, and the refusal is counted in rtmfp_lookups_denied. The reason is for the log, the JSON API and
---the page alone. It is an error if the lookup has been answered already.
---@param event PeerLookupEvent
---@param reason? string of 256 bytes at most; a longer one is cut off
---@return boolean
function application.denyPeerLookup(event, reason) end

---Answers a lookup with an introduction by the server that has a relay: if the two do not reach each other, the server passes their datagrams on.
---If the target's application is another one, it must permit the relay, too. Without a relay, for want of that or of room, the two are introduced
---all the same. It is an error if the lookup has been answered already.
---@param event PeerLookupEvent
---@param limits? RelayLimits limits of this relay; the smallest of these and of the settings' hold
---@return boolean
function application.relayPeer(event, limits) end

---Calls a method of every client's program.
---@param method string
---@param ... any
function application.broadcastMsg(method, ...) end

---Returns what the clients of this instance did since it was made. Bytes are those of messages. bw_in and bw_out are bytes in a second, measured
---from one call to the next.
---@return {bw_in: integer, bw_out: integer, bytes_in: integer, bytes_out: integer, msg_in: integer, msg_out: integer, msg_dropped: integer, total_connects: integer, total_disconnects: integer}
function application.getStats() end

---Ends this instance and disconnects its clients.
---@return boolean
function application.shutdown() end

---The clients that are connected. Get a client by a number from 1 or by its peer ID; `#` and `ipairs` work as well. They are in no
---particular order.
---@class Clients
---@field length integer
---@field [integer] Client
---@field [string] Client

---A client. Functions that you assign to `Client` are handlers of every client, or methods that the clients' programs can call. You may
---also assign functions and other fields to a single client. A client's program can call functions in tables, too: "chat.say" calls
---`Client.chat.say`, with the client as the first argument.
---@class Client
---@field farID string the client's peer ID: 64 hexadecimal digits
---@field farId string the same
---@field nearID string the server's peer ID
---@field nearId string the same
---@field farNonce string the client's nonce of this session
---@field nearNonce string the server's nonce of this session
---@field farAddress string the address that the client's packets come from: "ip:port"
---@field nearAddress string the server's public address that the client connected to
---@field potentialNearAddresses string[] all public addresses of the server
---@field reportedAddresses string[] the addresses that the client reports, as far as the server believes them
---@field protocol string "rtmfp"
---@field protocolVersion string "1"
---@field secure boolean false: AMS means TLS by it. RTMFP encrypts without TLS
---@field readAccess string kept and without effect: the server has no streams and shared objects. "/" until the script sets it
---@field writeAccess string the same
---@field audioSampleAccess string kept and without effect; "" until the script sets it
---@field videoSampleAccess string the same
---@field virtualKey string the same
---@field ip string the IP address in farAddress
---@field id string identifies the connection
---@field uri string the URI that the client connected to
---@field agent string the platform and version of the client
---@field referrer string where the client's program was loaded from
---@field pageUrl string the web page that the client's program runs in
---@field groupControls GroupControl[] the client's memberships in groups
---@field onFarAddressChange? fun(self: Client) called when farAddress has changed
---@field onReportedAddressesChange? fun(self: Client) called when reportedAddresses has changed
---@field onReportedAddressChange? fun(self: Client) the same
---@field onGroupJoin? fun(self: Client, groupControl: GroupControl) called when the client has joined a group
---@field onGroupLeave? fun(self: Client, groupspecDigest: string, groupControl: GroupControl) called when the client has left a group, or has disconnected as a member
---@field [string] any
Client = {}

---Tells the client that an asker at this address looks for it, so that it opens its NAT to that address.
---@param initiatorAddress string
---@param tag string|ByteArray
---@return boolean
function Client:introducePeer(initiatorAddress, tag) end

---Calls a method of the client's program.
---@param method string
---@param handler? fun(...)|{onResult?: fun(self, ...), onStatus?: fun(self, info)} receives the results; if the call fails, nil and the reason
---@param ... any
---@return boolean
function Client:call(method, handler, ...) end

---Calls a method of the client's program, waits, and returns its results; if the call fails, nil and the reason. It fails if the client
---has not answered after a minute, or disconnects.
---@param method string
---@param ... any
---@return any
function Client:callAndWait(method, ...) end

---Sends the client a ping.
---@return boolean
function Client:ping() end

---Measures the bandwidth to the client, which takes a second or two: the server calls `onBWCheck` of its program several times, which must return,
---and at last `onBWDone` with the kilobits in a second, the kilobits sent, the seconds that this took, and the latency in milliseconds. Clients can
---call it themselves. Returns false if the client is being measured already, or sixteen others are.
---@return boolean
function Client:checkBandwidth() end

---Returns the limit that `setBandwidthLimit` has set, in bytes in a second; 0 if it has set none. The server does not keep to it.
---@param direction 0|1 0: from the client to the server; 1: from the server to the client
---@return integer
function Client:getBandwidthLimit(direction) end

---Keeps limits in bytes in a second, for `getBandwidthLimit`. They have no effect. 0 leaves a limit as it is.
---@param serverToClient number
---@param clientToServer? number
function Client:setBandwidthLimit(serverToClient, clientToServer) end

---Waits for the client's counters, which begin when it asks to connect, and returns them; nil if it has disconnected. Bytes are those of
---messages; ping_rtt is in milliseconds.
---@return {bytes_in: integer, bytes_out: integer, msg_in: integer, msg_out: integer, msg_dropped: integer, ping_rtt: integer}?
function Client:getStats() end

---A stream that a client publishes to the server.
---@class PublishedStream
---@field name string its name, without what follows a question mark
---@field type string how the client publishes it: "live" as a rule, "record" or "append"
---@field publishQueryString string what follows the question mark in the name

---A client's membership in a group. You may assign fields to it.
---@class GroupControl
---@field groupspecDigest string identifies the group
---@field [string] any
local GroupControl = {}

---Tells the client to connect to another member now. Returns false if the client has left the group.
---@param peerID string
---@return boolean
function GroupControl:addNeighbor(peerID) end

---Names another member to the client. Returns false if the client has left the group.
---@param peerID string
---@return boolean
function GroupControl:addMemberHint(peerID) end

---Makes a groupspec. At first all properties are false, so that members connect to each other but do nothing else. For some properties it
---is not known which numbers Flash uses; if you set them, members that run Flash may compute another digest. `unestablished` lists those
---that are set.
---@class GroupSpecifier
---@field maxSupportedGroupspecVersion integer 2
---@field minGroupspecVersion integer 1 or 2, the default
---@field routingEnabled boolean members may send messages to one member or to their neighbours
---@field multicastEnabled boolean members may publish streams in the group
---@field objectReplicationEnabled boolean members may replicate objects
---@field postingEnabled boolean members may send messages to all members
---@field serverChannelEnabled boolean members join through their server, which names other members to them
---@field peerToPeerDisabled boolean members do not connect to each other
---@field ipMulticastMemberUpdatesEnabled boolean members find each other on the local network by IP multicast, at the addresses that `addIPMulticastAddress` adds. Without any, nothing is sent
---@field ipMemberUpdatesEnabled boolean the same
---@overload fun(name: string): GroupSpecifier
GroupSpecifier = {}

---The same as GroupSpecifier(name).
---@param name string
---@return GroupSpecifier
function GroupSpecifier.new(name) end

---Adds a bootstrap peer: a member that others connect to first.
---@param peerID string
function GroupSpecifier:addBootstrapPeer(peerID) end

---Adds a multicast address by which members find each other on the local network, if `ipMulticastMemberUpdatesEnabled` is true:
---"224.0.0.254:30000", "[ff02::fe]:30000", or the address and the port as two arguments. Four addresses are used at most. A patent (US
---9191219) may bear on it: see lua/README.md.
---@param address string
---@param port? integer
---@param source? string the only source address to receive from
function GroupSpecifier:addIPMulticastAddress(address, port, source) end

---Adds an option to the canonical part of the groupspec, for a property whose number you know.
---@param number integer
---@param bytes? string
function GroupSpecifier:addOption(number, bytes) end

---Allows posting only with this password; nil allows it to everyone.
---@param password string?
---@param salt? string
function GroupSpecifier:setPostingPassword(password, salt) end

---Allows publishing streams only with this password; nil allows it to everyone.
---@param password string?
---@param salt? string
function GroupSpecifier:setPublishPassword(password, salt) end

---Makes the group different from all other groups of the same name.
function GroupSpecifier:makeUnique() end

---Returns the groupspec with the passwords.
---@return string
function GroupSpecifier:groupspecWithAuthorizations() end

---Returns the groupspec without the passwords.
---@return string
function GroupSpecifier:groupspecWithoutAuthorizations() end

---Returns the part that adds the passwords, to append to a groupspec without them.
---@return string
function GroupSpecifier:authorizations() end

---The same as groupspecWithAuthorizations.
---@return string
function GroupSpecifier:toString() end

---Returns the properties in use whose numbers are assumed, or are introd's own.
---@return string[]
function GroupSpecifier:unestablished() end

---Returns the digest that groupControl.groupspecDigest has for members of this group. To get the digest of a groupspec's text, call it
---with a dot: `GroupSpecifier.encodeGroupspecDigest(text)`.
---@param groupspec? string
---@return string
function GroupSpecifier:encodeGroupspecDigest(groupspec) end

---Returns a part that allows posting, to append to a groupspec.
---@param password string
---@param salt? string
---@return string
function GroupSpecifier.encodePostingAuthorization(password, salt) end

---Returns a part that allows publishing, to append to a groupspec.
---@param password string
---@param salt? string
---@return string
function GroupSpecifier.encodePublishAuthorization(password, salt) end

---Returns a part that adds a bootstrap peer, to append to a groupspec.
---@param peerID string
---@return string
function GroupSpecifier.encodeBootstrapPeerIDSpec(peerID) end

---Returns a part that adds a multicast address, to append to a groupspec.
---@param address string
---@param port? integer
---@param source? string
---@return string
function GroupSpecifier.encodeIPMulticastAddressSpec(address, port, source) end

---A connection of the script: to another server, or without one. Each is an endpoint with sockets of its own. Functions that you assign to it
---are methods that the server can call. You may assign other fields, too.
---@class NetConnection
---@field rtmfpBindAddresses string[]? the local addresses to bind, each an IP address with or without a port; set it before connect. If there are none, the system chooses a port
---@field rtmfpEndpointName string? the name under which others find this endpoint at an address that they know; set it before connect
---@field isConnected boolean
---@field uri string? the URI of the last connect
---@field nearID string? the peer ID of this endpoint, once it is connected
---@field farID string? the peer ID of the server
---@field nearNonce string? this end's nonce of the session with the server
---@field farNonce string? the server's nonce of the session
---@field boundAddresses string[] the addresses that the sockets are bound to
---@field onStatus? fun(self: NetConnection, info: NetStatus) called with NetConnection.Connect.Success, .Failed, .Rejected or .Closed
---@field [string] any
---@overload fun(): NetConnection
NetConnection = {}

---The same as NetConnection().
---@return NetConnection
function NetConnection.new() end

---Connects: with "rtmfp:" without a server (serverless), with "rtmfp://host:port/application" as a client of that application. The result
---comes by onStatus. Returns false if the connection cannot even begin; onStatus says why.
---@param uri string
---@param ... any what the server's application gets as arguments of its onConnect
---@return boolean
function NetConnection:connect(uri, ...) end

---Calls a method of the server's application. Returns false if the call cannot be sent.
---@param method string
---@param handler? fun(...)|{onResult?: fun(self, ...), onStatus?: fun(self, info)} receives the results; if the call fails, nil and the reason
---@param ... any
---@return boolean
function NetConnection:call(method, handler, ...) end

---Calls a method of the server's application, waits, and returns its results; if the call fails, nil and the reason. It fails if the server
---has not answered after a minute, or the connection is closed.
---@param method string
---@param ... any
---@return any
function NetConnection:callAndWait(method, ...) end

---Closes the connection and leaves its groups. It can connect again when onStatus has said that it is closed.
function NetConnection:close() end

---The status of a NetConnection or a NetGroup. Which fields there are depends on the code.
---@class NetStatus
---@field level "status"|"error"
---@field code string
---@field description string? why something has failed or ended
---@field application any what the server's application has sent with a rejection
---@field group string? NetGroup.Connect.*: the groupspec
---@field neighbor string? NetGroup.Neighbor.*: the group address of the neighbor
---@field peerID string? NetGroup.Neighbor.*: the peer ID of the neighbor
---@field name string? NetGroup.Neighbor.*: the endpoint name, if the neighbor is permanent
---@field message any NetGroup.Posting.Notify and NetGroup.SendTo.Notify
---@field messageID string? NetGroup.Posting.Notify: identifies the posting
---@field from string? NetGroup.SendTo.Notify: the group address of the sender
---@field fromLocal boolean? NetGroup.SendTo.Notify: whether the sender is this member itself

---A membership of the script in a group. You may assign fields to it.
---@class NetGroup
---@field neighborCount integer how many members this one is connected to
---@field estimatedMemberCount number about how many members the group has, with this one
---@field localCoverageFrom string the first group address for which this member is the nearest of those that it is connected to
---@field localCoverageTo string the last one
---@field onStatus? fun(self: NetGroup, info: NetStatus) called with NetGroup.Connect.Success, .Failed, .Rejected or .Closed, NetGroup.Neighbor.Connect and .Disconnect, NetGroup.Posting.Notify, NetGroup.SendTo.Notify, NetGroup.LocalCoverage.Notify
---@field [string] any
---@overload fun(nc: NetConnection, groupspec: string|GroupSpecifier): NetGroup
NetGroup = {}

---The same as NetGroup(nc, groupspec): joins a group by a connection that is open. The result comes by onStatus.
---@param nc NetConnection
---@param groupspec string|GroupSpecifier
---@return NetGroup
function NetGroup.new(nc, groupspec) end

---Sends a value to all members, in no particular order and without a guarantee. Members that join soon after may get it, too. A value that
---is equal to an earlier one does not spread: put a number into it that counts. Returns the ID that the members get as messageID; nil if the
---group has been left, or too much waits to be sent.
---@param message any at most 64 KiB
---@return string? messageID
function NetGroup:post(message) end

---Sends a value one step towards a group address: to the neighbor nearest to it, or to this member itself if none is nearer.
---@param message any at most 64 KiB
---@param groupAddress string
---@return "sent"|"no route"|"error"
function NetGroup:sendToNearest(message, groupAddress) end

---Sends a value to the next neighbor on the ring.
---@param message any at most 64 KiB
---@param sendMode "nextIncreasing"|"nextDecreasing" one of NetGroupSendMode
---@return "sent"|"no route"|"error"
function NetGroup:sendToNeighbor(message, sendMode) end

---Sends a value to each neighbor.
---@param message any at most 64 KiB
---@return "sent"|"no route"|"error"
function NetGroup:sendToAllNeighbors(message) end

---Connects to a member now.
---@param peerID string
---@return boolean
function NetGroup:addNeighbor(peerID) end

---Says that a peer is a member; this one connects to it if the topology needs that.
---@param peerID string
---@return boolean
function NetGroup:addMemberHint(peerID) end

---Connects to the member with this endpoint name at one of these addresses, and connects again whenever that ends.
---@param name string
---@param addresses? string|string[] IP addresses with ports, at most 16
---@return boolean
function NetGroup:addPermanentNeighborByName(name, addresses) end

---Ends the permanent status of a neighbor. No connection is closed by that.
---@param name string
---@return boolean
function NetGroup:removePermanentNeighborByName(name) end

---Returns the group address of a peer, which is the same in all groups. Without a group, call it with a dot:
---`NetGroup.convertPeerIDToGroupAddress(peerID)`.
---@param peerID string
---@return string
function NetGroup:convertPeerIDToGroupAddress(peerID) end

---Leaves the group.
function NetGroup:close() end

---Which neighbor NetGroup:sendToNeighbor sends to.
---@class NetGroupSendMode
---@field NEXT_INCREASING "nextIncreasing" the next one with a higher group address
---@field NEXT_DECREASING "nextDecreasing" the next one with a lower group address
NetGroupSendMode = {}

---What has come of a message to a group.
---@class NetGroupSendResult
---@field SENT "sent" it is on its way
---@field NO_ROUTE "no route" there is no neighbor
---@field ERROR "error" the group has been left, or too much waits to be sent
NetGroupSendResult = {}

---A lookup: an asker looks for a peer. Answer it once, with `application.sendPeerRedirect` or `application.denyPeerLookup`, in the handler or
---later, before the deadline in Application.xml.
---@class PeerLookupEvent
---@field targetPeerID string? the peer ID that is looked for
---@field targetPeerId string? the same
---@field initiatorAddress string the asker's address
---@field tag string identifies the lookup; pass it to `introducePeer`
---@field attempt integer how many times the asker has made this lookup, with this time: 1 if it does not repeat an earlier one
---@field interfaceID integer the number of the server's interface that received the lookup
---@field interfaceId integer the same
---@field client Client? the asker, if it is a client of this instance
---@field initiatorApplication string? the application and instance that the asker is connected to, "chat/lobby"; nil if it is not a client of this server
---@field [string] any

---The limits of a relay. Each is at least 1.
---@class RelayLimits
---@field bytesPerSecond? number the bytes that it passes on in a second, both directions together
---@field lifetime? number how long it lasts at most, in milliseconds from the moment when it is made

---The failure of a handler.
---@class ScriptStatus
---@field level string "error"
---@field code string "Application.Script.Error"
---@field description string
---@field details string the name of the handler
---@field filename string
---@field lineno string

---A list of addresses, with the origin of each.
---@class Addresses
---@field [integer] string
---@field origins table<string, "reported"|"observed"|"relay"|"unspecified">

---The registry of peers that several servers share.
---@class registry
registry = {}

---Waits for the addresses of a peer and returns them. Returns nil if no server has published the peer; nil and the reason if the registry
---fails.
---@param peerID string
---@return Addresses?
---@return string? problem
function registry.lookup(peerID) end

---Publishes the addresses of a peer. Returns true, or false and the reason if the registry does not accept them.
---@param peerID string
---@param addresses string[]|Addresses
---@return boolean
---@return string? problem
function registry.publish(peerID, addresses) end

---Withdraws what this server has published about a peer. If the peer is no client of this instance, but of another one on this server, nothing
---happens: it stays published for that one.
---@param peerID string
function registry.withdraw(peerID) end

---Publishes that a peer is a member of a group, for the scripts of this application on all servers. Returns true, or false and the reason if
---the registry does not accept it. The membership is withdrawn by leaveGroup, when the client leaves the group, and when the instance ends.
---@param groupspecDigest string
---@param peerID string
---@return boolean
---@return string? problem
function registry.joinGroup(groupspecDigest, peerID) end

---Withdraws what the script has published by joinGroup.
---@param groupspecDigest string
---@param peerID string
function registry.leaveGroup(groupspecDigest, peerID) end

---Waits for the peer IDs of members of a group and returns them: those next to the peer on the group's ring, the nearest first, and some far
---from it, whatever server they are connected to. The peer itself is none of them, and need not be a member. Returns nil and the reason if the
---registry fails.
---@param groupspecDigest string
---@param peerID string
---@param near integer? on each side, from 0 to 16, by default 3
---@param far integer? from 0 to 16, by default 3
---@return string[]? peerIDs
---@return string? problem
function registry.groupNeighbors(groupspecDigest, peerID, near, far) end

---HTTP requests to the hosts that ScriptEngine/HTTP/Allow in Application.xml lists. A handler that makes one waits for the answer.
http = {}

---What http.request takes. What is written wrong in it is an error.
---@class HTTPRequest
---@field url string beginning with http:// or https://, without a user name
---@field method? string GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS; GET if it is missing
---@field headers? table<string, string|integer|string[]> values by name; several values of one name as a list
---@field body? string
---@field json? any a value that is sent as JSON instead of a body
---@field timeout? number how long it may take in all, in milliseconds, if that is to be less than ScriptEngine/HTTP/Timeout
---@field redirects? integer how many redirects are followed, if fewer than ScriptEngine/HTTP/MaxRedirects; 0: the redirect is the answer

---An answer, whatever its status.
---@class HTTPResponse
---@field status integer
---@field headers table<string, string> values by name, which may be written in capital or small letters; several of one name are separated by commas, those of Set-Cookie by line ends
---@field body string as it was sent: nothing is unpacked
local HTTPResponse = {}

---Returns the value of a body that is JSON; nil and the reason if it is not.
---@return any
---@return string? problem
function HTTPResponse:json() end

---Sends a request and waits for the answer. Returns nil and the reason if there is none: the host is not listed or cannot be reached, a limit is
---exceeded, or it takes too long.
---@param request HTTPRequest
---@return HTTPResponse?
---@return string? problem
function http.request(request) end

---Sends a GET and waits for the answer, as http.request does.
---@param url string
---@param options? table the other fields of an HTTPRequest
---@return HTTPResponse?
---@return string? problem
function http.get(url, options) end

---Sends a POST and waits for the answer, as http.request does.
---@param url string
---@param body string? nil if options have json
---@param options? table the other fields of an HTTPRequest
---@return HTTPResponse?
---@return string? problem
function http.post(url, body, options) end

---Reads files of the application's folder. A handler that does so waits for the disk. A name is relative, without "..".
file = {}

---Returns what is in a file; nil and the reason if it cannot be read.
---@param name string
---@return string?
---@return string? problem
function file.read(name) end

---Returns the lines of a text file in UTF-8; nil and the reason if it cannot be read.
---@param name string
---@return string[]?
---@return string? problem
function file.lines(name) end

---Returns the value of a file in JSON; nil and the reason if it cannot be read.
---@param name string
---@return any
---@return string? problem
function file.json(name) end

---Returns the root element of a file in XML; nil and the reason if it cannot be read.
---@param name string
---@return XMLElement?
---@return string? problem
function file.xml(name) end

---An element of XML: the elements in it stand at 1, 2 and so on.
---@class XMLElement
---@field name string
---@field attributes table<string, string>
---@field text string the text in it, without that in its elements and without the white space around it
---@field [integer] XMLElement

---Calls a function after each change of a file, within about a second. A file that appears or disappears changes, too. While the handler runs
---or waits, it is not called again.
---@param name string
---@param handler fun(name: string)
---@return integer id
function file.watch(name, handler) end

---Ends a watch.
---@param id integer
function file.unwatch(id) end

---JSON text of values, and back. `null` stands for null, and `Array{}` for an empty array.
---@class json
json = {}

---Returns the JSON text of a value. The names of objects are sorted. A function, a table that is both a list and an object, a string that is
---not UTF-8 and the like is an error that says where it is.
---@param value any
---@param options? {pretty?: boolean}
---@return string
function json.encode(value, options) end

---Returns the value of a JSON text. A text that is not JSON is an error that names line and column.
---@param text string
---@return any
function json.decode(text) end

---Hashes, encodings, random bytes, and JSON Web Tokens.
---@class crypto
crypto = {}

---Returns the hash of a text.
---@param hash "sha256"|"sha384"|"sha512"|"sha1"|"md5" the last two only for names that other programs make: they protect nothing
---@param text string
---@param encoding? "hex"|"base64"|"base64url"|"raw" "hex" if it is missing
---@return string
function crypto.hash(hash, text, encoding) end

---Returns the HMAC of a text: only who knows the key can make it.
---@param hash "sha256"|"sha384"|"sha512"|"sha1"|"md5"
---@param key string
---@param text string
---@param encoding? "hex"|"base64"|"base64url"|"raw" "hex" if it is missing
---@return string
function crypto.hmac(hash, key, text, encoding) end

---Returns bytes as text.
---@param encoding "hex"|"base64"|"base64url"|"raw"
---@param bytes string
---@return string
function crypto.encode(encoding, bytes) end

---Returns the bytes that a text stands for; nil and the reason if it is malformed. base64 may have padding or not.
---@param encoding "hex"|"base64"|"base64url"|"raw"
---@param text string
---@return string? bytes
---@return string? problem
function crypto.decode(encoding, text) end

---Returns random bytes that cannot be guessed, at most 65,536.
---@param count integer
---@return string
function crypto.randomBytes(count) end

---Returns whether two strings are equal. How long that takes does not tell how much of them is equal: compare secrets with it. What is no
---string is equal to nothing.
---@param left any
---@param right any
---@return boolean
function crypto.equal(left, right) end

---What a JSON Web Token must be like.
---@class JwtOptions
---@field key string|table a public key in PEM; a JSON Web Key or a set of them, as text or table; or the bytes of a shared secret
---@field algorithms? string|string[] of these only: "HS256", "RS256", "ES256", "EdDSA" and others; if it is missing, those that fit the key
---@field issuer? string|string[] the claim iss must be one of these
---@field audience? string|string[] the claim aud must name one of these; a token that has the claim is invalid without this
---@field leeway? number by how many seconds clocks may differ, by default 60
---@field requireExpiry? boolean whether a token without the claim exp is invalid, by default true

---Returns the claims of a JSON Web Token whose signature and times are right; nil and the reason if it is invalid, or no string.
---@param token any
---@param options JwtOptions
---@return table? claims
---@return string? problem
function crypto.verifyJwt(token, options) end

---The parts of URLs.
---@class url
url = {}

---The parts of a URL. A part that the URL does not have is nil.
---@class Url
---@field scheme string in small letters: "rtmfp", "https"
---@field user string? decoded
---@field password string? decoded
---@field host string?
---@field port integer? also the usual port of the scheme
---@field path string as it stands there: url.decode decodes the names in it
---@field query string? as it stands there
---@field parameters table<string, string> the parameters of the query, decoded; if a name stands there twice, the first one
---@field fragment string?

---Returns the parts of a URL; nil and the reason if it is none.
---@param text string
---@return Url? parts
---@return string? problem
function url.parse(text) end

---Returns a text as it can stand anywhere in a URL.
---@param text string
---@return string
function url.encode(text) end

---Returns the text that url.encode has encoded; nil and the reason if it is malformed.
---@param text string
---@return string? text
---@return string? problem
function url.decode(text) end

---Dates and times, as in Lua. Of the other functions of `os` there are none. The clock is that of `now`.
---@class os
os = {}

---Returns the time of a table in the server's time zone, or the current time, in seconds since 1970. The fields of the table need not be in
---their usual range, and are set to it.
---@param date? {year: integer, month: integer, day: integer, hour?: integer, min?: integer, sec?: integer, isdst?: boolean}
---@return integer
function os.time(date) end

---Returns a time as text, by a format of C's strftime, or as a table if the format is "*t". Times are those of the server's time zone; if the
---format begins with "!", those of UTC.
---@param format? string "%c" if it is missing; at most 4096 bytes
---@param time? number seconds since 1970; the current time if it is missing
---@return string|table
function os.date(format, time) end

---Returns the seconds from one time to another.
---@param later number
---@param earlier number
---@return number
function os.difftime(later, earlier) end

---Returns seconds of processor time that the thread of the script has used. The difference of two calls in one handler tells how long it took.
---@return number
function os.clock() end

---Lines of the log, with a level. `log.debug` is written only if the server's log level says so.
---@class log
log = {}

---Writes a line to the log, with the level debug.
---@param ... any
function log.debug(...) end

---Writes a line to the log, with the level info.
---@param ... any
function log.info(...) end

---Writes a line to the log, with the level warn.
---@param ... any
function log.warn(...) end

---Writes a line to the log, with the level error.
---@param ... any
function log.error(...) end

---Writes a line to the log, with the level info.
---@param ... any
function trace(...) end

---The same as trace.
---@param ... any
function print(...) end

---Runs another file of the application or of the script library, and returns its result.
---@param name string
---@return any
function load(name) end

---Runs another file the first time it is required, and returns its result each time. "a.b" means a/b.lua or a/b/init.lua.
---@param module string
---@return any
function require(module) end

---Waits, while other handlers run.
---@param milliseconds number
function sleep(milliseconds) end

---Returns the milliseconds since 1970, by a clock that never goes back.
---@return integer
function now() end

---Calls a function repeatedly. If a call still waits when the next is due, that one is left out.
---@param f function
---@param milliseconds number
---@param ... any
---@return integer id
function setInterval(f, milliseconds, ...) end

---Calls a function once, after a time.
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

---The ActionScript value null inside a table, because a table cannot hold nil.
null = {}

---The ActionScript value undefined inside a table.
undefined = {}

---Marks a table as an array. An empty table without this mark is sent as an object.
---@param list? table
---@return table
function Array(list) end

---A ByteArray of ActionScript.
---@class ByteArray
---@field type string
---@field bytes string

---Makes a ByteArray. (A Lua string is sent as text.)
---@param bytes string
---@return ByteArray
function ByteArray(bytes) end

---A Date of ActionScript.
---@class Date
---@field type string
---@field time number milliseconds since 1970
---@field timeZone integer the time zone, in minutes

---Makes a Date.
---@param milliseconds? number the time in milliseconds since 1970; the current time if it is missing
---@return Date
function Date(milliseconds) end
