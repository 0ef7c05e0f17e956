//! The lexer: the lexical grammar of GraphQL by the letter (September 2025, section 2.1).
//!
//! Tokens are slices of the text, and reading one allocates nothing. The [`Meter`] counts them, so that a parser behind
//! the lexer sees neither more tokens nor deeper brackets than a document may have.

use std::fmt;

use async_graphql::Pos;

use super::{
    code::{Code, Refusal},
    guard::Meter,
};

/// The kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Punctuator,
    Name,
    Int,
    Float,
    String,
    BlockString,
    /// The end of the document.
    End,
}

/// A token: its text as it stands in the document, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) pos: Pos,
}

/// Names the token in a message. A long name is cut.
impl fmt::Display for Token<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHARACTERS: usize = 40;
        match self.kind {
            Kind::End => out.write_str("the end of the document"),
            Kind::String | Kind::BlockString => out.write_str("a string"),
            _ if self.text.len() > CHARACTERS => write!(out, "`{:.CHARACTERS$}…`", self.text),
            _ => write!(out, "`{}`", self.text),
        }
    }
}

/// The refusal of a text that is not GraphQL.
pub(super) fn syntax_error(expected: &str, found: impl fmt::Display, pos: Pos) -> Refusal {
    let Pos { line, column } = pos;
    let message =
        format!("the document is not GraphQL: expected {expected}, but found {found} at line {line}, column {column}");
    Refusal::at(pos, Code::ParseFailed, message)
}

/// Reads the tokens of a text one after the other.
pub(super) struct Lexer<'a> {
    text: &'a str,
    /// The byte that is read next.
    at: usize,
    /// Counts from 1.
    line: usize,
    /// The first byte of the line.
    line_start: usize,
    /// The bytes of the line so far that only continue a character, and are no column of their own.
    continuations: usize,
    meter: Meter,
}

impl<'a> Lexer<'a> {
    /// A lexer at the beginning of a text.
    ///
    /// # Errors
    /// When the text is longer than a document may be.
    pub(super) fn new(text: &'a str) -> Result<Self, Refusal> {
        let meter = Meter::of(text)?;
        Ok(Self { text, at: 0, line: 1, line_start: 0, continuations: 0, meter })
    }

    /// The next token; after the last one it is [`Kind::End`], again and again.
    ///
    /// # Errors
    /// When no token begins here, or there are more than a document may have.
    pub(super) fn next(&mut self) -> Result<Token<'a>, Refusal> {
        self.skip_ignored();
        let (start, pos) = (self.at, self.pos());
        let kind = match self.rest() {
            [] => Kind::End,
            [b'.', b'.', b'.', ..] => self.take(3, Kind::Punctuator),
            [b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}', ..] => {
                self.take(1, Kind::Punctuator)
            }
            [first, ..] if is_name_start(*first) => {
                self.take_while(|byte| is_name_start(byte) || byte.is_ascii_digit());
                Kind::Name
            }
            [b'-' | b'0'..=b'9', ..] => self.number()?,
            [b'"', b'"', b'"', ..] => self.block_string()?,
            [b'"', ..] => self.string()?,
            _ => return Err(self.unexpected("a name, a value or a punctuator")),
        };
        let token = Token { kind, text: &self.text[start..self.at], pos };
        self.meter.count(token.text)?;
        Ok(token)
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// The position of the next byte. A column is a character.
    fn pos(&self) -> Pos {
        Pos { line: self.line, column: self.at - self.line_start - self.continuations + 1 }
    }

    /// Skips a byte order mark, white space, line terminators, comments and commas, wherever they stand.
    fn skip_ignored(&mut self) {
        loop {
            match self.rest() {
                [b' ' | b'\t' | b'\n' | b'\r' | b',', ..] => self.go_to(self.at + 1),
                [0xEF, 0xBB, 0xBF, ..] => self.go_to(self.at + '\u{feff}'.len_utf8()),
                [b'#', comment @ ..] => {
                    let end = comment.iter().position(|&byte| is_line_end(byte)).unwrap_or(comment.len());
                    self.go_to(self.at + 1 + end);
                }
                _ => return,
            }
        }
    }

    /// Goes on to a byte, over characters of any script and over ends of lines.
    fn go_to(&mut self, end: usize) {
        let bytes = self.text.as_bytes();
        for at in self.at..end {
            let ends_line = match bytes[at] {
                b'\n' => true,
                // A carriage return and a line feed are one end of a line.
                b'\r' => bytes.get(at + 1) != Some(&b'\n'),
                _ => false,
            };
            if ends_line {
                (self.line, self.line_start, self.continuations) = (self.line + 1, at + 1, 0);
            } else if !self.text.is_char_boundary(at) {
                self.continuations += 1;
            }
        }
        self.at = end;
    }

    fn take(&mut self, bytes: usize, kind: Kind) -> Kind {
        self.at += bytes;
        kind
    }

    fn take_while(&mut self, taken: impl Fn(u8) -> bool) -> usize {
        let count = self.rest().iter().position(|&byte| !taken(byte)).unwrap_or(self.rest().len());
        self.at += count;
        count
    }

    fn take_if(&mut self, taken: impl Fn(u8) -> bool) -> bool {
        let is_next = self.rest().first().is_some_and(|&byte| taken(byte));
        self.at += usize::from(is_next);
        is_next
    }

    /// An Int or a Float. Neither has leading zeros, nor is it followed by a digit, a point or a letter at once.
    fn number(&mut self) -> Result<Kind, Refusal> {
        self.take_if(|byte| byte == b'-');
        if !self.take_if(|byte| byte == b'0') {
            self.digits()?;
        }
        let has_fraction = self.take_if(|byte| byte == b'.');
        if has_fraction {
            self.digits()?;
        }
        let has_exponent = self.take_if(|byte| matches!(byte, b'e' | b'E'));
        if has_exponent {
            self.take_if(|byte| matches!(byte, b'+' | b'-'));
            self.digits()?;
        }
        match self.rest() {
            [b'.' | b'0'..=b'9', ..] => Err(self.unexpected("the end of a number")),
            [next, ..] if is_name_start(*next) => Err(self.unexpected("the end of a number")),
            _ if has_fraction || has_exponent => Ok(Kind::Float),
            _ => Ok(Kind::Int),
        }
    }

    fn digits(&mut self) -> Result<(), Refusal> {
        if self.take_while(|byte| byte.is_ascii_digit()) == 0 {
            return Err(self.unexpected("a digit"));
        }
        Ok(())
    }

    /// A string on one line. [`super::strings`] reads its escapes.
    fn string(&mut self) -> Result<Kind, Refusal> {
        let mut end = self.at + 1;
        loop {
            match &self.text.as_bytes()[end..] {
                [b'"', ..] => {
                    self.go_to(end + 1);
                    return Ok(Kind::String);
                }
                [b'\\', after, ..] if !is_line_end(*after) => end += 2,
                [other, ..] if !is_line_end(*other) => end += 1,
                _ => {
                    self.go_to(end);
                    return Err(self.unexpected("the `\"` that ends a string"));
                }
            }
        }
    }

    fn block_string(&mut self) -> Result<Kind, Refusal> {
        let mut end = self.at + 3;
        loop {
            match &self.text.as_bytes()[end..] {
                [b'"', b'"', b'"', ..] => {
                    self.go_to(end + 3);
                    return Ok(Kind::BlockString);
                }
                [b'\\', b'"', b'"', b'"', ..] => end += 4,
                [_, ..] => end += 1,
                [] => {
                    self.go_to(end);
                    return Err(self.unexpected("the `\"\"\"` that ends a string"));
                }
            }
        }
    }

    /// The refusal of the next character.
    fn unexpected(&self, expected: &str) -> Refusal {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            None => syntax_error(expected, "the end of the document", self.pos()),
            Some('\n' | '\r') => syntax_error(expected, "the end of the line", self.pos()),
            Some(found) if found.is_control() => {
                syntax_error(expected, format_args!("the character U+{:04X}", u32::from(found)), self.pos())
            }
            Some(found) => syntax_error(expected, format_args!("`{found}`"), self.pos()),
        }
    }
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens of a text, each as its kind, its text and its position.
    fn tokens(text: &str) -> Result<Vec<String>, String> {
        let told = |refusal: Refusal| refusal.errors[0].message.clone();
        let mut lexer = Lexer::new(text).map_err(told)?;
        let mut tokens = Vec::new();
        loop {
            let Token { kind, text, pos } = lexer.next().map_err(told)?;
            if kind == Kind::End {
                return Ok(tokens);
            }
            tokens.push(format!("{kind:?} {text} {}:{}", pos.line, pos.column));
        }
    }

    #[test]
    fn each_token_has_its_kind_and_its_place() {
        let rows: [(&str, &[&str]); 9] = [
            ("{a}", &["Punctuator { 1:1", "Name a 1:2", "Punctuator } 1:3"]),
            ("...on ...", &["Punctuator ... 1:1", "Name on 1:4", "Punctuator ... 1:7"]),
            ("\u{feff} a,\u{feff},b", &["Name a 1:3", "Name b 1:7"]),
            ("# π\ra\r\nb\n\nc", &["Name a 2:1", "Name b 3:1", "Name c 5:1"]),
            ("\"π😀\" a", &["String \"π😀\" 1:1", "Name a 1:6"]),
            (r#" """π\"""""" a"#, &["BlockString \"\"\"π\\\"\"\"\"\"\" 1:2", "Name a 1:14"]),
            ("\"\"\"\n😀\"\"\"a", &["BlockString \"\"\"\n😀\"\"\" 1:1", "Name a 2:5"]),
            ("0 -0 10 1.5 -0.0e-7 1E5", &["Int 0 1:1", "Int -0 1:3", "Int 10 1:6", "Float 1.5 1:9"]),
            (r#""" "\"" "\\""#, &["String \"\" 1:1", "String \"\\\"\" 1:4", "String \"\\\\\" 1:9"]),
        ];
        for (text, expected) in rows {
            let tokens = tokens(text).unwrap_or_else(|message| panic!("{text}: {message}"));
            assert_eq!(tokens[..expected.len().min(tokens.len())], *expected, "{text}");
        }
    }

    #[test]
    fn what_begins_no_token_is_told_with_its_place() {
        let rows = [
            ("a ?", "expected a name, a value or a punctuator, but found `?` at line 1, column 3"),
            ("\n..", "expected a name, a value or a punctuator, but found `.` at line 2, column 1"),
            ("\u{7}", "expected a name, a value or a punctuator, but found the character U+0007 at line 1, column 1"),
            ("é", "expected a name, a value or a punctuator, but found `é` at line 1, column 1"),
            ("00", "expected the end of a number, but found `0` at line 1, column 2"),
            ("1a", "expected the end of a number, but found `a` at line 1, column 2"),
            ("1.5.", "expected the end of a number, but found `.` at line 1, column 4"),
            ("-", "expected a digit, but found the end of the document at line 1, column 2"),
            ("1.", "expected a digit, but found the end of the document at line 1, column 3"),
            ("1e+x", "expected a digit, but found `x` at line 1, column 4"),
            ("\"a\\", "expected the `\"` that ends a string, but found the end of the document at line 1, column 4"),
            ("\"é\n\"", "expected the `\"` that ends a string, but found the end of the line at line 1, column 3"),
            ("\"\\\n\"", "expected the `\"` that ends a string, but found the end of the line at line 1, column 3"),
            (
                "\"\"\"\n\"\"",
                "expected the `\"\"\"` that ends a string, but found the end of the document at line 2, column 3",
            ),
        ];
        for (text, expected) in rows {
            let message = tokens(text).expect_err(text);
            assert_eq!(message, format!("the document is not GraphQL: {expected}"), "{text}");
        }
    }
}
