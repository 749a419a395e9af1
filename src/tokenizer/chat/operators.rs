//! Python's operators `%` and `+`, rewritten as calls. minijinja has `%` for numbers only, while Python also formats
//! texts with it; and the length of a sum of lists must be bounded.

use super::token::Token;

/// The function that replaces `%`.
pub(super) const REMAINDER: &str = "remainder_or_format";
/// The function that replaces `+`.
pub(super) const SUM: &str = "sum_of_terms";

/// Keywords, which are not operands.
const BETWEEN: [&str; 14] =
    ["and", "or", "not", "in", "is", "if", "else", "elif", "for", "set", "do", "recursive", "with", "import"];

/// The inside of a tag with a call in place of each `%` and `+`; none if there is no such operator.
pub(super) fn rewritten(tokens: &[Token]) -> Option<String> {
    tokens.iter().any(|token| matches!(token.text, "%" | "+")).then(|| Rewriter { tokens, at: 0 }.all())
}

/// Rewrites the tokens of a tag, or those between two brackets.
struct Rewriter<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
}

impl<'a> Rewriter<'a> {
    fn all(mut self) -> String {
        let (mut out, mut follows_operand) = (String::new(), false);
        while self.at < self.tokens.len() {
            let sign = !follows_operand && matches!(self.peek(), "-" | "+");
            follows_operand = sign || self.is_operand();
            if follows_operand {
                out += &self.sums();
            } else {
                self.take(&mut out);
            }
        }
        out
    }

    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).map_or("", |token| token.text)
    }

    fn take(&mut self, out: &mut String) {
        if let Some(token) = self.tokens.get(self.at) {
            out.push_str(token.gap);
            out.push_str(token.text);
            self.at += 1;
        }
    }

    fn is_operand(&self) -> bool {
        self.tokens.get(self.at).is_some_and(|token| {
            let is_name = token.is_word() && !BETWEEN.contains(&token.text);
            is_name || token.is_text() || token.is_number() || matches!(token.text, "(" | "[" | "{")
        })
    }

    /// A sum: terms with `+` and `-` between them, evaluated from left to right; a term may contain `~`.
    fn sums(&mut self) -> String {
        let mut out = self.joined();
        loop {
            match self.peek() {
                "+" => {
                    // The white space before the first term stays before the call.
                    let start = out.len() - out.trim_start().len();
                    let mut terms = out.split_off(start);
                    while self.peek() == "+" {
                        let mut sign = String::new();
                        self.take(&mut sign);
                        terms += &"\n".repeat(sign.matches('\n').count());
                        terms.push(',');
                        terms += &self.joined();
                    }
                    out += &format!("{SUM}({terms})");
                }
                "-" => {
                    self.take(&mut out);
                    out += &self.joined();
                }
                _ => return out,
            }
        }
    }

    fn joined(&mut self) -> String {
        let mut out = self.products();
        while self.peek() == "~" {
            self.take(&mut out);
            out += &self.products();
        }
        out
    }

    /// A product: operands with `*`, `/`, `//` and `%` between them, evaluated from left to right.
    fn products(&mut self) -> String {
        let mut out = self.power();
        loop {
            match self.peek() {
                "%" => {
                    let mut sign = String::new();
                    self.take(&mut sign);
                    let lines = "\n".repeat(sign.matches('\n').count());
                    // The white space before the first operand stays before the call.
                    let start = out.len() - out.trim_start().len();
                    let right = self.power();
                    out = format!("{}{REMAINDER}({}{lines},{right})", &out[..start], &out[start..]);
                }
                "*" | "/" | "//" => {
                    self.take(&mut out);
                    out += &self.power();
                }
                _ => return out,
            }
        }
    }

    fn power(&mut self) -> String {
        let mut out = self.operand();
        while self.peek() == "**" {
            self.take(&mut out);
            out += &self.operand();
        }
        out
    }

    /// One operand with its signs, attributes, items, calls, filters and tests.
    fn operand(&mut self) -> String {
        let mut out = String::new();
        while matches!(self.peek(), "-" | "+") {
            self.take(&mut out);
        }
        self.group_or_token(&mut out);
        loop {
            match self.peek() {
                "." => {
                    self.take(&mut out);
                    self.take(&mut out);
                }
                "(" | "[" => self.group_or_token(&mut out),
                "|" => {
                    self.take(&mut out);
                    self.take(&mut out);
                }
                "is" => {
                    self.take(&mut out);
                    if self.peek() == "not" {
                        self.take(&mut out);
                    }
                    self.take(&mut out);
                    // A test with one argument needs no brackets around it.
                    if self.is_operand() && !matches!(self.peek(), "(" | "[" | "{") {
                        self.take(&mut out);
                    }
                }
                _ => return out,
            }
        }
    }

    /// Takes a token; for a bracket, everything up to its closing one.
    fn group_or_token(&mut self, out: &mut String) {
        if !matches!(self.peek(), "(" | "[" | "{") {
            return self.take(out);
        }
        self.take(out);
        let (start, mut depth) = (self.at, 1_usize);
        while self.at < self.tokens.len() {
            match self.peek() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            self.at += 1;
        }
        *out += &Rewriter { tokens: &self.tokens[start..self.at], at: 0 }.all();
        self.take(out);
    }
}
