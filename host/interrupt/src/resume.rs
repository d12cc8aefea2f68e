//! `coroutine.resume`, which ticks follow into the coroutine.

use std::ffi::{CStr, c_int};

use mlua::ffi::{self, lua_State};
use mlua::{Function, Lua, Result};

use super::follow;

/// What Lua says, outside of any protection, in a coroutine that it cannot resume (`lua_resume` in its `ldo.c`). A string that is there already takes
/// no memory: without memory that would end in a jump to a place that is gone.
const UNPROTECTED: [&str; 4] = [
    "cannot resume non-suspended coroutine",
    "cannot resume dead coroutine",
    "C stack overflow",
    "error in error handling",
];

/// `coroutine.resume` of a VM, which ticks follow into the coroutine.
///
/// # Errors
/// If the VM has no memory for it.
pub fn resume_function(lua: &Lua) -> Result<Function> {
    lua.set_named_registry_value("introd_interrupt", lua.create_sequence_from(UNPROTECTED)?)?;
    // SAFETY: `resume` is a function as Lua wants it.
    unsafe { lua.create_c_function(resume) }
}

/// `coroutine.resume` as in Lua's `lcorolib.c`. Errors of Lua leave it only before and after the coroutine runs: `lua_resume` catches all others.
///
/// # Safety
/// Lua calls it.
unsafe extern "C-unwind" fn resume(state: *mut lua_State) -> c_int {
    // SAFETY: each call finds on the stack what it needs: the arguments; room for as many values as `lua_checkstack` has found room for; and
    // LUA_MINSTACK (20) places more than the arguments took, as in each call of a function.
    unsafe {
        // With anything else this does not return.
        ffi::luaL_checktype(state, 1, ffi::LUA_TTHREAD);
        let coroutine = ffi::lua_tothread(state, 1);
        let given = ffi::lua_gettop(state) - 1;
        if ffi::lua_checkstack(coroutine, given) == 0 {
            return failed(state, c"too many arguments to resume");
        }
        ffi::lua_xmove(state, coroutine, given);
        let mut got = 0;
        let before = follow(coroutine);
        let status = ffi::lua_resume(coroutine, state, given, &raw mut got);
        follow(before);
        if status != ffi::LUA_OK && status != ffi::LUA_YIELD {
            // In this order: a coroutine that resumes itself is both.
            ffi::lua_xmove(coroutine, state, 1);
            ffi::lua_pushboolean(state, 0);
            ffi::lua_insert(state, -2);
            return 2;
        }
        if ffi::lua_checkstack(state, got + 1) == 0 {
            ffi::lua_pop(coroutine, got);
            return failed(state, c"too many results to resume");
        }
        ffi::lua_pushboolean(state, 1);
        ffi::lua_xmove(coroutine, state, got);
        got + 1
    }
}

/// Gives back `false`, and why.
///
/// # Safety
/// There is room for two values on the stack.
unsafe fn failed(state: *mut lua_State, why: &'static CStr) -> c_int {
    // SAFETY: the caller says so.
    unsafe {
        ffi::lua_pushboolean(state, 0);
        ffi::lua_pushliteral(state, why);
    }
    2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lua_says_without_protection_is_there_when_there_is_no_memory() {
        let lua = Lua::new();
        let _resume = resume_function(&lua).unwrap();
        (0..2).for_each(|_| lua.gc_collect().unwrap());
        lua.set_memory_limit(1).unwrap();
        assert!(lua.create_string("no room even for this").is_err());
        for text in UNPROTECTED {
            assert!(lua.create_string(text).is_ok(), "{text}");
        }
    }
}
