//! Reads typed values out of a checked tree. What is left out, or wrong, is read from the defaults of its key.

use std::cell::RefCell;
use std::marker::PhantomData;

use super::key::{File, Key, Repeated, Scope};
use super::problem::{Findings, Place, Problem};
use super::shown::{must_be, shown_value};
use super::syntax::{Syntax, Wrong};
use super::texts::Tree;
use super::xml::Element;

/// An element, or the lack of one: the root of a file, or an element in it that may repeat.
pub(super) struct View<'a, S> {
    element: Option<&'a Element>,
    findings: &'a RefCell<Findings>,
    /// Whether any value may be a password in the wrong place: then no message repeats one.
    holds_passwords: bool,
    scope: PhantomData<S>,
}

impl<'a, S: File> View<'a, S> {
    /// The root of a file.
    pub(super) fn new(root: Option<&'a Element>, findings: &'a RefCell<Findings>) -> Self {
        Self { element: root, findings, holds_passwords: S::schema().holds_passwords, scope: PhantomData }
    }
}

impl<'a, S: Scope> View<'a, S> {
    /// The elements of that scope.
    pub(super) fn each<E: Repeated<Parent = S>>(&self) -> Vec<View<'a, E>> {
        let path = E::PATH.trim_end_matches('*');
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let children = self.descend(parent).map(|parent| parent.children.as_slice()).unwrap_or_default();
        children.iter().filter(|child| child.name == name).map(|child| self.inside(Some(child))).collect()
    }

    /// An element of that scope, as if it stood there with nothing in it.
    pub(super) fn absent<E: Repeated<Parent = S>>(&self) -> View<'a, E> {
        self.inside(None)
    }

    fn inside<E>(&self, element: Option<&'a Element>) -> View<'a, E> {
        View { element, findings: self.findings, holds_passwords: self.holds_passwords, scope: PhantomData }
    }

    /// Where the element is.
    pub(super) fn place(&self) -> Option<Place> {
        self.element.map(|element| element.place.clone())
    }

    /// The value of a key.
    pub(super) fn read<X: Syntax>(&self, key: &Key<S, X>) -> X::Value {
        self.checked(key, Ok).unwrap_or_else(|| key.syntax.default())
    }

    /// What `check` makes of the value of a key; `None` if it is left out or wrong. `check` may say what is wrong with it.
    pub(super) fn checked<X: Syntax, T>(
        &self,
        key: &Key<S, X>,
        check: impl FnOnce(X::Value) -> Result<T, String>,
    ) -> Option<T> {
        let (text, place) = self.find(key)?;
        match key.syntax.parse(text).and_then(|value| Ok(check(value)?)) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let message = format!("{}: {}", key.shown(), self.explain(&wrong, &key.syntax.describe(), text));
                self.findings.borrow_mut().push(Problem::error(place, message));
                None
            }
        }
    }

    fn explain(&self, wrong: &Wrong, description: &str, text: &str) -> String {
        let mut parts = text.split(',').map(|part| shown_value(part.trim())).filter(|part| !part.is_empty());
        match wrong {
            Wrong::Because(why) if !(self.holds_passwords && parts.any(|part| why.contains(part))) => why.clone(),
            _ if self.holds_passwords => format!("must be {description}"),
            _ => must_be(description, text),
        }
    }

    /// Reports an error in a value of this element, if it is given.
    pub(super) fn problem<X>(&self, key: &Key<S, X>, message: impl FnOnce(&str) -> String) {
        self.report(key, Problem::error, message);
    }

    /// Warns about a value of this element, if it is given.
    pub(super) fn warning<X>(&self, key: &Key<S, X>, message: impl FnOnce(&str) -> String) {
        self.report(key, Problem::warning, message);
    }

    fn report<X>(
        &self,
        key: &Key<S, X>,
        severity: fn(&Place, String) -> Problem,
        message: impl FnOnce(&str) -> String,
    ) {
        if let Some((_, place)) = self.find(key) {
            self.findings.borrow_mut().push(severity(place, message(&key.shown())));
        }
    }

    /// Warns about an element that stands there with nothing in it.
    pub(super) fn warning_if_empty<X>(&self, key: &Key<S, X>, message: &str) {
        if let Some(element) = self.descend(key.path).filter(|element| element.text.is_empty()) {
            self.findings.borrow_mut().push(Problem::warning(&element.place, message));
        }
    }

    /// Reports that this element cannot do without a value.
    pub(super) fn incomplete<X>(&self, key: &Key<S, X>) {
        if let Some(element) = self.element {
            self.findings.borrow_mut().push(Problem::error(&element.place, format!("{} is missing", key.shown())));
        }
    }

    /// The text of a value and where it is, unless it is left out or empty.
    pub(super) fn find<X>(&self, key: &Key<S, X>) -> Option<(&'a str, &'a Place)> {
        let (elements, attribute) =
            key.path.split_once('@').map_or((key.path, None), |(elements, name)| (elements, Some(name)));
        let element = self.descend(elements)?;
        let (text, place) = match attribute {
            Some(name) => element.attribute(name).map(|attribute| (attribute.value.as_str(), &attribute.place))?,
            None => (element.text.as_str(), &element.text_place),
        };
        (!text.is_empty()).then_some((text, place))
    }

    /// The element of a value of free form.
    pub(super) fn tree(&self, key: &Key<S, Tree>) -> Option<&'a Element> {
        self.descend(key.path)
    }

    fn descend(&self, path: &str) -> Option<&'a Element> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(self.element?, |element, name| element.child(name))
    }
}
