//! The modules of a crate: what each declares, imports and names. Read from the source without a compiler, so macros are
//! not expanded; everything under `#[cfg(test)]` is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tokens::{Kind, Token, tokens};

/// A path such as `crate::room::Name` or `child::Name`.
pub(crate) type Names = Vec<String>;

#[derive(Debug)]
pub(crate) struct Module {
    /// The file it is written in: an inline module shares that of its parent.
    pub(crate) file: PathBuf,
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    /// What is defined here.
    pub(crate) items: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    /// The paths of two names or more that stand in the code, outside `use`.
    pub(crate) paths: Vec<(Names, usize)>,
    /// Every name that stands in the code, outside `use`, and the line where it first does.
    pub(crate) names: BTreeMap<String, usize>,
}

/// A leaf of a `use` declaration.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) path: Names,
    /// The name it has here; `*` for all that is there, `_` for none.
    pub(crate) name: String,
    /// Does it give the name to others too (`pub use`)?
    pub(crate) is_public: bool,
    pub(crate) line: usize,
}

/// The modules of the crate whose root is that file; the first is the root. `read` gives the text of a file, if there is one.
pub(crate) fn modules(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Vec<Module> {
    let mut reader = Reader { read, modules: Vec::new() };
    let text = read(root).unwrap_or_else(|| panic!("no {}", root.display()));
    let folder = root.parent().unwrap_or(Path::new("")).to_owned();
    reader.file(root.to_owned(), &text, None, folder);
    reader.modules
}

struct Reader<'a> {
    read: &'a dyn Fn(&Path) -> Option<String>,
    modules: Vec<Module>,
}

impl Reader<'_> {
    fn module(&mut self, file: PathBuf, parent: Option<usize>) -> usize {
        self.modules.push(Module {
            file,
            parent,
            children: BTreeMap::new(),
            items: BTreeSet::new(),
            imports: Vec::new(),
            paths: Vec::new(),
            names: BTreeMap::new(),
        });
        self.modules.len() - 1
    }

    /// Reads a file as a module whose children are in that folder.
    fn file(&mut self, file: PathBuf, text: &str, parent: Option<usize>, folder: PathBuf) -> usize {
        let module = self.module(file, parent);
        Scanner { tokens: tokens(text), at: 0 }.body(self, module, &folder);
        module
    }

    /// `mod name;`: the file beside, or the one in its own folder.
    fn child(&mut self, parent: usize, name: &str, folder: &Path, renamed: Option<&str>) {
        let mut places = vec![folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")];
        places.extend(renamed.map(|path| folder.join(path)));
        let Some((file, text)) = places.into_iter().rev().find_map(|file| (self.read)(&file).map(|text| (file, text)))
        else {
            panic!("no file for `mod {name};` of {}", self.modules[parent].file.display());
        };
        let child = self.file(file, &text, Some(parent), folder.join(name));
        self.modules[parent].children.insert(name.to_owned(), child);
    }
}

struct Scanner {
    tokens: Vec<Token>,
    at: usize,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn name(&self, ahead: usize) -> Option<&str> {
        self.peek(ahead).and_then(Token::name)
    }

    fn is(&self, ahead: usize, mark: char) -> bool {
        self.peek(ahead).is_some_and(|token| token.is(mark))
    }

    /// Reads the body of a module, up to the brace that closes it or the end of the file.
    fn body(&mut self, reader: &mut Reader<'_>, module: usize, folder: &Path) {
        let mut depth = 0;
        let mut is_public = false;
        let mut renamed = None;
        while let Some(token) = self.peek(0).cloned() {
            match &token.kind {
                Kind::Mark('#') => {
                    let attribute = self.attribute();
                    if is_of_tests(&attribute) {
                        self.skip_item();
                    } else if let [first, .., Token { kind: Kind::Text(path), .. }] = &attribute[..]
                        && first.name() == Some("path")
                    {
                        renamed = Some(path.clone());
                    }
                    continue;
                }
                Kind::Mark('{') => depth += 1,
                Kind::Mark('}') if depth == 0 => break,
                Kind::Mark('}') => depth -= 1,
                Kind::Name(name) => match name.as_str() {
                    "pub" => {
                        self.at += 1;
                        if self.is(0, '(') {
                            self.skip_group();
                        }
                        is_public = true;
                        continue;
                    }
                    "use" if !self.is(1, '<') => {
                        self.at += 1;
                        let mut imports = Vec::new();
                        self.import(&mut Vec::new(), is_public && depth == 0, &mut imports);
                        reader.modules[module].imports.extend(imports);
                    }
                    "mod" if self.name(1).is_some() => {
                        let child = self.name(1).expect("just seen").to_owned();
                        self.at += 3;
                        if self.is_before(';') {
                            reader.child(module, &child, folder, renamed.as_deref());
                        } else {
                            let file = reader.modules[module].file.clone();
                            let inline = reader.module(file, Some(module));
                            reader.modules[module].children.insert(child.clone(), inline);
                            self.body(reader, inline, &folder.join(&child));
                            self.at += 1;
                        }
                        renamed = None;
                        is_public = false;
                        continue;
                    }
                    _ => {
                        self.mention(&mut reader.modules[module], depth == 0);
                        is_public = false;
                        continue;
                    }
                },
                _ => {}
            }
            is_public = false;
            self.at += 1;
        }
    }

    fn is_before(&self, mark: char) -> bool {
        self.at > 0 && self.tokens.get(self.at - 1).is_some_and(|token| token.is(mark))
    }

    /// A name in the code: perhaps of an item that is defined here, perhaps the beginning of a path.
    fn mention(&mut self, module: &mut Module, is_outside_of_blocks: bool) {
        let line = self.tokens[self.at].line;
        let follows_dot = self.is_before('.');
        let mut path = vec![self.name(0).expect("a name").to_owned()];
        let defines = matches!(
            path[0].as_str(),
            "struct" | "enum" | "union" | "trait" | "type" | "fn" | "const" | "static" | "macro_rules"
        );
        if defines && is_outside_of_blocks {
            let ahead = if self.is(1, '!') || self.name(1) == Some("mut") { 2 } else { 1 };
            if let Some(name) = self.name(ahead) {
                module.items.insert(name.to_owned());
                // The definition of a name is no use of it.
                self.at += if name == "fn" || name == "unsafe" || name == "extern" { ahead } else { ahead + 1 };
                return;
            }
        }
        self.at += 1;
        while self.peek(0).is_some_and(|token| token.kind == Kind::Separator)
            && let Some(next) = self.name(1)
        {
            path.push(next.to_owned());
            self.at += 2;
        }
        if follows_dot {
            return;
        }
        module.names.entry(path[0].clone()).or_insert(line);
        if path.len() > 1 {
            module.paths.push((path, line));
        }
    }

    /// A tree of `use`, after `use` or within its braces; stops before what ends it.
    fn import(&mut self, prefix: &mut Names, is_public: bool, imports: &mut Vec<Import>) {
        let length = prefix.len();
        let line = self.peek(0).map_or(0, |token| token.line);
        loop {
            if self.peek(0).is_some_and(|token| token.kind == Kind::Separator) {
                self.at += 1;
            }
            if self.is(0, '{') {
                self.at += 1;
                while self.peek(0).is_some() && !self.is(0, '}') {
                    self.import(prefix, is_public, imports);
                    if self.is(0, ',') {
                        self.at += 1;
                    }
                }
                self.at += 1;
                break;
            }
            if self.is(0, '*') {
                self.at += 1;
                imports.push(Import { path: prefix.clone(), name: "*".to_owned(), is_public, line });
                break;
            }
            let Some(name) = self.name(0).map(str::to_owned) else { break };
            self.at += 1;
            // `{self, ...}` is the module before the braces.
            if name != "self" || prefix.is_empty() {
                prefix.push(name);
            }
            if self.peek(0).is_some_and(|token| token.kind == Kind::Separator) {
                continue;
            }
            let mut name = prefix.last().cloned().unwrap_or_default();
            if self.name(0) == Some("as") {
                name = self.name(1).unwrap_or("_").to_owned();
                self.at += 2;
            }
            imports.push(Import { path: prefix.clone(), name, is_public, line });
            break;
        }
        prefix.truncate(length);
    }

    /// What stands in `#[...]` or `#![...]`.
    fn attribute(&mut self) -> Vec<Token> {
        self.at += 1;
        if self.is(0, '!') {
            self.at += 1;
        }
        let start = self.at + 1;
        if self.is(0, '[') {
            self.skip_group();
        }
        self.tokens[start.min(self.at)..self.at.saturating_sub(1).max(start.min(self.at))].to_vec()
    }

    /// Skips `(...)`, `[...]` or `{...}`.
    fn skip_group(&mut self) {
        let mut depth = 0;
        while let Some(token) = self.peek(0) {
            match token.kind {
                Kind::Mark('(' | '[' | '{') => depth += 1,
                Kind::Mark(')' | ']' | '}') => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
    }

    /// Skips an item, a statement, a field or an arm.
    fn skip_item(&mut self) {
        while self.is(0, '#') {
            self.attribute();
        }
        let mut words = Vec::new();
        while let Some(name) = self.name(words.len()).filter(|_| words.len() < 2) {
            words.push(name.to_owned());
        }
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let item = [
            "pub",
            "use",
            "let",
            "const",
            "static",
            "type",
            "fn",
            "mod",
            "impl",
            "struct",
            "enum",
            "trait",
            "unsafe",
            "async",
            "extern",
            "macro_rules",
        ];
        let is_item = words.first().is_some_and(|word| item.contains(word));
        let ends_with_semicolon = match &words[..] {
            ["const", "fn" | "unsafe" | "async" | "extern"] => false,
            ["use" | "let" | "const" | "static" | "type", ..] | ["pub", "use" | "const" | "static" | "type"] => true,
            _ => false,
        };
        while let Some(token) = self.peek(0) {
            match token.kind {
                Kind::Mark(';') => {
                    self.at += 1;
                    return;
                }
                Kind::Mark(',') if !is_item => {
                    self.at += 1;
                    return;
                }
                Kind::Mark('}') => return,
                Kind::Mark('{') => {
                    self.skip_group();
                    if !ends_with_semicolon {
                        return;
                    }
                }
                Kind::Mark('(' | '[') => self.skip_group(),
                _ => self.at += 1,
            }
        }
    }
}

/// Is that `cfg(test)`, or a `cfg` that holds in tests alone?
fn is_of_tests(attribute: &[Token]) -> bool {
    let names: Vec<_> = attribute.iter().filter_map(Token::name).collect();
    names.first() == Some(&"cfg") && names.contains(&"test") && !names.contains(&"any") && !names.contains(&"not")
}
