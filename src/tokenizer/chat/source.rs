//! A chat template's text, rewritten for minijinja.

use super::operators;
use super::token::{Token, quoted, tokens};
use std::ops::Range;

/// The most bytes of a template; the longest template of a known model has less than a tenth.
const MOST_BYTES: usize = 1 << 20;
/// The most tags of a template; known models have less than a tenth of this.
const MOST_TAGS: usize = 10_000;
/// The most words and signs of one tag; known models have less than a tenth of this. The parser recurses once per word
/// of a chain such as `not not x`.
const MOST_TOKENS: usize = 10_000;
/// The greatest depth of nested brackets; minijinja allows less.
const DEEPEST: usize = 150;

/// The template, rewritten for minijinja: the tags `generation` of transformers, which mark the model's text for the
/// training loss, become `with`, and Python's operators `%` and `+` become calls. Lines keep their numbers.
///
/// # Errors
/// A sentence for a template that is too long or too deeply nested for a parser.
pub(super) fn adapted(source: &str) -> Result<String, String> {
    if source.len() > MOST_BYTES {
        return Err(format!("{} bytes, more than {MOST_BYTES}", source.len()));
    }
    let mut n_tags = 0;
    // Jinja converts every line end to a line feed.
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let (mut out, mut rest) = (String::new(), &source[..]);
    while let Some(at) = ["{{", "{%", "{#"].iter().filter_map(|mark| rest.find(mark)).min() {
        n_tags += 1;
        if n_tags > MOST_TAGS {
            return Err(format!("more than {MOST_TAGS} tags"));
        }
        out += &rest[..at];
        rest = &rest[at..];
        let length = match &rest[..2] {
            "{#" => rest.find("#}").map_or(rest.len(), |end| end + 2),
            mark => {
                let (inner, length) = inside(rest, if mark == "{{" { "}}" } else { "%}" });
                let tokens = tokens(&rest[inner.clone()]);
                check(&tokens)?;
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
    Ok(out + rest)
}

/// Refuses a tag that is too long or too deeply nested for a parser.
fn check(tokens: &[Token]) -> Result<(), String> {
    if tokens.len() > MOST_TOKENS {
        return Err(format!("a tag of {} words and signs, more than {MOST_TOKENS}", tokens.len()));
    }
    let mut depth = 0_usize;
    for token in tokens {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(format!("brackets within brackets, deeper than {DEEPEST}"));
        }
    }
    Ok(())
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
        let tag = rest[at + 2..].trim_start_matches(['-', '+']).trim_start();
        if let Some(after) = tag.strip_prefix("endraw") {
            let end = after.trim_start().trim_start_matches(['-', '+']);
            if end.starts_with("%}") {
                return rest.len() - end.len() + 2;
            }
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
    operators::rewritten(tokens)
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
            assert_eq!(adapted(same).unwrap(), same);
        }
        let generation = "{%- generation -%}a{% endgeneration +%}";
        assert_eq!(adapted(generation).unwrap(), "{%- with -%}a{% endwith +%}");
        assert_eq!(adapted("a\r\nb\rc").unwrap(), "a\nb\nc");
    }

    #[test]
    fn sums_are_calls() {
        let sum = |terms: &str| format!("{}({terms})", operators::SUM);
        for (source, wanted) in [
            ("{{ a + b }}", format!("{{{{ {} }}}}", sum("a, b"))),
            ("{{ a+b+ -c }}", format!("{{{{ {} }}}}", sum("a,b, -c"))),
            ("{{ a - b + c - d }}", format!("{{{{ {} - d }}}}", sum("a - b, c"))),
            ("{{ a ~ b + c * d ** e }}", format!("{{{{ {} }}}}", sum("a ~ b, c * d ** e"))),
            ("{% if not a + b in c + d %}", format!("{{% if not {} in {} %}}", sum("a, b"), sum("c, d"))),
            (
                "{% set ns.x = f(n=1 + 2)[i+1:] %}",
                format!("{{% set ns.x = f(n={})[{}:] %}}", sum("1, 2"), sum("i,1")),
            ),
            ("{{ x\n + y|f('+') }}", format!("{{{{ {} }}}}", sum("x\n, y|f('+')"))),
            (
                "{{ a + b if c + d else e + f }}",
                format!("{{{{ {} if {} else {} }}}}", sum("a, b"), sum("c, d"), sum("e, f")),
            ),
        ] {
            assert_eq!(adapted(source).unwrap(), wanted, "{source}");
        }
    }

    #[test]
    fn a_template_beyond_the_limits_is_refused() {
        for (source, found) in [
            ("x".repeat(MOST_BYTES + 1), "bytes"),
            ("{{ a }}".repeat(MOST_TAGS + 1), "tags"),
            (format!("{{{{ {}x }}}}", "not ".repeat(MOST_TOKENS)), "words and signs"),
            (format!("{{{{ {}x", "(".repeat(DEEPEST + 1)), "deeper"),
        ] {
            assert!(adapted(&source).unwrap_err().contains(found));
        }
        let raw = format!("{{% raw %}}{}{{% endraw %}}", "{%".repeat(400_000));
        assert_eq!(adapted(&raw).unwrap(), raw, "in time that grows with the length");
    }

    #[test]
    fn remainders_are_calls() {
        let call = |left: &str, right: &str| format!("{}({left},{right})", operators::REMAINDER);
        for (source, wanted) in [
            ("{{ a%b }}", format!("{{{{ {} }}}}", call("a", "b"))),
            ("{{ 1-a.b['c'] % (d, 2) }}", format!("{{{{ 1-{} }}}}", call("a.b['c']", " (d, 2)"))),
            ("{% if x % 2 == 0 %}", format!("{{% if {} == 0 %}}", call("x", " 2"))),
            ("{{ a * b % c|d % e }}", format!("{{{{ {} }}}}", call(&call("a * b", " c|d"), " e"))),
            ("{{ -a % b }}", format!("{{{{ {} }}}}", call("-a", " b"))),
            ("{{ a - b % c }}", format!("{{{{ a - {} }}}}", call("b", " c"))),
            ("{{ f(x % 2, [y % 3]) }}", format!("{{{{ f({}, [{}]) }}}}", call("x", " 2"), call("y", " 3"))),
            ("{{ x\n % y is even }}", format!("{{{{ {} }}}}", call("x\n", " y is even"))),
        ] {
            assert_eq!(adapted(source).unwrap(), wanted, "{source}");
        }
    }
}
