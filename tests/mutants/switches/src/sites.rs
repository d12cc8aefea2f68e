//! Finds the piece of code that each fault changes.

use std::collections::BTreeMap;
use std::ops::Range;

use proc_macro2::Span as TokenSpan;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Arm, Attribute, BinOp, Block, Expr, ExprBinary, ExprMatch, ExprStruct, ExprUnary, ImplItemConst, ImplItemFn,
    ItemConst, ItemFn, ItemStatic, Pat, ReturnType, Signature, TraitItemConst, TraitItemFn, TypeImplTrait, UnOp,
};

use crate::{Fault, Genre, Position};

/// A piece of code, in bytes of the file, and what faults make of it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
    /// The number of each fault and the code that stands in the place of the piece.
    pub(crate) variants: Vec<(u32, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The body of a function, without its braces: a variant is the value that is returned at once.
    Body,
    /// An expression: a variant is the expression that is evaluated instead.
    Expression,
    /// The guard of an arm, without `if`: a variant is what the guard is instead.
    Guard,
    /// An empty piece after the pattern of an arm without a guard: a variant is the guard that it gets.
    NoGuard,
}

/// Numbers of faults for which there is no place, with the reason.
pub(crate) type Unplaced = BTreeMap<u32, &'static str>;

pub(crate) fn find(source: &str, faults: &[Fault]) -> syn::Result<(Vec<Site>, Unplaced)> {
    let parsed = syn::parse_file(source)?;
    let mut finder =
        Finder { source, left: BTreeMap::new(), sites: Vec::new(), unplaced: Unplaced::new(), constant: 0 };
    for fault in faults {
        finder.left.entry(fault.span.start).or_default().push(fault.clone());
    }
    finder.visit_file(&parsed);
    let Finder { left, sites, mut unplaced, .. } = finder;
    unplaced.extend(left.into_values().flatten().map(|fault| (fault.number, "nothing of this kind is there")));
    Ok((sites, unplaced))
}

struct Finder<'a> {
    source: &'a str,
    /// Faults that have found no place yet, by where they begin.
    left: BTreeMap<Position, Vec<Fault>>,
    sites: Vec<Site>,
    unplaced: Unplaced,
    /// In how many constants, which can ask no switch, the visitor is.
    constant: usize,
}

impl Finder<'_> {
    /// Takes the faults of a kind that begin where a token begins.
    fn take(&mut self, genre: Genre, at: TokenSpan) -> Vec<Fault> {
        let start = at.start();
        let at = Position { line: start.line, column: start.column + 1 };
        let Some(faults) = self.left.get_mut(&at) else { return Vec::new() };
        let taken = faults.extract_if(.., |fault| fault.genre == genre).collect::<Vec<_>>();
        if faults.is_empty() {
            self.left.remove(&at);
        }
        if self.constant > 0 {
            self.unplaced.extend(taken.iter().map(|fault| (fault.number, "a constant cannot ask a switch")));
            return Vec::new();
        }
        taken
    }

    fn text(&self, range: Range<usize>) -> &str {
        &self.source[range]
    }

    fn add(&mut self, range: Range<usize>, kind: Kind, variants: Vec<(u32, String)>) {
        if variants.is_empty() {
            return;
        }
        // Each field that is left out of an expression is a fault of the same piece.
        match self.sites.iter_mut().find(|site| site.range == range && site.kind == kind) {
            Some(site) => site.variants.extend(variants),
            None => self.sites.push(Site { range, kind, variants }),
        }
    }

    /// An expression of which a part is exchanged.
    fn exchange(&mut self, whole: Range<usize>, part: Range<usize>, faults: Vec<Fault>) {
        let variants = faults
            .into_iter()
            .map(|fault| {
                let (before, after) = (self.text(whole.start..part.start), self.text(part.end..whole.end));
                (fault.number, format!("{before}{}{after}", fault.replacement))
            })
            .collect();
        self.add(whole, Kind::Expression, variants);
    }

    fn body(&mut self, signature: &Signature, block: &Block) {
        let Some(first) = block.stmts.first() else { return };
        let faults = self.take(Genre::FnValue, first.span());
        if is_opaque(&signature.output) {
            self.unplaced.extend(faults.iter().map(|fault| (fault.number, "a function has one opaque type")));
            return;
        }
        let (open, close) = (block.brace_token.span.open().byte_range(), block.brace_token.span.close().byte_range());
        let variants = faults.into_iter().map(|fault| (fault.number, fault.replacement)).collect();
        self.add(open.end..close.start, Kind::Body, variants);
    }

    fn in_constant(&mut self, is_constant: bool, visit: impl FnOnce(&mut Self)) {
        self.constant += usize::from(is_constant);
        visit(self);
        self.constant -= usize::from(is_constant);
    }

    fn function(&mut self, signature: &Signature, block: &Block, visit: impl FnOnce(&mut Self)) {
        self.in_constant(signature.constness.is_some(), |finder| {
            finder.body(signature, block);
            visit(finder);
        });
    }
}

/// Whether a function returns `impl Trait`: all that it returns is of one type then.
fn is_opaque(output: &ReturnType) -> bool {
    struct Opaque(bool);
    impl Visit<'_> for Opaque {
        fn visit_type_impl_trait(&mut self, _: &TypeImplTrait) {
            self.0 = true;
        }
    }
    let mut opaque = Opaque(false);
    opaque.visit_return_type(output);
    opaque.0
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("test"))
}

/// Whether an operand, or an operand of its own at the same level, is a `let`: those stand in conditions alone.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig, &item.block, |finder| visit::visit_item_fn(finder, item));
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.sig, &item.block, |finder| visit::visit_impl_item_fn(finder, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        let Some(block) = &item.default else { return };
        self.function(&item.sig, block, |finder| visit::visit_trait_item_fn(finder, item));
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        self.in_constant(true, |finder| visit::visit_item_const(finder, item));
    }

    fn visit_item_static(&mut self, item: &'ast ItemStatic) {
        self.in_constant(true, |finder| visit::visit_item_static(finder, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast ImplItemConst) {
        self.in_constant(true, |finder| visit::visit_impl_item_const(finder, item));
    }

    fn visit_trait_item_const(&mut self, item: &'ast TraitItemConst) {
        self.in_constant(true, |finder| visit::visit_trait_item_const(finder, item));
    }

    fn visit_expr_repeat(&mut self, item: &'ast syn::ExprRepeat) {
        self.visit_expr(&item.expr);
        self.in_constant(true, |finder| finder.visit_expr(&item.len));
    }

    fn visit_type_array(&mut self, item: &'ast syn::TypeArray) {
        self.in_constant(true, |finder| visit::visit_type_array(finder, item));
    }

    fn visit_expr_const(&mut self, item: &'ast syn::ExprConst) {
        self.in_constant(true, |finder| visit::visit_expr_const(finder, item));
    }

    fn visit_pat(&mut self, item: &'ast Pat) {
        match item {
            Pat::Guard(guarded) => {
                self.visit_pat(&guarded.pat);
                self.visit_expr(&guarded.guard);
            }
            _ => self.in_constant(true, |finder| visit::visit_pat(finder, item)),
        }
    }

    fn visit_expr_binary(&mut self, item: &'ast ExprBinary) {
        let operator = item.op.span().byte_range();
        let faults = self.take(Genre::BinaryOperator, item.op.span());
        if has_let(&item.left) || has_let(&item.right) {
            self.unplaced.extend(faults.iter().map(|fault| (fault.number, "a `let` stands in conditions alone")));
        } else {
            self.exchange(item.span().byte_range(), operator, faults);
        }
        visit::visit_expr_binary(self, item);
    }

    fn visit_expr_unary(&mut self, item: &'ast ExprUnary) {
        if matches!(item.op, UnOp::Not(_) | UnOp::Neg(_)) {
            let faults = self.take(Genre::UnaryOperator, item.op.span());
            self.exchange(item.span().byte_range(), item.op.span().byte_range(), faults);
        }
        visit::visit_expr_unary(self, item);
    }

    fn visit_expr_match(&mut self, item: &'ast ExprMatch) {
        for arm in &item.arms {
            self.arm(arm);
        }
        visit::visit_expr_match(self, item);
    }

    fn visit_expr_struct(&mut self, item: &'ast ExprStruct) {
        let whole = item.span().byte_range();
        for pair in item.fields.pairs() {
            let faults = self.take(Genre::StructField, pair.value().span());
            let field = pair.value().span().byte_range();
            let end = pair.punct().map_or(field.end, |comma| comma.span().byte_range().end);
            self.exchange(whole.clone(), field.start..end, faults);
        }
        visit::visit_expr_struct(self, item);
    }
}

impl Finder<'_> {
    /// An arm that is deleted gets a guard that does not hold.
    fn arm(&mut self, arm: &Arm) {
        let deleted = self.take(Genre::MatchArm, arm.span());
        let deleted = deleted.into_iter().map(|fault| (fault.number, "false".to_owned()));
        let Pat::Guard(guarded) = &arm.pat else {
            let end = arm.pat.span().byte_range().end;
            let variants = deleted.collect();
            return self.add(end..end, Kind::NoGuard, variants);
        };
        let changed = self.take(Genre::MatchArmGuard, guarded.guard.span());
        let variants = changed.into_iter().map(|fault| (fault.number, fault.replacement)).chain(deleted);
        if has_let(&guarded.guard) {
            self.unplaced.extend(variants.map(|(number, _)| (number, "a `let` stands in conditions alone")));
        } else {
            let variants = variants.collect();
            self.add(guarded.guard.span().byte_range(), Kind::Guard, variants);
        }
    }
}
