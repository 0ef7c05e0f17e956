//! The values of strings (September 2025, section 2.9.4).

/// The value of a string on one line, given the text between its quotes.
///
/// # Errors
/// The byte at which an escape begins that stands for no character.
pub(super) fn value(content: &str) -> Result<String, usize> {
    let mut value = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(start) = rest.find('\\') {
        let (character, length) = escape(&rest[start..]).ok_or(content.len() - rest.len() + start)?;
        value.push_str(&rest[..start]);
        value.push(character);
        rest = &rest[start + length..];
    }
    value.push_str(rest);
    Ok(value)
}

/// The character that an escape at the beginning of a text stands for, and the length of the escape.
fn escape(text: &str) -> Option<(char, usize)> {
    let character = match text.as_bytes().get(1)? {
        b'u' => return unicode(text),
        same @ (b'"' | b'\\' | b'/') => char::from(*same),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    };
    Some((character, 2))
}

/// The same for `\u{…}`, and for `\u` with four digits, of which two may be a pair of surrogates.
fn unicode(text: &str) -> Option<(char, usize)> {
    if let Some(braced) = text.strip_prefix("\\u{") {
        let end = braced.find('}')?;
        return Some((char::from_u32(hex(&braced[..end])?)?, "\\u{}".len() + end));
    }
    let lead = unit(text)?;
    if !(0xD800..0xDC00).contains(&lead) {
        // A trailing surrogate by itself is no character.
        return Some((char::from_u32(lead)?, 6));
    }
    let trail = unit(text.get(6..)?)?.checked_sub(0xDC00).filter(|&trail| trail < 0x400)?;
    Some((char::from_u32(0x10000 + ((lead - 0xD800) << 10) + trail)?, 12))
}

/// The number of `\u` with four digits.
fn unit(text: &str) -> Option<u32> {
    hex(text.strip_prefix("\\u")?.get(..4)?)
}

fn hex(digits: &str) -> Option<u32> {
    let append = |number: u32, digit: char| number.checked_mul(16)?.checked_add(digit.to_digit(16)?);
    if digits.is_empty() { None } else { digits.chars().try_fold(0, append) }
}

/// The value of a block string, given the text between its quotes: without the common indentation of its lines, and
/// without blank lines at its begin and end (`BlockStringValue` in the specification).
pub(super) fn block_value(content: &str) -> String {
    let content = content.replace(r#"\""""#, r#"""""#).replace("\r\n", "\n").replace('\r', "\n");
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let is_blank = |line: &&str| indentation(line) == line.len();
    let mut lines: Vec<&str> = content.split('\n').collect();
    let common = lines.iter().skip(1).filter(|line| !is_blank(line)).map(|line| indentation(line)).min().unwrap_or(0);
    for line in lines.iter_mut().skip(1) {
        *line = line.get(common..).unwrap_or_default();
    }
    let Some(first) = lines.iter().position(|line| !is_blank(line)) else { return String::new() };
    let last = lines.iter().rposition(|line| !is_blank(line)).unwrap_or(first);
    lines[first..=last].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_characters() {
        for (content, expected) in [
            ("", Ok("")),
            ("aπ😀\u{7}", Ok("aπ😀\u{7}")),
            (r#"\"\\\/\b\f\n\r\t"#, Ok("\"\\/\u{8}\u{c}\n\r\t")),
            (r"\u0051\u{51}\u{000000000051}é", Ok("QQQé")),
            (r"\u{10FFFF}\uD83D\uDE00\ud83d\ude00", Ok("\u{10ffff}😀😀")),
            (r"a\x", Err(1)),
            (r"é\u{}", Err(2)),
            (r"\u{110000}", Err(0)),
            (r"\u{D800}", Err(0)),
            (r"\u{+51}", Err(0)),
            (r"\u{51", Err(0)),
            (r"\n\u005", Err(2)),
            (r"\u00é1", Err(0)),
            (r"\uD83D", Err(0)),
            (r"\uD83D\n", Err(0)),
            (r"\uD83D\u0041", Err(0)),
            (r"\uDE00\uD83D", Err(0)),
        ] {
            assert_eq!(value(content).as_deref().map_err(|at| *at), expected, "{content}");
        }
    }

    #[test]
    fn block_strings_lose_their_indentation() {
        for (content, expected) in [
            ("", ""),
            (" \n\t\r\n ", ""),
            ("  a", "  a"),
            ("\n    Hello,\n      World!\n\n    Yours,\n      GraphQL.\n  ", "Hello,\n  World!\n\nYours,\n  GraphQL."),
            ("a\r\n  b\r  c", "a\nb\nc"),
            ("\n   a\n \n   b", "a\n\nb"),
            (r#"\""" \n \u0041 é"#, "\"\"\" \\n \\u0041 é"),
        ] {
            assert_eq!(block_value(content), expected, "{content:?}");
        }
    }
}
