//! Bounds the cost of reading a document, while it is parsed and after: everything later, validation included, may
//! take time quadratic in its size.
//!
//! Both passes are linear in the document. The first sees tokens, the second the parsed document, where a fragment
//! counts as often as it is spread: its size is reckoned once and remembered, so that a bomb of fragments, which is
//! short and spreads to billions of fields, is detected at a glance.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{ExecutableDocument, Selection, SelectionSet},
};

use super::code::{Code, Fault};

/// The longest document, in bytes: a hundred aliases with all their fields take a tenth.
const BYTES: usize = 128 * 1024;

/// The most names, values and punctuators of a document. A hundred aliases with all their fields and arguments have
/// 2,500, the introspection of GraphiQL 300. Some 200 ns each to parse.
const TOKENS: usize = 4_000;

/// The deepest nesting of brackets of any kind, and of selections, in which a spread counts as a level. The
/// introspection of GraphiQL has 16 levels; the library refuses 32.
const NESTING: usize = 24;

/// The most directives.
const DIRECTIVES: usize = 100;

/// The most selections (fields, spreads and inline fragments) of all operations and fragments, where those of a fragment
/// count again wherever it is spread. The introspection of GraphiQL has 300.
const SELECTIONS: usize = 1_000;

/// The most aliases of an operation, counted likewise.
const ALIASES: usize = 100;

/// Counts the tokens that the lexer reads.
pub(super) struct Meter {
    tokens: usize,
    directives: usize,
    depth: usize,
}

impl Meter {
    /// A meter for a text.
    ///
    /// # Errors
    /// When the text is too long.
    pub(super) fn of(text: &str) -> Result<Self, Fault> {
        within("bytes", text.len(), BYTES)?;
        Ok(Self { tokens: 0, directives: 0, depth: 0 })
    }

    /// Counts a token. The end of the document, which has no text, is none.
    ///
    /// # Errors
    /// When it is one too many, or too deep.
    pub(super) fn count(&mut self, token: &str) -> Result<(), Fault> {
        self.tokens += usize::from(!token.is_empty());
        match token {
            "{" | "[" | "(" => self.depth += 1,
            "}" | "]" | ")" => self.depth = self.depth.saturating_sub(1),
            "@" => self.directives += 1,
            _ => {}
        }
        within("tokens", self.tokens, TOKENS)?;
        within("levels of brackets", self.depth, NESTING)?;
        within("directives", self.directives, DIRECTIVES)
    }
}

/// Refuses a document that spreads to too much. Time: one pass.
pub(super) fn check_document(document: &ExecutableDocument) -> Result<(), Fault> {
    let mut sizes = Sizes { document, of_fragments: HashMap::new() };
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set);
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set);
    let mut count = 0_usize;
    for selections in operations.chain(fragments) {
        let size = sizes.of(&selections.node);
        within("levels of selections", size.depth, NESTING)?;
        within("aliases", size.aliases, ALIASES)?;
        count = count.saturating_add(size.selections);
    }
    within("selections, counting those of a fragment as often as it is spread", count, SELECTIONS)
}

fn within(what: &str, count: usize, limit: usize) -> Result<(), Fault> {
    if count <= limit {
        return Ok(());
    }
    // A saturated count is not shown as a number.
    let count = if count == usize::MAX { "more than can be counted".into() } else { count.to_string() };
    Err(Fault::new(Code::QueryTooComplex, format!("a document has at most {limit} {what}, but this one has {count}")))
}

/// The spread size of a selection.
#[derive(Clone, Copy, Default)]
struct Size {
    selections: usize,
    aliases: usize,
    depth: usize,
}

impl Size {
    /// A selection with this below. It counts too, whatever is below: a tree of spreads that ends in nothing is a tree.
    fn below_another(self) -> Self {
        Self { selections: self.selections.saturating_add(1), depth: self.depth.saturating_add(1), ..self }
    }

    fn and(self, other: Self) -> Self {
        Self {
            selections: self.selections.saturating_add(other.selections),
            aliases: self.aliases.saturating_add(other.aliases),
            depth: self.depth.max(other.depth),
        }
    }
}

struct Sizes<'a> {
    document: &'a ExecutableDocument,
    of_fragments: HashMap<&'a Name, Size>,
}

impl<'a> Sizes<'a> {
    fn of(&mut self, selections: &'a SelectionSet) -> Size {
        let of_selection =
            |size: Size, selection: &'a Positioned<Selection>| size.and(self.of_selection(&selection.node));
        selections.items.iter().fold(Size { depth: 1, ..Size::default() }, of_selection)
    }

    fn of_selection(&mut self, selection: &'a Selection) -> Size {
        match selection {
            Selection::Field(field) => {
                let below = &field.node.selection_set.node;
                let below = if below.items.is_empty() { Size::default() } else { self.of(below) };
                let alias = Size { aliases: usize::from(field.node.alias.is_some()), ..Size::default() };
                below.below_another().and(alias)
            }
            Selection::InlineFragment(fragment) => self.of(&fragment.node.selection_set.node).below_another(),
            Selection::FragmentSpread(spread) => self.of_fragment(&spread.node.fragment_name.node).below_another(),
        }
    }

    /// The size of a fragment. The document is valid so far as that each fragment is defined, and none spreads itself.
    fn of_fragment(&mut self, name: &'a Name) -> Size {
        if let Some(size) = self.of_fragments.get(name) {
            return *size;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Size::default() };
        // Stands in for the size while it is being reckoned.
        self.of_fragments.insert(name, Size::default());
        let size = self.of(&fragment.node.selection_set.node);
        self.of_fragments.insert(name, size);
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::{code::Refusal, parser::parse};

    fn check(text: &str) -> Result<(), Fault> {
        let fault = |Refusal { code, errors }| Fault::new(code, &errors[0].message);
        check_document(&parse(text).map_err(fault)?.into_document())
    }

    #[track_caller]
    fn refused(text: &str, message: &str) {
        let refusal = check(text).unwrap_err();
        assert_eq!(refusal.code, Code::QueryTooComplex);
        assert!(refusal.message.contains(message), "{}", refusal.message);
    }

    #[test]
    fn limits_are_sharp() {
        let fields = |count: usize| format!("{{ {} }}", "n ".repeat(count));
        assert_eq!(check(&fields(SELECTIONS)), Ok(()));
        refused(&fields(SELECTIONS + 1), "at most 1000 selections");
        let aliases = |count: usize| format!("{{ {} }}", "a:n ".repeat(count));
        assert_eq!(check(&aliases(ALIASES)), Ok(()));
        refused(&aliases(ALIASES + 1), "at most 100 aliases, but this one has 101");
        let directives = |count: usize| format!("{{ n {} }}", "@x ".repeat(count));
        assert_eq!(check(&directives(DIRECTIVES)), Ok(()));
        refused(&directives(DIRECTIVES + 1), "at most 100 directives");
        let nested = |levels: usize| format!("{}n{}", "{a ".repeat(levels), "}".repeat(levels));
        assert_eq!(check(&nested(NESTING)), Ok(()));
        refused(&nested(NESTING + 1), "at most 24 levels of brackets, but this one has 25");
        let tokens = |count: usize| format!("{{ n(a: [{}]) }}", "1 ".repeat(count - 10));
        assert_eq!(check(&tokens(TOKENS + 1)), Ok(()), "of these ten one is the number");
        refused(&tokens(TOKENS + 2), "at most 4000 tokens, but this one has 4001");
        assert_eq!(check(&format!("{{n}}{}", " ".repeat(BYTES - 3))), Ok(()));
        refused(&format!("{{n}}{}", " ".repeat(BYTES - 2)), "at most 131072 bytes");
    }

    #[test]
    fn what_is_in_strings_and_comments_is_no_token() {
        let brackets = "{[(@".repeat(1_000);
        for text in [
            format!("{{ n # {brackets}\n }}"),
            format!("{{ n(a: \"{brackets} \\\" {brackets}\") }}"),
            format!("{{ n(a: \"\"\"{brackets} \\\"\"\" \" \"\" {brackets}\"\"\") }}"),
        ] {
            assert_eq!(check(&text), Ok(()), "{text}");
        }
        refused(&format!("{{ n(a: \"\\\\\") {} }}", "@x ".repeat(101)), "directives");
        refused(&format!("{{ n(a: \"\") {} }}", "@x ".repeat(101)), "directives");
    }

    #[test]
    fn bombs_are_told_at_a_glance() {
        let bomb = |levels: usize| {
            let level = |k: usize| format!("fragment f{k} on Query {{ ...f{} ...f{} }} ", k + 1, k + 1);
            let all: String = (0..levels).map(level).collect();
            format!("{{ ...f0 }} {all} fragment f{levels} on Query {{ __typename }}")
        };
        assert_eq!(check(&bomb(6)), Ok(()));
        refused(&bomb(12), "at most 1000 selections");
        refused(&bomb(28), "levels of selections");
        let wide = |k: usize| format!("fragment w{k} on Query {{ {} }} ", format!("...w{} ", k + 1).repeat(30));
        let wide: String = (0..14).map(wide).collect();
        refused(&format!("{{ ...w0 }} {wide} fragment w14 on Query {{ n }}"), "more than can be counted");
        let hollow = |selections: &str| {
            let level = |k: usize| {
                format!("fragment h{k} on Query {{ {} }} ", selections.replace("...h", &format!("...h{}", k + 1)))
            };
            (0..10).map(level).collect::<String>()
        };
        for level in ["...h ...h", "...{...h} ...{...h}", "n ...h ...h"] {
            let bomb = format!("{{ ...h0 }} {} fragment h10 on Query {{ ... @skip(if: true) {{ n }} }}", hollow(level));
            refused(&bomb, "at most 1000 selections");
        }
    }
}
