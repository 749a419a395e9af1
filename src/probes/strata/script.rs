//! The script of a name's letters.

use unicode_script::{Script, UnicodeScript};

/// The script of the letters of a name, such as `Latin`; several are joined in the order of their first letters, such as
/// `Han + Hiragana`.
///
/// # Source
/// Unicode Standard Annex 24; signs and digits, which all scripts share, are not counted.
pub fn script_of(name: &str) -> String {
    let mut found: Vec<&str> = Vec::new();
    for letter in name.chars().filter(|c| c.is_alphabetic()) {
        let script = letter.script();
        let is_shared = matches!(script, Script::Common | Script::Inherited | Script::Unknown);
        if !is_shared && !found.contains(&script.full_name()) {
            found.push(script.full_name());
        }
    }
    match found.is_empty() {
        true => "no letters".into(),
        false => found.join(" + "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_that_of_the_letters() {
        for (name, script) in [
            ("Málaga 2", "Latin"),
            ("Łódź", "Latin"),
            ("Москва", "Cyrillic"),
            ("Αθήνα", "Greek"),
            ("東京", "Han"),
            ("東京タワー", "Han + Katakana"),
            ("서울", "Hangul"),
            ("القاهرة", "Arabic"),
            ("Nokia Москва", "Latin + Cyrillic"),
            ("1984", "no letters"),
            ("", "no letters"),
        ] {
            assert_eq!(script_of(name), script, "{name}");
        }
    }
}
