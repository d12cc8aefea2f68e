//! The Lua scripts that run in Redis.

/// The common beginning of the scripts on a peer's value. `v` is the value, `others` are the entries of other epochs than `own`, `was` is
/// the beginning of the session in the entry of `own`, if there is one, and `store` writes entries back.
const ENTRIES: &str = "local v=redis.call('GET',KEYS[1]) \
    local others,was={},nil \
    local function since(x) \
      local n=0 for i=11,17 do n=n*256+string.byte(x,i) end return n \
    end \
    local function take(e,n) \
      if n<18 or #e~=n or string.byte(e)~=1 then return end \
      if string.sub(e,2,9)==own then was=since(e) else others[#others+1]=e end \
    end \
    if v and string.byte(v)==2 then \
      local i=2 \
      while i+1<=#v do \
        local n=string.byte(v,i)*256+string.byte(v,i+1) \
        take(string.sub(v,i+2,i+1+n),n) i=i+2+n \
      end \
    elseif v then take(v,#v) end \
    local function store(es,...) \
      local t=es[1] \
      if #es>1 then \
        t='\\2' \
        for _,e in ipairs(es) do t=t..string.char(math.floor(#e/256),#e%256)..e end \
      end \
      redis.call('SET',KEYS[1],t,...) \
    end ";
/// Writes an entry beside those of other servers, and returns the beginning of its session. A new session gets a beginning after all
/// others, whatever the clocks of the servers say, unless the entry is there already because an answer was lost. Entries of dead servers are
/// removed: those whose server's key does not hold their epoch. (Not in a cluster, where those keys are on other nodes; `ARGV[4]` is empty
/// then.) If there are too many entries, it removes a silent one; else the newest unproven one; else the oldest.
const PUBLISH: &str = "local e=ARGV[1] \
    local mine,newest=since(e),0 \
    local es={} \
    for _,x in ipairs(others) do \
      local keep=true \
      if ARGV[4]~='' then \
        local hex=string.gsub(string.sub(x,2,9),'.',function(c) return string.format('%02x',string.byte(c)) end) \
        keep=redis.call('GET',ARGV[4]..string.sub(x,19,18+string.byte(x,18)))==hex \
      end \
      if keep then es[#es+1]=x end \
      if keep and since(x)<2^48 then newest=math.max(newest,since(x)) end \
    end \
    local wanted=mine \
    if ARGV[3]=='1' and was and was>=mine then mine=was \
    elseif ARGV[3]=='1' then mine=math.max(mine,newest+1) end \
    if mine~=wanted then \
      local n,b=mine,'' \
      for i=1,7 do b=string.char(n%256)..b n=math.floor(n/256) end \
      e=string.sub(e,1,10)..b..string.sub(e,18) \
    end \
    while #es>=tonumber(ARGV[5]) do \
      local worst,score=1,nil \
      for i,x in ipairs(es) do \
        local f=string.byte(x,10) \
        local s=since(x) \
        if f%2==1 then s=-s end \
        if f>=2 then s=s+2^60 end \
        if not score or s>score then worst,score=i,s end \
      end \
      table.remove(es,worst) \
    end \
    table.insert(es,1,e) \
    store(es,'PX',ARGV[2]) \
    return mine";
/// Deletes the entry of one epoch.
const WITHDRAW: &str = "if was and #others==0 then redis.call('DEL',KEYS[1]) \
    elseif was then store(others,'KEEPTTL') end \
    return 0";
/// Deletes a server's key if it holds this epoch.
pub(crate) const LEAVE: &str =
    "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";

/// Removes members of dead servers from a group, along its ring from `ARGV[1]` to `ARGV[2]`, until it has passed as many others as `ARGV[4]`
/// says, or has seen `ARGV[5]` members. `ARGV[3]` is the direction, and `ARGV[6]` has the epochs of the dead servers, whose keys are
/// `KEYS[2]` and so on. A server whose key holds its epoch lives again and loses nothing. (In a cluster there are no such keys, because they
/// are on other nodes.) Returns how many members it has removed.
const CLEAN: &str = "local dead={} \
    for i=1,#ARGV[6],8 do \
      local own=string.sub(ARGV[6],i,i+7) \
      local key=KEYS[(i+7)/8+1] \
      local hex=string.gsub(own,'.',function(c) return string.format('%02x',string.byte(c)) end) \
      dead[own]=not key or redis.call('GET',key)~=hex \
    end \
    local from,want,bound=ARGV[1],tonumber(ARGV[4]),tonumber(ARGV[5]) \
    local passed,seen,removed=0,0,0 \
    while passed<want and seen<bound do \
      local n=math.min(64,bound-seen) \
      local es \
      if ARGV[3]=='REV' then es=redis.call('ZRANGE',KEYS[1],from,ARGV[2],'BYLEX','REV','LIMIT',0,n) \
      else es=redis.call('ZRANGE',KEYS[1],from,ARGV[2],'BYLEX','LIMIT',0,n) end \
      local gone={} \
      for _,e in ipairs(es) do \
        if dead[string.sub(e,65,72)] then gone[#gone+1]=e else passed=passed+1 end \
      end \
      if #gone>0 then removed=removed+redis.call('ZREM',KEYS[1],unpack(gone)) end \
      seen=seen+#es \
      if #es<n then break end \
      from='('..es[#es] \
    end \
    return removed";

/// Removes members of one dead server from a group, unless the server lives again: unless its key, `KEYS[2]`, holds its epoch. (In a cluster
/// that key is not given.) Returns how many it has removed.
pub(crate) const REMOVE: &str = "if KEYS[2] and redis.call('GET',KEYS[2])==ARGV[1] then return 0 end \
    return redis.call('ZREM',KEYS[1],unpack(ARGV,2))";

/// The script that removes members of dead servers.
pub(crate) fn clean() -> String {
    CLEAN.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// The script that writes an entry.
pub(crate) fn publish() -> String {
    script("string.sub(ARGV[1],2,9)", PUBLISH)
}

/// The script that deletes an entry.
pub(crate) fn withdraw() -> String {
    script("ARGV[1]", WITHDRAW)
}

/// A script on the value of a peer. Indentation is removed, because Redis receives the text with each call.
fn script(own: &str, rest: &str) -> String {
    let text = format!("local own={own} {ENTRIES}{rest}");
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}
