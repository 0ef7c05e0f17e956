//! Bounds what a document may cost to read, before and after it is parsed: everything later, the library's validation
//! included, may take time quadratic in what passes here.
//!
//! Both passes are linear in the document. The first sees characters, the second what was parsed, where a fragment
//! counts as often as it is spread: its size is reckoned once and remembered, so that a bomb of fragments, which is
//! short and spreads to billions of fields, is told at a glance.

use std::collections::HashMap;

use async_graphql::{
    Name,
    parser::types::{ExecutableDocument, Selection, SelectionSet},
};

use super::code::{Code, Fault};

/// The longest document, in bytes: a hundred aliases with all their fields take a tenth.
const BYTES: usize = 128 * 1024;

/// The most names, values and punctuators of a document. A hundred aliases with all their fields and arguments have
/// 2,500, the introspection of GraphiQL 300. Some 200 ns each to parse.
const TOKENS: usize = 4_000;

/// How deep brackets of any kind may be nested, and selections, in which a spread counts as a level. The introspection
/// of GraphiQL has 16 levels; the library refuses 32.
const NESTING: usize = 24;

/// The most directives.
const DIRECTIVES: usize = 100;

/// The most selections (fields, spreads and inline fragments) of all operations and fragments, where those of a fragment
/// count again wherever it is spread. The introspection of GraphiQL has 300.
const SELECTIONS: usize = 1_000;

/// The most aliases of an operation, counted likewise.
const ALIASES: usize = 100;

/// Refuses a text that is too long, or too deep for a parser. Time: one pass.
pub(super) fn check_text(text: &str) -> Result<(), Fault> {
    within("bytes", text.len(), BYTES)?;
    let (mut tokens, mut directives, mut depth, mut deepest) = (0, 0, 0_usize, 0);
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match first {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => after,
            b'#' => skip_while(after, |byte| byte != b'\n' && byte != b'\r'),
            _ => {
                tokens += 1;
                match first {
                    b'{' | b'[' | b'(' => depth += 1,
                    b'}' | b']' | b')' => depth = depth.saturating_sub(1),
                    b'@' => directives += 1,
                    _ => {}
                }
                deepest = deepest.max(depth);
                after_token(*first, after)
            }
        };
    }
    within("tokens", tokens, TOKENS)?;
    within("levels of brackets", deepest, NESTING)?;
    within("directives", directives, DIRECTIVES)
}

/// What comes after a token, given its first byte and all that follows.
fn after_token(first: u8, after: &[u8]) -> &[u8] {
    match (first, after) {
        (b'"', [b'"', b'"', block @ ..]) => after_block_string(block),
        (b'"', _) => after_string(after),
        (b'.', [b'.', b'.', after @ ..]) => after,
        // A name or a number; every other character counts by itself.
        _ if is_word(first) => skip_while(after, is_word),
        _ => after,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn skip_while(bytes: &[u8], skipped: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|&byte| !skipped(byte)).unwrap_or(bytes.len());
    &bytes[end..]
}

/// A string ends at its quote, or, not well-formed, at the end of the line.
fn after_string(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = skip_while(rest, |byte| !matches!(byte, b'"' | b'\\' | b'\n' | b'\r'));
        match rest {
            [b'\\', _, after @ ..] => rest = after,
            [_, after @ ..] => return after,
            [] => return rest,
        }
    }
}

fn after_block_string(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = skip_while(rest, |byte| !matches!(byte, b'"' | b'\\'));
        match rest {
            [b'"', b'"', b'"', after @ ..] => return after,
            [b'\\', b'"', b'"', b'"', after @ ..] | [_, after @ ..] => rest = after,
            [] => return rest,
        }
    }
}

/// Refuses a document that spreads to too much, or without end. Time: one pass.
pub(super) fn check_document(document: &ExecutableDocument) -> Result<(), Fault> {
    let mut sizes = Sizes { document, of_fragments: HashMap::new() };
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set);
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set);
    let mut count = 0_usize;
    for selections in operations.chain(fragments) {
        let size = sizes.of(&selections.node)?;
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
    // What is beyond all counting is not told by its number.
    let count = if count == usize::MAX { "more than can be counted".into() } else { count.to_string() };
    Err(Fault::new(Code::QueryTooComplex, format!("a document has at most {limit} {what}, but this one has {count}")))
}

/// What a selection spreads to.
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
    /// `None` for a fragment that is being reckoned: meeting it again, it spreads itself.
    of_fragments: HashMap<&'a Name, Option<Size>>,
}

impl<'a> Sizes<'a> {
    fn of(&mut self, selections: &'a SelectionSet) -> Result<Size, Fault> {
        let mut size = Size { depth: 1, ..Size::default() };
        for selection in &selections.items {
            size = size.and(match &selection.node {
                Selection::Field(field) => {
                    let alias = Size { aliases: usize::from(field.node.alias.is_some()), ..Size::default() };
                    let below = &field.node.selection_set.node;
                    let size = if below.items.is_empty() {
                        Size { selections: 1, ..Size::default() }
                    } else {
                        self.of(below)?.below_another()
                    };
                    size.and(alias)
                }
                Selection::InlineFragment(fragment) => self.of(&fragment.node.selection_set.node)?.below_another(),
                Selection::FragmentSpread(spread) => self.of_fragment(&spread.node.fragment_name.node)?.below_another(),
            });
        }
        Ok(size)
    }

    fn of_fragment(&mut self, name: &'a Name) -> Result<Size, Fault> {
        match self.of_fragments.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err(invalid(format!("the fragment {name} spreads itself"))),
            None => {}
        }
        let fragment = self.document.fragments.get(name);
        let fragment = fragment.ok_or_else(|| invalid(format!("there is no fragment {name}")))?;
        self.of_fragments.insert(name, None);
        let size = self.of(&fragment.node.selection_set.node)?;
        self.of_fragments.insert(name, Some(size));
        Ok(size)
    }
}

fn invalid(message: String) -> Fault {
    Fault::new(Code::ValidationFailed, message)
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn check(text: &str) -> Result<(), Fault> {
        check_text(text)?;
        check_document(&parse_query(text).unwrap_or_else(|error| panic!("{error}: {text}")))
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
        // An open string ends with its line.
        let open = check_text(&format!("{{ n(a: \"\n {}", "@x ".repeat(101)));
        assert_eq!(open.unwrap_err().code, Code::QueryTooComplex);
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
            let bomb = format!(
                "{{ ...h0 }} {} fragment h10 on Query {{ ... @skip(if: true) {{ ...nothing }} }}",
                hollow(level)
            );
            assert_eq!(check(&bomb), Err(invalid("there is no fragment nothing".into())));
            refused(&bomb.replace("...nothing", "n"), "at most 1000 selections");
        }
    }

    #[test]
    fn a_fragment_that_spreads_itself_is_not_valid() {
        let refusal = check("{ ...a } fragment a on Query { n ...b } fragment b on Query { ... { ...a } }");
        assert_eq!(refusal, Err(Fault::new(Code::ValidationFailed, "the fragment a spreads itself")));
    }
}
