//! The parser: the grammar of executable documents by the letter (September 2025, section 2), one function a rule.
//!
//! It makes the library's types out of the tokens of the [`lexer`](super::lexer); its errors name the token found and
//! the one expected. It descends into itself only behind an opening bracket, whose depth is bounded.

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{
        BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, FragmentSpread,
        InlineFragment, OperationDefinition, OperationType, Selection, SelectionSet, Type, TypeCondition,
        VariableDefinition,
    },
};
use async_graphql_value::{ConstValue, Number, Value, indexmap::IndexMap};

use super::{
    code::{Code, Refusal},
    lexer::{Kind, Lexer, Token, syntax_error},
    strings,
};

/// The definitions of a document, in its order.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    pub(super) operations: Vec<(Option<Positioned<Name>>, Positioned<OperationDefinition>)>,
    pub(super) fragments: Vec<(Positioned<Name>, Positioned<FragmentDefinition>)>,
}

impl Definitions {
    /// The library's document of definitions whose names are unique.
    pub(super) fn into_document(self) -> ExecutableDocument {
        let fragments = self.fragments.into_iter().map(|(name, fragment)| (name.node, fragment)).collect();
        let named = |(name, operation): (Option<Positioned<Name>>, _)| Some((name?.node, operation));
        let operations = match <[_; 1]>::try_from(self.operations) {
            Ok([(None, operation)]) => DocumentOperations::Single(operation),
            Ok(one) => DocumentOperations::Multiple(one.into_iter().filter_map(named).collect()),
            Err(several) => DocumentOperations::Multiple(several.into_iter().filter_map(named).collect()),
        };
        ExecutableDocument { operations, fragments }
    }
}

/// Parses a document.
///
/// # Errors
/// When it is not GraphQL, or more than a document may be.
pub(super) fn parse(text: &str) -> Result<Definitions, Refusal> {
    let mut lexer = Lexer::new(text)?;
    let token = lexer.next()?;
    let mut parser = Parser { lexer, token };
    let mut definitions = Definitions::default();
    loop {
        parser.definition(&mut definitions)?;
        if parser.token.kind == Kind::End {
            return Ok(definitions);
        }
    }
}

/// An argument of a field or a directive.
pub(super) type Argument = (Positioned<Name>, Positioned<Value>);

/// Whether variables may stand in a value.
#[derive(Clone, Copy, PartialEq)]
enum Variables {
    Allowed,
    Constant,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The current token. No string has the text of another token, for it has its quotes.
    token: Token<'a>,
}

impl<'a> Parser<'a> {
    fn advance(&mut self) -> Result<Token<'a>, Refusal> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn is(&self, text: &str) -> bool {
        self.token.text == text
    }

    fn skip(&mut self, text: &str) -> Result<bool, Refusal> {
        let is = self.is(text);
        if is {
            self.advance()?;
        }
        Ok(is)
    }

    fn expect(&mut self, text: &str) -> Result<Pos, Refusal> {
        if self.is(text) { Ok(self.advance()?.pos) } else { Err(self.unexpected(&format!("`{text}`"))) }
    }

    /// The refusal of the current token.
    fn unexpected(&self, expected: &str) -> Refusal {
        syntax_error(expected, self.token, self.token.pos)
    }

    fn name(&mut self) -> Result<Positioned<Name>, Refusal> {
        if self.token.kind != Kind::Name {
            return Err(self.unexpected("a name"));
        }
        let Token { text, pos, .. } = self.advance()?;
        Ok(Positioned::new(Name::new(text), pos))
    }

    /// One item or more between brackets, the first of which is the next token.
    fn list<T>(
        &mut self,
        close: &str,
        what: &str,
        begins: fn(&Token) -> bool,
        mut item: impl FnMut(&mut Self) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        self.advance()?;
        if !begins(&self.token) {
            return Err(self.unexpected(what));
        }
        let mut items = Vec::new();
        while begins(&self.token) {
            items.push(item(self)?);
        }
        if !self.skip(close)? {
            return Err(self.unexpected(&format!("{what} or `{close}`")));
        }
        // The parsed document stays in the cache, without spare room.
        items.shrink_to_fit();
        Ok(items)
    }

    /// Definition: an operation or a fragment. (Executable Definitions in the specification: nothing else.)
    fn definition(&mut self, definitions: &mut Definitions) -> Result<(), Refusal> {
        if self.is("{") {
            let operation = self.operation(OperationType::Query, self.token.pos)?;
            definitions.operations.push((None, operation));
            return Ok(());
        }
        let is_described = self.description()?;
        let pos = self.token.pos;
        let kind = match self.token.text {
            "query" => OperationType::Query,
            "mutation" => OperationType::Mutation,
            "subscription" => OperationType::Subscription,
            "fragment" => {
                definitions.fragments.push(self.fragment(pos)?);
                return Ok(());
            }
            "schema" | "scalar" | "type" | "interface" | "union" | "enum" | "input" | "directive" | "extend" => {
                let message = format!("a request executes operations, and can't define a {}", self.token.text);
                return Err(Refusal::at(pos, Code::ValidationFailed, message));
            }
            _ if is_described => return Err(self.unexpected("`query`, `subscription` or `fragment`")),
            _ => return Err(self.unexpected("`query`, `subscription`, `fragment` or `{`")),
        };
        self.advance()?;
        let name = if self.token.kind == Kind::Name { Some(self.name()?) } else { None };
        let operation = self.operation(kind, pos)?;
        definitions.operations.push((name, operation));
        Ok(())
    }

    /// A description, which is for readers of documents.
    fn description(&mut self) -> Result<bool, Refusal> {
        let is_string = matches!(self.token.kind, Kind::String | Kind::BlockString);
        if is_string {
            self.string()?;
        }
        Ok(is_string)
    }

    /// Parses an operation from behind its name on.
    fn operation(&mut self, ty: OperationType, pos: Pos) -> Result<Positioned<OperationDefinition>, Refusal> {
        let variable_definitions = if self.is("(") {
            let begins = |token: &Token| token.text == "$" || matches!(token.kind, Kind::String | Kind::BlockString);
            self.list(")", "a variable", begins, Self::variable_definition)?
        } else {
            Vec::new()
        };
        let directives = self.directives(Variables::Allowed)?;
        let selection_set = self.selection_set()?;
        Ok(Positioned::new(OperationDefinition { ty, variable_definitions, directives, selection_set }, pos))
    }

    fn fragment(&mut self, pos: Pos) -> Result<(Positioned<Name>, Positioned<FragmentDefinition>), Refusal> {
        self.advance()?;
        if self.is("on") {
            return Err(self.unexpected("the name of a fragment, which is not `on`"));
        }
        let name = self.name()?;
        if !self.is("on") {
            return Err(self.unexpected("`on`"));
        }
        let type_condition = self.type_condition()?;
        let directives = self.directives(Variables::Allowed)?;
        let selection_set = self.selection_set()?;
        Ok((name, Positioned::new(FragmentDefinition { type_condition, directives, selection_set }, pos)))
    }

    fn type_condition(&mut self) -> Result<Positioned<TypeCondition>, Refusal> {
        let pos = self.expect("on")?;
        Ok(Positioned::new(TypeCondition { on: self.name()? }, pos))
    }

    fn variable_definition(&mut self) -> Result<Positioned<VariableDefinition>, Refusal> {
        self.description()?;
        let pos = self.expect("$")?;
        let name = self.name()?;
        self.expect(":")?;
        let var_type = self.kind()?;
        let default_value = if self.skip("=")? { Some(self.constant()?) } else { None };
        let directives = self.directives(Variables::Constant)?;
        Ok(Positioned::new(VariableDefinition { name, var_type, directives, default_value }, pos))
    }

    /// Type.
    fn kind(&mut self) -> Result<Positioned<Type>, Refusal> {
        let pos = self.token.pos;
        let base = if self.skip("[")? {
            let items = self.kind()?.node;
            self.expect("]")?;
            BaseType::List(Box::new(items))
        } else if self.token.kind == Kind::Name {
            BaseType::Named(self.name()?.node)
        } else {
            return Err(self.unexpected("a type"));
        };
        let nullable = !self.skip("!")?;
        Ok(Positioned::new(Type { base, nullable }, pos))
    }

    fn directives(&mut self, variables: Variables) -> Result<Vec<Positioned<Directive>>, Refusal> {
        let mut directives = Vec::new();
        while self.is("@") {
            let pos = self.advance()?.pos;
            let name = self.name()?;
            let arguments = self.arguments(variables)?;
            directives.push(Positioned::new(Directive { name, arguments }, pos));
        }
        directives.shrink_to_fit();
        Ok(directives)
    }

    fn arguments(&mut self, variables: Variables) -> Result<Vec<Argument>, Refusal> {
        if !self.is("(") {
            return Ok(Vec::new());
        }
        self.list(")", "an argument", is_name, |parser| {
            let name = parser.name()?;
            parser.expect(":")?;
            Ok((name, parser.value(variables)?))
        })
    }

    fn selection_set(&mut self) -> Result<Positioned<SelectionSet>, Refusal> {
        if !self.is("{") {
            return Err(self.unexpected("`{`"));
        }
        let pos = self.token.pos;
        let begins = |token: &Token| is_name(token) || token.text == "...";
        let items = self.list("}", "a field or a fragment", begins, Self::selection)?;
        Ok(Positioned::new(SelectionSet { items }, pos))
    }

    fn selection(&mut self) -> Result<Positioned<Selection>, Refusal> {
        let pos = self.token.pos;
        if !self.skip("...")? {
            return Ok(Positioned::new(Selection::Field(Positioned::new(self.field()?, pos)), pos));
        }
        if is_name(&self.token) && !self.is("on") {
            let fragment_name = self.name()?;
            let directives = self.directives(Variables::Allowed)?;
            let spread = FragmentSpread { fragment_name, directives };
            return Ok(Positioned::new(Selection::FragmentSpread(Positioned::new(spread, pos)), pos));
        }
        let type_condition = if self.is("on") { Some(self.type_condition()?) } else { None };
        let directives = self.directives(Variables::Allowed)?;
        let selection_set = self.selection_set()?;
        let fragment = InlineFragment { type_condition, directives, selection_set };
        Ok(Positioned::new(Selection::InlineFragment(Positioned::new(fragment, pos)), pos))
    }

    fn field(&mut self) -> Result<Field, Refusal> {
        let first = self.name()?;
        let (alias, name) = if self.skip(":")? { (Some(first), self.name()?) } else { (None, first) };
        let arguments = self.arguments(Variables::Allowed)?;
        let directives = self.directives(Variables::Allowed)?;
        let selection_set = if self.is("{") { self.selection_set()? } else { Positioned::default() };
        Ok(Field { alias, name, arguments, directives, selection_set })
    }

    fn constant(&mut self) -> Result<Positioned<ConstValue>, Refusal> {
        let Positioned { node, pos } = self.value(Variables::Constant)?;
        // There is no variable in it.
        Ok(Positioned::new(node.into_const().unwrap_or_default(), pos))
    }

    fn value(&mut self, variables: Variables) -> Result<Positioned<Value>, Refusal> {
        let pos = self.token.pos;
        let value = match (self.token.kind, self.token.text) {
            (Kind::Int | Kind::Float, text) => Value::Number(number(text)),
            (Kind::String | Kind::BlockString, _) => return Ok(Positioned::new(Value::String(self.string()?), pos)),
            (Kind::Name, "true") => Value::Boolean(true),
            (Kind::Name, "false") => Value::Boolean(false),
            (Kind::Name, "null") => Value::Null,
            (Kind::Name, name) => Value::Enum(Name::new(name)),
            (_, "[") => return Ok(Positioned::new(self.list_value(variables)?, pos)),
            (_, "{") => return Ok(Positioned::new(self.object_value(variables)?, pos)),
            (_, "$") if variables == Variables::Allowed => {
                self.advance()?;
                return Ok(Positioned::new(Value::Variable(self.name()?.node), pos));
            }
            _ if variables == Variables::Constant => return Err(self.unexpected("a constant value")),
            _ => return Err(self.unexpected("a value")),
        };
        self.advance()?;
        Ok(Positioned::new(value, pos))
    }

    fn list_value(&mut self, variables: Variables) -> Result<Value, Refusal> {
        self.advance()?;
        let mut items = Vec::new();
        while !self.skip("]")? {
            items.push(self.value(variables)?.node);
        }
        items.shrink_to_fit();
        Ok(Value::List(items))
    }

    fn object_value(&mut self, variables: Variables) -> Result<Value, Refusal> {
        self.advance()?;
        let mut members = IndexMap::new();
        while !self.skip("}")? {
            if !is_name(&self.token) {
                return Err(self.unexpected("a name or `}`"));
            }
            let name = self.name()?.node;
            self.expect(":")?;
            members.insert(name, self.value(variables)?.node);
        }
        Ok(Value::Object(members))
    }

    fn string(&mut self) -> Result<String, Refusal> {
        let Token { kind, text, pos } = self.advance()?;
        let quotes = if kind == Kind::BlockString { 3 } else { 1 };
        let content = &text[quotes..text.len() - quotes];
        if kind == Kind::BlockString {
            return Ok(strings::block_value(content));
        }
        strings::value(content).map_err(|at| {
            let pos = Pos { column: pos.column + quotes + content[..at].chars().count(), ..pos };
            syntax_error("an escape that stands for a character", "`\\`", pos)
        })
    }
}

fn is_name(token: &Token) -> bool {
    token.kind == Kind::Name
}

/// The value of an Int or a Float. Beyond the range of its type all are alike: no place takes them.
fn number(text: &str) -> Number {
    let int = text.parse::<i64>().map(Number::from);
    let float = || text.parse::<f64>().ok().and_then(|float| Number::from_f64(float.clamp(f64::MIN, f64::MAX)));
    int.ok().or_else(float).unwrap_or_else(|| Number::from(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<(), String> {
        parse(text).map(drop).map_err(|refusal| refusal.errors[0].message.clone())
    }

    #[test]
    fn what_is_in_the_grammar_is_taken() {
        for text in [
            "{a}",
            "query{a}",
            "query q{a}subscription s{a}mutation m{a}fragment f on T{a}",
            "query query{query}fragment fragment on on{on}",
            "{...on T{a}...{a}...@x{a}...a@x...one ... on on{a}}",
            "{a:b(c:$d,e:[1,[],$f],g:{h:{},i:$j},k:L,m:\"\",n:\"\"\"\"\"\",o:-0,p:null,q:true,r:1.0e-9)@x@y(z:1){a}}",
            "query($a:T$b:[T!]!=[1]@x@y(z:1)\"c\"$c:T){a}",
            "query\u{feff}(\u{feff}$a#\n:[#\n[#\nT#\n!,]#\n],!,=,1){...#\non#\nT#\n{a}}",
            "\"\"\"q\"\"\"query{a}\"f\"fragment f on T{a}",
            "{ true(false: null) { null } }",
        ] {
            assert_eq!(told(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn it_says_what_it_found_and_what_it_expected() {
        let long = "x".repeat(100);
        for (text, expected) in [
            ("", "`query`, `subscription`, `fragment` or `{`, but found the end of the document at line 1, column 1"),
            ("queryQ{a}", "`query`, `subscription`, `fragment` or `{`, but found `queryQ` at line 1, column 1"),
            ("\"\"{a}", "`query`, `subscription` or `fragment`, but found `{` at line 1, column 3"),
            ("{}", "a field or a fragment, but found `}` at line 1, column 2"),
            ("{\n  a\n  (}", "an argument, but found `}` at line 3, column 4"),
            ("{a()}", "an argument, but found `)` at line 1, column 4"),
            ("{a(b:1:2)}", "an argument or `)`, but found `:` at line 1, column 7"),
            ("{a 5}", "a field or a fragment or `}`, but found `5` at line 1, column 4"),
            ("{a \"b\"}", "a field or a fragment or `}`, but found a string at line 1, column 4"),
            ("{a", "a field or a fragment or `}`, but found the end of the document at line 1, column 3"),
            ("{a:}", "a name, but found `}` at line 1, column 4"),
            ("{a(b:)}", "a value, but found `)` at line 1, column 6"),
            ("{a(b 1)}", "`:`, but found `1` at line 1, column 6"),
            ("{a(b:{1:2})}", "a name or `}`, but found `1` at line 1, column 7"),
            ("{a(b:[)}", "a value, but found `)` at line 1, column 7"),
            ("{a(b:\"é\\x\")}", "an escape that stands for a character, but found `\\` at line 1, column 8"),
            ("query(){a}", "a variable, but found `)` at line 1, column 7"),
            ("query($a){a}", "`:`, but found `)` at line 1, column 9"),
            ("query($a:){a}", "a type, but found `)` at line 1, column 10"),
            ("query($a:[T){a}", "`]`, but found `)` at line 1, column 12"),
            ("query($a:T=$b){a}", "a constant value, but found `$` at line 1, column 12"),
            ("query($a:T@b(c:$d)){a}", "a constant value, but found `$` at line 1, column 16"),
            ("query q", "`{`, but found the end of the document at line 1, column 8"),
            ("fragment on on T{a}", "the name of a fragment, which is not `on`, but found `on` at line 1, column 10"),
            ("fragment f of T{a}", "`on`, but found `of` at line 1, column 12"),
            ("fragment f on{a}", "a name, but found `{` at line 1, column 14"),
            ("{...on}", "a name, but found `}` at line 1, column 7"),
            ("{...}", "`{`, but found `}` at line 1, column 5"),
            (&format!("{{a(b:{long} {long}:)}}"), &format!("a value, but found `)` at line 1, column {}", 8 + 2 * 100)),
            (
                &format!("{{a b(c:d) {long}({long}{long})}}"),
                &format!("`:`, but found `)` at line 1, column {}", 12 + 3 * 100),
            ),
        ] {
            assert_eq!(told(text), Err(format!("the document is not GraphQL: expected {expected}")), "{text}");
        }
        let cut = told(&format!("fragment f {long} T{{a}}")).unwrap_err();
        assert!(cut.contains(&format!("but found `{}…` at line", &long[..40])), "{cut}");
        assert_eq!(told("{a} type A{b:C}"), Err("a request executes operations, and can't define a type".into()));
    }

    #[test]
    fn numbers_keep_their_kinds() {
        for (text, expected) in
            [("-0", "0"), ("5", "5"), ("5.0", "5.0"), ("5e0", "5.0"), ("1e400", "1.7976931348623157e+308")]
        {
            assert_eq!(number(text).to_string(), expected, "{text}");
        }
        assert!(number("5.0").as_i64().is_none(), "a Float is no Int");
    }
}
