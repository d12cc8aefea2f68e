//! An application's own Application.xml over that of its virtual host.

use super::problem::{Findings, Problem};
use super::schema::{Everywhere, Schema};
use super::xml::Element;

/// The attribute by which the virtual host's file says whether the files of applications may override an element.
pub(super) static OVERRIDE: Everywhere = Everywhere { name: "override", words: &["yes", NO] };
const NO: &str = "no";

/// Returns `base` with the elements of `over` in place of its own. What `base` marks with `override="no"` stays, with all that is in it.
pub(super) fn overlay(schema: &Schema, base: &Element, over: &Element, findings: &mut Findings) -> Element {
    lay(schema, "", base, over, findings)
}

/// `path` is that of the elements, with a slash behind it; that of the root is empty.
fn lay(schema: &Schema, path: &str, base: &Element, over: &Element, findings: &mut Findings) -> Element {
    if is_fixed(base) {
        warn(base, over, findings);
        return base.clone();
    }
    let mut merged = base.clone();
    merged.place = over.place.clone();
    if !over.text.is_empty() {
        (merged.text, merged.text_place) = (over.text.clone(), over.text_place.clone());
    }
    for attribute in &over.attributes {
        merged.attributes.retain(|known| known.name != attribute.name);
        merged.attributes.push(attribute.clone());
    }
    for child in &over.children {
        let full = format!("{path}{}", child.name);
        if schema.is_free_or_repeats(&full) {
            continue;
        }
        match merged.children.iter_mut().find(|known| known.name == child.name) {
            Some(known) => *known = lay(schema, &format!("{full}/"), known, child, findings),
            None => merged.children.push(child.clone()),
        }
    }
    replace_whole(schema, path, base, over, &mut merged, findings);
    merged
}

/// Elements that repeat, and those of free form, are not mixed: a list of the application takes the place of the whole list.
fn replace_whole(
    schema: &Schema,
    path: &str,
    base: &Element,
    over: &Element,
    merged: &mut Element,
    findings: &mut Findings,
) {
    let mut done: Vec<&str> = Vec::new();
    for child in &over.children {
        if done.contains(&child.name.as_str()) || !schema.is_free_or_repeats(&format!("{path}{}", child.name)) {
            continue;
        }
        done.push(&child.name);
        if let Some(fixed) = base.children.iter().find(|known| known.name == child.name && is_fixed(known)) {
            warn(fixed, child, findings);
            continue;
        }
        merged.children.retain(|known| known.name != child.name);
        merged.children.extend(over.children.iter().filter(|known| known.name == child.name).cloned());
    }
}

fn is_fixed(element: &Element) -> bool {
    element.attribute(OVERRIDE.name).is_some_and(|attribute| attribute.value.eq_ignore_ascii_case(NO))
}

fn warn(fixed: &Element, over: &Element, findings: &mut Findings) {
    let message = format!("<{}> has no effect: {} says {}=\"{NO}\"", over.name, fixed.place, OVERRIDE.name);
    findings.push(Problem::warning(&over.place, message));
}
