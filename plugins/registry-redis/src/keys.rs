//! The names of keys, and the commands on them.

use introd_plugin::PeerId;
use redis::{Cmd, Value, cmd};

use crate::entry::{Entry, Epoch, MAX_ENTRIES};
use crate::own::{Write, Written};

/// What the scripts that follow have in common: `v` is what stands there, `others` the entries of other servers than the one whose epoch
/// is `own`, `was` the time of its entry if it has one, and `store` writes entries back.
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
/// Enters an entry beside those of other servers, and returns its time. One that is new gets a time after theirs, whatever the clocks say,
/// unless it stands there already and has one: an answer was lost. Of the others, the ones go whose server's key does not say their epoch,
/// if it is known how these keys begin (in a cluster they are elsewhere), and where there are too many one that is silent, else the
/// newest one of what is not proven, or the oldest of what is.
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
/// Deletes the entry of an epoch.
const WITHDRAW: &str = "if was and #others==0 then redis.call('DEL',KEYS[1]) \
    elseif was then store(others,'KEEPTTL') end \
    return 0";
/// Deletes a server's key if it is of this epoch.
const LEAVE: &str = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";

/// What a key is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Peer(PeerId),
    Server(Vec<u8>),
}

/// A script that knows its epoch. What is only there to be read is left out: the text goes with each call.
fn script(own: &str, rest: &str) -> String {
    let text = format!("local own={own} {ENTRIES}{rest}");
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// The keys of a namespace.
pub(crate) struct Keys {
    peer: String,
    server: String,
    /// The keys of a script must be at one place in a cluster.
    is_cluster: bool,
    publish: String,
    withdraw: String,
}

impl Keys {
    pub(crate) fn new(namespace: &str, is_cluster: bool) -> Self {
        Self {
            peer: format!("{namespace}:peer:"),
            server: format!("{namespace}:server:"),
            is_cluster,
            publish: script("string.sub(ARGV[1],2,9)", PUBLISH),
            withdraw: script("ARGV[1]", WITHDRAW),
        }
    }

    pub(crate) fn peer(&self, peer: &PeerId) -> Vec<u8> {
        format!("{}{peer}", self.peer).into_bytes()
    }

    pub(crate) fn server(&self, server: &[u8]) -> Vec<u8> {
        [self.server.as_bytes(), server].concat()
    }

    /// What a key of this namespace is about.
    pub(crate) fn read(&self, key: &[u8]) -> Option<Key> {
        if let Some(id) = key.strip_prefix(self.peer.as_bytes()) {
            return std::str::from_utf8(id).ok()?.parse().ok().map(Key::Peer);
        }
        key.strip_prefix(self.server.as_bytes()).map(|server| Key::Server(server.to_vec()))
    }

    pub(crate) fn get_all(keys: impl Iterator<Item = Vec<u8>>) -> Cmd {
        let mut command = cmd("MGET");
        for key in keys {
            command.arg(key);
        }
        command
    }

    /// What writes this. `lifetime` is in milliseconds.
    pub(crate) fn write(&self, peer: &PeerId, write: &Write, server: &str, epoch: Epoch, lifetime: u64) -> Cmd {
        let key = self.peer(peer);
        let Write::Publish { claim, is_new, is_first, addresses } = write else {
            let mut command = cmd("EVAL");
            command.arg(self.withdraw.as_str()).arg(1).arg(key).arg(&epoch.0[..]);
            return command;
        };
        let entry = Entry::encode(epoch, *claim, server, addresses);
        if *is_first {
            // As a rule nothing stands there. It takes much less than a script.
            let mut command = cmd("SET");
            command.arg(key).arg(entry).arg("NX").arg("PX").arg(lifetime);
            return command;
        }
        let mut command = cmd("EVAL");
        command.arg(self.publish.as_str()).arg(1).arg(key).arg(entry).arg(lifetime).arg(u8::from(*is_new));
        let servers = if self.is_cluster { "" } else { &self.server };
        command.arg(servers).arg(MAX_ENTRIES);
        command
    }

    /// What became of a [`Self::write`].
    pub(crate) fn written(answer: &Value) -> Written {
        match answer {
            Value::Nil => Written::Occupied,
            Value::Int(since) if *since > 0 => Written::Since(since.unsigned_abs()),
            _ => Written::Done,
        }
    }

    /// Says that a server lives; the answer is what was said before.
    pub(crate) fn beat(&self, server: &str, epoch: Epoch, life: u64) -> Cmd {
        let mut command = cmd("SET");
        command.arg(self.server(server.as_bytes())).arg(epoch.hex()).arg("PX").arg(life).arg("GET");
        command
    }

    /// Says that a server is gone.
    pub(crate) fn leave(&self, server: &str, epoch: Epoch) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(LEAVE).arg(1).arg(self.server(server.as_bytes())).arg(epoch.hex());
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let (keys, peer) = (Keys::new("n:s", false), PeerId([0xab; 32]));
        assert_eq!(keys.peer(&peer), format!("n:s:peer:{}", "ab".repeat(32)).into_bytes());
        assert_eq!(keys.read(&keys.peer(&peer)), Some(Key::Peer(peer)));
        assert_eq!(keys.read(&keys.server(b"a:b")), Some(Key::Server(b"a:b".to_vec())));
        for other in ["n:s:peer:xyz", "n:peer:", "other", ""] {
            assert_eq!(keys.read(other.as_bytes()), None, "{other}");
        }
    }
}
