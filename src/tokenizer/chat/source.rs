//! A chat template's text, rewritten for minijinja.

use super::remainder;
use super::token::{Token, quoted, tokens};
use std::ops::Range;

/// The template without what transformers and Python add to Jinja: the tags `generation`, which mark the model's text
/// for a loss, become `with`, and the operator `%` becomes a call. Lines keep their numbers.
pub(super) fn adapted(source: &str) -> String {
    // Jinja converts every line end to a line feed.
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let (mut out, mut rest) = (String::new(), &source[..]);
    while let Some(at) = ["{{", "{%", "{#"].iter().filter_map(|mark| rest.find(mark)).min() {
        out += &rest[..at];
        rest = &rest[at..];
        let length = match &rest[..2] {
            "{#" => rest.find("#}").map_or(rest.len(), |end| end + 2),
            mark => {
                let (inner, length) = inside(rest, if mark == "{{" { "}}" } else { "%}" });
                let tokens = tokens(&rest[inner.clone()]);
                let is_raw = mark == "{%" && tokens.first().is_some_and(|token| token.text == "raw");
                let length = if is_raw { length + raw(&rest[length..]) } else { length };
                out += &rest[..inner.start];
                out += &tag(&tokens, mark == "{%").unwrap_or_else(|| rest[inner.clone()].to_string());
                out += &rest[inner.end..length];
                rest = &rest[length..];
                continue;
            }
        };
        out += &rest[..length];
        rest = &rest[length..];
    }
    out + rest
}

/// The byte range of a tag's inside, and the tag's length. An end mark within brackets or quotes does not end the tag.
fn inside(tag: &str, end: &str) -> (Range<usize>, usize) {
    let start = 2 + usize::from(tag[2..].starts_with(['-', '+']));
    let (mut depth, mut at) = (0_usize, start);
    while at < tag.len() {
        let rest = &tag[at..];
        if depth == 0 {
            let sign = usize::from(rest.starts_with(['-', '+']));
            if rest[sign..].starts_with(end) {
                return (start..at, at + sign + end.len());
            }
        }
        at += match rest.as_bytes()[0] {
            b'"' | b'\'' => quoted(rest),
            byte => {
                depth = match byte {
                    b'(' | b'[' | b'{' => depth + 1,
                    b')' | b']' | b'}' => depth.saturating_sub(1),
                    _ => depth,
                };
                rest.chars().next().map_or(1, char::len_utf8)
            }
        };
    }
    (start..tag.len(), tag.len())
}

/// The length of a raw block, including its end tag.
fn raw(rest: &str) -> usize {
    let mut from = 0;
    while let Some(at) = rest[from..].find("{%").map(|at| from + at) {
        let (inner, length) = inside(&rest[at..], "%}");
        if rest[at..][inner].trim() == "endraw" {
            return at + length;
        }
        from = at + 2;
    }
    rest.len()
}

/// The new inside of a tag; `None` if it is unchanged.
fn tag(tokens: &[Token], is_statement: bool) -> Option<String> {
    let (first, rest) = tokens.split_first()?;
    // `with` opens a scope for names, as these tags do.
    let word = match first.text {
        "generation" if is_statement => Some("with"),
        "endgeneration" if is_statement => Some("endwith"),
        _ => None,
    };
    if let Some(word) = word {
        let rest: String = rest.iter().flat_map(|token| [token.gap, token.text]).collect();
        return Some(format!("{}{word}{rest}", first.gap));
    }
    remainder::rewritten(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tags_are_changed() {
        for same in [
            "a {{ b }} {# {% generation %} #} {{ '{% generation %}' }}",
            "{% raw %}{% generation %} {{ 'a' % b }}{% endraw %} c",
            "{{ {'a': {'b': 1}} }} {{ \"}}\" }} {%- set x = '%}' -%} {{ 'it\\'s' }}",
            "{{ open",
            "{% if a %}é{% endif %}",
        ] {
            assert_eq!(adapted(same), same);
        }
        assert_eq!(adapted("{%- generation -%}a{% endgeneration +%}"), "{%- with -%}a{% endwith +%}");
        assert_eq!(adapted("a\r\nb\rc"), "a\nb\nc");
    }

    #[test]
    fn remainders_are_calls() {
        let call = |left: &str, right: &str| format!("{}({left},{right})", remainder::FUNCTION);
        for (source, wanted) in [
            ("{{ a%b }}", format!("{{{{ {} }}}}", call("a", "b"))),
            ("{{ 1+a.b['c'] % (d, 2) }}", format!("{{{{ 1+{} }}}}", call("a.b['c']", " (d, 2)"))),
            ("{% if x % 2 == 0 %}", format!("{{% if {} == 0 %}}", call("x", " 2"))),
            ("{{ a * b % c|d % e }}", format!("{{{{ {} }}}}", call(&call("a * b", " c|d"), " e"))),
            ("{{ -a % b }}", format!("{{{{ {} }}}}", call("-a", " b"))),
            ("{{ a - b % c }}", format!("{{{{ a - {} }}}}", call("b", " c"))),
            ("{{ f(x % 2, [y % 3]) }}", format!("{{{{ f({}, [{}]) }}}}", call("x", " 2"), call("y", " 3"))),
            ("{{ x\n % y is even }}", format!("{{{{ {} }}}}", call("x\n", " y is even"))),
        ] {
            assert_eq!(adapted(source), wanted, "{source}");
        }
    }
}
