//! What may stand in a file: one table a file, from which the reading, the checks, the suggestions and the documentation come.

use std::sync::LazyLock;

use super::names;
use super::problem::{Findings, Problem};
use super::shown::must_be;
use super::syntax::one_of;
use super::xml::Element;

/// A file of the configuration.
#[derive(Debug)]
pub(super) struct Schema {
    /// The name of the file.
    pub(super) file: &'static str,
    /// The name of its root element.
    pub(super) root: &'static str,
    /// Everything with a value. What has only elements in it is known by the paths of those.
    pub(super) entries: LazyLock<Vec<Entry>>,
    /// What Adobe's servers know and this one has no use for, with everything in it. Paths like those of entries.
    pub(super) unsupported: &'static [&'static str],
    /// What is in such elements that clients or administrators would miss.
    pub(super) missed: &'static [Missed],
    /// Names that older servers used: `(theirs, ours)`, for elements directly in the root.
    pub(super) renamed: &'static [(&'static str, &'static str)],
    /// An attribute that every element of the file may carry.
    pub(super) everywhere: Option<&'static Everywhere>,
    /// Whether any value may be a password in the wrong place: then no message repeats one.
    pub(super) holds_passwords: bool,
}

/// A value that this server does not support, and that made a difference to clients at Adobe's servers: it is warned about by itself.
#[derive(Debug)]
pub(super) struct Missed {
    /// From the root, as in [`Schema::unsupported`].
    pub(super) path: &'static str,
    /// The values with which it made no difference there. A list that has only these makes none either.
    pub(super) idle: &'static [&'static str],
    /// What the lack of it means.
    pub(super) means: &'static str,
}

/// An attribute that every element of a file may carry, with the words that it may hold.
#[derive(Debug)]
pub(super) struct Everywhere {
    pub(super) name: &'static str,
    pub(super) words: &'static [&'static str],
}

impl Everywhere {
    /// In words, as in "must be ...".
    pub(super) fn describe(&self) -> String {
        one_of(self.words.iter().map(|word| format!("`{word}`")))
    }
}

/// One value: the text of an element, or an attribute.
#[derive(Debug)]
pub(super) struct Entry {
    /// From the root, which is left out: `RTMFP/KeepAliveTime/NAT/Peers`, `RTMFP@enable`. A `*` marks elements that may repeat.
    pub(super) path: String,
    /// The same without the marks.
    pub(super) plain: String,
    /// What the value must be, in words.
    pub(super) must_be: String,
    /// What it is when it is left out or empty, as it would stand in the file.
    pub(super) default: String,
    /// What it does.
    pub(super) meaning: &'static str,
    /// Whether it is an element with elements of any name in it.
    pub(super) is_tree: bool,
    /// Whether no server of Adobe's knows it.
    pub(super) is_ours: bool,
    /// Whether the server does anything with it.
    pub(super) effect: Effect,
}

/// Where a value acts. One that is given where it does not is warned about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// In every file.
    Everywhere,
    /// In the default adaptor's or default virtual host's file alone, for this reason.
    DefaultOnly(&'static str),
    /// Nowhere, for this reason: it is read, and nothing is done with it.
    Nowhere(&'static str),
}

impl Entry {
    /// Why it does nothing in a file, which may be that of the default adaptor or virtual host; `None` if it does something.
    fn idle_because(&self, is_default: bool) -> Option<&'static str> {
        match self.effect {
            Effect::Everywhere => None,
            Effect::DefaultOnly(why) => (!is_default).then_some(why),
            Effect::Nowhere(why) => Some(why),
        }
    }
}

/// What a path means in a file.
enum Meaning {
    /// It is, or leads to, something with a value.
    Known {
        repeats: bool,
        has_text: bool,
        is_tree: bool,
    },
    /// Known and of no use.
    Unsupported,
    Unknown,
}

impl Schema {
    /// All paths, supported or not, without the marks of repetition.
    fn paths(&self) -> impl Iterator<Item = (String, bool)> {
        let supported = self.entries.iter().map(|entry| (entry.plain.clone(), true));
        supported.chain(self.unsupported.iter().map(|path| (path.replace('*', ""), false)))
    }

    fn meaning(&self, path: &str) -> Meaning {
        let mut known = false;
        let mut repeats = false;
        let mut has_text = false;
        let mut is_tree = false;
        for entry in self.entries.iter() {
            let Some(rest) = entry.plain.strip_prefix(path) else { continue };
            if rest.is_empty() {
                (has_text, is_tree) = (true, entry.is_tree);
            } else if !rest.starts_with(['/', '@']) {
                continue;
            }
            known = true;
            let depth = path.split('/').count();
            repeats |= entry.path.split(['/', '@']).nth(depth - 1).is_some_and(|segment| segment.ends_with('*'));
        }
        if known {
            Meaning::Known { repeats, has_text, is_tree }
        } else if self.paths().any(|(known, is_supported)| !is_supported && known == path) {
            Meaning::Unsupported
        } else if self.unsupported.iter().any(|known| known.replace('*', "").starts_with(&format!("{path}/"))) {
            Meaning::Known { repeats: false, has_text: false, is_tree: false }
        } else {
            Meaning::Unknown
        }
    }

    /// The attributes of the element at a path.
    fn attributes_of(&self, path: &str) -> Vec<&str> {
        self.entries.iter().filter_map(|entry| entry.plain.strip_prefix(path)?.strip_prefix('@')).collect()
    }

    /// Whether the element at a path may repeat, or takes elements of any name.
    pub(super) fn is_free_or_repeats(&self, path: &str) -> bool {
        matches!(self.meaning(path), Meaning::Known { repeats, is_tree, .. } if repeats || is_tree)
    }

    /// Why nothing is done with what stands at a path or inside it, if so.
    fn idle_because(&self, path: &str, is_default: bool) -> Option<&'static str> {
        let mut why = None;
        for entry in self.entries.iter() {
            if entry.plain.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@'])) {
                why = Some(entry.idle_because(is_default)?);
            }
        }
        why
    }

    /// Reports all names that do not belong, and all values that nothing is done with, and takes out of the tree whatever the
    /// reading has no use for. `is_default` says whether the file is that of the default adaptor or virtual host, or the only one.
    pub(super) fn check(&self, root: &mut Element, is_default: bool, findings: &mut Findings) {
        if root.name != self.root {
            let message = format!("the root element of {} is <{}>, not <{}>", self.file, self.root, root.name);
            findings.push(Problem::error(&root.place, message));
            *root = Element::empty(self.root, &root.place);
            return;
        }
        self.renamed.iter().for_each(|(theirs, ours)| rename(root, theirs, ours));
        self.check_inside(root, "", false, findings);
        self.check_effect(root, "", is_default, findings);
    }

    /// Warns of what has no effect, of an element rather than of each value in it. `path` as in [`Self::check_inside`].
    fn check_effect(&self, element: &Element, path: &str, is_default: bool, findings: &mut Findings) {
        let owner = path.trim_end_matches('/');
        for attribute in element.attributes.iter().filter(|attribute| !attribute.value.is_empty()) {
            let full = format!("{owner}@{}", attribute.name);
            if let Some(why) = self.idle_because(&full, is_default) {
                findings.push(Problem::warning(&attribute.place, format!("{full} has no effect here: {why}")));
            }
        }
        for child in &element.children {
            let full = format!("{path}{}", child.name);
            match self.idle_because(&full, is_default) {
                Some(why) if child.says_something() => {
                    findings.push(Problem::warning(&child.place, format!("<{full}> has no effect here: {why}")));
                }
                Some(_) => (),
                None => self.check_effect(child, &format!("{full}/"), is_default, findings),
            }
        }
    }

    /// `path` is that of `element`, with a slash behind it; that of the root is empty.
    fn check_inside(&self, element: &mut Element, path: &str, has_text: bool, findings: &mut Findings) {
        if !has_text && !element.text.is_empty() {
            let message = match self.attributes_of(path.trim_end_matches('/')).as_slice() {
                [] => format!("<{}> takes elements, not text", element.name),
                names => format!("<{0}> takes no text: write <{0} {1}=\"...\">", element.name, names.join("=\"...\" ")),
            };
            findings.push(Problem::error(&element.text_place, message));
        }
        let owner = path.trim_end_matches('/');
        element.attributes.retain(|attribute| {
            if let Some(everywhere) = self.everywhere.filter(|everywhere| everywhere.name == attribute.name) {
                if !everywhere.words.iter().any(|word| word.eq_ignore_ascii_case(&attribute.value)) {
                    let must_be = must_be(&everywhere.describe(), &attribute.value);
                    let message = format!("{} {must_be}", everywhere.name);
                    findings.push(Problem::error(&attribute.place, message));
                }
                return true;
            }
            let full = format!("{owner}@{}", attribute.name);
            match self.meaning(&full) {
                Meaning::Known { .. } => return true,
                Meaning::Unsupported => {
                    if !attribute.value.is_empty() {
                        findings.push(Problem::unsupported(&attribute.place, &full));
                    }
                }
                Meaning::Unknown => {
                    let known = self
                        .paths()
                        .filter_map(|(known, _)| Some(known.strip_prefix(owner)?.strip_prefix('@')?.to_owned()));
                    let hint =
                        suggest(&attribute.name, known.chain(self.everywhere.map(|everywhere| everywhere.name.into())));
                    let message = format!("<{}> has no attribute {}{hint}", element.name, attribute.name);
                    findings.push(Problem::error(&attribute.place, message));
                }
            }
            false
        });
        let mut seen: Vec<(String, u32)> = Vec::new();
        let parent = element.name.clone();
        element.children.retain_mut(|child| {
            let full = format!("{path}{}", child.name);
            match self.meaning(&full) {
                Meaning::Known { repeats, has_text, is_tree } => {
                    let earlier = seen.iter().find(|(name, _)| *name == child.name).map(|(_, line)| *line);
                    if let Some(line) = earlier.filter(|_| !repeats) {
                        let message = format!("<{}> stands in line {line} already", child.name);
                        findings.push(Problem::error(&child.place, message));
                        return false;
                    }
                    if earlier.is_none() {
                        seen.push((child.name.clone(), child.place.line()));
                    }
                    if !is_tree {
                        self.check_inside(child, &format!("{full}/"), has_text, findings);
                    }
                    return true;
                }
                Meaning::Unsupported => {
                    let is_told = self.check_missed(child, &full, findings);
                    if !is_told && child.says_something() {
                        findings.push(Problem::unsupported(&child.place, &full));
                    }
                }
                Meaning::Unknown => {
                    let hint = if findings.is_full() { String::new() } else { self.suggest_element(path, &child.name) };
                    findings.push(Problem::error(
                        &child.place,
                        format!("<{parent}> has no element <{}>{hint}", child.name),
                    ));
                }
            }
            false
        });
    }

    /// Warns of what is missed of an element that is not supported. `path` is that of the element. Returns whether that was about its own
    /// value.
    fn check_missed(&self, element: &Element, path: &str, findings: &mut Findings) -> bool {
        let mut is_told = false;
        for missed in self.missed {
            let (elements, attribute) =
                missed.path.split_once('@').map_or((missed.path, None), |(elements, name)| (elements, Some(name)));
            let Some(inside) = elements.strip_prefix(path).filter(|rest| rest.is_empty() || rest.starts_with('/'))
            else {
                continue;
            };
            let names = inside.split('/').filter(|name| !name.is_empty());
            let Some(found) = names.into_iter().try_fold(element, |element, name| element.child(name)) else {
                continue;
            };
            let (value, place) = match attribute {
                Some(name) => match found.attribute(name) {
                    Some(attribute) => (attribute.value.as_str(), &attribute.place),
                    None => continue,
                },
                None => (found.text.as_str(), &found.place),
            };
            let is_idle =
                |word: &str| word.is_empty() || missed.idle.iter().any(|idle| idle.eq_ignore_ascii_case(word));
            if !value.split(',').all(|word| is_idle(word.trim())) {
                let message = format!("{} is not supported: {}", missed.path, missed.means);
                findings.push(Problem::warning(place, message));
                is_told |= missed.path == path;
            }
        }
        is_told
    }

    /// The nearest name that may stand here; else the place where just this name may stand.
    fn suggest_element(&self, path: &str, name: &str) -> String {
        let siblings = self.paths().filter_map(|(known, _)| {
            let rest = known.strip_prefix(path)?;
            rest.split(['/', '@']).next().filter(|name| !name.is_empty()).map(str::to_owned)
        });
        let hint = suggest(name, siblings);
        if !hint.is_empty() {
            return hint;
        }
        for (known, _) in self.paths() {
            let segments: Vec<&str> = known.split(['/', '@']).collect();
            if let Some(depth) = segments.iter().position(|segment| *segment == name) {
                let parents = segments.get(..depth).unwrap_or_default().join("/");
                return if parents.is_empty() {
                    format!("; it belongs directly in <{}>", self.root)
                } else {
                    format!("; it belongs in <{parents}>")
                };
            }
        }
        String::new()
    }
}

/// Gives elements an older name their present one. If there is one of each, they are one: what the present one does not say, the older
/// one does.
fn rename(root: &mut Element, theirs: &str, ours: &str) {
    let count = |name: &str| root.children.iter().filter(|child| child.name == name).count();
    if (count(theirs), count(ours)) == (1, 1)
        && let Some(index) = root.children.iter().position(|child| child.name == theirs)
    {
        let older = root.children.remove(index);
        if let Some(present) = root.children.iter_mut().find(|child| child.name == ours) {
            present.fill_in(older);
        }
        return;
    }
    root.children.iter_mut().filter(|child| child.name == theirs).for_each(|child| child.name = ours.into());
}

fn suggest(name: &str, known: impl Iterator<Item = String>) -> String {
    let known: Vec<String> = known.collect();
    let nearest = names::nearest(name, known.iter().map(String::as_str));
    nearest.map(|known| format!("; did you mean {known}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    static SMALL: Schema = Schema {
        file: "Small.xml",
        root: "Root",
        entries: LazyLock::new(|| {
            let entry = |path: &str, effect| Entry {
                path: path.into(),
                plain: path.into(),
                must_be: "a text".into(),
                default: String::new(),
                meaning: "none",
                is_tree: false,
                is_ours: false,
                effect,
            };
            vec![entry("A", Effect::Everywhere), entry("A@old", Effect::Nowhere("it is old"))]
        }),
        unsupported: &[],
        missed: &[],
        renamed: &[],
        everywhere: None,
        holds_passwords: false,
    };

    #[test]
    fn an_attribute_without_effect_is_told_if_it_says_something() {
        let told = |text: &str| {
            let file = std::path::Path::new("x.xml").into();
            let mut findings = Findings::default();
            let mut root = crate::xml::parse(&file, text).unwrap();
            SMALL.check(&mut root, true, &mut findings);
            findings.into_vec().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told("<Root><A old='1'>x</A></Root>"), ["x.xml:1:10: warning: A@old has no effect here: it is old"]);
        assert!(told("<Root><A old=''>x</A></Root>").is_empty());
    }
}
