//! Keys: each value that may stand in a file, written once. The table of the file, its documentation and the readers come from it.
//!
//! A key knows by its type what it is read into, and in which file or repeated element it stands. A reader that asks for it
//! elsewhere, or for another type, does not compile.

use std::marker::PhantomData;

use crate::schema::{Effect, Entry, Schema};
use crate::syntax::Described;

/// The element at which the paths of keys begin: the root of a file, or an element in it that may repeat.
pub(crate) trait Scope: 'static {
    /// Its path from the root, which is left out; a `*` marks the element that may repeat.
    const PATH: &'static str = "";
}

/// The root of a file.
pub(crate) trait File: Scope {
    fn schema() -> &'static Schema;
}

/// An element that may repeat, in `Parent`.
pub(crate) trait Repeated: Scope {
    type Parent: Scope;
}

/// One value in the scope `S`: the text of an element, an attribute, or an element with whatever is in it.
pub(crate) struct Key<S, X> {
    /// From the scope: `RTMFP/KeepAliveTime/NAT/Peers`, `RTMFP@enable`; empty for the text of a repeated element itself.
    pub(crate) path: &'static str,
    pub(crate) syntax: X,
    meaning: &'static str,
    is_ours: bool,
    effect: Effect,
    scope: PhantomData<fn() -> S>,
}

impl<S: Scope, X> Key<S, X> {
    /// A key that Adobe's servers know too.
    pub(crate) const fn ams(path: &'static str, syntax: X, meaning: &'static str) -> Self {
        Self { path, syntax, meaning, is_ours: false, effect: Effect::Everywhere, scope: PhantomData }
    }

    /// A key of this server alone.
    pub(crate) const fn ours(path: &'static str, syntax: X, meaning: &'static str) -> Self {
        Self { path, syntax, meaning, is_ours: true, effect: Effect::Everywhere, scope: PhantomData }
    }

    /// Marks a value that is read and that nothing is done with yet.
    pub(crate) const fn without_effect(mut self, why: &'static str) -> Self {
        self.effect = Effect::Nowhere(why);
        self
    }

    /// Marks a value that counts in the default adaptor or virtual host alone.
    pub(crate) const fn of_default_only(mut self, why: &'static str) -> Self {
        self.effect = Effect::DefaultOnly(why);
        self
    }

    /// As messages show it: the path from the root.
    pub(crate) fn shown(&self) -> String {
        self.full_path().replace('*', "")
    }

    fn full_path(&self) -> String {
        let is_inside = !S::PATH.is_empty() && !self.path.is_empty() && !self.path.starts_with('@');
        format!("{}{}{}", S::PATH, if is_inside { "/" } else { "" }, self.path)
    }
}

impl<S: Scope, X: Described> Key<S, X> {
    /// Its line in the table of the file.
    pub(crate) fn entry(&self) -> Entry {
        Entry {
            path: self.full_path(),
            plain: self.shown(),
            must_be: self.syntax.describe(),
            default: self.syntax.default_text(),
            meaning: self.meaning,
            is_tree: X::IS_TREE,
            is_ours: self.is_ours,
            effect: self.effect,
        }
    }
}

/// Makes the keys of a file, and `entries`, the table with all of them in this order: no key is left out of its table.
macro_rules! keys {
    ($($name:ident: $key:ty = $value:expr;)*) => {
        $(pub(crate) static $name: $key = $value;)*

        fn entries() -> Vec<$crate::schema::Entry> {
            vec![$($name.entry()),*]
        }
    };
}
pub(crate) use keys;
